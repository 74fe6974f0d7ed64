"""Cholesky factors of covariance matrices, refused where rounding would decide.

Conditional on what stands before it, each value must keep more than SINGULAR of its own variance: with less,
the digits of R^-1 are those of R's rounding errors, and the likelihood they make belongs to no parameters.
"""

from __future__ import annotations

import numpy as np

SINGULAR = 1e-10
# Ratio of the largest and the least variance of a row beyond which the least rows alone decide.
SPREAD = 1e16


def check_spread(least: float, largest: float) -> None:
    """Raise LinAlgError for variances of rows that are numerically 0 beside others, or not finite."""
    if not (np.isfinite(largest) and largest < SPREAD * least):
        raise np.linalg.LinAlgError("Numerically singular matrix")


def factors(matrices: np.ndarray, own: np.ndarray | None = None) -> np.ndarray:
    """Lower factors : (..., n, n) of matrices : (..., n, n).

    own : (..., n) variances that the pivots are compared with, by default those on the diagonal.
    Raises LinAlgError where a matrix is not positive definite, or numerically singular, or not finite.
    """
    lower = np.linalg.cholesky(matrices)
    pivots = np.diagonal(lower, axis1=-2, axis2=-1) ** 2
    variances = np.diagonal(matrices, axis1=-2, axis2=-1) if own is None else own
    if not np.all(pivots > SINGULAR * variances):  # also where they are no numbers
        raise np.linalg.LinAlgError("Numerically singular matrix")
    return lower


def log_dets(lower: np.ndarray) -> np.ndarray:
    """log|L L'| : (...) of lower factors : (..., n, n)."""
    return 2 * np.log(np.diagonal(lower, axis1=-2, axis2=-1)).sum(axis=-1)
