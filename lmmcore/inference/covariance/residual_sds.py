"""Residual standard deviations of each group or visit, with Wald limits on log SD.

log sd = log sigma + log R_kk / 2 for a row of that group and visit; its standard error by the delta method
from the curvature of the likelihood, as in lmmcore.inference.covariance.components.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lmmcore.covariance.by_level import category_of
from lmmcore.covariance.residual import by_column
from lmmcore.data.table import Factor, to_frame
from lmmcore.errors import ArgumentError
from lmmcore.estimate.solution import Solution
from lmmcore.inference.covariance.components import (
    covariance_of_tau,
    estimates,
    normal_quantile,
    on_boundary,
    tau_of,
)
from lmmcore.inference.covariance.parameters import covariance_parameters

# More distinct values than this are no groups or visits.
MOST = 100


def residual_sds(solution: Solution, conf_level: float = 0.95) -> Any:
    """Frame: the columns that the residual variance depends on (a group, a visit), then estimate, std_error,
    conf_low, conf_high of the residual SD of a row with prior weight 1; one row where it is constant.

    Standard errors are missing where the data do not determine the covariance parameters. Raises
    ArgumentError where the variance depends on more than MOST values, or on the fitted values.
    """
    model, structure = solution.model, solution.model.structure
    quantile = normal_quantile(conf_level)
    labels, rows = _distinct(solution)
    tau = tau_of(solution)
    slope = np.zeros((len(rows), len(tau)))
    slope[:, -1] = 0.5
    log_sd = np.full(len(rows), 0.5 * tau[-1])
    if structure is not None:
        residual = slice(solution.optimum.objective.residual.start, len(tau) - 1)
        written = structure.written_out
        R = written.matrices(tau[residual], written.marks[rows][:, None])
        value = R.value[:, 0, 0]
        log_sd += 0.5 * np.log(value)
        slope[:, residual] = 0.5 * (R.first[:, :, 0, 0] / value).T
    parameters = covariance_parameters(model)
    held = on_boundary(solution, parameters, estimates(solution, parameters))
    spread = covariance_of_tau(solution, parameters, held)
    error = np.full(len(rows), np.nan)
    if spread is not None:
        error = np.sqrt(np.maximum(np.einsum("ka,ab,kb->k", slope, spread, slope), 0))
    sd = np.exp(log_sd)
    columns: dict[str, Any] = {
        **labels,
        "estimate": sd,
        "std_error": sd * error,
        "conf_low": sd * np.exp(-quantile * error),
        "conf_high": sd * np.exp(quantile * error),
    }
    return to_frame(columns, model.table.backend)


def _distinct(solution: Solution) -> tuple[dict[str, list[Any]], np.ndarray]:
    """Values of the columns that the residual variance depends on, and a sorted row of each combination."""
    model, spec, table = solution.model, solution.model.spec, solution.model.table
    names = []
    if spec.variance is not None:
        if spec.variance.column is None:
            raise ArgumentError(
                "The residual SD depends on the fitted values, so that it has none for each group or visit; "
                "fit.augment() has fitted values, and residual_pearson the residuals over it."
            )
        names.append(spec.variance.column)
    if (by := by_column(spec.residual)) is not None:
        names.append(by)
    if spec.residual is not None and spec.residual.time is not None and _varies_by_time(solution):
        names.append(spec.residual.time)
    if not names:
        return {}, np.zeros(1, dtype=np.intp)
    order = np.arange(table.n) if model.rows.order is None else model.rows.order
    found = []
    for name in dict.fromkeys(names):
        column = table.columns[name]
        values = np.array(column.levels, dtype=object)[column.codes] if isinstance(column, Factor) else column
        codes = column.codes if isinstance(column, Factor) else np.unique(column, return_inverse=True)[1]
        found.append((name, values[order], codes[order]))
    keys = np.column_stack([codes for _, _, codes in found])
    _, rows = np.unique(keys, axis=0, return_index=True)
    if len(rows) > MOST:
        raise ArgumentError(
            f"The residual SD depends on {len(rows)} distinct values of {' and '.join(names)}, which are no "
            "groups or visits; residual_parameters has its parameters."
        )
    return {name: values[rows].tolist() for name, values, _ in found}, rows


def _varies_by_time(solution: Solution) -> bool:
    model, structure = solution.model, solution.model.structure
    times = model.rows.units[-1].times
    for part in () if structure is None else structure.parts:
        own = times
        if (by := by_column(model.spec.residual)) is not None:
            column = category_of(by, model.table.columns[by])
            codes = column.codes if model.rows.order is None else column.codes[model.rows.order]
            own = times[codes == column.levels.index(part.of)]
        variance = part.law.variance(solution.natural[part.place], np.unique(own))
        if np.ptp(variance) > 1e-12 * variance.max():
            return True
    return False
