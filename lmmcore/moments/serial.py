"""Moments under a serial correlation that R^-1 makes a short sum of fixed matrices.

For a Markov correlation over gaps d with phi_d (AR(1): rho^d) the moments of subject i are

    M = F + sum_d [C_d - phi_d (K_d + K_d') + phi_d^2 P_d] / (1 - phi_d^2)

with F the first row's u_1'u_1 and, over the pairs of neighbouring rows with that gap, C = u_j'u_j,
K = u_j'u_{j-1}, P = u_{j-1}'u_{j-1}.  The matrices are made once from the rows; an evaluation at
another correlation only combines them again, whatever the number of rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from lmmcore.moments.subjects import Products, Subjects, gram, product, rotate


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
    """A : (L, q, q, N), B : (L, r, q, N), S : (L, r, r) of the fixed matrices; see the module."""

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

    def curvature(self, phi: np.ndarray, H: np.ndarray, h: np.ndarray, W: np.ndarray) -> np.ndarray:
        """sum tr(H A..) + <W, S.. - sum (B..'h + h'B.. - h'A..h)> + (log|R|).. : (m, m).

        H : (q, q, N), h : (r, q, N) and W : (r, r) of lmmcore.likelihood.objective. Each fixed matrix is
        contracted once, whatever the number of parameters.
        """
        combination = self.combination(phi)
        Wh = np.tensordot(W, h, axes=1)
        outer = H + np.einsum("ran,rbn->abn", h, Wh)
        felt = np.tensordot(self.A, outer, axes=3) - 2 * np.tensordot(self.B, Wh, axes=3)
        felt += np.tensordot(self.S, W, axes=2)
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
    later = np.flatnonzero(subject[1:] == subject[:-1]) + 1
    sizes, kind = np.unique(times[later] - times[later - 1], return_inverse=True)
    return Gaps(later, subject[later], kind, sizes, np.bincount(kind, minlength=len(sizes)))


def serial_moments(
    Z: Sequence[np.ndarray],
    XY: Sequence[np.ndarray],
    starts: np.ndarray,
    gaps: Gaps,
    combination: Callable[[np.ndarray], Combination],
) -> SerialMoments:
    """Make the fixed matrices F, then C_d, K_d + K_d', P_d of each gap, from sorted rows."""
    N, G = len(starts), len(gaps.sizes)
    key = gaps.kind * N + gaps.subject
    # Rows are gathered once a column; an intercept stays a broadcast 1.
    columns = {id(column): column for column in (*Z, *XY)}
    first = {name: _gather(column, starts) for name, column in columns.items()}
    later = {name: _gather(column, gaps.later) for name, column in columns.items()}
    earlier = {name: _gather(column, gaps.later - 1) for name, column in columns.items()}

    def by_gap(values: np.ndarray) -> np.ndarray:
        return np.bincount(key, np.broadcast_to(values, key.shape), G * N).reshape(G, N)

    def by_subject(rows: Sequence[np.ndarray], cols: Sequence[np.ndarray]) -> np.ndarray:
        """(L, len(rows), len(cols), N)."""
        head = Products(lambda values: np.broadcast_to(values, (N,)))
        tails = [Products(by_gap), Products(by_gap)]
        F = head.table([first[id(a)] for a in rows], [first[id(b)] for b in cols])
        C = tails[0].table([later[id(a)] for a in rows], [later[id(b)] for b in cols])
        P = tails[1].table([earlier[id(a)] for a in rows], [earlier[id(b)] for b in cols])
        K = np.array(
            [
                [
                    by_gap(product(later[id(a)], earlier[id(b)]) + product(earlier[id(a)], later[id(b)]))
                    for b in cols
                ]
                for a in rows
            ]
        )
        parts = [part.transpose(2, 0, 1, 3) for part in (C, K, P)]
        return np.concatenate([F[None], *parts])

    q, r = len(Z), len(XY)
    A = by_subject(Z, Z) if q else np.zeros((1 + 3 * G, 0, 0, N))
    B = by_subject(XY, Z) if q else np.zeros((1 + 3 * G, r, 0, N))
    S = np.empty((1 + 3 * G, r, r))
    S[0] = gram([np.array(first[id(column)]) for column in XY])
    for gap in range(G):
        of_gap = gaps.kind == gap
        now = np.array([np.broadcast_to(later[id(column)], key.shape)[of_gap] for column in XY])
        before = np.array([np.broadcast_to(earlier[id(column)], key.shape)[of_gap] for column in XY])
        cross = now @ before.T
        for offset, matrix in enumerate((now @ now.T, cross + cross.T, before @ before.T)):
            S[1 + offset * G + gap] = matrix
    return SerialMoments(A, B, S, combination)


def _gather(column: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """column[rows], keeping a broadcast constant broadcast."""
    return np.broadcast_to(column[:1], rows.shape) if column.strides == (0,) else column[rows]
