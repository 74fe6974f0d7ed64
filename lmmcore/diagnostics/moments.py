"""Second moments of residuals, unit by unit, under the model.

With beta estimated, the marginal residuals r_i = y_i - X_i beta^ of units i and j have the covariances
C_ij = sigma^2 (delta_ij V_i - X_i M X_j'), M = (X'V^-1X)^-1, so that r_i r_i' + sigma^2 X_i M X_i' is what
estimates sigma^2 V_i without bias. For sums of quadratic forms sum_i r_i'Q_i r_i of normal residuals

    mean = sum_i tr(Q_i C_ii),    variance = 2 sum_ij tr(Q_i C_ij Q_j C_ji)

in which the pairs of units make tr(F M F M), F = sum_i X_i'Q_i X_i; with these two they are taken as
multiples of chi-square (Satterthwaite 1946).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from lmmcore.estimate.residuals import marginal_covariance
from lmmcore.estimate.solution import Solution
from lmmcore.estimate.units import batches, inner_columns
from lmmcore.runtime.arguments import share


@dataclass(frozen=True, eq=False)
class UnitMoments:
    """c units with n rows. index : (c, n) their sorted rows; residual : (c, n); implied : (c, n, n) its
    covariance if beta were known; half : (c, n, p), G_i: estimating beta takes G_i G_j' off the covariance of
    the residuals of the units i and j."""

    index: np.ndarray
    residual: np.ndarray
    implied: np.ndarray
    half: np.ndarray

    @property
    def lost(self) -> np.ndarray:
        """(c, n, n) what estimating beta takes off."""
        return self.half @ self.half.mT

    @property
    def observed(self) -> np.ndarray:
        """(c, n, n) products of residuals, whose expectation is `implied`."""
        return self.residual[:, :, None] * self.residual[:, None, :] + self.lost


def unit_moments(solution: Solution, normalized: bool = False) -> Iterator[UnitMoments]:
    """Of all outermost units, for marginal residuals, or these normalised (then `implied` is I)."""
    p = solution.model.p
    best = solution.optimum.evaluation.value.profile
    root = np.linalg.cholesky(best.unscaled)
    columns = inner_columns(solution)
    columns[:, p] -= columns[:, :p] @ best.beta
    for _, index in batches(solution, matrices=6):
        V, part = marginal_covariance(solution, index), columns[index]
        scale = solution.sigma2
        if normalized:
            part = np.linalg.solve(np.linalg.cholesky(V), part)
            part[:, :, p] /= np.sqrt(scale)
            V, scale = np.broadcast_to(np.eye(index.shape[1]), V.shape), 1.0
        half = np.sqrt(scale) * part[:, :, :p] @ root
        yield UnitMoments(index, part[:, :, p], scale * V, half)


def chi_square_limits(df: np.ndarray, conf_level: float) -> tuple[np.ndarray, np.ndarray]:
    """Two-sided quantiles of chi-square / df."""
    from scipy.special import gammaincinv

    share(conf_level, "conf_level")
    low, high = (gammaincinv(df / 2, (1 + side * conf_level) / 2) * 2 / df for side in (-1, 1))
    return low, high


def intervals(values: np.ndarray, most: int, wanted: int) -> np.ndarray:
    """Inner edges of classes of values: one for each distinct value up to `most` of them, else about `wanted`
    of equal counts."""
    scale = np.max(np.abs(values), initial=0.0) or 1.0
    distinct = np.unique(np.round(values / scale, 9)) * scale
    if len(distinct) <= most:
        return (distinct[1:] + distinct[:-1]) / 2
    return np.unique(np.quantile(values, np.arange(1, wanted) / wanted))
