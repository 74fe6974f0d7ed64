"""Random effects of smaller units inside larger ones: the inner level seen as a residual structure.

Let the larger unit i hold the smaller units j with design W_j and relative covariance Psi_2. Everything
below the outer random effects is R_i = R + blockdiag(W_j Psi_2 W_j'), and by the algebra of the outer level

    [Z X y]'R_i^-1[Z X y] = S_i - sum_j B_j H_j B_j',    log|R_i| = log|R| + sum_j log|I + A_j Psi_2|

with A_j, B_j the moments of unit j's [W_j | Z X y] and S_i the sums over unit i. The cost is linear in the
number of smaller units, however few the larger ones are; what stands below may itself be nested or serial.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from lmmcore.covariance.random import RandomCovariance
from lmmcore.covariance.residual import ResidualMoments
from lmmcore.system.level import (
    Level,
    added,
    contracted,
    cross_derivatives,
    gram_derivative,
    level_at,
    log_det_derivative,
    own_derivatives,
    weights_below,
)
from lmmcore.system.moments.subjects import SubjectProjection, Subjects, Weights


@dataclass(frozen=True)
class NestedMoments:
    """Moments of the larger units; parameters are those of Psi_2, then those of what stands below.

    below : moments of the smaller units, columns of W first, then [Z X y], sums by larger unit.
    q : columns of Z; unit : (N_2,) the larger unit of each smaller one, sorted; outer : (N,) the still larger
    unit of each larger one, None where there is none. shift : (q + r, q_2, N_2), C of lmmcore.system.deflated
    where the columns of [Z X y] below are what is left of them beside W, None where they are whole.
    """

    covariance: RandomCovariance
    below: Subjects | ResidualMoments
    q: int
    unit: np.ndarray
    outer: np.ndarray | None = None
    shift: np.ndarray | None = None

    @property
    def split(self) -> int:
        """Number of parameters of Psi_2."""
        return self.covariance.size

    @property
    def levels(self) -> tuple[RandomCovariance, ...]:
        """Structures of this level and those below, outermost first."""
        return (self.covariance, *(self.below.levels if isinstance(self.below, NestedMoments) else ()))

    def with_levels(self, levels: Sequence[RandomCovariance]) -> NestedMoments:
        """The same moments with other pivots."""
        below = self.below
        if isinstance(below, NestedMoments):
            below = below.with_levels(levels[1:])
        return replace(self, covariance=levels[0], below=below)

    def rotated(self, fixed: np.ndarray, random: np.ndarray, *inner: np.ndarray) -> NestedMoments:
        """Moments of [Z random, X fixed, y]; inner : (q_2, q_2), ... rotations of the levels inside."""
        q, p = len(random), len(fixed)
        both = np.zeros((q + p, q + p))
        both[:q, :q], both[q:, q:] = random, fixed
        return replace(self, below=self.below.rotated(both, *inner))

    def cells(self, phi: np.ndarray) -> Subjects:
        """Moments of the smaller units at phi, whose last entries are the parameters below."""
        return self.below if isinstance(self.below, Subjects) else self.below.at(phi[self.split :])

    def at(self, phi: np.ndarray) -> Subjects:
        """The moments of the larger units."""
        cells, level = self._level(phi)
        if self.shift is None:
            h = np.einsum("abn,rbn->ran", level.H, cells.B)
            S = cells.S - self._by_unit(np.einsum("ran,san->rsn", cells.B, h))
        else:
            S = cells.S + self._by_unit(added(level, cells.B, self.shift))
        return self._split(S, cells.log_r + level.log_det)

    def first(self, phi: np.ndarray) -> list[Subjects]:
        """The moments' derivative by each parameter."""
        cells, level = self._level(phi)
        U, h = self._contracted(cells, level)
        E = level.E.sum(axis=2)
        result = []
        for direction in self.covariance.first(level.factor):
            S = -self._by_unit(np.einsum("ran,ab,sbn->rsn", U, direction, U, optimize=True))
            result.append(self._split(S, float((E * direction).sum())))
        for moment in self._first_below(phi):
            S = moment.S - self._by_unit(gram_derivative(moment, h))
            result.append(self._split(S, log_det_derivative(moment, level.H)))
        return result

    def curvature(self, phi: np.ndarray, weights: Weights) -> np.ndarray:
        """The part of the Hessian linear in second derivatives of R_i^-1 and log|R_i| : (m, m)."""
        cells, level = self._level(phi)
        U, h = self._contracted(cells, level)
        yy = self._whole(weights)
        w = yy[:, :, self.unit]
        split, m = self.split, len(phi)
        hessian = np.zeros((m, m))
        own = own_derivatives(self.covariance, level, cells, SubjectProjection(U), w)
        hessian[:split, :split] = own.hessian
        if not isinstance(self.below, Subjects):
            first = self.below.first(phi[split:])
            mixed, both = cross_derivatives(self.covariance, level, U, h, w, first)
            hessian[:split, split:], hessian[split:, :split] = mixed, mixed.T
            further = self.below.curvature(phi[split:], weights_below(level, h, w, yy))
            hessian[split:, split:] = both + further
        return hessian

    def cones(self, phi: np.ndarray, weights: Weights) -> list[np.ndarray]:
        """Derivative of the deviance by the covariance matrix of this level and of those below."""
        cells, level = self._level(phi)
        U, h = self._contracted(cells, level)
        yy = self._whole(weights)
        w = yy[:, :, self.unit]
        cones = [own_derivatives(self.covariance, level, cells, SubjectProjection(U), w).cone]
        if isinstance(self.below, NestedMoments):
            cones += self.below.cones(phi[self.split :], weights_below(level, h, w, yy))
        return cones

    def _level(self, phi: np.ndarray) -> tuple[Subjects, Level]:
        cells = self.cells(phi)
        return cells, level_at(self.covariance.factor(phi[: self.split]), cells)

    def _contracted(self, cells: Subjects, level: Level) -> tuple[np.ndarray, np.ndarray]:
        """U and h : (q + r, q_2, N_2) of the smaller units."""
        if self.shift is not None:
            return contracted(level, cells.B, self.shift)
        U = cells.project(level.M).U
        return U, np.einsum("ab,rbn->ran", level.psi, U)

    def _first_below(self, phi: np.ndarray) -> list[Subjects]:
        return [] if isinstance(self.below, Subjects) else self.below.first(phi[self.split :])

    def _by_unit(self, values: np.ndarray) -> np.ndarray:
        """Sums over the smaller units of each larger one, along the last axis."""
        return sums(values, self.unit)

    def _split(self, S: np.ndarray, log_r: float) -> Subjects:
        """S : (q + r, q + r, N) of [Z X y] as the moments of the larger units."""
        q = self.q
        A, B = S[:q, :q], S[q:, :q]
        XY = S[q:, q:]
        total = XY.sum(axis=2, keepdims=True) if self.outer is None else sums(XY, self.outer)
        return Subjects(np.ascontiguousarray(A), np.ascontiguousarray(B), total, log_r)

    def _whole(self, weights: Weights) -> np.ndarray:
        """Weights of [Z X y] of each larger unit as one array : (q + r, q + r, N)."""
        q, N = self.q, weights.zz.shape[2]
        r = len(weights.yz)
        whole = np.empty((q + r, q + r, N))
        whole[:q, :q] = weights.zz
        whole[q:, :q] = weights.yz
        whole[:q, q:] = weights.yz.transpose(1, 0, 2)
        whole[q:, q:] = weights.yy if self.outer is None else weights.yy[:, :, self.outer]
        return whole


def sums(values: np.ndarray, unit: np.ndarray) -> np.ndarray:
    """Sums of values : (..., M) over the members of each unit, unit : (M,) sorted indices."""
    return np.add.reduceat(values, np.flatnonzero(np.concatenate([[True], np.diff(unit) > 0])), axis=-1)
