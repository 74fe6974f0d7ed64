"""Moments under a correlation of neighbouring rows alone, phi_j over the gap before row j.

R^-1 is then tridiagonal in each subject, and with p_j the row before j

    M = sum_j [u_j' u_j - phi_j (u_j' p_j + p_j' u_j) + phi_j^2 p_j' p_j] / (1 - phi_j^2)
      = sum_j a_j (u_j' u_j + p_j' p_j) + b_j (u_j' p_j + p_j' u_j) - sum_j p_j' p_j

with a = 1 / (1 - phi^2) and b = -phi a (p = 0 and phi = 0 for the first row of a subject), and
log|R| = -sum log a_j.
An evaluation touches the rows; where gaps repeat, lmmcore.moments.serial and lmmcore.moments.grid do not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np

from lmmcore.moments.subjects import SortedRows, Subjects, Weights, inner, is_one

# phi : (n,) of each row and its first two derivatives by the one parameter.
Correlation = Callable[[float], tuple[np.ndarray, np.ndarray, np.ndarray]]
# Products of rows are kept while there are no more numbers than this.
KEPT = 20_000_000


@dataclass(frozen=True)
class MarkovMoments:
    """[Z X y] = U' C, distinct columns U : (d, n), C : (d, k); q of the k are Z, made of the first m of U."""

    U: np.ndarray
    C: np.ndarray
    m: int
    q: int
    rows: SortedRows
    correlation: Correlation

    def rotated(self, fixed: np.ndarray, random: np.ndarray) -> MarkovMoments:
        """Moments of [Z random, X fixed, y] for fixed : (p, p), random : (q, q)."""
        q, p = self.q, len(fixed)
        C = self.C.copy()
        C[:, :q], C[:, q : q + p] = C[:, :q] @ random, C[:, q : q + p] @ fixed
        return replace(self, C=C)

    def at(self, phi: np.ndarray) -> Subjects:
        """The moments at phi : (1,)."""
        value, _, _ = self.correlation(phi[0])
        rest = 1 - value**2
        units, total = self._sums(1 / rest, -value / rest)
        less, least = self._constant
        return self._subjects(units - less, total - least, float(np.log(rest).sum()))

    def first(self, phi: np.ndarray) -> list[Subjects]:
        """Their derivative."""
        value, slope, _ = self.correlation(phi[0])
        rest = 1 - value**2
        a, b = 2 * value * slope / rest**2, -(1 + value**2) * slope / rest**2
        return [self._subjects(*self._sums(a, b), float(-2 * (value * slope / rest).sum()))]

    def curvature(self, phi: np.ndarray, weights: Weights) -> np.ndarray:
        """<K.., weights> + (log|R|).. : (1, 1)."""
        value, slope, bend = self.correlation(phi[0])
        rest = 1 - value**2
        a = (2 + 6 * value**2) * slope**2 / rest**3 + 2 * value * bend / rest**2
        b = -(6 * value + 2 * value**3) * slope**2 / rest**3 - (1 + value**2) * bend / rest**2
        log_r = float(-2 * ((1 + value**2) * slope**2 / rest**2 + value * bend / rest).sum())
        second = self._subjects(*self._sums(a, b), log_r)
        felt = np.tensordot(second.A, weights.zz, axes=3) + 2 * np.tensordot(second.B, weights.yz, axes=3)
        return np.array([[felt + np.tensordot(second.S, weights.yy, axes=3) + log_r]])

    @cached_property
    def _before(self) -> np.ndarray:
        """(d, n) the row before each, 0 for first rows."""
        before = np.roll(self.U, 1, axis=1)
        before[:, self.rows.starts] = 0
        return before

    def _products(self, i: int, j: int) -> tuple[np.ndarray, np.ndarray]:
        """u_i u_j + p_i p_j and u_i p_j + p_i u_j : (n,) each."""
        U, P = self.U, self._before
        return U[i] * U[j] + P[i] * P[j], U[i] * P[j] + P[i] * U[j]

    @cached_property
    def _kept(self) -> dict[tuple[int, int], tuple[np.ndarray, np.ndarray]]:
        """The products of every two columns, none where they are too many numbers to keep."""
        d, n = self.U.shape
        if d * (d + 1) * n > KEPT:
            return {}
        return {(i, j): self._products(i, j) for i in range(d) for j in range(i + 1)}

    @cached_property
    def _constant(self) -> tuple[np.ndarray, np.ndarray]:
        """sum_j p_j' p_j."""
        P = self._before
        return self._summed(lambda i, j: P[i] * P[j], lambda i, j: inner(P[i], P[j]))

    def _sums(self, a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """sum_j a_j (u'u + p'p) + b_j (u'p + p'u)."""

        def products(i: int, j: int) -> tuple[np.ndarray, np.ndarray]:
            return self._kept.get((i, j)) or self._products(i, j)

        def rows(i: int, j: int) -> np.ndarray:
            own, mixed = products(i, j)
            return a * own + b * mixed

        def whole(i: int, j: int) -> float:
            own, mixed = products(i, j)
            return inner(a, own) + inner(b, mixed)

        return self._summed(rows, whole)

    def _summed(
        self, rows: Callable[[int, int], np.ndarray], whole: Callable[[int, int], float]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Sums of rows(i, j) : (n,) over each subject, (d, m, N), and over each outer unit, (d, d, O).

        whole : their sum, which costs less where there is one outer unit and no sum of a subject is needed.
        """
        d, starts, outer = len(self.U), self.rows.starts, self.rows.outer
        first = np.zeros(1, dtype=np.intp) if outer is None else self.rows.outer_starts
        units, total = np.empty((d, self.m, len(starts))), np.empty((d, d, len(first)))
        for i in range(d):
            for j in range(i + 1):
                if j < self.m:
                    units[i, j] = np.add.reduceat(rows(i, j), starts)
                    if i < self.m:
                        units[j, i] = units[i, j]
                    total[i, j] = total[j, i] = np.add.reduceat(units[i, j], first)
                elif outer is None:
                    total[i, j] = total[j, i] = whole(i, j)
                else:
                    total[i, j] = total[j, i] = np.add.reduceat(rows(i, j), starts[first])
        return units, total

    def _subjects(self, units: np.ndarray, total: np.ndarray, log_r: float) -> Subjects:
        """The moments of [Z X y] from those of U."""
        z, others = self.C[: self.m, : self.q], self.C[:, self.q :]
        left = np.tensordot(z.T, units, axes=([1], [1]))  # (q, d, N)
        A = np.tensordot(z.T, left[:, : self.m], axes=([1], [1])).transpose(1, 0, 2)
        B = np.tensordot(others.T, left, axes=([1], [1]))
        S = np.einsum("ic,ijo,jd->cdo", others, total, others)
        return Subjects(A, B, S, log_r)


def markov_moments(
    Z: Sequence[np.ndarray], XY: Sequence[np.ndarray], rows: SortedRows, correlation: Correlation
) -> MarkovMoments:
    """Moments of sorted columns of Z and [X y]."""
    columns = [*Z, *XY]
    distinct: dict[int, int] = {}
    place = [distinct.setdefault(0 if is_one(column) else id(column), len(distinct)) for column in columns]
    U = np.empty((len(distinct), rows.n))
    for k, column in zip(place, columns, strict=True):
        U[k] = column
    C = np.eye(len(distinct))[:, place]
    m = len(set(place[: len(Z)]))
    return MarkovMoments(U, C, m, len(Z), rows, lru_cache(maxsize=1)(correlation))
