"""Moments under a correlation of neighbouring rows alone that decays with the gap between them.

R^-1 is then tridiagonal in each subject: with f_j = exp(-gap_j / range) before row j (0 for the first row of
a subject), p_j the row before and v_j = u_j - f_j p_j what is new in the row,

    M = sum_j a_j v_j' v_j,    a = 1 / (1 - f^2),    log|R| = sum_j log(1 - f_j^2)

An evaluation touches the rows; where gaps repeat, moments.serial and moments.grid do not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np

from lmmcore.kernel import neighbours
from lmmcore.system.moments.products import is_one
from lmmcore.system.moments.subjects import Jet, SortedRows, Subjects, Weights, turned

# gap / range from which a correlation is 0 to the last digit.
FARTHEST = 800.0


@dataclass(frozen=True)
class MarkovMoments:
    """[Z X y] = U' C, distinct columns U : (d, n), C : (d, k); q of the k are Z, made of the first m of U.

    The one parameter is log range.
    """

    U: np.ndarray
    C: np.ndarray
    m: int
    q: int
    rows: SortedRows

    def rotated(self, fixed: np.ndarray, random: np.ndarray) -> MarkovMoments:
        """Moments of [Z random, X fixed, y] for fixed : (p, p), random : (q, q)."""
        q, p = self.q, len(fixed)
        C = self.C.copy()
        C[:, :q], C[:, q : q + p] = C[:, :q] @ random, C[:, q : q + p] @ fixed
        return replace(self, C=C)

    def at(self, phi: np.ndarray) -> Subjects:
        """The moments at phi : (1,)."""
        return self._made(float(phi[0]), 1)[0]

    def first(self, phi: np.ndarray) -> list[Subjects]:
        """Their derivative."""
        return [self.jet(phi)[1]]

    def curvature(self, phi: np.ndarray, weights: Weights) -> np.ndarray:
        """<K.., weights> + (log|R|).. : (1, 1)."""
        second = self.jet(phi)[2]
        felt = np.tensordot(second.A, weights.zz, axes=3) + 2 * np.tensordot(second.B, weights.yz, axes=3)
        return np.array([[felt + np.tensordot(second.S, weights.yy, axes=3) + second.log_r]])

    def jet(self, phi: np.ndarray) -> Jet:
        """The moments, their first and their second derivative; the last ones are remembered."""
        return self._last_jet(float(phi[0]))

    @cached_property
    def _last_jet(self) -> Callable[[float], Jet]:
        return lru_cache(maxsize=1)(lambda z: self._made(z, 3))

    def _made(self, z: float, sets: int) -> Jet:
        """The moments, and with 3 sets their derivatives."""
        if neighbours.serves(len(self.U)):
            starts, outer, gaps = self.rows.starts, self.rows.outer, self.rows.gaps
            A, B, total, log_r = neighbours.moments(
                *(self.U, self.C, self.m, self.q, starts, outer, gaps, float(np.exp(-z)), sets)
            )
        else:
            A, B, total, log_r = self._summed(z, sets)
        others = self.C[:, self.q :]
        return Jet(A, B, turned(total, others, others), log_r)

    @cached_property
    def _before(self) -> np.ndarray:
        """(d, n) the row before each, 0 for first rows."""
        before = np.roll(self.U, 1, axis=1)
        before[:, self.rows.starts] = 0
        return before

    def _summed(self, z: float, sets: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """What lmmcore.kernel.neighbours gives, product by product."""
        (d, n), starts, outer, past = self.U.shape, self.rows.starts, self.rows.outer, self._before
        first = np.zeros(1, dtype=np.intp) if outer is None else self.rows.outer_starts
        u = self.rows.gaps * np.exp(-z)
        f, u = np.exp(-u), np.minimum(u, FARTHEST)
        slope, bend = u * f, u * (u - 1) * f
        rest = -np.expm1(-2 * u)  # 1 - f^2 to the last digit
        a = 1 / rest
        turn = slope * a
        pull = f * turn
        both = slope * turn + f * bend * a
        a1, a2 = 2 * pull * a, 2 * a * (both + 4 * pull**2)
        c2, e2 = 2 * a1 * slope + a * bend, 2 * turn * slope
        log_r = np.log(rest).sum(), -2 * pull.sum(), -2 * both.sum() - 4 * (pull @ pull)
        new = self.U - f * past
        units, total = np.zeros((sets, d, self.m, len(starts))), np.empty((sets, d, d, len(first)))
        rows = np.empty((sets, n))
        for i in range(d):
            for j in range(i + 1):
                own = new[i] * new[j]
                rows[0] = a * own
                if sets > 1:
                    mixed = new[i] * past[j] + past[i] * new[j]
                    rows[1] = a1 * own - turn * mixed
                    rows[2] = a2 * own - c2 * mixed + e2 * (past[i] * past[j])
                by_subject = np.add.reduceat(rows, starts, axis=1)
                if j < self.m:
                    units[:, i, j] = by_subject
                    if i < self.m:
                        units[:, j, i] = by_subject
                total[:, i, j] = total[:, j, i] = np.add.reduceat(by_subject, first, axis=1)
        C, others = self.C[: self.m, : self.q], self.C[:, self.q :]
        return turned(units[:, : self.m], C, C), turned(units, others, C), total, np.array(log_r[:sets])


def markov_moments(Z: Sequence[np.ndarray], XY: Sequence[np.ndarray], rows: SortedRows) -> MarkovMoments:
    """Moments of sorted columns of Z and [X y]."""
    columns = [*Z, *XY]
    distinct: dict[int, int] = {}
    place = [distinct.setdefault(0 if is_one(column) else id(column), len(distinct)) for column in columns]
    U = np.empty((len(distinct), rows.n))
    for k, column in zip(place, columns, strict=True):
        U[k] = column
    C = np.ascontiguousarray(np.eye(len(distinct))[:, place])
    return MarkovMoments(U, C, len(set(place[: len(Z)])), len(Z), rows)
