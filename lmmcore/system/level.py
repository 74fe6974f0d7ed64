"""One level of random effects: what it adds to the likelihood, whatever stands below and above it.

With the moments A, B of each unit of the level, M = (I + A Psi)^-1, H = Psi M, E = M A, U = M B, h = Psi U
and w the derivative of the deviance by the unit's [X y]'V^-1[X y] (at the outermost level one matrix W),
C = U w U' and D* = sum E - sum C is the derivative of the deviance by Psi. Then for directions dPsi_i

    gradient_i = <D*, dPsi_i>
    hessian_ij = -sum tr(E dPsi_i E dPsi_j) + sum tr(C (dPsi_i E dPsi_j + dPsi_j E dPsi_i)) + <D*, ddPsi_ij>

and with a parameter of what stands below (a dot), c = B. - A.h,

    hessian_ir = <dPsi_i, sum M A. M' - 2 sum U w (M c)'>
    hessian_rs = (what is linear in second derivatives) - sum tr(H A. H A.) - 2 sum <w, c_r'H c_s>
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lmmcore.covariance.random import RandomCovariance
from lmmcore.system.batched_linalg import resolvent
from lmmcore.system.moments.patterns import PatternProjection, Patterns
from lmmcore.system.moments.subjects import SubjectProjection, Subjects, Weights, weigh


@dataclass(frozen=True)
class Level:
    """A level at one value of its factor Lambda : (q, q). H, M, E : (q, q, N); log_det : log|I + A Psi|."""

    factor: np.ndarray
    H: np.ndarray
    M: np.ndarray
    E: np.ndarray
    log_det: float

    @property
    def psi(self) -> np.ndarray:
        """Psi : (q, q)."""
        return self.factor @ self.factor.T


def level_at(factor: np.ndarray, cells: Subjects | Patterns) -> Level:
    """The level's matrices; a singular Psi is nothing special, it is never inverted."""
    H, M, E, det = resolvent(cells.A, factor)
    return Level(factor, H, M, E, float((cells.counts * np.log(det)).sum()))


def contracted(level: Level, B: np.ndarray, C: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """U and h - C : (r, q, N) of columns Z_i c_i + e_i by the moments B of e; see lmmcore.system.deflated."""
    U = np.einsum("abn,rbn->ran", level.M, B) + np.einsum("abn,rbn->ran", level.E, C)
    return U, np.einsum("abn,rbn->ran", level.H, B) - np.einsum("ban,rbn->ran", level.M, C)


def added(level: Level, B: np.ndarray, C: np.ndarray) -> np.ndarray:
    """What u'V^-1 u has beside the S of e : (r, r, N), for the columns of contracted."""
    U, h = contracted(level, B, C)
    return np.einsum("ran,san->rsn", C, U) - np.einsum("ran,san->rsn", B, h)


@dataclass(frozen=True)
class LevelSums:
    """Sums over the units of a level, w given. E, C : (q, q); spread : (q, q, q, q), of (2 C - E) (x) E."""

    E: np.ndarray
    C: np.ndarray
    spread: np.ndarray


@dataclass(frozen=True)
class Curvature:
    """Derivatives by the level's own parameters. cone : (q, q), D*; gradient : (m,); hessian : (m, m)."""

    cone: np.ndarray
    gradient: np.ndarray
    hessian: np.ndarray


def own_derivatives(
    covariance: RandomCovariance,
    level: Level,
    cells: Subjects | Patterns,
    projection: SubjectProjection | PatternProjection,
    w: np.ndarray,
) -> Curvature:
    """Gradient and Hessian by the parameters of Psi; w : (r, r), or (r, r, N) for subjects."""
    q = covariance.q
    if not q:
        return Curvature(np.zeros((0, 0)), np.zeros(0), np.zeros((0, 0)))
    E, counted = level.E, level.E if isinstance(cells, Subjects) else level.E * cells.counts
    C = projection.weighted(w)
    E_sum, C_sum = counted.sum(axis=2), C.sum(axis=2)
    C += C
    C -= counted
    spread = (C.reshape(q * q, -1) @ E.reshape(q * q, -1).T).reshape(q, q, q, q)
    return own_curvature(covariance, level.factor, LevelSums(E_sum, C_sum, spread))


def own_curvature(covariance: RandomCovariance, factor: np.ndarray, sums: LevelSums) -> Curvature:
    """Gradient and Hessian by the parameters of Psi = Lambda Lambda', factor : (q, q), Lambda."""
    q = covariance.q
    directions = covariance.first(factor)
    cone = sums.E - sums.C
    # sum_abcd spread[a, b, c, d] directions[i, b, c] directions[j, d, a]
    m = len(directions)
    rows = directions.reshape(m, -1) @ sums.spread.transpose(1, 2, 0, 3).reshape(q * q, -1)
    hessian = rows @ directions.transpose(0, 2, 1).reshape(m, -1).T
    hessian = (hessian + hessian.T) / 2 + np.einsum("ab,ijab->ij", cone, covariance.second)
    return Curvature(cone, np.einsum("ab,iab->i", cone, directions), hessian)


def weights_below(level: Level, h: np.ndarray, w: np.ndarray, yy: np.ndarray) -> Weights:
    """Derivative of the deviance by what the level's moments are made of; yy : w by outer unit."""
    wh = weigh(w, h)
    return Weights(level.H + np.einsum("ran,rbn->abn", h, wh), -wh, yy)


def cross_derivatives(
    covariance: RandomCovariance,
    level: Level,
    U: np.ndarray,
    h: np.ndarray,
    w: np.ndarray,
    first: Sequence[Subjects],
) -> tuple[np.ndarray, np.ndarray]:
    """hessian_ir : (m, s), and the second part of hessian_rs : (s, s), for s parameters below."""
    directions = covariance.first(level.factor)
    wU = weigh(w, U)
    c = [below.B - np.einsum("abn,rbn->ran", below.A, h) for below in first]
    wc = [weigh(w, part) for part in c]
    HA = [np.einsum("acn,cbn->abn", level.H, below.A) for below in first]
    Hc = [np.einsum("abn,rbn->ran", level.H, part) for part in c]
    mixed = np.empty((len(directions), len(c)))
    both = np.empty((len(c), len(c)))
    for r, below in enumerate(first):
        Mc = np.einsum("abn,rbn->ran", level.M, c[r])
        MA = np.einsum("acn,cdn->adn", level.M, below.A)
        MAM = np.tensordot(MA, level.M, axes=((1, 2), (1, 2)))
        felt = MAM - 2 * np.tensordot(wU, Mc, axes=((0, 2), (0, 2)))
        mixed[:, r] = np.einsum("iab,ab->i", directions, felt)
        for s in range(r + 1):
            trace = np.einsum("abn,ban->", HA[r], HA[s])
            both[r, s] = both[s, r] = -trace - 2 * np.tensordot(wc[r], Hc[s], axes=3)
    return mixed, both


def log_det_derivative(moment: Subjects, H: np.ndarray) -> float:
    """sum tr(H A.) + (log|R|)."""
    return float(np.tensordot(H, moment.A, axes=3)) + moment.log_r


def gram_derivative(moment: Subjects, h: np.ndarray) -> np.ndarray:
    """B.'h + h'B. - h'A.h of each unit : (r, r, N)."""
    mixed = np.einsum("ran,san->rsn", moment.B, h)
    Ah = np.einsum("abn,rbn->ran", moment.A, h)
    return mixed + mixed.transpose(1, 0, 2) - np.einsum("ran,san->rsn", Ah, h)
