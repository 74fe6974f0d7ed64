"""Moments under a correlation of neighbouring rows alone, phi_j over the gap before row j.

R^-1 is then tridiagonal in each subject, and with p_j the row before j

    M = sum_j [u_j' u_j - phi_j (u_j' p_j + p_j' u_j) + phi_j^2 p_j' p_j] / (1 - phi_j^2)
      = sum_j a_j (u_j' u_j + p_j' p_j) + b_j (u_j' p_j + p_j' u_j) - sum_j p_j' p_j

with a = 1 / (1 - phi^2) and b = -phi a (p = 0 and phi = 0 for the first row of a subject), and
log|R| = -sum log a_j.
An evaluation touches the rows; where gaps repeat, lmmcore.moments.serial and lmmcore.moments.grid do not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from lmmcore.moments.subjects import SortedRows, Subjects, Weights, is_one

# phi : (n,) of each row and its first two derivatives by the one parameter.
Correlation = Callable[[float], tuple[np.ndarray, np.ndarray, np.ndarray]]
# Products of rows are kept while there are no more numbers than this.
KEPT = 20_000_000


@dataclass(frozen=True)
class MarkovMoments:
    """U : (k, n) columns of [Z X y], q of them Z."""

    U: np.ndarray
    q: int
    rows: SortedRows
    correlation: Correlation

    def rotated(self, fixed: np.ndarray, random: np.ndarray) -> MarkovMoments:
        """Moments of [Z random, X fixed, y] for fixed : (p, p), random : (q, q)."""
        q, p = self.q, len(fixed)
        U = self.U.copy()
        U[:q], U[q : q + p] = random.T @ self.U[:q], fixed.T @ self.U[q : q + p]
        return MarkovMoments(U, q, self.rows, self.correlation)

    def at(self, phi: np.ndarray) -> Subjects:
        """The moments at phi : (1,)."""
        value, _, _ = self.correlation(phi[0])
        rest = 1 - value**2
        return self._combined(1 / rest, -value / rest, float(np.log(rest).sum()), self._constant)

    def first(self, phi: np.ndarray) -> list[Subjects]:
        """Their derivative."""
        value, slope, _ = self.correlation(phi[0])
        rest = 1 - value**2
        a, b = 2 * value * slope / rest**2, -(1 + value**2) * slope / rest**2
        return [self._combined(a, b, float(-2 * (value * slope / rest).sum()))]

    def curvature(self, phi: np.ndarray, weights: Weights) -> np.ndarray:
        """<K.., weights> + (log|R|).. : (1, 1)."""
        value, slope, bend = self.correlation(phi[0])
        rest = 1 - value**2
        a = (2 + 6 * value**2) * slope**2 / rest**3 + 2 * value * bend / rest**2
        b = -(6 * value + 2 * value**3) * slope**2 / rest**3 - (1 + value**2) * bend / rest**2
        log_r = float(-2 * ((1 + value**2) * slope**2 / rest**2 + value * bend / rest).sum())
        second = self._combined(a, b, log_r)
        felt = np.tensordot(second.A, weights.zz, axes=3) + 2 * np.tensordot(second.B, weights.yz, axes=3)
        return np.array([[felt + np.tensordot(second.S, weights.yy, axes=3) + log_r]])

    @cached_property
    def _before(self) -> np.ndarray:
        """(k, n) the row before each, 0 for first rows."""
        before = np.roll(self.U, 1, axis=1)
        before[:, self.rows.starts] = 0
        return before

    def _pairs(self) -> Iterator[tuple[int, int, np.ndarray, np.ndarray]]:
        """i >= j, u_i u_j + p_i p_j and u_i p_j + p_i u_j : (n,) of all pairs of columns."""
        U, P = self.U, self._before
        for i in range(len(U)):
            for j in range(i + 1):
                yield i, j, U[i] * U[j] + P[i] * P[j], U[i] * P[j] + P[i] * U[j]

    @cached_property
    def _kept(self) -> list[tuple[int, int, np.ndarray, np.ndarray]] | None:
        k, n = self.U.shape
        return list(self._pairs()) if k * (k + 1) * n <= KEPT else None

    @cached_property
    def _constant(self) -> Subjects:
        """sum_j p_j' p_j."""
        P = self._before
        pairs = ((i, j, P[i] * P[j]) for i in range(len(P)) for j in range(i + 1))
        return self._summed(pairs, 0.0)

    def _combined(
        self, a: np.ndarray, b: np.ndarray, log_r: float, less: Subjects | None = None
    ) -> Subjects:
        """sum_j a_j (u'u + p'p) + b_j (u'p + p'u), less a constant."""
        known = self._pairs() if self._kept is None else self._kept
        found = self._summed(((i, j, a * own + b * mixed) for i, j, own, mixed in known), log_r)
        if less is None:
            return found
        return Subjects(found.A - less.A, found.B - less.B, found.S - less.S, log_r)

    def _summed(self, pairs: Iterator[tuple[int, int, np.ndarray]], log_r: float) -> Subjects:
        """Sums over each subject of values : (n,) for each pair of columns i >= j."""
        q, k, rows = self.q, len(self.U), self.rows
        N = len(rows.starts)
        outer = np.zeros(1, dtype=np.intp) if rows.outer is None else rows.outer_starts
        A, B, S = np.empty((q, q, N)), np.empty((k - q, q, N)), np.empty((k - q, k - q, len(outer)))
        for i, j, values in pairs:
            if i < q:
                A[i, j] = A[j, i] = np.add.reduceat(values, rows.starts)
            elif j < q:
                B[i - q, j] = np.add.reduceat(values, rows.starts)
            else:
                S[i - q, j - q] = S[j - q, i - q] = np.add.reduceat(values, rows.starts[outer])
        return Subjects(A, B, S, log_r)


def markov_moments(
    Z: Sequence[np.ndarray], XY: Sequence[np.ndarray], rows: SortedRows, correlation: Correlation
) -> MarkovMoments:
    """Moments of sorted columns of Z and [X y]."""
    columns = [np.ones(len(rows.subject)) if is_one(column) else column for column in (*Z, *XY)]
    return MarkovMoments(np.array(columns), len(Z), rows, correlation)
