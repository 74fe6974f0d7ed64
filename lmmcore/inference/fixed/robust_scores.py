"""T_i = A_i W_i X_i of lmmcore.inference.fixed.sandwich, unit by unit.

With V_i = L L', the symmetric solution of A_i (V_i - X_i M X_i') A_i = V_i is
A_i = L {L'(V_i - X_i M X_i')L}^-1/2 L', whatever the square root L of V_i.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lmmcore.estimate.residuals import marginal_covariance
from lmmcore.estimate.solution import Solution
from lmmcore.estimate.units import batches, inner_columns

# Leverage above which a unit alone determines a combination of the fixed effects.
ALONE = 1 - 1e-9


@dataclass(frozen=True, eq=False)
class Cells:
    """Sets of units with equal X_i and V_i, in the model's coordinates.

    unscaled : (p, p), M; counts : (C,) units of each; felt : (C, p, p) X'T; spread : (C, p, p) T'V T;
    leverage : (C, p, p) X'V^-1X; unit : (C,) the number of one of its units.
    """

    unscaled: np.ndarray
    counts: np.ndarray
    felt: np.ndarray
    spread: np.ndarray
    leverage: np.ndarray
    unit: np.ndarray


def robust_scores(solution: Solution, corrected: bool) -> tuple[Cells, np.ndarray]:
    """Units by equal X_i and V_i, and T_i'e_i : (N, p) of every unit, in the model's coordinates.

    corrected : by bias-reduced linearisation (CR2), or T_i = W_i X_i (CR0).
    """
    p = solution.model.p
    best = solution.optimum.evaluation.value.profile
    columns = inner_columns(solution)
    residual = columns[:, p] - columns[:, :p] @ best.beta
    root = np.linalg.cholesky(best.unscaled) if p else best.unscaled
    scores = np.empty((len(solution.model.rows.units[0].starts), p))
    parts = []
    for members, index in batches(solution, matrices=3):
        V, X = marginal_covariance(solution, index), columns[index, :p]
        first, cell = _alike(np.concatenate([V, X], axis=2).reshape(len(index), -1))
        V, X = V[first], X[first]
        lower = np.linalg.cholesky(V)
        whitened = np.linalg.solve(lower, X)
        adjusted = _corrected(lower, whitened, root) if corrected else np.linalg.solve(lower.mT, whitened)
        scores[members] = np.einsum("cnp,cn->cp", adjusted[cell], residual[index])
        half = lower.mT @ adjusted
        counts = np.bincount(cell).astype(float)
        parts.append((counts, X.mT @ adjusted, half.mT @ half, whitened.mT @ whitened, members[first]))
    joined = [np.concatenate(part) for part in zip(*parts, strict=True)]
    return Cells(best.unscaled, *joined), scores


def _alike(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Places of the first of each set of equal rows, and the set of each row."""
    # A hash; equality is checked. A matrix product may add in another order near the end of an array.
    key = (rows * np.random.default_rng(0).random(rows.shape[1])).sum(axis=1)
    _, first, cell = np.unique(key, return_index=True, return_inverse=True)
    if len(first) == len(rows) or not np.array_equal(rows[first][cell], rows):
        return np.arange(len(rows)), np.arange(len(rows))
    return first, cell


def _corrected(lower: np.ndarray, X: np.ndarray, root: np.ndarray) -> np.ndarray:
    """T = A W X : (c, n, p) of CR2. lower : (c, n, n), L; X : (c, n, p), L^-1 X_i; M = root root'.

    A = L {L'(V - X M X')L}^-1/2 L' = L (N N')^-1/2 L' with N = L'L S, S^2 = I - L^-1 X M X'L^-T. Singular
    vectors of N keep the digits that squares lose. Where a unit alone determines a combination of beta its
    residuals are 0 there, and so is the adjustment.
    """
    n = lower.shape[1]
    basis, singular, _ = np.linalg.svd(X @ root, full_matrices=False)
    taken = 1 - np.sqrt(1 - np.minimum(singular, 1) ** 2)
    S = np.eye(n) - (basis * taken[:, None, :]) @ basis.mT
    vectors, values, _ = np.linalg.svd(lower.mT @ lower @ S)
    alone = (singular > ALONE).sum(axis=1)
    lost = np.arange(n) >= n - alone[:, None]
    inverse = np.where(lost, 0.0, 1 / np.where(lost, 1.0, values))
    return lower @ ((vectors * inverse[:, None, :]) @ (vectors.mT @ X))
