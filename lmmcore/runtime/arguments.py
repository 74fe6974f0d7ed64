"""Arguments of the public functions, checked alike everywhere: one sentence for what cannot be used."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

import numpy as np

from lmmcore.errors import ArgumentError


def number(value: Any, what: str) -> float:
    """A finite number; what : its name, which begins the sentence."""
    found = numbers(value, what)
    if found.shape != ():
        raise ArgumentError(f"{what} is {_short(value)}, but must be one number.")
    return float(found)


def numbers(value: Any, what: str) -> np.ndarray:
    """An array of finite numbers."""
    try:
        found = np.asarray(value, dtype=float)
    except (TypeError, ValueError):
        found = np.array(np.nan)
    if isinstance(value, str | bytes) or not np.isfinite(found).all():
        raise ArgumentError(f"{what} must be finite numbers, but got {_short(value)}.")
    return found


def whole_number(value: Any, what: str, least: int, most: int | None = None) -> int:
    """A whole number from least to most."""
    fits = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not fits or value < least or (most is not None and value > most):
        limit = f"from {least} to {most}" if most is not None else f"of at least {least}"
        raise ArgumentError(f"{what} is {_short(value)}, but must be a whole number {limit}.")
    return int(value)


def one_of(value: Any, what: str, allowed: Sequence[str]) -> str:
    """One of the names allowed; the nearest is offered."""
    if isinstance(value, str) and value in allowed:
        return value
    near = get_close_matches(value, allowed, 1) if isinstance(value, str) else []
    hint = f"; did you mean {near[0]!r}?" if near else "."
    raise ArgumentError(
        f"{what} is {_short(value)}, but must be one of {', '.join(map(repr, allowed))}{hint}"
    )


def share(value: Any, what: str) -> float:
    """A number between 0 and 1, such as a confidence level."""
    found = number(value, what)
    if not 0 < found < 1:
        raise ArgumentError(f"{what} is {_short(value)}, but must lie between 0 and 1.")
    return found


def names(value: Any, what: str) -> tuple[str, ...]:
    """Names given as one text, several, or none."""
    if value is None:
        return ()
    if isinstance(value, str):
        return (value,)
    found = tuple(value) if isinstance(value, Sequence | np.ndarray) else (value,)
    for name in found:
        if not isinstance(name, str):
            raise ArgumentError(
                f"{what} is {_short(value)}, but must be the name of a column, or a list of names."
            )
    return found


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
