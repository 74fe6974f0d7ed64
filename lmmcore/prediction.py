"""Predictions for new rows.

level="population": X beta^. level="subject": X beta^ + Z b^, for a subject of the data; under a serial
correlation the residuals of that subject carry forward, e^(t) = r(t, t_i) R_i^-1 e^_i, so that the prediction
is the conditional expectation of the response. An unknown subject gets the population's prediction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lmmcore.covariance.residual import NewRows
from lmmcore.covariance.scaled import ScaledResidual
from lmmcore.data import Table, read, to_frame
from lmmcore.frames import degrees_of_freedom, t_interval, unit_names
from lmmcore.grouping import combined
from lmmcore.residuals import fitted_values
from lmmcore.solution import Solution

if TYPE_CHECKING:
    from lmmcore.result import Fit


def predict(fit: Fit, new: Any, level: str, interval: str | None, conf_level: float) -> Any:
    """Frame with a row for each row of new: prediction, and for interval="mean" conf_low, conf_high.

    A row with a missing value gets a missing prediction. The interval of the population's mean holds the
    uncertainty of beta^, with Satterthwaite's degrees of freedom; that of the covariance parameters enters
    through them. Raises DataError for a level or column that the model does not know.
    """
    if level not in ("population", "subject"):
        raise ValueError(f"level is {level!r}, but must be 'population' or 'subject'.")
    if interval not in (None, "mean") or (interval and level != "population"):
        raise ValueError("interval must be None or, at level='population', 'mean'.")
    solution = fit.solution
    table = _read(solution, new, level)
    X = np.array(solution.model.fixed.columns(table))[list(solution.model.coordinates.kept)]
    values = {"prediction": solution.beta @ X}
    if solution.model.spec.offset is not None:
        values["prediction"] = values["prediction"] + table.columns[solution.model.spec.offset]
    if level == "subject":
        values["prediction"] = values["prediction"] + _subject_part(fit, table)
    if interval:
        contrasts = X.T
        se = np.sqrt(np.einsum("np,pq,nq->n", contrasts, solution.vcov, contrasts))
        df = degrees_of_freedom(solution, contrasts, "satterthwaite")
        values["conf_low"], values["conf_high"] = t_interval(values["prediction"], se, df, conf_level)
    return to_frame({name: _spread(column, table) for name, column in values.items()}, table.backend)


def _spread(values: np.ndarray, table: Table) -> np.ndarray:
    """Values of the rows kept, with missing values at the others."""
    if table.kept is None:
        return values
    result = np.full(table.rows_read, np.nan)
    result[table.kept] = values
    return result


def _read(solution: Solution, new: Any, level: str) -> Table:
    model = solution.model
    variables = set(model.fixed.variables)
    if model.spec.offset is not None:
        variables.add(model.spec.offset)
    grouping: set[str] = set()
    if level == "subject":
        grouping |= {column for group in model.groups for column in group.columns}
        variables = variables.union(*(design.variables for _, design in model.random))
        if model.spec.residual is not None and model.spec.residual.time is not None:
            variables.add(model.spec.residual.time)
        if model.spec.variance is not None and model.spec.variance.column is not None:
            variables.add(model.spec.variance.column)
    categories = {name: list(levels) for name, levels in model.levels.items() if name in variables}
    return read(new, sorted(variables), sorted(grouping), categories)


def _subject_part(fit: Fit, table: Table) -> np.ndarray:
    """Z b^ + e^ of each row; 0 for unknown subjects."""
    solution = fit.solution
    model = solution.model
    result = np.zeros(table.n)
    if not model.groups:
        return result
    designs = [design.columns(table) for _, design in model.random]
    Z = [column for columns in designs for column in columns]
    known = np.full(table.n, -1)
    for level, group in enumerate(model.groups):
        place = {name: index for index, name in enumerate(unit_names(solution, level))}
        factor = combined(table, group.columns)
        known = np.array([place.get(name, -1) for name in factor.levels], dtype=int)[factor.codes]
        mine = np.flatnonzero(known >= 0)
        for column, effect in zip(Z[model.columns(level)], fit.blups[level].effects, strict=True):
            result[mine] += column[mine] * effect[known[mine]]
    if model.spec.residual is not None:
        mine = np.flatnonzero(known >= 0)
        result[mine] += _carried(fit, table, known, mine)
    return result


def _carried(fit: Fit, table: Table, known: np.ndarray, mine: np.ndarray) -> np.ndarray:
    """Serial residuals of known subjects at the new times."""
    solution, model = fit.solution, fit.solution.model
    structure, rows, unit = model.structure, model.rows, model.rows.units[-1]
    assert structure is not None
    left = rows.y - fitted_values(solution, fit.blups)[1]
    if rows.weights is not None:
        left = left * np.sqrt(rows.weights)
    ends = np.append(unit.starts[1:], len(left))
    new = _new_rows(solution, table)
    result = np.empty(len(mine))
    for subject in np.unique(known[mine]):
        of = np.flatnonzero(known[mine] == subject)
        seen = np.arange(unit.starts[subject], ends[subject])
        R = structure.covariance(solution.natural, seen)
        marks = None if new.marks is None else new.marks[mine[of]]
        cross = structure.cross(solution.natural, NewRows(new.times[mine[of]], marks), seen)
        result[of] = cross @ np.linalg.solve(R, left[seen])
    return result


def _new_rows(solution: Solution, table: Table) -> NewRows:
    """Times of the new rows (0 for a structure without a time) and what their variance depends on."""
    spec = solution.model.spec
    times = np.zeros(table.n)
    if spec.residual is not None and spec.residual.time is not None:
        column = table.columns[spec.residual.time]
        assert isinstance(column, np.ndarray)  # numbers in the fit, so numbers or an error here
        spec.residual.check(column)
        times = column
    if spec.variance is None or not isinstance(solution.model.structure, ScaledResidual):
        return NewRows(times, None)
    if spec.variance.column is None:
        X = np.array(solution.model.fixed.columns(table))[list(solution.model.coordinates.kept)]
        return NewRows(times, spec.variance.bind(solution.beta @ X)[1])
    return NewRows(times, spec.variance.bind(table.columns[spec.variance.column])[1])
