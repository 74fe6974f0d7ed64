"""Moments under a correlation of neighbouring rows alone, phi_j over the gap before row j.

R^-1 is then tridiagonal in each subject, and with p_j the row before j

    M = sum_j [u_j' u_j - phi_j (u_j' p_j + p_j' u_j) + phi_j^2 p_j' p_j] / (1 - phi_j^2)

(phi_j = 0 for the first row of a subject), log|R| = sum_j log(1 - phi_j^2). An evaluation touches the rows;
where gaps repeat, lmmcore.moments.serial and lmmcore.moments.grid do not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from lmmcore.moments.subjects import SortedRows, Subjects, Weights, is_one

# phi : (n,) of each row and its first two derivatives by the one parameter.
Correlation = Callable[[float], tuple[np.ndarray, np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class MarkovMoments:
    """U : (k, n) columns of [Z X y], q of them Z."""

    U: np.ndarray
    q: int
    rows: SortedRows
    correlation: Correlation

    @cached_property
    def _before(self) -> np.ndarray:
        """(k, n) the row before each; of a first row anything will do."""
        return np.roll(self.U, 1, axis=1)

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
        white = (self.U - value * self._before) / np.sqrt(rest)
        return self._summed(white, white, None, None, float(np.log(rest).sum()))

    def first(self, phi: np.ndarray) -> list[Subjects]:
        """Their derivative."""
        value, slope, _ = self.correlation(phi[0])
        rest = 1 - value**2
        # d/dphi of (1, -phi, phi^2) / (1 - phi^2)
        own, mixed = 2 * value * slope / rest**2, -(1 + value**2) * slope / rest**2
        return [self._combined(own, mixed, float(-2 * (value * slope / rest).sum()))]

    def curvature(self, phi: np.ndarray, weights: Weights) -> np.ndarray:
        """<K.., weights> + (log|R|).. : (1, 1)."""
        value, slope, bend = self.correlation(phi[0])
        rest = 1 - value**2
        own = (2 + 6 * value**2) * slope**2 / rest**3 + 2 * value * bend / rest**2
        mixed = -(6 * value + 2 * value**3) * slope**2 / rest**3 - (1 + value**2) * bend / rest**2
        log_r = float(-2 * ((1 + value**2) * slope**2 / rest**2 + value * bend / rest).sum())
        second = self._combined(own, mixed, log_r)
        felt = np.tensordot(second.A, weights.zz, axes=3) + 2 * np.tensordot(second.B, weights.yz, axes=3)
        return np.array([[felt + np.tensordot(second.S, weights.yy, axes=3) + log_r]])

    def _combined(self, own: np.ndarray, mixed: np.ndarray, log_r: float) -> Subjects:
        """Sums of own (u'u + p'p) + mixed (u'p + p'u)."""
        U, before = self.U, self._before
        return self._summed(U, own * U + mixed * before, before, mixed * U + own * before, log_r)

    def _summed(
        self,
        left: np.ndarray,
        right: np.ndarray,
        left2: np.ndarray | None,
        right2: np.ndarray | None,
        log_r: float,
    ) -> Subjects:
        """Sums over each subject of left (x) right + left2 (x) right2, symmetric together : (k, n) each."""
        q, k, starts = self.q, len(left), self.rows.starts

        def products(i: int, j: int) -> np.ndarray:
            found = left[i] * right[j]
            return found if left2 is None or right2 is None else found + left2[i] * right2[j]

        sums = {
            (i, j): np.add.reduceat(products(i, j), starts)
            for i in range(k)
            for j in range(i + 1)
            if j < q or self.rows.outer is not None
        }
        N = len(starts)
        A, B = np.empty((q, q, N)), np.empty((k - q, q, N))
        for j in range(q):
            for i in range(j, k):
                if i < q:
                    A[i, j] = A[j, i] = sums[i, j]
                else:
                    B[i - q, j] = sums[i, j]
        if self.rows.outer is None:
            S = left[q:] @ right[q:].T
            if left2 is not None and right2 is not None:
                S += left2[q:] @ right2[q:].T
            return Subjects(A, B, S[:, :, None], log_r)
        outer = self.rows.outer_starts
        S = np.empty((k - q, k - q, len(outer)))
        for i in range(q, k):
            for j in range(q, i + 1):
                S[i - q, j - q] = S[j - q, i - q] = np.add.reduceat(sums[i, j], outer)
        return Subjects(A, B, S, log_r)


def markov_moments(
    Z: Sequence[np.ndarray], XY: Sequence[np.ndarray], rows: SortedRows, correlation: Correlation
) -> MarkovMoments:
    """Moments of sorted columns of Z and [X y]."""
    columns = [np.ones(len(rows.subject)) if is_one(column) else column for column in (*Z, *XY)]
    return MarkovMoments(np.array(columns), len(Z), rows, correlation)
