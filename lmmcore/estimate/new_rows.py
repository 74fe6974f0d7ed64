"""Rows that are not in the data, as the residual structure of a fit sees them."""

from __future__ import annotations

import numpy as np

from lmmcore.covariance.residual import NewRows
from lmmcore.data.table import Factor, Table
from lmmcore.errors import DataError
from lmmcore.estimate.solution import Solution


def new_rows(solution: Solution, table: Table, fitted: np.ndarray) -> NewRows:
    """Times of the rows (row numbers for a structure without a time) and what their variance depends on.

    fitted : (n,) fitted values of the rows, offset included, for a variance that depends on them. Raises
    DataError for times that the structure cannot use.
    """
    spec, model = solution.model.spec, solution.model
    times = np.arange(table.n, dtype=float)
    if spec.residual is not None and spec.residual.time is not None:
        column = table.columns[spec.residual.time]
        if isinstance(column, Factor):
            if model.rows.visits is None:
                raise DataError(f"The time {spec.residual.time!r} must be a number, as in the fit.")
            column = model.rows.visits.times(column)
        spec.residual.check(column)
        times = column
    if spec.variance is None:
        return NewRows(times, None)
    if spec.variance.column is None:
        return NewRows(times, spec.variance.bind(fitted)[1])
    column = table.columns[spec.variance.column]
    if isinstance(column, Factor):  # the levels of the data, not only those of these rows
        levels = model.levels[spec.variance.column]
        column = Factor(np.array([levels.index(level) for level in column.levels])[column.codes], levels)
    return NewRows(times, spec.variance.bind(column)[1])


def check_room(solution: Solution, rows: int) -> None:
    """Raise DataError if no subject can have so many rows, as with a negative compound symmetry."""
    structure = solution.model.structure
    most_rows = None if structure is None else getattr(structure.law, "most_rows", None)
    if most_rows is not None and rows > (most := most_rows(solution.natural)):
        raise DataError(
            f"Compound symmetry with rho = {solution.natural[0]:.4g} holds for at most {most:.0f} rows of a "
            f"subject, but one would have {rows} with the new ones; a structure over time, such as AR1, or "
            'level="population" has no such limit.'
        )
