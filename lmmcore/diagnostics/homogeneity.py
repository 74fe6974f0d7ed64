"""Tests of constant variance, on normalised residuals.

If the model holds, normalised residuals are independent with variance 1, whatever random effects and
correlations it has, so that tests for independent data apply: Brown & Forsythe's (1974) between groups, and
Koenker's (1981) studentised form of Breusch & Pagan's (1979) score test against a number. Neither needs
normal residuals.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lmmcore.data.table import Factor, to_frame
from lmmcore.errors import DataError
from lmmcore.estimate.residuals import normalized_residuals
from lmmcore.estimate.solution import Solution
from lmmcore.estimate.units import marginal_residuals
from lmmcore.runtime.arguments import names

# A group of fewer values has no spread about its median to speak of.
FEW = 3


@dataclass(frozen=True)
class VarianceTest:
    """An F test (den_df finite) or a chi-square test (den_df infinite)."""

    statistic: float
    num_df: int
    den_df: float
    p_value: float


def brown_forsythe(values: np.ndarray, group: np.ndarray) -> VarianceTest | None:
    """Analysis of variance of absolute deviations from the median of each group; Levene's test with medians.

    values : (n,); group : (n,) whole numbers >= 0. Groups of fewer than FEW values are left out; None if
    fewer than two are left, or the deviations do not vary within groups.
    """
    from scipy.special import fdtrc

    size = np.bincount(group)
    large = size[group] >= FEW
    values, group = values[large], np.unique(group[large], return_inverse=True)[1]
    k, n = int(group.max(initial=-1)) + 1, len(values)
    if k < 2:
        return None
    order = np.lexsort((values, group))
    values, group = values[order], group[order]
    size = np.bincount(group)
    start = np.cumsum(size) - size
    median = (values[start + (size - 1) // 2] + values[start + size // 2]) / 2
    z = np.abs(values - median[group])
    mean = np.bincount(group, z) / size
    within = float(((z - mean[group]) ** 2).sum())
    if within <= 0:
        return None
    statistic = float(size @ (mean - z.mean()) ** 2) / (k - 1) / (within / (n - k))
    return VarianceTest(statistic, k - 1, float(n - k), float(fdtrc(k - 1, n - k, statistic)))


def breusch_pagan(values: np.ndarray, against: np.ndarray) -> VarianceTest | None:
    """n R^2 of the regression of squared deviations of values : (n,) from their mean on against : (n,).

    None where one of the two does not vary.
    """
    from scipy.special import chdtrc

    squares = (values - values.mean()) ** 2
    u, x = squares - squares.mean(), against - against.mean()
    scale = float(u @ u) * float(x @ x)
    if scale <= 0 or np.ptp(against) <= 1e-12 * np.max(np.abs(against)):
        return None
    statistic = len(values) * float(u @ x) ** 2 / scale
    return VarianceTest(statistic, 1, np.inf, float(chdtrc(1, statistic)))


def homogeneity(solution: Solution, by: Sequence[str] | None = None) -> Any:
    """Frame of one row a test: against, test, statistic, num_df, den_df (infinite for chi-square), p_value.

    Against the fitted values of the population, and against each column of `by` (default: the categories
    among the variables of the fixed effects): categories by Brown & Forsythe, numbers by Breusch & Pagan. The
    grouping factor itself may be named. p values are not adjusted for their number. A test that the rows do
    not allow is missing. Raises DataError for a column that is not in the model.
    """
    model = solution.model
    left = marginal_residuals(solution)
    values = normalized_residuals(solution, left)
    columns = {**model.table.columns, **model.table.groups}
    if by is None:
        fixed = {name for name in model.spec.formula.variables}
        by = [name for name in model.table.columns if name in fixed and name not in model.table.groups]
        by = [name for name in by if isinstance(columns[name], Factor)]
    by = names(by, "by")
    population = model.rows.y + model.rows.offset - left
    found = {"fitted values": ("Breusch-Pagan (Koenker)", breusch_pagan(values, population))}
    for name in by:
        if name not in columns:
            raise DataError(f"The model has no column {name!r}; its columns are {', '.join(columns)}.")
        column = columns[name]
        against = column.codes if isinstance(column, Factor) else column
        against = against if model.rows.order is None else against[model.rows.order]
        if isinstance(column, Factor):
            found[name] = ("Brown-Forsythe", brown_forsythe(values, against))
        else:
            found[name] = ("Breusch-Pagan (Koenker)", breusch_pagan(values, against))
    tests = [test or VarianceTest(np.nan, 0, np.nan, np.nan) for _, test in found.values()]
    return to_frame(
        {
            "against": list(found),
            "test": [name for name, _ in found.values()],
            "statistic": np.array([test.statistic for test in tests]),
            "num_df": np.array([test.num_df for test in tests]),
            "den_df": np.array([test.den_df for test in tests]),
            "p_value": np.array([test.p_value for test in tests]),
        },
        model.table.backend,
    )
