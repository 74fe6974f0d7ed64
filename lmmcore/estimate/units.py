"""The outermost units of a model one by one, in batches of equal size; units are independent."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from lmmcore.estimate.residuals import chunks
from lmmcore.estimate.solution import Solution


def batches(solution: Solution, matrices: int = 1) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(c,) numbers of outermost units with n rows each, and (c, n) their sorted rows; no unit twice.

    matrices : (n, n) arrays that will be formed for each unit, which bounds c. Raises FitError for a unit
    whose matrices do not fit into memory.
    """
    starts = solution.model.rows.units[0].starts
    sizes = np.diff(np.append(starts, solution.model.n))
    for size in np.unique(sizes).tolist():
        members = np.flatnonzero(sizes == size)
        for chunk in chunks(members, size, matrices):
            yield chunk, starts[chunk][:, None] + np.arange(size)


def inner_columns(solution: Solution) -> np.ndarray:
    """(n, p+1) columns of X in the model's coordinates and y less X origin, of the sorted rows.

    Coordinates: beta = origin + fixed @ beta_inner (lmmcore.model.coordinates). Equal rows stay equal to
    the last bit, which a matrix product does not promise.
    """
    rows, coordinates = solution.model.rows, solution.model.coordinates
    X = [rows.X[index] for index in coordinates.kept]
    columns = np.zeros((len(rows.y), len(X) + 1))
    columns[:, -1] = rows.y
    for column, turn, origin in zip(X, coordinates.fixed, coordinates.origin, strict=True):
        columns[:, -1] -= origin * column
        for place in np.flatnonzero(turn):
            columns[:, place] += turn[place] * column
    return columns


def marginal_residuals(solution: Solution) -> np.ndarray:
    """y - X beta^ : (n,) of the sorted rows."""
    rows = solution.model.rows
    left = np.array(rows.y)
    for index, coefficient in zip(solution.model.coordinates.kept, solution.beta, strict=True):
        left -= coefficient * rows.X[index]
    return left


def outermost(solution: Solution) -> tuple[str, list[str]]:
    """The outermost grouping factor and the level of each of its units; "row" and numbers from 1 if none."""
    groups = solution.model.groups
    if groups:
        return groups[0].name, unit_names(solution, 0)
    return "row", [str(number + 1) for number in range(solution.model.n)]


def unit_names(solution: Solution, level: int) -> list[str]:
    """Level of the grouping factor of each unit, in the order of its moments."""
    model = solution.model
    factor = model.groups[level].factor
    starts = model.rows.units[level].starts
    places = starts if model.rows.order is None else model.rows.order[starts]
    return [factor.levels[code] for code in factor.codes[places]]
