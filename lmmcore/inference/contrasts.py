"""Contrasts of the fixed effects as users write them, with the hypothesis in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from lmmcore.data import to_frame
from lmmcore.inference.wald import DfMethod, Estimates, JointTest, joint_test, linear_estimates
from lmmcore.solution import Solution

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

    Raises ValueError for unknown terms, a wrong shape or an empty hypothesis.
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
    terms = solution.model.terms
    single = isinstance(L, Mapping) or not isinstance(L[0], Mapping | Sequence | np.ndarray)
    matrix = np.array([_weights(row, terms) for row in ([L] if single else L)])
    values = np.broadcast_to(np.asarray(rhs, dtype=float), len(matrix))
    if not matrix.any():
        raise ValueError("Every weight of the contrast is 0, so that there is nothing to test.")
    words = " and ".join(equation(*pair, terms) for pair in zip(matrix, values, strict=True))
    columns: dict[str, Any] = {"hypothesis": [words]}
    if not single:
        test = joint(matrix, values)
        shown = {"statistic": test.statistic, "num_df": test.num_df, "den_df": test.den_df}
        columns |= {name: [value] for name, value in shown.items()} | {"p_value": [test.p_value]}
        return to_frame(columns, solution.model.table.backend)
    found = estimates(matrix)
    statistic, p_value = found.statistics(values)
    low, high = found.interval(conf_level)
    columns |= {"estimate": found.estimate, "std_error": found.se, "statistic": statistic, "df": found.df}
    columns |= {"p_value": p_value, "conf_low": low, "conf_high": high}
    return to_frame(columns, solution.model.table.backend)


def _weights(row: Any, terms: Sequence[str]) -> np.ndarray:
    """(p,) weights of the terms."""
    if isinstance(row, Mapping):
        unknown = [name for name in row if name not in terms]
        if unknown:
            raise ValueError(f"The fit has no term {unknown[0]!r}; its terms are {', '.join(terms)}.")
        return np.array([float(row.get(term, 0.0)) for term in terms])
    weights = np.asarray(row, dtype=float)
    if weights.shape != (len(terms),):
        raise ValueError(
            f"A contrast needs {len(terms)} weights, one for each of {', '.join(terms)}, but this one has "
            f"the shape {weights.shape}."
        )
    return weights


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
