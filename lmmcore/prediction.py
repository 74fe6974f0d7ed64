"""Predictions for new rows.

level="population": X beta^. level="subject": X beta^ + Z b^, for a subject of the data; under a serial
correlation the residuals of that subject carry forward, e^(t) = r(t, t_i) R_i^-1 e^_i, so that the prediction
is the conditional expectation of the response. An unknown subject gets the population's prediction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lmmcore.covariance.residual import NewRows
from lmmcore.data import Table, read, to_frame
from lmmcore.errors import DataError
from lmmcore.frames import unit_names
from lmmcore.grouping import combined
from lmmcore.inference.wald import linear_estimates, t_interval
from lmmcore.new_rows import new_rows
from lmmcore.prediction_error import NewDesign, prediction_error
from lmmcore.residuals import fitted_values
from lmmcore.solution import Solution

if TYPE_CHECKING:
    from lmmcore.result import Fit


INTERVALS = {
    "mean": "the population's mean; uncertainty of the fixed effects",
    "subject": "the expected response of the subject, a new one if it is unknown; uncertainty of the fixed "
    "effects, the random effects and the covariance parameters",
    "observation": "a single response; uncertainty of the fixed effects, the random effects, the covariance "
    "parameters and the residual",
}


def predict(fit: Fit, new: Any, level: str, interval: str | None, conf_level: float) -> Any:
    """Frame with a row for each row of new: prediction; for an interval std_error, df, conf_low, conf_high.

    interval : INTERVALS says of what, and which uncertainty it holds; all with Satterthwaite's df, those of
    "subject" and "observation" at least 2 (lmmcore.prediction_error.LEAST). At level="population" every
    subject is a new one; "mean" belongs there. A row with a missing value gets a missing prediction.
    Raises DataError for a level or column that the model does not know, ValueError for other arguments.
    """
    if level not in ("population", "subject"):
        raise ValueError(f"level is {level!r}, but must be 'population' or 'subject'.")
    if interval not in (None, *INTERVALS):
        raise ValueError(f"interval is {interval!r}, but must be None, 'mean', 'subject' or 'observation'.")
    if interval == "mean" and level == "subject":
        raise ValueError("interval='mean' belongs to level='population'; use 'subject' or 'observation'.")
    solution = fit.solution
    table = _read(solution, new, level, interval)
    X = np.array(solution.model.fixed.columns(table))[list(solution.model.coordinates.kept)]
    values = {"prediction": solution.beta @ X}
    if solution.model.spec.offset is not None:
        values["prediction"] = values["prediction"] + table.columns[solution.model.spec.offset]
    units = np.full((len(solution.model.groups), table.n), -1)
    if level == "subject":
        units = _units(solution, table)
        values["prediction"] = values["prediction"] + _subject_part(fit, table, units)
    if interval == "mean":
        found = linear_estimates(solution, X.T, "satterthwaite")
        values["std_error"], values["df"] = found.se, found.df
    elif interval is not None:
        Z = np.array(_random_columns(solution, table)).reshape(-1, table.n).T
        rows = None if solution.model.structure is None else new_rows(solution, table)
        design = NewDesign(X.T, Z, units, rows, _weights(solution, table, interval))
        values["std_error"], values["df"] = prediction_error(solution, design, interval == "observation")
    if interval is not None:
        values["conf_low"], values["conf_high"] = t_interval(
            values["prediction"], values["std_error"], values["df"], conf_level
        )
    return to_frame({name: _spread(column, table) for name, column in values.items()}, table.backend)


def _spread(values: np.ndarray, table: Table) -> np.ndarray:
    """Values of the rows kept, with missing values at the others."""
    if table.kept is None:
        return values
    result = np.full(table.rows_read, np.nan)
    result[table.kept] = values
    return result


def _read(solution: Solution, new: Any, level: str, interval: str | None) -> Table:
    model = solution.model
    variables = set(model.fixed.variables)
    if model.spec.offset is not None:
        variables.add(model.spec.offset)
    if interval == "observation" and model.spec.weights is not None:
        variables.add(model.spec.weights)
    grouping: set[str] = set()
    if level == "subject":
        grouping |= {column for group in model.groups for column in group.columns}
    if level == "subject" or interval in ("subject", "observation"):
        variables = variables.union(*(design.variables for _, design in model.random))
        if model.spec.residual is not None and model.spec.residual.time is not None:
            variables.add(model.spec.residual.time)
        if model.spec.variance is not None and model.spec.variance.column is not None:
            variables.add(model.spec.variance.column)
    categories = {name: list(levels) for name, levels in model.levels.items() if name in variables}
    return read(new, sorted(variables), sorted(grouping), categories)


def _units(solution: Solution, table: Table) -> np.ndarray:
    """(levels, n) unit of each level that a row belongs to, -1 for one that the model does not know."""
    units = np.full((len(solution.model.groups), table.n), -1)
    for level, group in enumerate(solution.model.groups):
        place = {name: index for index, name in enumerate(unit_names(solution, level))}
        factor = combined(table, group.columns)
        units[level] = np.array([place.get(name, -1) for name in factor.levels], dtype=int)[factor.codes]
    return units


def _random_columns(solution: Solution, table: Table) -> list[np.ndarray]:
    """Columns of Z."""
    return [column for _, design in solution.model.random for column in design.columns(table)]


def _weights(solution: Solution, table: Table, interval: str) -> np.ndarray:
    """Prior weights : (n,) of the new rows, 1 where they do not matter."""
    name = solution.model.spec.weights
    if name is None or interval != "observation":
        return np.ones(table.n)
    weights = table.columns[name]
    if not isinstance(weights, np.ndarray) or weights.min(initial=1.0) <= 0:
        raise DataError(f"The prior weights {name!r} of the rows to predict must be positive numbers.")
    return weights


def _subject_part(fit: Fit, table: Table, units: np.ndarray) -> np.ndarray:
    """Z b^ + e^ of each row; 0 for unknown subjects."""
    solution, model = fit.solution, fit.solution.model
    result = np.zeros(table.n)
    if not model.groups:
        return result
    Z = _random_columns(solution, table)
    for level, known in enumerate(units):
        mine = np.flatnonzero(known >= 0)
        for column, effect in zip(Z[model.columns(level)], fit.blups[level].effects, strict=True):
            result[mine] += column[mine] * effect[known[mine]]
    if model.spec.residual is not None:
        mine = np.flatnonzero(units[-1] >= 0)
        result[mine] += _carried(fit, table, units[-1], mine)
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
    new = new_rows(solution, table)
    result = np.empty(len(mine))
    for subject in np.unique(known[mine]):
        of = np.flatnonzero(known[mine] == subject)
        seen = np.arange(unit.starts[subject], ends[subject])
        R = structure.covariance(solution.natural, seen)
        marks = None if new.marks is None else new.marks[mine[of]]
        cross = structure.cross(solution.natural, NewRows(new.times[mine[of]], marks), seen)
        result[of] = cross @ np.linalg.solve(R, left[seen])
    return result
