"""A moment estimate of Psi to start from.

From a poor start Newton's method needs 11 to 17 evaluations, from this one 2 to 4.  Each subject with enough
rows gives b_i = A_i^-1 (B_i's residual part); the covariance of these less their sampling variance,
mean(A_i^-1), relative to the pooled within-subject variance, is Psi.  The coordinates are such that the mean
A_i is the identity, so that a floor on the eigenvalues (one standard error) means the same in every model.
"""

from __future__ import annotations

import numpy as np

from lmmcore.covariance.random import RandomCovariance
from lmmcore.likelihood.small import cholesky, inverse_lower
from lmmcore.moments.subjects import Patterns, Subjects

# A subject counts if no pivot of A_i falls below this part of its diagonal.
WELL_CONDITIONED = 1e-3


def starting_psi(cells: Subjects | Patterns, covariance: RandomCovariance, n: int, reml: bool) -> np.ndarray:
    """Psi : (q, q), positive definite within each block; y must be residuals of least squares."""
    q, r = covariance.q, len(cells.S)
    if not q:
        return np.zeros((0, 0))
    counts = np.broadcast_to(np.asarray(cells.counts, dtype=float), cells.A.shape[2:])
    total = counts.sum()
    diagonal = cells.A[np.arange(q), np.arange(q)]
    scale = 1 / np.sqrt(np.where(diagonal > 0, diagonal, 1.0))
    lower = cholesky(cells.A * scale[:, None] * scale[None, :])
    pivots = lower[np.arange(q), np.arange(q)] ** 2
    good = (pivots > WELL_CONDITIONED).all(axis=0) & (diagonal > 0).all(axis=0)
    usable = float(counts[good].sum())
    psi = np.eye(q) / 2
    if usable > q:
        root = inverse_lower(np.where(good, lower, np.eye(q)[:, :, None])) * scale[None, :]
        inverse = np.einsum("can,cbn->abn", root, root) * good
        only_y = np.zeros((r, r))
        only_y[-1, -1] = 1
        effects = cells.project(inverse).weighted(only_y)  # b_i b_i', summed over the cell
        explained = float(np.einsum("abn,abn->", cells.A, effects))
        freedom = n - q * usable
        within = (cells.S[-1, -1].sum() - explained) / freedom if freedom > 0 else 0.0
        if within > 0:
            sampling = (inverse * counts).sum(axis=2) / usable
            psi = effects.sum(axis=2) / (usable - reml) / within - sampling
    floor = np.sqrt(2 / total)
    result = np.zeros((q, q))
    for block in covariance.blocks:
        place = np.ix_(block.columns, block.columns)
        values, vectors = np.linalg.eigh(psi[place])
        result[place] = (vectors * np.maximum(values, floor)) @ vectors.T
    return result
