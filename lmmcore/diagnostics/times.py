"""Times and subjects of the rows, as the diagnostics over time ask for them."""

from __future__ import annotations

import numpy as np

from lmmcore.data.table import Factor
from lmmcore.errors import DataError
from lmmcore.estimate.solution import Solution
from lmmcore.runtime import arguments

Time = str | np.ndarray | None

# Distances that differ by less, relative to the smallest step, are equal.
EQUAL = 1e-6
# A common step is looked for among this many parts of the smallest distance of two times.
PARTS = 12


def sorted_times(solution: Solution, time: Time) -> np.ndarray:
    """(n,) times of the sorted rows. time : a column of the model, times of the rows used (n,) in the order
    of the data, or None for the time of the residual structure.

    Raises DataError where there is no such time.
    """
    model = solution.model
    if time is None:
        time = None if model.spec.residual is None else model.spec.residual.time
        if time is None:
            raise DataError(
                "The model has no time; name a column of it, e.g. time='visit', or pass the times."
            )
    if isinstance(time, str):
        column = model.table.columns.get(time)
        if column is None:
            raise DataError(
                f"The model has no column {time!r}; its columns are {', '.join(model.table.columns)}: pass "
                "the times of the rows used as an array instead."
            )
        visits = model.rows.visits
        if isinstance(column, Factor) and visits is not None and visits.time == time:
            column = visits.times(column)
        if isinstance(column, Factor):
            raise DataError(f"The time {time!r} must be a number, but it is a category.")
        time = column
    values = arguments.numbers(time, "The times")
    if values.shape != (model.n,) or not np.isfinite(values).all():
        raise DataError(
            f"There must be a finite time for each of the {model.n} rows used, but the times have the shape "
            f"{values.shape}."
        )
    order = model.rows.order
    return values if order is None else values[order]


def subjects(solution: Solution) -> np.ndarray:
    """(n,) number of the innermost unit of each sorted row. Raises DataError if there is no grouping
    factor."""
    if not solution.model.groups:
        raise DataError("The model has no grouping factor, so that no two rows are of one subject.")
    return solution.model.rows.units[-1].subject


def steps(times: np.ndarray) -> tuple[float, np.ndarray] | None:
    """The common step of the times and each time as a whole number of steps from the first; None if there is
    none, or the times are all equal."""
    distinct = np.unique(times)
    if len(distinct) < 2:
        return None
    gaps = np.diff(distinct)
    for part in range(1, PARTS + 1):
        step = float(gaps.min()) / part
        count = gaps / step
        if np.all(np.abs(count - np.round(count)) < EQUAL * np.maximum(count, 1)):
            # The smallest gap may be inexact by itself: the whole span is the better measure.
            step = float(distinct[-1] - distinct[0]) / float(np.round(count).sum())
            return step, np.round((times - distinct[0]) / step).astype(np.int64)
    return None
