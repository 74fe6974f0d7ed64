"""Kenward & Roger's (1997) adjusted covariance of beta^ and scaled F test.

    Phi_A = Phi + 2 Phi {sum_rs W_rs (Q_rs - P_r Phi P_s)} Phi
    F = lambda / l  (L beta^ - d)' (L Phi_A L')^-1 (L beta^ - d)   on l and m degrees of freedom

with W the covariance of the covariance parameters and P_r = -X'V^-1 V_r V^-1 X. It is defined for REML. For
one contrast lambda is 1 and m is Satterthwaite's df with the expected information.
"""

from __future__ import annotations

import numpy as np

from lmmcore.errors import FitError
from lmmcore.estimate.solution import Solution
from lmmcore.inference.fixed.information import CovarianceInformation, covariance_information
from lmmcore.inference.fixed.satterthwaite import combined_df

# Distance from 4 or 2 df, where the variance and the mean of F become infinite, at which it counts as there.
NO_MOMENT = 1e-6


def kenward_roger(solution: Solution) -> CovarianceInformation:
    """What the method needs of a fit. Raises FitError for a fit by ML."""
    if not solution.model.spec.reml:
        raise FitError(
            "Kenward and Roger's method is defined for REML, but the model was fitted by ML; fit it with "
            "method='REML', or use df='satterthwaite'."
        )
    return covariance_information(solution)


def adjusted_vcov(solution: Solution, information: CovarianceInformation) -> np.ndarray:
    """Phi_A : (p, p), in the user's coordinates and units."""
    phi, fixed = information.unscaled, solution.model.coordinates.fixed
    return solution.sigma2 * fixed @ (phi + 2 * phi @ information.excess @ phi) @ fixed.T


def scaled_f(solution: Solution, information: CovarianceInformation, L: np.ndarray) -> tuple[float, float]:
    """lambda and m of the test of L : (l, p) of full rank l, in the user's coordinates.

    Kenward & Roger (1997), p. 987, with the constants that make Hotelling's T^2 and balanced F tests exact.
    """
    inner = L @ solution.model.coordinates.fixed
    size = len(inner)
    half = inner @ information.unscaled
    # L Phi L' = K K'; each direction's derivative of log Phi as l x l matrices.
    root = np.linalg.inv(np.linalg.cholesky(half @ inner.T))
    parts = root @ (half @ information.gram @ half.T) @ root.T
    W = information.covariance
    traces = np.einsum("raa->r", parts)
    a1 = float(traces @ W @ traces)
    a2 = float((parts * np.tensordot(W, parts, 1).transpose(0, 2, 1)).sum())
    if size == 1:
        return 1.0, 2 / a2 if a2 > 0 else np.inf
    b = (a1 + 6 * a2) / (2 * size)
    g = ((size + 1) * a1 - (size + 4) * a2) / ((size + 2) * a2)
    common = 3 * size + 2 * (1 - g)
    c1, c2, c3 = g / common, (size - g) / common, (size + 2 - g) / common
    # 1 / mean, and variance / (2 mean^2), of the F statistic; below 4 df formally, where they are infinite.
    inverse_mean, bend = 1 - a2 / size, 1 - c2 * b
    ratio = 1.0 if abs(inverse_mean) < NO_MOMENT and abs(bend) < NO_MOMENT else inverse_mean / bend
    rest = 1 - c3 * b
    rho = ratio**2 * (1 + c1 * b) / (size * rest) if abs(rest) > NO_MOMENT else np.inf
    df = 4 + (size + 2) / (size * rho - 1)
    scale = df * inverse_mean / (df - 2) if abs(df - 2) > NO_MOMENT else 1.0
    if df > 0 and scale > 0:
        return scale, df
    # No F distribution has such moments: the df of independent contrasts, combined.
    each = 2 / np.einsum("rs,ra,sa->a", W, *2 * (np.einsum("raa->ra", parts),))
    return 1.0, combined_df(each)
