"""Products of V^-1 and of the derivatives of V with columns of the rows, one level of units after another.

With V_0 = R and V_l = V_(l-1) + Z_l Psi_l Z_l' from the innermost level outwards,

    V_l^-1 = V_(l-1)^-1 - W_l H_l W_l',    W_l = V_(l-1)^-1 Z_l,    H_l = Psi_l (I + Z_l'W_l Psi_l)^-1

blockwise in the units of the level: O(n) work and memory a column, whatever the size of the units. Only R of
one innermost unit is ever a matrix. Rows are multiplied by the root of their prior weight throughout, columns
of Z stand in the model's own coordinates.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from lmmcore.estimate.residuals import chunks
from lmmcore.estimate.solution import Solution
from lmmcore.system.level import level_at
from lmmcore.system.moments.dense import Matrices
from lmmcore.system.moments.subjects import SortedRows


@dataclass(frozen=True)
class RowLevel:
    """Z, W : (n, q) of a level as above; H : (q, q, N); unit : its rows."""

    Z: np.ndarray
    W: np.ndarray
    H: np.ndarray
    unit: SortedRows


@dataclass(frozen=True)
class RowInverse:
    """V^-1 at the estimate. levels : innermost first."""

    solution: Solution
    levels: tuple[RowLevel, ...]

    def __call__(self, columns: np.ndarray) -> np.ndarray:
        """V^-1 columns : (n, k)."""
        result = _residual_solve(self.solution, columns)
        for level in self.levels:
            effects = np.einsum("abn,nak->nbk", level.H, unit_sums(level, result))
            result -= np.einsum("na,nak->nk", level.W, effects[level.unit.subject])
        return result


def row_inverse(solution: Solution) -> RowInverse:
    """V^-1 at the estimate of a model."""
    model, optimum = solution.model, solution.optimum
    theta = optimum.evaluation.theta
    found = RowInverse(solution, ())
    objective = optimum.objective
    for number in reversed(range(len(objective.levels))):
        place = model.columns(number)
        if place.start == place.stop:
            continue
        turned = np.column_stack(model.rows.Z[place]) @ model.coordinates.random[place, place]
        Z = weighted(solution, turned)
        factor = objective.levels[number].factor(theta[objective.places[number]])
        H = level_at(factor, solution.cells[number]).H
        found = RowInverse(solution, (*found.levels, RowLevel(Z, found(Z), H, model.rows.units[number])))
    return found


def weighted(solution: Solution, columns: np.ndarray) -> np.ndarray:
    """Columns : (n, ...) of the sorted rows, each times the root of its prior weight."""
    weights = solution.model.rows.weights
    return columns if weights is None else (columns.T * np.sqrt(weights)).T


def unit_sums(level: RowLevel, columns: np.ndarray) -> np.ndarray:
    """Z_i' columns_i of each unit : (N, q, k)."""
    return np.add.reduceat(level.Z[:, :, None] * columns[:, None, :], level.unit.starts, axis=0)


def residual_times(solution: Solution, columns: np.ndarray) -> np.ndarray:
    """R columns : (n, k)."""
    if solution.model.structure is None:
        return columns
    result = np.empty_like(columns)
    for index, R in _residual_batches(solution):
        result[index] = R.value @ columns[index]
    return result


def covariance_slopes(inverse: RowInverse, column: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """V_j v and R_j v : (n, m) for a column v : (n,), derivatives by each entry j of theta."""
    solution = inverse.solution
    objective, theta = solution.optimum.objective, solution.optimum.evaluation.theta
    of_V, of_R = np.zeros((2, len(column), len(theta)))
    with_effects = [level for level in objective.levels if level.q]
    places = [at for level, at in zip(objective.levels, objective.places, strict=True) if level.q]
    for level, covariance, at in zip(reversed(inverse.levels), with_effects, places, strict=True):
        directions = covariance.first(covariance.factor(theta[at]))
        effects = np.einsum("jab,nb->naj", directions, unit_sums(level, column[:, None])[:, :, 0])
        of_V[:, at] = np.einsum("na,naj->nj", level.Z, effects[level.unit.subject])
    if solution.model.structure is not None:
        for index, R in _residual_batches(solution):
            of_R[index, objective.residual] = np.einsum("jcab,cb->caj", R.first, column[index])
    return of_V + of_R, of_R


def _residual_solve(solution: Solution, columns: np.ndarray) -> np.ndarray:
    """R^-1 columns, a new array."""
    if solution.model.structure is None:
        return columns.copy()
    result = np.empty_like(columns)
    for index, R in _residual_batches(solution):
        result[index] = np.linalg.solve(R.value, columns[index])
    return result


def _residual_batches(solution: Solution) -> Iterator[tuple[np.ndarray, Matrices]]:
    """Sorted rows : (c, n) of innermost units of one size, with their R."""
    model, optimum = solution.model, solution.optimum
    assert model.structure is not None
    written = model.structure.written_out
    z = optimum.evaluation.theta[optimum.objective.residual]
    starts = model.rows.units[-1].starts
    sizes = np.diff(np.append(starts, model.n))
    for size in np.unique(sizes).tolist():
        members = np.flatnonzero(sizes == size)
        for chunk in chunks(members, size, (1 + len(z)) ** 2):
            index = starts[chunk][:, None] + np.arange(size)
            yield index, written.matrices(z, written.marks[index])
