"""Fitted values and residuals of the rows used, sorted as the model sorts them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lmmcore.errors import FitError
from lmmcore.estimate.effects import Blups
from lmmcore.estimate.solution import Solution

# Elements of the batch of marginal covariance matrices formed at once.
BATCH = 4_000_000
# Most elements of the matrices of one unit (2.4 GB).
LARGEST = 300_000_000


def chunks(members: np.ndarray, size: int, matrices: int = 1) -> list[np.ndarray]:
    """Parts of the units `members` whose matrices are formed at once, none of them empty.

    size : rows of each unit; matrices : (size, size) arrays that are formed for each. Raises FitError for
    units whose matrices do not fit into memory.
    """
    each = size**2 * matrices
    if each > LARGEST:
        raise FitError(
            f"A unit of {size:,} rows needs {each:,} numbers here ({matrices} times {size:,} by {size:,}), "
            "more than the memory allowed for; examine a grouping factor with smaller units, or a part of "
            "the rows."
        )
    return np.array_split(members, min(len(members), -(-len(members) * each // BATCH)))


def fitted_values(solution: Solution, predicted: Sequence[Blups]) -> tuple[np.ndarray, np.ndarray]:
    """X beta^ and X beta^ + Z b^ (all levels) : (n,) each."""
    model, rows = solution.model, solution.model.rows
    population = np.zeros(len(rows.y))
    for index, coefficient in zip(model.coordinates.kept, solution.beta, strict=True):
        population += coefficient * rows.X[index]
    subject = population.copy()
    for level, (unit, blups) in enumerate(zip(rows.units, predicted, strict=True)):
        for column, effect in zip(rows.Z[model.columns(level)], blups.effects, strict=True):
            subject += column * effect[unit.subject]
    return population, subject


def residual_scale(solution: Solution) -> np.ndarray:
    """Standard deviation : (n,) of each sorted row's residual given the random effects."""
    model, rows = solution.model, solution.model.rows
    scale = np.full(len(rows.y), np.sqrt(solution.sigma2))
    if model.structure is not None:
        one = np.arange(len(rows.y))[:, None]
        scale *= np.sqrt(model.structure.covariance(solution.natural, one)[:, 0, 0])
    return scale if rows.weights is None else scale / np.sqrt(rows.weights)


def normalized_residuals(solution: Solution, marginal: np.ndarray) -> np.ndarray:
    """L_i^-1 (y_i - X_i beta^) with sigma^2 V_i = L_i L_i' : independent N(0, 1) if the model holds.

    marginal : (n,) y - X beta^. Raw residuals of correlated data look correlated even in a true model.
    """
    starts = solution.model.rows.units[0].starts
    sizes = np.diff(np.append(starts, len(marginal)))
    result = np.empty(len(marginal))
    for size in np.unique(sizes):
        members = np.flatnonzero(sizes == size)
        for chunk in chunks(members, int(size)):
            index = starts[chunk][:, None] + np.arange(size)
            lower = np.linalg.cholesky(marginal_covariance(solution, index))
            result[index] = np.linalg.solve(lower, marginal[index][:, :, None])[:, :, 0]
    return result / np.sqrt(solution.sigma2)


def marginal_covariance(solution: Solution, index: np.ndarray) -> np.ndarray:
    """V_i / sigma^2 : (c, n, n) of the sorted rows index : (c, n), each row of it one outermost unit."""
    model, rows = solution.model, solution.model.rows
    innermost = rows.units[-1]
    if model.structure is None:
        V = np.broadcast_to(np.eye(index.shape[1]), (*index.shape, index.shape[1])).copy()
    else:
        R = model.structure.covariance(solution.natural, index)
        V = np.where(_same(innermost.subject[index]), R, 0.0)
    if rows.weights is not None:
        scale = 1 / np.sqrt(rows.weights[index])
        V *= scale[:, :, None] * scale[:, None, :]
    for level, unit in enumerate(rows.units):
        columns = model.columns(level)
        if columns.start == columns.stop:
            continue
        Z = np.stack([column[index] for column in rows.Z[columns]], axis=2)
        spread = Z @ solution.psi[columns, columns] @ Z.transpose(0, 2, 1)
        V += spread if level == 0 else np.where(_same(unit.subject[index]), spread, 0.0)
    return V


def _same(subject: np.ndarray) -> np.ndarray:
    return subject[:, :, None] == subject[:, None, :]
