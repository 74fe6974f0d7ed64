"""Satterthwaite's degrees of freedom, from the exact derivatives of the likelihood.

For a variance f(tau) of a linear combination l'beta^ with covariance parameters tau = (theta, log sigma^2),
df = 2 f^2 / (f.' Cov(tau) f.), where Cov(tau) = 2 H^-1 and H is the Hessian of the deviance with sigma^2
free (Fai & Cornelius 1996; Kuznetsova, Brockhoff & Christensen 2017).  The profiled Hessian gives H back:
H_ij + c_i c_j / nu, c_i = -(d r^2/d theta_i)/sigma^2, with c as the border and nu in the corner.
"""

from __future__ import annotations

import numpy as np

from lmmcore.optimise.certificate import flat_at_zero, free_parameters, is_flat
from lmmcore.optimise.newton import Optimum

# Degrees of freedom of combined t tests that differ by less are taken as equal.
EQUAL = 1e-8


def satterthwaite(optimum: Optimum, contrasts: np.ndarray, nu: int) -> np.ndarray:
    """Degrees of freedom of each row of contrasts : (k, p), in the model's own coordinates.

    Parameters on the boundary are held there (the active face), also those of the residual that have run to
    an end of their space, where the deviance has no curvature. nu : n - p for REML, n for ML. Missing (nan)
    where the covariance parameters are not determined.
    """
    evaluation = optimum.evaluation
    best = evaluation.value.profile
    p = contrasts.shape[1]
    free = free_parameters(optimum)
    flat = is_flat(optimum) & free
    if flat_at_zero(optimum) or flat[: optimum.objective.residual.start].any():
        return np.full(len(contrasts), np.nan)
    free &= ~flat
    root = best.root
    N = root.T @ evaluation.gram_first[free] @ root
    border = -N[:, p, p]
    m = int(free.sum())
    hessian = np.empty((m + 1, m + 1))
    hessian[:m, :m] = evaluation.hessian[np.ix_(free, free)] + np.outer(border, border) / nu
    hessian[:m, m] = hessian[m, :m] = border
    hessian[m, m] = nu
    rotated = contrasts @ root[:p, :p]
    variance = (rotated**2).sum(axis=1)
    gradient = np.empty((len(contrasts), m + 1))
    gradient[:, :m] = -np.einsum("ka,iab,kb->ki", rotated, N[:, :p, :p], rotated)
    gradient[:, m] = variance
    try:
        solved = np.linalg.solve(hessian, gradient.T)
    except np.linalg.LinAlgError:  # the data do not determine the covariance parameters
        return np.full(len(contrasts), np.nan)
    spread = np.einsum("ki,ik->k", gradient, 2 * solved)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(spread > 0, 2 * variance**2 / spread, np.inf)


def combined_df(df: np.ndarray) -> float:
    """Denominator df of an F test made of independent t tests, df : (l,) (Fai & Cornelius 1996)."""
    if np.isinf(df).all() or np.ptp(df) < EQUAL * df.mean():
        return float(df.mean())
    if df.min() <= 2:
        return 2.0
    mean = float((1 / (1 - 2 / df)).sum())
    return 2 * mean / (mean - len(df))
