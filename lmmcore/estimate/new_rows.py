"""Rows that are not in the data, as the residual structure of a fit sees them."""

from __future__ import annotations

import numpy as np

from lmmcore.covariance.by_level import category_of
from lmmcore.covariance.residual import NewRows, by_column
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
    by, marks, numbers = by_column(spec.residual), None, None
    if by is not None:
        numbers = category_of(by, _of_the_fit(solution, table, by)).codes.astype(float)
    if spec.variance is not None:
        of = spec.variance.column
        marks = spec.variance.bind(fitted if of is None else _of_the_fit(solution, table, of))[1]
    return NewRows(times, marks, numbers)


def _of_the_fit(solution: Solution, table: Table, name: str) -> np.ndarray | Factor:
    """A column, a category with the levels of the data, not only those of these rows."""
    column = table.columns[name]
    if not isinstance(column, Factor):
        return column
    levels = solution.model.levels[name]
    return Factor(np.array([levels.index(level) for level in column.levels])[column.codes], levels)


def check_levels(solution: Solution, new: NewRows, units: np.ndarray) -> None:
    """Raise DataError for rows of one of the known subjects units : (a,), -1 if unknown, that have another
    level of `by` than the subject has."""
    model = solution.model
    by, known = by_column(model.spec.residual), np.flatnonzero(units >= 0)
    if by is None or new.levels is None or not known.size:
        return
    column = category_of(by, model.table.columns[by])
    codes = column.codes if model.rows.order is None else column.codes[model.rows.order]
    theirs = codes[model.rows.units[-1].starts][units[known]]
    if (other := np.flatnonzero(theirs != new.levels[known])).size:
        first = other[0]
        raise DataError(
            f"Each level of {by!r} has a covariance of its own, but a new row of a subject with "
            f"{column.levels[theirs[first]]!r} has {column.levels[int(new.levels[known][first])]!r}; give it "
            "the same."
        )


def check_room(solution: Solution, rows: int) -> None:
    """Raise DataError if no subject can have so many rows, as with a negative compound symmetry."""
    structure = solution.model.structure
    for part in () if structure is None else structure.parts:
        natural = solution.natural[part.place]
        most_rows = getattr(part.law, "most_rows", None)
        if most_rows is not None and rows > (most := most_rows(natural)):
            raise DataError(
                f"Compound symmetry with {part.named('rho')} = {natural[0]:.4g} holds for at most {most:.0f} "
                f"rows of a subject, but one would have {rows} with the new ones; a structure over time, "
                'such as AR1, or level="population" has no such limit.'
            )
