"""The (restricted) deviance with sigma^2 as a parameter of its own, beta at its best.

With tau = (theta, s), s = log sigma^2, and G = [X y]'V^-1[X y] at theta (V relative to sigma^2, r^2 what beta
leaves of y'V^-1y),

    dev = log|V| + nu (log 2 pi + s) + r^2 / sigma^2  [+ log|X'V^-1X|]

Its derivatives are those of lmmcore.likelihood.profile with the last column of k scaled by r / sigma instead
of sqrt(nu), and omega_yy = 0. Where a coefficient is fixed at b the columns are [X y] T: those of X without
the coefficient's direction, and y less its part; no row is touched.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lmmcore.likelihood.objective import Objective, outermost
from lmmcore.likelihood.profile import LOG_2PI
from lmmcore.system.level import Level
from lmmcore.system.moments.patterns import Patterns
from lmmcore.system.moments.subjects import Subjects


@dataclass(frozen=True)
class Point:
    """The deviance at tau : (m+1,). columns : (p+1, r), T; gram : (p+1, p+1), G; lower : (r, r) of T'G T."""

    objective: Objective
    columns: np.ndarray
    tau: np.ndarray
    deviance: float
    cells: Subjects | Patterns
    make_level: Callable[[], Level]
    gram: np.ndarray
    lower: np.ndarray

    @property
    def weights(self) -> np.ndarray:
        """v : (p+1,) with y - X beta^ = [X y] v."""
        last = np.zeros(len(self.lower))
        last[-1] = self.lower[-1, -1]
        return self.columns @ np.linalg.solve(self.lower.T, last)


def point_at(objective: Objective, tau: np.ndarray, columns: np.ndarray) -> Point | None:
    """The deviance at tau, without derivatives; None where V is numerically singular."""
    theta, log_variance = tau[:-1], tau[-1]
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        try:
            cells = objective.subjects(theta)
            factor = objective.covariance.factor(theta[: objective.split])
            log_det, quadratic, make_level = outermost(factor, cells)
            gram = cells.S[:, :, 0] - quadratic
            lower = np.linalg.cholesky(columns.T @ gram @ columns)
        except np.linalg.LinAlgError:
            return None
        r = len(lower)
        nu = objective.n - (r - 1 if objective.reml else 0)
        deviance = cells.log_r + log_det + nu * (LOG_2PI + log_variance)
        deviance += lower[-1, -1] ** 2 * np.exp(-log_variance)
        if objective.reml:
            deviance += 2 * np.log(np.diag(lower)[:-1]).sum()
    if not np.isfinite(deviance):
        return None
    return Point(objective, columns, tau, float(deviance), cells, make_level, gram, lower)


def derivatives(point: Point) -> tuple[np.ndarray, np.ndarray]:
    """Gradient : (m+1,) and Hessian : (m+1, m+1) of the deviance by tau."""
    objective, tau, lower = point.objective, point.tau, point.lower
    m, r = len(tau) - 1, len(lower)
    residual = float(lower[-1, -1] ** 2 * np.exp(-tau[-1]))
    root = np.linalg.inv(lower).T
    root[:, -1] *= np.sqrt(residual)
    omega = np.ones((r, r))
    omega[-1, -1] = 0
    weight = root @ root.T
    if not objective.reml:
        omega[:-1, :-1] = 0
        weight = np.outer(root[:, -1], root[:, -1])
    W = point.columns @ weight @ point.columns.T
    slopes = objective.slopes(tau[:-1], point.cells, point.make_level, W)
    turn = point.columns @ root
    N = turn.T @ slopes.gram @ turn
    gradient, hessian = np.empty(m + 1), np.empty((m + 1, m + 1))
    gradient[:m] = slopes.first
    gradient[m] = objective.n - (r - 1 if objective.reml else 0) - residual
    hessian[:m, :m] = slopes.second - np.einsum("cd,icd,jcd->ij", omega, N, N)
    hessian[:m, m] = hessian[m, :m] = -N[:, -1, -1]
    hessian[m, m] = residual
    return gradient, hessian
