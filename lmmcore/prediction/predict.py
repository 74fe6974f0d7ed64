"""Predictions for new rows.

level="population": X beta^. level="subject": X beta^ + Z b^, for a subject of the data; under a serial
correlation the residuals of that subject carry forward, e^(t) = r(t, t_i) R_i^-1 e^_i, so that the prediction
is the conditional expectation of the response; r and R_i hold the prior weights and the variance function of
the new and the known rows. An unknown subject gets the population's prediction, and known_subject says so.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lmmcore.covariance.residual import NewRows, by_column
from lmmcore.data.table import Table, positive_weights, read, to_frame
from lmmcore.errors import ArgumentError
from lmmcore.estimate.effects import blups
from lmmcore.estimate.new_rows import check_levels, check_room, new_rows
from lmmcore.estimate.residuals import fitted_values
from lmmcore.estimate.solution import Solution
from lmmcore.estimate.units import unit_names
from lmmcore.inference.fixed.wald import linear_estimates, t_interval
from lmmcore.model.grouping import combined
from lmmcore.model.specification import Specification
from lmmcore.prediction.uncertainty import NewDesign, prediction_error
from lmmcore.runtime import arguments

INTERVALS = {
    "mean": "the population's mean; uncertainty of the fixed effects",
    "subject": "the expected response of the subject, a new one if it is unknown; uncertainty of the fixed "
    "effects, the random effects and the covariance parameters",
    "observation": "a single response; uncertainty of the fixed effects, the random effects, the covariance "
    "parameters and the residual",
}


def predict(solution: Solution, new: Any, level: str, interval: str | None, conf_level: float) -> Any:
    """Frame with a row for each row of new: prediction; for an interval std_error, df, conf_low, conf_high;
    at level="subject" known_subject, whether the fit knows every grouping level of the row.

    interval : INTERVALS says of what, and which uncertainty it holds; all with Satterthwaite's df, those of
    "subject" and "observation" at least 2 (lmmcore.prediction.uncertainty.LEAST). At level="population" every
    subject is a new one; "mean" belongs there. A row with a missing value gets missing results, and so does
    one whose mean the data do not determine (levels that never occurred together, covariates apart that go
    together in the data); see lmmcore.likelihood.null_space.
    Raises DataError for a level or column that the model does not know, ArgumentError for other arguments.
    """
    arguments.one_of(level, "level", ("population", "subject"))
    if interval is not None:
        arguments.one_of(interval, "interval", tuple(INTERVALS))
    arguments.share(conf_level, "conf_level")
    if interval == "mean" and level == "subject":
        raise ArgumentError("interval='mean' belongs to level='population'; use 'subject' or 'observation'.")
    model, spec = solution.model, solution.model.spec
    table = _read(solution, new, level, interval)
    columns = np.array(model.fixed.columns(table))
    X = columns[list(model.coordinates.kept)]
    determined = model.coordinates.null_space.determines(columns.T)
    fitted = np.where(determined, solution.beta @ X, np.nan)
    if spec.offset is not None:
        fitted = fitted + table.columns[spec.offset]
    units = np.full((len(model.groups), table.n), -1)
    if level == "subject":
        units = _units(solution, table)
        fitted = fitted + _random_part(solution, table, units)
    serial = level == "subject" and spec.residual is not None
    varies = serial or interval in ("subject", "observation")
    rows = new_rows(solution, table, fitted) if varies and model.structure is not None else None
    weights = np.ones(table.n)
    if spec.weights is not None and _needs_weights(spec, level, interval):
        weights = positive_weights(table, spec.weights)
    values = {"prediction": fitted}
    if serial:
        assert rows is not None
        check_levels(solution, rows, units[-1])
        known = units[-1][units[-1] >= 0]
        check_room(solution, 1 + int(model.rows.units[-1].sizes[known].max(initial=0)))
        values["prediction"] = fitted + _carried(solution, rows, units[-1], weights)
    if interval == "mean":
        found = linear_estimates(solution, X.T, "satterthwaite")
        values["std_error"], values["df"] = found.se, found.df
    elif interval is not None:
        Z = np.array(_random_columns(solution, table)).reshape(-1, table.n).T
        design = NewDesign(X.T, Z, units, rows, weights)
        values["std_error"], values["df"] = prediction_error(solution, design, interval == "observation")
    if interval is not None:
        values["std_error"], values["df"] = (
            np.where(determined, values[name], np.nan) for name in ("std_error", "df")
        )
        values["conf_low"], values["conf_high"] = t_interval(
            values["prediction"], values["std_error"], values["df"], conf_level
        )
    results: dict[str, Any] = {name: _spread(column, table, np.nan) for name, column in values.items()}
    if level == "subject":
        results["known_subject"] = _spread(np.all(units >= 0, axis=0), table, None)
    return to_frame(results, table.backend, table.index)


def _spread(values: np.ndarray, table: Table, missing: Any) -> np.ndarray:
    """Values of the rows kept, with missing values at the others."""
    if table.kept is None:
        return values
    result = np.full(table.rows_read, missing, dtype=object if missing is None else float)
    result[table.kept] = values
    return result


def _needs_weights(spec: Specification, level: str, interval: str | None) -> bool:
    """Whether the residual's variance in the new rows matters to what is asked."""
    return interval == "observation" or (level == "subject" and spec.residual is not None)


def _read(solution: Solution, new: Any, level: str, interval: str | None) -> Table:
    model, spec = solution.model, solution.model.spec
    variables = set(model.fixed.variables)
    if spec.offset is not None:
        variables.add(spec.offset)
    if spec.weights is not None and _needs_weights(spec, level, interval):
        variables.add(spec.weights)
    grouping: set[str] = set()
    if level == "subject":
        grouping |= {column for group in model.groups for column in group.columns}
    if level == "subject" or interval in ("subject", "observation"):
        variables = variables.union(*(design.variables for _, design in model.random))
        if spec.residual is not None and spec.residual.time is not None:
            variables.add(spec.residual.time)
        if (by := by_column(spec.residual)) is not None:
            variables.add(by)
        if spec.variance is not None and spec.variance.column is not None:
            variables.add(spec.variance.column)
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


def _random_part(solution: Solution, table: Table, units: np.ndarray) -> np.ndarray:
    """Z b^ of each row; 0 for unknown units."""
    model = solution.model
    result = np.zeros(table.n)
    if not model.groups:
        return result
    Z = _random_columns(solution, table)
    for level, known in enumerate(units):
        mine = np.flatnonzero(known >= 0)
        for column, effect in zip(Z[model.columns(level)], blups(solution)[level].effects, strict=True):
            result[mine] += column[mine] * effect[known[mine]]
    return result


def _carried(solution: Solution, new: NewRows, known: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Serial residuals e^ of new rows : (n,); 0 for unknown subjects.

    known : (n,) unit of each row, -1 if unknown; weights : (n,) prior weights of the new rows. With
    e = W^-1/2 u, u of covariance sigma^2 R, what is carried forward is u.
    """
    model = solution.model
    structure, rows, unit = model.structure, model.rows, model.rows.units[-1]
    assert structure is not None
    left = rows.y - fitted_values(solution, blups(solution))[1]
    if rows.weights is not None:
        left = left * np.sqrt(rows.weights)
    ends = np.append(unit.starts[1:], len(left))
    result = np.zeros(len(known))
    for subject in np.unique(known[known >= 0]):
        of = np.flatnonzero(known == subject)
        seen = np.arange(unit.starts[subject], ends[subject])
        R = structure.covariance(solution.natural, seen)
        cross = structure.cross(solution.natural, new.at(of), seen)
        result[of] = cross @ np.linalg.solve(R, left[seen])
    return result / np.sqrt(weights)
