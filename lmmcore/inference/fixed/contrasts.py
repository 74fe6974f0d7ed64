"""Contrasts of the fixed effects as users write them, with the hypothesis in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

import numpy as np

from lmmcore.data.table import to_frame
from lmmcore.errors import ArgumentError, FitError
from lmmcore.estimate.solution import Solution
from lmmcore.inference.fixed.wald import (
    DfMethod,
    Estimates,
    JointTest,
    joint_test,
    linear_estimates,
    orthonormal_rows,
)
from lmmcore.inference.words import listed
from lmmcore.model.specification import Model
from lmmcore.runtime.arguments import number, numbers, short

Contrast = Mapping[str, float] | Sequence[float] | np.ndarray


def contrast(
    solution: Solution,
    L: Contrast | Sequence[Contrast],
    rhs: float | Sequence[float] = 0.0,
    df: DfMethod = "satterthwaite",
    conf_level: float = 0.95,
) -> Any:
    """Frame of one row. L : one contrast, {term: weight} or (p,), gives a t test of L'beta = rhs with columns
    hypothesis, estimate, std_error, statistic, df, p_value, conf_low, conf_high; several, as a list of
    mappings or (k, p), give their joint F test with columns hypothesis, statistic, num_df, den_df, p_value.
    The joint test's Satterthwaite df are those of orthonormal rows in the coordinates of the terms, however
    the hypothesis is written (wald.orthonormal_rows). A mapping may name terms that were
    left out as well, where columns of the design depend on each other.

    Raises ArgumentError for unknown terms, a wrong shape or an empty hypothesis, FitError for a hypothesis
    that the data do not determine (lmmcore.likelihood.null_space).
    """
    return tested(
        solution,
        L,
        rhs,
        conf_level,
        lambda matrix: linear_estimates(solution, matrix, df),
        lambda matrix, values: joint_test(solution, matrix, values, df),
    )


def tested(
    solution: Solution,
    L: Contrast | Sequence[Contrast],
    rhs: float | Sequence[float],
    conf_level: float,
    estimates: Callable[[np.ndarray], Estimates],
    joint: Callable[[np.ndarray, np.ndarray], JointTest],
) -> Any:
    """The frame of `contrast` by a given kind of inference: estimates(L : (k, p)), joint(L, rhs : (k,))."""
    model = solution.model
    if not isinstance(L, Mapping | Sequence | np.ndarray) or isinstance(L, str | bytes):
        raise ArgumentError(
            f"The contrast is {short(L)}, but must be {{term: weight}}, {len(model.terms)} weights, or a "
            "list of either."
        )
    single = isinstance(L, Mapping) or not (len(L) and isinstance(L[0], Mapping | Sequence | np.ndarray))
    whole = np.array([_weights(row, model) for row in ([L] if single else L)])
    values = right_sides(rhs, len(whole))
    if not whole.any():
        raise ArgumentError("Every weight of the contrast is 0, so that there is nothing to test.")
    equations = [equation(*pair, model.fixed.names) for pair in zip(whole, values, strict=True)]
    for text, determined in zip(equations, model.coordinates.null_space.determines(whole), strict=True):
        if not determined:
            raise FitError(
                f"The data do not determine whether {text}: {listed(model.dropped)} "
                f"{'were' if len(model.dropped) > 1 else 'was'} left out, as earlier fixed effects make up "
                "the same columns, so that only combinations of them are known; test such a combination, or "
                "leave terms out of the formula."
            )
    matrix, words = whole[:, model.coordinates.kept], " and ".join(equations)
    columns: dict[str, Any] = {"hypothesis": [words]}
    if not single:
        test = joint(*orthonormal_rows(matrix, values))
        shown = {"statistic": test.statistic, "num_df": test.num_df, "den_df": test.den_df}
        columns |= {name: [value] for name, value in shown.items()} | {"p_value": [test.p_value]}
        return to_frame(columns, model.table.backend)
    found = estimates(matrix)
    statistic, p_value = found.statistics(values)
    low, high = found.interval(conf_level)
    columns |= {"estimate": found.estimate, "std_error": found.se, "statistic": statistic, "df": found.df}
    columns |= {"p_value": p_value, "conf_low": low, "conf_high": high}
    return to_frame(columns, model.table.backend)


def _weights(row: Any, model: Model) -> np.ndarray:
    """(P,) weights of all columns of the design."""
    names, terms = model.fixed.names, model.terms
    if isinstance(row, Mapping):
        for name in row:
            if name not in names:
                near = get_close_matches(str(name), names, 1)
                hint = f"did you mean {near[0]!r}?" if near else f"its terms are {', '.join(terms)}."
                raise ArgumentError(f"The fit has no term {name!r}; {hint}")
        return np.array([number(row.get(name, 0.0), f"The weight of {name}") for name in names])
    weights = numbers(row, "The weights of a contrast")
    if weights.shape != (len(terms),):
        raise ArgumentError(
            f"A contrast needs {len(terms)} weights, one for each of {', '.join(terms)}, but this one has "
            f"the shape {weights.shape}."
        )
    result = np.zeros(len(names))
    result[list(model.coordinates.kept)] = weights
    return result


def right_sides(rhs: Any, k: int) -> np.ndarray:
    """(k,) values of the hypotheses."""
    values = numbers(rhs, "rhs")
    if values.shape not in ((), (1,), (k,)):
        raise ArgumentError(f"rhs has the shape {values.shape}, but must be one number, or {k}.")
    return np.broadcast_to(values, k)


def equation(row: np.ndarray, value: float, terms: Sequence[str]) -> str:
    """A hypothesis as an equation, e.g. "arm[T.b] - arm[T.c] = 0"; row : (p,)."""
    text = ""
    for weight, term in zip(row, terms, strict=True):
        if weight == 0:
            continue
        size = "" if abs(weight) == 1 else f"{abs(weight):.6g} * "
        sign = ("-" if weight < 0 else "") if not text else (" - " if weight < 0 else " + ")
        text += sign + size + term
    return f"{text or '0'} = {value:.6g}"
