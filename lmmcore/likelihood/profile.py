"""From G = [X y]'V^-1[X y] to the part of the deviance that beta and sigma^2 leave behind.

G = K K' (lower).  beta^ and the profiled residual sum of squares r^2 stand in the last row of K, and
log|X'V^-1X| in its other pivots.  Every structure of V then needs only its own pieces (l = log|V|, G):

    d_i  dev = l_i  + <W, G_i>
    d_ij dev = l_ij + <W, G_ij> - sum_cd omega_cd (N_i)_cd (N_j)_cd,     N_i = k' G_i k

with k = K^-T whose last column is multiplied by sqrt(nu); that one line carries the profiled beta, the
profiled sigma^2 and the REML term.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

LOG_2PI = float(np.log(2 * np.pi))


@dataclass(frozen=True)
class Profile:
    """What is left of the deviance once beta and sigma^2 are at their best.

    deviance : its profiled part, without log|V|.
    beta : (p,); sigma2 : the profiled variance r^2 / nu.
    unscaled : (p, p), (X'V^-1X)^-1, so that vcov = sigma2 * unscaled.
    weight : (p+1, p+1), W above; root : (p+1, p+1), k above; omega : (p+1, p+1).
    """

    deviance: float
    beta: np.ndarray
    sigma2: float
    unscaled: np.ndarray
    weight: np.ndarray
    root: np.ndarray
    omega: np.ndarray


def profile(gram: np.ndarray, n: int, reml: bool) -> Profile | None:
    """Profile beta and sigma^2 out of gram : (p+1, p+1) = [X y]'V^-1[X y]; None if it is singular."""
    p = len(gram) - 1
    nu = n - p if reml else n
    try:
        lower = np.linalg.cholesky(gram)
    except np.linalg.LinAlgError:
        return None
    root = np.linalg.inv(lower).T
    residual = lower[p, p]
    sigma2 = float(residual**2 / nu)
    deviance = nu * (1 + LOG_2PI + np.log(sigma2))
    omega = np.ones((p + 1, p + 1))
    omega[p, p] = 1 / nu
    if reml:
        deviance += 2 * np.log(np.diag(lower)[:p]).sum()
    else:
        omega[:p, :p] = 0
    beta = -root[:p, p] * residual
    unscaled = root[:p, :p] @ root[:p, :p].T
    root = root.copy()
    root[:, p] *= np.sqrt(nu)
    last = root[:, p]
    weight = root @ root.T if reml else np.outer(last, last)
    return Profile(float(deviance), beta, sigma2, unscaled, weight, root, omega)
