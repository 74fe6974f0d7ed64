"""The (restricted) deviance of a linear mixed model with its exact gradient and Hessian.

    V_i = sigma^2 (Z_i Psi Z_i' + R_i(phi)),   Psi = Lambda Lambda'

With M = (I + A Psi)^-1, H = Psi M, E = M A, U = M B and h = Psi U of every subject (moments A, B, S of
lmmcore.moments), log|V| / .. = log|R| + sum log|I + A Psi| and G = S - sum B'H B; lmmcore.likelihood.profile
turns G into the deviance at the best beta and sigma^2.  Derivatives by a parameter of Psi (dPsi) and of R
(a dot):

    l_i  = <sum E, dPsi_i>                          G_i = -sum U'dPsi_i U
    l_ij = -sum tr(E dPsi_i E dPsi_j) + <sum E, ddPsi_ij>
    G_ij = sum U'(dPsi_i E dPsi_j + dPsi_j E dPsi_i)U - sum U'ddPsi_ij U
    l_r  = sum tr(H A.) + (log|R|).                 G_r = S. - sum (B.'h + h'B. - h'A.h)
    l_rs = sum tr(H A..) - sum tr(H A. H A.) + (log|R|)..
    G_rs = S.. - sum (B..'h + h'B.. - h'A..h) - sum (c_r'H c_s + c_s'H c_r),   c = B. - A.h
    l_ir = sum tr(M A. M'dPsi_i)                    G_ir = -sum (c'M'dPsi_i U + U'dPsi_i M c)

D* = sum E - sum U W U' is the derivative of the deviance by Psi itself.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from lmmcore.covariance.random import RandomCovariance
from lmmcore.covariance.residual import ResidualMoments
from lmmcore.likelihood.profile import Profile, profile
from lmmcore.likelihood.small import cholesky, inverse_lower
from lmmcore.moments.subjects import Patterns, SubjectProjection, Subjects, Weights

Moments = Subjects | Patterns | ResidualMoments


@dataclass(frozen=True)
class Value:
    """The deviance at one theta, and what the derivatives need again."""

    deviance: float
    profile: Profile
    factor: np.ndarray
    H: np.ndarray
    M: np.ndarray


@dataclass(frozen=True)
class Evaluation:
    """The deviance with its derivatives at theta : (m,), parameters of Psi first, then of R.

    gradient : (m,); hessian : (m, m); gram_first : (m, p+1, p+1), the G_i above;
    cone : (q, q), D* above.
    """

    theta: np.ndarray
    value: Value
    gradient: np.ndarray
    hessian: np.ndarray
    gram_first: np.ndarray
    cone: np.ndarray

    @property
    def deviance(self) -> float:
        """-2 log (restricted) likelihood with R's constants, in the model's own coordinates."""
        return self.value.deviance


@dataclass(frozen=True)
class Objective:
    """The deviance as a function of theta, for one set of moments and one pivot order of Psi."""

    covariance: RandomCovariance
    moments: Moments
    n: int
    reml: bool

    @property
    def split(self) -> int:
        """Number of parameters that belong to Psi; the rest belong to R."""
        return len(self.covariance.entries)

    def psi(self, theta: np.ndarray) -> np.ndarray:
        """Psi : (q, q) at theta."""
        factor = self.covariance.factor(theta[: self.split])
        return factor @ factor.T

    def repivoted(self, theta: np.ndarray) -> tuple[Objective, np.ndarray]:
        """The same objective with its pivots in order, and theta in its terms."""
        psi = self.psi(theta)
        covariance = self.covariance.repivoted(psi)
        if covariance is self.covariance:
            return self, theta
        moved = np.concatenate([covariance.parameters(psi), theta[self.split :]])
        return replace(self, covariance=covariance), moved

    def subjects(self, theta: np.ndarray) -> Subjects | Patterns:
        """The moments at theta's correlation parameters."""
        if isinstance(self.moments, Subjects | Patterns):
            return self.moments
        return self.moments.at(theta[self.split :])

    def value(self, theta: np.ndarray) -> Value | None:
        """The deviance alone; None where V is numerically singular."""
        return self._value(theta, self.subjects(theta))

    def _value(self, theta: np.ndarray, cells: Subjects | Patterns) -> Value | None:
        factor = self.covariance.factor(theta[: self.split])
        q = len(factor)
        log_det = cells.log_r
        gram = cells.S[:, :, 0]
        H = M = np.zeros_like(cells.A)
        if q:
            H, log_dets = posterior(factor, cells.A)
            log_det = log_det + float((cells.counts * log_dets).sum())
            M = -np.einsum("acn,cbn->abn", cells.A, H)
            M[np.arange(q), np.arange(q)] += 1
            gram = gram - cells.quadratic(H)
        best = profile(gram, self.n, self.reml)
        if best is None or not np.isfinite(best.deviance + log_det):
            return None
        return Value(log_det + best.deviance, best, factor, H, M)

    def evaluate(self, theta: np.ndarray) -> Evaluation | None:
        """The deviance, its gradient and its Hessian; None where V is numerically singular."""
        cells = self.subjects(theta)
        value = self._value(theta, cells)
        if value is None:
            return None
        m, split = len(theta), self.split
        gradient, hessian = np.zeros(m), np.zeros((m, m))
        r = len(cells.S)
        gram_first = np.zeros((m, r, r))
        q = self.covariance.q
        projection = cells.project(value.M)
        cone = np.zeros((q, q))
        if split:
            dpsi = self.covariance.first(value.factor)
            E = np.einsum("acn,cbn->abn", value.M, cells.A)
            C = projection.weighted(value.profile.weight)
            counted = E * cells.counts
            cone = counted.sum(axis=2) - C.sum(axis=2)
            gradient[:split] = np.einsum("ab,iab->i", cone, dpsi)
            gram_first[:split] = -projection.forms(dpsi)
            curvature = (2 * C - counted).reshape(q * q, -1) @ E.reshape(q * q, -1).T
            curvature = np.einsum(
                "abcd,ibc,jda->ij", curvature.reshape(q, q, q, q), dpsi, dpsi, optimize=True
            )
            hessian[:split, :split] = (curvature + curvature.T) / 2
            hessian[:split, :split] += np.einsum("ab,ijab->ij", cone, self.covariance.second)
        if not isinstance(self.moments, Subjects | Patterns) and isinstance(projection, SubjectProjection):
            self._residual(theta[split:], self.moments, value, projection, gradient, hessian, gram_first)
        root, omega = value.profile.root, value.profile.omega
        N = root.T @ gram_first @ root
        hessian -= np.einsum("cd,icd,jcd->ij", omega, N, N)
        return Evaluation(theta, value, gradient, hessian, gram_first, cone)

    def _residual(
        self,
        phi: np.ndarray,
        moments: ResidualMoments,
        value: Value,
        projection: SubjectProjection,
        gradient: np.ndarray,
        hessian: np.ndarray,
        gram_first: np.ndarray,
    ) -> None:
        """Fill in the rows of the parameters of R."""
        split, H, M, W = self.split, value.H, value.M, value.profile.weight
        psi = value.factor @ value.factor.T
        U = projection.U
        h = np.einsum("ab,rbn->ran", psi, U)
        dpsi = self.covariance.first(value.factor)
        WU = np.einsum("cd,dan->can", W, U)
        first = moments.first(phi)
        Wh = np.tensordot(W, h, axes=1)
        zz = H + np.einsum("ran,rbn->abn", h, Wh)
        second = moments.curvature(phi, Weights(zz, -Wh, W[:, :, None]))
        c = [d.B - np.einsum("abn,rbn->ran", d.A, h) for d in first]
        HA = [np.einsum("acn,cbn->abn", H, d.A) for d in first]
        for i, moment in enumerate(first):
            row = split + i
            gram_first[row] = _gram_derivative(moment, h)
            gradient[row] = _log_det_derivative(moment, H) + (W * gram_first[row]).sum()
            Mc = np.einsum("abn,rbn->ran", M, c[i])
            MAM = np.einsum("acn,cdn,bdn->ab", M, moment.A, M, optimize=True)
            mixed = np.einsum("iab,ab->i", dpsi, MAM - 2 * np.einsum("can,cbn->ab", WU, Mc))
            hessian[row, :split] = hessian[:split, row] = mixed
            for j in range(i + 1):
                quadratic = np.einsum("ran,abn,sbn->rs", c[i], H, c[j], optimize=True)
                trace = np.einsum("abn,ban->", HA[i], HA[j])
                entry = second[i, j] - trace - 2 * (W * quadratic).sum()
                hessian[row, split + j] = hessian[split + j, row] = entry


def posterior(factor: np.ndarray, A: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """H = Psi (I + A Psi)^-1 : (q, q, N), the relative covariance of b given y, and log|I + A Psi| : (N,).

    Through the Cholesky factor L of I + Lambda'A Lambda, H = Lambda L^-T L^-1 Lambda', so that a singular
    Psi is nothing special.
    """
    q = len(factor)
    inner = np.einsum("ac,abn,bd->cdn", factor, A, factor, optimize=True)
    inner[np.arange(q), np.arange(q)] += 1
    lower = cholesky(inner)
    root = np.tensordot(factor, inverse_lower(lower), axes=(1, 1))
    log_dets = 2 * np.log(lower[np.arange(q), np.arange(q)]).sum(axis=0)
    return np.einsum("acn,bcn->abn", root, root), log_dets


def _log_det_derivative(moment: Subjects, H: np.ndarray) -> float:
    """sum tr(H A.) + (log|R|)."""
    return float(np.einsum("abn,abn->", H, moment.A)) + moment.log_r


def _gram_derivative(moment: Subjects, h: np.ndarray) -> np.ndarray:
    """S. - sum (B.'h + h'B. - h'A.h) : (r, r)."""
    r = len(h)
    mixed = moment.B.reshape(r, -1) @ h.reshape(r, -1).T
    inner = np.einsum("abn,rbn->ran", moment.A, h).reshape(r, -1) @ h.reshape(r, -1).T
    return moment.S[:, :, 0] - mixed - mixed.T + inner
