"""The moments of every subject: all that the likelihood needs of the rows.

With U_i = [Z_i X_i y_i], q random effects, p fixed effects, r = p + 1 and N subjects,

    A : (q, q, N)   A_i = Z_i'R_i^-1 Z_i
    B : (r, q, N)   B_i = (Z_i'R_i^-1 [X_i y_i])'
    S : (r, r, O)   sum_i [X_i y_i]'R_i^-1 [X_i y_i] over the subjects of each outer unit
    log_r           sum_i log|R_i|

N stands last so that each operation of the likelihood is one long contiguous vector. O is 1 unless the
subjects are themselves nested in larger units (lmmcore.system.nested), whose own moments these sums are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeGuard

import numpy as np

from lmmcore import kernel
from lmmcore.kernel.rows import moments as sums_of_rows
from lmmcore.kernel.turn import turned as compiled_turn
from lmmcore.system.moments.products import ROWS, Products, is_one


class SortedRows:
    """The rows as the moments see them, sorted by outer unit, subject and time.

    times : (n,), row numbers within the subject where there is no time; subject : (n,) index 0..N-1;
    starts : (N,) first row of each subject; outer : (N,) index 0..O-1 of the larger unit each subject
    belongs to, None where there is none. labels : of the times 1, 2, ..., where these are visits with names.
    """

    def __init__(
        self,
        times: np.ndarray | None,
        subject: np.ndarray | None,
        starts: np.ndarray,
        outer: np.ndarray | None = None,
        n: int = 0,
        labels: tuple[str, ...] | None = None,
    ) -> None:
        """n : number of rows, needed without subject. What is None is made when it is asked for."""
        self.starts, self.outer, self.labels = starts, outer, labels
        self.n = n if subject is None else len(subject)
        if subject is not None:
            self.subject = subject
        if times is not None:
            self.times = times

    @cached_property
    def sizes(self) -> np.ndarray:
        """(N,) rows of each subject."""
        return np.diff(self.starts, append=self.n)

    @cached_property
    def subject(self) -> np.ndarray:
        """(n,) index of each row's subject."""
        return np.repeat(np.arange(len(self.starts)), self.sizes)

    @cached_property
    def times(self) -> np.ndarray:
        """(n,) times, or row numbers within the subject."""
        return np.arange(self.n) - np.repeat(self.starts, self.sizes)

    @cached_property
    def gaps(self) -> np.ndarray:
        """(n,) time since the row before in the subject, infinite for first rows."""
        gaps = np.diff(self.times, prepend=0.0)
        gaps[self.starts] = np.inf
        return gaps

    def parts(self) -> Iterator[tuple[slice, slice]]:
        """Subjects, and the rows of these, so many that their columns stay in the processor's cache."""
        if self.n <= ROWS:
            yield slice(0, len(self.starts)), slice(0, self.n)
            return
        cuts = np.unique(np.searchsorted(self.starts, np.arange(0, self.n, ROWS)))
        ends = np.append(self.starts, self.n)
        for first, last in zip(cuts, np.append(cuts[1:], len(self.starts)), strict=True):
            yield slice(first, last), slice(ends[first], ends[last])

    @property
    def outer_starts(self) -> np.ndarray:
        """(O,) first subject of each outer unit."""
        assert self.outer is not None
        return np.flatnonzero(np.concatenate([[True], np.diff(self.outer) > 0]))


@dataclass(frozen=True)
class Weights:
    """Derivative of the deviance by K = [Z X y]'R^-1 [Z X y] of each subject, in three parts.

    zz : (q, q, N) = H + h'W h; yz : (r, q, N) = -W h; yy : (r, r, O) = W (lmmcore.likelihood.objective).
    """

    zz: np.ndarray
    yz: np.ndarray
    yy: np.ndarray


@dataclass(frozen=True)
class Subjects:
    """Moments with one cell a subject."""

    A: np.ndarray
    B: np.ndarray
    S: np.ndarray
    log_r: float

    @property
    def counts(self) -> np.ndarray | float:
        """Subjects in each cell."""
        return 1.0

    def jet(self, phi: np.ndarray) -> Jet:
        """The same, with no derivatives: nothing below has a parameter, phi : (0,)."""
        return Jet(self.A[None], self.B[None], self.S[None], np.array([self.log_r]))

    def rotated(self, fixed: np.ndarray, random: np.ndarray) -> Subjects:
        """Moments of [Z random, X fixed, y] for fixed : (p, p), random : (q, q)."""
        r, q, _ = self.B.shape
        if not kernel.has_room(q, r):
            return Subjects(*rotate(self.A, self.B, self.S, fixed, random), self.log_r)
        full = beside_one(fixed)
        A, B = compiled_turn(self.A, self.B, full, random)
        return Subjects(A, B, turned(self.S, full, full), self.log_r)

    def quadratic(self, H: np.ndarray) -> np.ndarray:
        """sum_i B_i H_i B_i' : (r, r) for H : (q, q, N)."""
        r, q, _ = self.B.shape
        return self.B.reshape(r, -1) @ np.einsum("abn,rbn->ran", H, self.B).reshape(r, -1).T

    def solved(self, M: np.ndarray) -> np.ndarray:
        """M_i b_i : (q, N) for M : (q, q, N) and the moments b_i of y."""
        return np.einsum("abn,bn->an", M, self.B[-1])

    def squares(self, M: np.ndarray) -> np.ndarray:
        """M_i b_i (M_i b_i)' : (q, q, N)."""
        b = self.solved(M)
        return b[:, None] * b[None, :]

    def project(self, M: np.ndarray) -> SubjectProjection:
        """U_i = M_i B_i' of every subject, for M : (q, q, N)."""
        return SubjectProjection(np.einsum("abn,rbn->ran", M, self.B))


def has_loops(cells: object) -> TypeGuard[Subjects]:
    """Whether there are compiled loops over such moments: of subjects, with few random effects each."""
    return isinstance(cells, Subjects) and kernel.has_room(*cells.B.shape[1::-1])


@dataclass(frozen=True)
class Jet:
    """Moments and, unless there are none, their first two derivatives by one parameter of what stands below.

    A : (k, q, q, N), B : (k, r, q, N), S : (k, r, r, O), log_r : (k,), k = 1 or 3.
    """

    A: np.ndarray
    B: np.ndarray
    S: np.ndarray
    log_r: np.ndarray

    @property
    def parts(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """A, B, S, log_r."""
        return self.A, self.B, self.S, self.log_r

    def __getitem__(self, order: int) -> Subjects:
        """The moments, or a derivative."""
        return Subjects(self.A[order], self.B[order], self.S[order], float(self.log_r[order]))


@dataclass(frozen=True)
class SubjectProjection:
    """U : (r, q, N), the projected moments M_i B_i' of each subject (transposed)."""

    U: np.ndarray

    def weighted(self, W: np.ndarray) -> np.ndarray:
        """C_i = U_i W U_i' : (q, q, N) for W : (r, r), or (r, r, N) with one for each subject."""
        return np.einsum("ran,rbn->abn", self.U, weigh(W, self.U))

    def forms(self, D: np.ndarray) -> np.ndarray:
        """sum_i U_i' D_j U_i : (m, r, r) for D : (m, q, q)."""
        r, q, N = self.U.shape
        flat = self.U.reshape(r * q, N)
        return forms(D, (flat @ flat.T).reshape(r, q, r, q))

    def forms_of(self, F: np.ndarray) -> np.ndarray:
        """sum_i U_i' F_i U_i : (r, r) for F : (q, q, N)."""
        r = len(self.U)
        return self.U.reshape(r, -1) @ np.einsum("abn,rbn->ran", F, self.U).reshape(r, -1).T


def forms(D: np.ndarray, outer: np.ndarray) -> np.ndarray:
    """sum_i U_i' D_j U_i : (m, r, r) for D : (m, q, q) and outer : (r, q, r, q), the sum of U_i (x) U_i."""
    return np.einsum("jab,rasb->jrs", D, outer)


def weigh(W: np.ndarray, U: np.ndarray) -> np.ndarray:
    """W U_i' : (r, q, N) for U : (r, q, N) and W : (r, r) or (r, r, N)."""
    return np.tensordot(W, U, axes=1) if W.ndim == 2 else np.einsum("rsn,san->ran", W, U)


def rotate(
    A: np.ndarray, B: np.ndarray, S: np.ndarray, fixed: np.ndarray, random: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A : (..., q, q, N), B : (..., r, q, N), S : (..., r, r, O) of [Z random, X fixed, y]."""
    full = beside_one(fixed)
    A, B, S = turned(A, random, random), turned(B, full, random), turned(S, full, full)
    return np.ascontiguousarray(A), np.ascontiguousarray(B), S


def beside_one(fixed: np.ndarray) -> np.ndarray:
    """(p + 1, p + 1), the rotation of [X y] that leaves y as it is."""
    return blockwise([fixed, np.ones((1, 1))])


def turned(matrices: np.ndarray, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """left' M_n right for M : (..., a, b, N), left : (a, c), right : (b, d)."""
    half = np.matmul(left.T, matrices.swapaxes(-3, -2)).swapaxes(-3, -2)
    return np.matmul(right.T, half)


def blockwise(parts: Sequence[np.ndarray]) -> np.ndarray:
    """Block-diagonal matrix of square parts."""
    size = sum(len(part) for part in parts)
    result = np.zeros((size, size))
    place = 0
    for part in parts:
        result[place : place + len(part), place : place + len(part)] = part
        place += len(part)
    return result


def independent(Z: Sequence[np.ndarray], XY: Sequence[np.ndarray], rows: SortedRows) -> Subjects:
    """Moments for R = I of sorted rows."""
    compiled = sums_of_rows(Z, XY, rows.starts, rows.n) if rows.outer is None else None
    if compiled is not None:
        A, B, S = compiled
        return Subjects(A, B, S[:, :, None], 0.0)
    q, r, N = len(Z), len(XY), len(rows.starts)
    A, B, S = np.empty((q, q, N)), np.empty((r, q, N)), np.zeros((r, r))
    for units, part in rows.parts():
        starts, sizes = rows.starts[units] - part.start, rows.sizes[units]
        cut = {id(column): column[part] for column in (*Z, *XY)}
        own, others = [cut[id(column)] for column in Z], [cut[id(column)] for column in XY]
        products = Products(
            lambda values, starts=starts, sizes=sizes: (  # type: ignore[misc]
                sizes.astype(float) if is_one(values) else np.add.reduceat(values, starts)
            )
        )
        for left, target in ((own, A), (others, B)):
            for row, sums in zip(left, target, strict=True):
                for column, values in zip(own, sums, strict=True):
                    values[units] = products.sum(row, column)
        if rows.outer is None:
            S += products.gram(others)
    if rows.outer is None:
        return Subjects(A, B, S[:, :, None], 0.0)
    starts = rows.starts[rows.outer_starts]
    return Subjects(A, B, Products(lambda values: np.add.reduceat(values, starts)).table(XY, XY), 0.0)


def gathered(left: np.ndarray, right: np.ndarray, q: int, rows: SortedRows, log_r: float) -> Subjects:
    """sum over rows of left (x) right, (n, k) each with the columns of Z first, as moments."""

    def summed(i: slice, j: slice, starts: np.ndarray) -> np.ndarray:
        products = left[:, i, None] * right[:, None, j]
        return np.add.reduceat(products, starts, axis=0).transpose(1, 2, 0)

    Z, XY = slice(None, q), slice(q, None)
    if rows.outer is None:
        S = (left[:, XY].T @ right[:, XY])[:, :, None]
    else:
        S = summed(XY, XY, rows.starts[rows.outer_starts])
    return Subjects(summed(Z, Z, rows.starts), summed(XY, Z, rows.starts), S, log_r)
