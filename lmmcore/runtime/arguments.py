"""Arguments of the public functions, checked alike everywhere: one sentence for what cannot be used."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np

from lmmcore.errors import ArgumentError

# Characters of a value that a sentence repeats.
SHOWN = 60


def number(value: Any, what: str) -> float:
    """A finite number; what : its name, which begins the sentence."""
    found = numbers(value, what)
    if found.shape != ():
        raise ArgumentError(f"{what} is {short(value)}, but must be one number.")
    return float(found)


def numbers(value: Any, what: str) -> np.ndarray:
    """An array of finite numbers."""
    try:
        found = np.asarray(value, dtype=float)
    except (TypeError, ValueError, OverflowError):
        found = np.array(np.nan)
    if isinstance(value, str | bytes) or not np.isfinite(found).all():
        raise ArgumentError(f"{what} must be finite numbers, but got {short(value)}.")
    return found


def whole_number(value: Any, what: str, least: int) -> int:
    """A whole number of at least `least`, in the range of 64 bits."""
    fits = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not fits or value >= 2**63:
        raise ArgumentError(f"{what} is {short(value)}, but must be a whole number of at least {least}.")
    if value < least:
        raise ArgumentError(f"{what} is {short(value)}, but must be at least {least}.")
    return int(value)


def one_of(value: Any, what: str, allowed: Sequence[str | int]) -> Any:
    """One of the values allowed; the nearest name is offered."""
    if isinstance(value, str | int) and not isinstance(value, bool) and value in allowed:
        return value
    names = [name for name in allowed if isinstance(name, str)]
    near = get_close_matches(value.lower(), names, 1) if isinstance(value, str) else []
    hint = f"; did you mean {near[0]!r}?" if near else "."
    shown = (
        " or ".join(map(repr, allowed)) if len(allowed) <= 2 else f"one of {', '.join(map(repr, allowed))}"
    )
    raise ArgumentError(f"{what} is {short(value)}, but must be {shown}{hint}")


def share(value: Any, what: str) -> float:
    """A number between 0 and 1, such as a confidence level."""
    found = number(value, what)
    if not 0 < found < 1:
        raise ArgumentError(f"{what} is {short(value)}, but must lie between 0 and 1.")
    return found


def name(value: Any, what: str) -> str:
    """The name of a column, or another text that is not empty."""
    if not isinstance(value, str) or not value:
        raise ArgumentError(f"{what} is {short(value)}, but must be a name, written as text.")
    return value


def names(value: Any, what: str) -> tuple[str, ...]:
    """Names given as one text, several, or none."""
    if value is None:
        return ()
    if isinstance(value, str):
        return (value,)
    found = tuple(value) if isinstance(value, Sequence) else (value,)
    if not all(isinstance(one, str) for one in found):
        raise ArgumentError(
            f"{what} is {short(value)}, but must be the name of a column, or a list of names."
        )
    return found


def mapping(value: Any, what: str) -> Mapping[str, Any]:
    """Values by name; none where there is nothing."""
    if value is None:
        return {}
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise ArgumentError(f"{what} is {short(value)}, but must give values by name: {{name: value}}.")
    return value


def levels(value: Any) -> dict[str, list[Any]] | None:
    """categories={column: [levels]}."""
    found = {}
    for column, of in mapping(value, "categories").items():
        if not isinstance(of, Sequence | np.ndarray) or isinstance(of, str | bytes):
            raise ArgumentError(
                f"categories gives {column!r} {short(of)}, but must give a list of its levels, the first of "
                "which is the reference."
            )
        found[column] = list(of)
    return found or None


def structure(value: Any, what: str, example: str) -> None:
    """A structure of the residuals, whose fields are names of columns and flags; None for none. What its
    subject may be says lmmcore.covariance.residual.subject_columns."""
    if value is None:
        return
    if isinstance(value, type) or not hasattr(value, "bind"):
        raise ArgumentError(f"{what} is {short(value)}, but must be a structure, e.g. {example}.")
    for field in fields(value) if is_dataclass(value) else ():
        of, flag = getattr(value, field.name), isinstance(field.default, bool)
        absent = of is None and field.default is None
        if field.name != "subject" and not absent and not isinstance(of, bool if flag else str):
            raise ArgumentError(
                f"{field.name} of {type(value).__name__} is {short(of)}, but must be "
                f"{'True or False' if flag else 'the name of a column'}."
            )


def fitted(value: Any, what: str) -> Any:
    """A fit of this package."""
    if not hasattr(value, "solution") or not hasattr(value, "loglik"):
        raise ArgumentError(f"{what} is {short(value)}, but must be a fit, as lmm.fit gives it.")
    return value


def progress(value: Any) -> Callable[[int, int], None] | None:
    """A function progress(done, n), or None."""
    if value is not None and not callable(value):
        raise ArgumentError(f"progress is {short(value)}, but must be a function of (done, n).")
    return value


def path(value: Any, what: str) -> Path:
    """A path to a file."""
    if not isinstance(value, str | Path) or not str(value):
        raise ArgumentError(f"{what} is {short(value)}, but must be the path of a file.")
    return Path(value)


def short(value: Any) -> str:
    """A value in a sentence: on one line, its end left out where it is long."""
    text = " ".join(repr(value).split()) if not isinstance(value, int) or abs(value) < 10**SHOWN else "huge"
    return text if len(text) <= SHOWN else text[: SHOWN - 3] + "..."
