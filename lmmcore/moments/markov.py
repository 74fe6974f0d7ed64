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

from lmmcore.kernel import neighbours
from lmmcore.moments.products import inner, is_one
from lmmcore.moments.subjects import SortedRows, Subjects, Weights, turned

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
        if neighbours.serves(len(self.U)):
            return self._last(float(phi[0]))[0]
        value, _, _ = self.correlation(phi[0])
        rest = 1 - value**2
        a = 1 / rest
        units, total = self._sums(a[None], (-value * a)[None])
        less, least = self._constant
        return self._subjects(units - less, total - least, [float(np.log(rest).sum())])[0]

    def first(self, phi: np.ndarray) -> list[Subjects]:
        """Their derivative."""
        return [self.derivatives(phi)[0]]

    def curvature(self, phi: np.ndarray, weights: Weights) -> np.ndarray:
        """<K.., weights> + (log|R|).. : (1, 1)."""
        second = self.derivatives(phi)[1]
        felt = np.tensordot(second.A, weights.zz, axes=3) + 2 * np.tensordot(second.B, weights.yz, axes=3)
        return np.array([[felt + np.tensordot(second.S, weights.yy, axes=3) + second.log_r]])

    def derivatives(self, phi: np.ndarray) -> tuple[Subjects, Subjects]:
        """First and second derivative of the moments."""
        first, second = self._last(float(phi[0]))[-2:]
        return first, second

    @cached_property
    def _last(self) -> Callable[[float], list[Subjects]]:
        """What is made together is remembered: the derivatives, and in compiled loops the moments too."""
        made = self._compiled if neighbours.serves(len(self.U)) else self._first_and_second
        return lru_cache(maxsize=1)(made)

    def _compiled(self, z: float) -> list[Subjects]:
        units, total, log_r = neighbours.moments(self.U, self.m, self.rows, self.correlation(z))
        return self._subjects(units, total, log_r.tolist())

    def _first_and_second(self, z: float) -> list[Subjects]:
        value, slope, bend = self.correlation(z)
        square = value**2
        weight = 1 / (1 - square)
        turn = slope * weight  # f' / (1 - f^2)
        pull = value * turn
        drift = bend * weight + 2 * pull * turn  # (f' / (1 - f^2))'
        both = (1 + square) * weight
        a1, b1 = 2 * pull * weight, -both * turn
        # The derivatives of a1 = 2 f t / (1 - f^2) and of b1 = -(1 + f^2) t / (1 - f^2), t = f' / (1 - f^2).
        a2 = 2 * weight * (turn * slope + value * drift + 2 * pull * pull)
        b2 = -4 * pull * weight * turn - both * drift
        units, total = self._sums(np.stack([a1, a2]), np.stack([b1, b2]))
        log_r = -2 * float(pull.sum()), -2 * float((slope * turn + value * drift).sum())
        return self._subjects(units, total, log_r)

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
        """sum_j p_j' p_j over each subject and over each outer unit."""
        P = self._before
        found = self._summed(lambda i, j: (P[i] * P[j])[None], lambda i, j: np.array([inner(P[i], P[j])]), 1)
        return found[0][0], found[1][0]

    def _sums(self, a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """sum_j a_j (u'u + p'p) + b_j (u'p + p'u) for each of a, b : (k, n)."""

        def products(i: int, j: int) -> tuple[np.ndarray, np.ndarray]:
            return self._kept.get((i, j)) or self._products(i, j)

        def rows(i: int, j: int) -> np.ndarray:
            own, mixed = products(i, j)
            found = a * own
            found += b * mixed
            return found

        def whole(i: int, j: int) -> np.ndarray:
            own, mixed = products(i, j)
            return np.einsum("kn,n->k", a, own) + np.einsum("kn,n->k", b, mixed)

        return self._summed(rows, whole, len(a))

    def _summed(
        self, rows: Callable[[int, int], np.ndarray], whole: Callable[[int, int], np.ndarray], k: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Sums of rows(i, j) : (k, n), over each subject, (k, d, m, N), and each outer unit, (k, d, d, O).

        whole : their sums (k,), which cost less where there is one outer unit and no sum of a subject is
        needed.
        """
        d, starts, outer = len(self.U), self.rows.starts, self.rows.outer
        first = np.zeros(1, dtype=np.intp) if outer is None else self.rows.outer_starts
        units, total = np.empty((k, d, self.m, len(starts))), np.empty((k, d, d, len(first)))
        for i in range(d):
            for j in range(i + 1):
                if j < self.m:
                    units[:, i, j] = np.add.reduceat(rows(i, j), starts, axis=1)
                    if i < self.m:
                        units[:, j, i] = units[:, i, j]
                    total[:, i, j] = total[:, j, i] = np.add.reduceat(units[:, i, j], first, axis=1)
                elif outer is None:
                    total[:, i, j, 0] = total[:, j, i, 0] = whole(i, j)
                else:
                    total[:, i, j] = total[:, j, i] = np.add.reduceat(rows(i, j), starts[first], axis=1)
        return units, total

    def _subjects(self, units: np.ndarray, total: np.ndarray, log_r: Sequence[float]) -> list[Subjects]:
        """The moments of [Z X y] from those of U : (k, d, m, N) and (k, d, d, O)."""
        k, d, m, N = units.shape
        z, others = self.C[: self.m, : self.q], self.C[:, self.q :]
        right = (z.T @ units.reshape(k * d, m, N)).reshape(k, d, -1)  # (k, d, q N)
        A = (z.T @ right[:, :m]).reshape(k, self.q, self.q, N)
        B = (others.T @ right).reshape(k, others.shape[1], self.q, N)
        S = turned(total, others, others)
        return [Subjects(*parts) for parts in zip(A, B, S, log_r, strict=True)]


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
