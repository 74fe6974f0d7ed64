"""Moments under a serial correlation that R^-1 makes a short sum of fixed matrices.

For a Markov correlation over gaps d with phi_d (AR(1): rho^d) the moments of subject i are

    M = F + sum_d [D_d / (1 - phi_d^2) + (K_d + K_d') / (1 + phi_d) - P_d]

with F the first row's u_1'u_1 and, over the pairs of neighbouring rows with that gap, D = v_j'v_j for the
change v_j = u_j - u_{j-1}, K = u_j'u_{j-1}, P = u_{j-1}'u_{j-1}: no digits are lost as phi_d nears 1.  The
matrices are made once from the rows; an evaluation at another correlation only combines them again, whatever
the number of rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from lmmcore.system.moments.products import Products, product
from lmmcore.system.moments.subjects import SortedRows, Subjects, Weights, rotate


@dataclass(frozen=True)
class Combination:
    """Coefficients of the L fixed matrices, log|R| and their derivatives by m parameters.

    value : (L,), first : (m, L), second : (m, m, L);
    log_r : float, log_r_first : (m,), log_r_second : (m, m).
    """

    value: np.ndarray
    first: np.ndarray
    second: np.ndarray
    log_r: float
    log_r_first: np.ndarray
    log_r_second: np.ndarray


@dataclass(frozen=True)
class SerialMoments:
    """A : (L, q, q, N), B : (L, r, q, N), S : (L, r, r, O) of the fixed matrices; see the module."""

    A: np.ndarray
    B: np.ndarray
    S: np.ndarray
    combination: Callable[[np.ndarray], Combination]

    def rotated(self, fixed: np.ndarray, random: np.ndarray) -> SerialMoments:
        """Moments of [Z random, X fixed, y] for fixed : (p, p), random : (q, q)."""
        return SerialMoments(*rotate(self.A, self.B, self.S, fixed, random), self.combination)

    def at(self, phi: np.ndarray) -> Subjects:
        """The moments at correlation parameters phi."""
        combination = self.combination(phi)
        return self._mixed(combination.value, combination.log_r)

    def first(self, phi: np.ndarray) -> list[Subjects]:
        """The moments' derivative by each parameter."""
        combination = self.combination(phi)
        return [
            self._mixed(coefficients, log_r)
            for coefficients, log_r in zip(combination.first, combination.log_r_first, strict=True)
        ]

    def curvature(self, phi: np.ndarray, weights: Weights) -> np.ndarray:
        """<K.., weights> + (log|R|).. : (m, m); each fixed matrix is contracted once."""
        combination = self.combination(phi)
        felt = np.tensordot(self.A, weights.zz, axes=3) + 2 * np.tensordot(self.B, weights.yz, axes=3)
        felt += np.tensordot(self.S, weights.yy, axes=3)
        return combination.second @ felt + combination.log_r_second

    def _mixed(self, coefficients: np.ndarray, log_r: float) -> Subjects:
        A, B, S = (np.tensordot(coefficients, part, axes=1) for part in (self.A, self.B, self.S))
        return Subjects(A, B, S, float(log_r))


@dataclass(frozen=True)
class Gaps:
    """Neighbouring rows of a subject, rows sorted by subject and time.

    later : (pairs,) row numbers whose predecessor is the row before; subject : (pairs,);
    kind : (pairs,) index into sizes; sizes : (G,) distinct gaps; counts : (G,) pairs with each.
    """

    later: np.ndarray
    subject: np.ndarray
    kind: np.ndarray
    sizes: np.ndarray
    counts: np.ndarray


def find_gaps(times: np.ndarray, subject: np.ndarray) -> Gaps:
    """Gaps of rows sorted by subject : (n,) codes and, within it, by times : (n,)."""
    before = np.flatnonzero(subject[1:] == subject[:-1])
    gaps, later = np.diff(times)[before], before + 1
    whole = gaps.astype(np.int64)
    if np.array_equal(whole, gaps) and len(gaps) and whole.min() >= 0 and whole.max() <= len(gaps):
        present = np.bincount(whole) > 0
        sizes = np.flatnonzero(present).astype(float)
        kind = (np.cumsum(present) - 1)[whole]
    else:
        sizes, kind = np.unique(gaps, return_inverse=True)
    return Gaps(later, subject[later], kind, sizes, np.bincount(kind, minlength=len(sizes)))


def serial_moments(
    Z: Sequence[np.ndarray],
    XY: Sequence[np.ndarray],
    rows: SortedRows,
    gaps: Gaps,
    combination: Callable[[np.ndarray], Combination],
) -> SerialMoments:
    """Make the fixed matrices F, then D_d, K_d + K_d', P_d of each gap, from sorted rows."""
    N, G = len(rows.starts), len(gaps.sizes)
    # Rows are gathered once a column; an intercept stays a broadcast 1.
    columns = {id(column): column for column in (*Z, *XY)}
    first = {name: _gather(column, rows.starts) for name, column in columns.items()}
    later = {name: _gather(column, gaps.later) for name, column in columns.items()}
    earlier = {name: _gather(column, gaps.later - 1) for name, column in columns.items()}
    change = {name: later[name] - earlier[name] for name in columns}

    def summed(
        left: Sequence[np.ndarray], right: Sequence[np.ndarray], unit: np.ndarray, size: int
    ) -> np.ndarray:
        """Fixed matrices : (L, len(left), len(right), size) of sums over the subjects of each unit."""
        key = gaps.kind * size + unit[gaps.subject]

        def of_heads(values: np.ndarray) -> np.ndarray:
            return np.bincount(unit, np.broadcast_to(values, (N,)), size)

        def of_pairs(values: np.ndarray) -> np.ndarray:
            return np.bincount(key, np.broadcast_to(values, key.shape), G * size).reshape(G, size)

        F = Products(of_heads).table([first[id(a)] for a in left], [first[id(b)] for b in right])
        D = Products(of_pairs).table([change[id(a)] for a in left], [change[id(b)] for b in right])
        P = Products(of_pairs).table([earlier[id(a)] for a in left], [earlier[id(b)] for b in right])
        K = [
            [
                of_pairs(product(later[id(a)], earlier[id(b)]) + product(earlier[id(a)], later[id(b)]))
                for b in right
            ]
            for a in left
        ]
        return np.concatenate([F[None], *(part.transpose(2, 0, 1, 3) for part in (D, np.array(K), P))])

    q, r, each = len(Z), len(XY), np.arange(N)
    A = summed(Z, Z, each, N) if q else np.zeros((1 + 3 * G, 0, 0, N))
    B = summed(XY, Z, each, N) if q else np.zeros((1 + 3 * G, r, 0, N))
    outer = np.zeros(N, dtype=np.intp) if rows.outer is None else rows.outer
    S = summed(XY, XY, outer, int(outer[-1]) + 1)
    return SerialMoments(A, B, S, combination)


def _gather(column: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """column[rows], keeping a broadcast constant broadcast."""
    return np.broadcast_to(column[:1], rows.shape) if column.strides == (0,) else column[rows]
