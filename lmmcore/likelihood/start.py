"""A moment estimate of Psi to start from.

From a poor start Newton's method needs 11 to 17 evaluations, from this one 2 to 4.  Each subject with enough
rows gives b_i = A_i^-1 (B_i's residual part); the covariance of these less their sampling variance,
mean(A_i^-1), relative to the pooled within-subject variance, is Psi.  The coordinates are such that the mean
A_i is the identity, so that a floor on the eigenvalues (one standard error) means the same in every model.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lmmcore.covariance.random import RandomCovariance
from lmmcore.likelihood.blocks import blocks
from lmmcore.likelihood.small import cholesky, inverse_lower
from lmmcore.moments.subjects import Patterns, Subjects

# A subject counts if no pivot of A_i falls below this part of its diagonal.
WELL_CONDITIONED = 1e-3


def starting_psi(cells: Subjects | Patterns, covariance: RandomCovariance, n: int, reml: bool) -> np.ndarray:
    """Psi : (q, q), positive definite within each block; y must be residuals of least squares."""
    q = covariance.q
    if not q:
        return np.zeros((0, 0))
    parts = zip(*map(_effects, blocks(cells)), strict=True)
    total, usable, explained, effects, sampling = (sum(values) for values in parts)
    psi = np.eye(q) / 2
    if usable > q:
        freedom = n - q * usable
        within = (cells.S[-1, -1].sum() - explained) / freedom if freedom > 0 else 0.0
        if within > 0:
            psi = effects / (usable - reml) / within - sampling / usable
    floor = np.sqrt(2 / total)
    result = np.zeros((q, q))
    for block in covariance.blocks:
        place = np.ix_(block.columns, block.columns)
        values, vectors = np.linalg.eigh(psi[place])
        result[place] = (vectors * np.maximum(values, floor)) @ vectors.T
    return result


def _effects(cells: Subjects | Patterns) -> tuple[Any, ...]:
    """Subjects, and of those that count: how many, sum b_i'A_i b_i, sum b_i b_i' and sum A_i^-1 : (q, q)."""
    q, r = len(cells.A), len(cells.S)
    counts = np.broadcast_to(np.asarray(cells.counts, dtype=float), cells.A.shape[2:])
    diagonal = cells.A[np.arange(q), np.arange(q)]
    scale = 1 / np.sqrt(np.where(diagonal > 0, diagonal, 1.0))
    lower = cholesky(cells.A * scale[:, None] * scale[None, :])
    pivots = lower[np.arange(q), np.arange(q)] ** 2
    good = (pivots > WELL_CONDITIONED).all(axis=0) & (diagonal > 0).all(axis=0)
    root = inverse_lower(np.where(good, lower, np.eye(q)[:, :, None])) * scale[None, :]
    inverse = np.einsum("can,cbn->abn", root, root) * good
    only_y = np.zeros((r, r))
    only_y[-1, -1] = 1
    effects = cells.project(inverse).weighted(only_y)  # b_i b_i', summed over the cell
    explained = float(np.einsum("abn,abn->", cells.A, effects))
    sampling = (inverse * counts).sum(axis=2)
    return float(counts.sum()), float(counts[good].sum()), explained, effects.sum(axis=2), sampling
