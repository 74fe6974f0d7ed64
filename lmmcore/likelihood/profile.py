"""From G = [X y]'V^-1[X y] to the part of the deviance that beta and sigma^2 leave behind.

G = K K' (lower).  beta^ and the profiled residual sum of squares r^2 stand in the last row of K, and
log|X'V^-1X| in its other pivots.  Every structure of V then needs only its own pieces (l = log|V|, G):

    d_i  dev = l_i  + <W, G_i>
    d_ij dev = l_ij + <W, G_ij> - sum_cd omega_cd (N_i)_cd (N_j)_cd,     N_i = k' G_i k

with k = K^-T whose last column is multiplied by sqrt(nu); that one line carries the profiled beta, the
profiled sigma^2 and the REML term.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

LOG_2PI = math.log(2 * math.pi)


@dataclass(frozen=True)
class Profile:
    """What is left of the deviance once beta and sigma^2 are at their best.

    deviance : its profiled part, without log|V|; sigma2 : the profiled variance r^2 / nu.
    lower : (p+1, p+1), K above; nu : the degrees of freedom of sigma2.
    """

    deviance: float
    sigma2: float
    lower: np.ndarray
    nu: int
    reml: bool

    @cached_property
    def _inverse(self) -> np.ndarray:
        return np.linalg.inv(self.lower).T

    @property
    def beta(self) -> np.ndarray:
        """(p,)."""
        return -self._inverse[:-1, -1] * self.lower[-1, -1]

    @cached_property
    def unscaled(self) -> np.ndarray:
        """(p, p), (X'V^-1X)^-1, so that vcov = sigma2 * unscaled."""
        root = self._inverse[:-1, :-1]
        return root @ root.T

    @cached_property
    def root(self) -> np.ndarray:
        """(p+1, p+1), k above."""
        root = self._inverse.copy()
        root[:, -1] *= math.sqrt(self.nu)
        return root

    @cached_property
    def weight(self) -> np.ndarray:
        """(p+1, p+1), W above."""
        root = self.root if self.reml else self.root[:, -1:]
        return root @ root.T

    @property
    def omega(self) -> np.ndarray:
        """(p+1, p+1)."""
        omega = np.ones(self.lower.shape)
        if not self.reml:
            omega[:-1, :-1] = 0
        omega[-1, -1] = 1 / self.nu
        return omega


def profile(gram: np.ndarray, n: int, reml: bool) -> Profile | None:
    """Profile beta and sigma^2 out of gram : (p+1, p+1) = [X y]'V^-1[X y]; None if it is singular."""
    try:
        lower = np.linalg.cholesky(gram)
    except np.linalg.LinAlgError:
        return None
    return profiled(lower, freedom(gram, n, reml), reml)


def freedom(gram: np.ndarray, n: int, reml: bool) -> int:
    """Degrees of freedom nu of sigma^2 for n rows and gram : (p+1, p+1)."""
    return n - len(gram) + 1 if reml else n


def profiled(lower: np.ndarray, nu: int, reml: bool) -> Profile:
    """The profile whose K is lower : (p+1, p+1)."""
    *pivots, last = lower.diagonal().tolist()
    deviance = nu * (1 + LOG_2PI + 2 * math.log(last) - math.log(nu))
    if reml:
        deviance += 2 * sum(map(math.log, pivots))
    return Profile(deviance, last * last / nu, lower, nu, reml)
