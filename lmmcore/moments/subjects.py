"""The moments of every subject: all that the likelihood needs of the rows.

With U_i = [Z_i X_i y_i], q random effects, p fixed effects, r = p + 1 and N subjects,

    A : (q, q, N)   A_i = Z_i'R_i^-1 Z_i
    B : (r, q, N)   B_i = (Z_i'R_i^-1 [X_i y_i])'
    S : (r, r, O)   sum_i [X_i y_i]'R_i^-1 [X_i y_i] over the subjects of each outer unit
    log_r           sum_i log|R_i|

N stands last so that each operation of the likelihood is one long contiguous vector. O is 1 unless the
subjects are themselves nested in larger units (lmmcore.likelihood.nested), whose own moments these sums are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np


class SortedRows:
    """The rows as the moments see them, sorted by outer unit, subject and time.

    times : (n,), row numbers within the subject where there is no time; subject : (n,) index 0..N-1;
    starts : (N,) first row of each subject; outer : (N,) index 0..O-1 of the larger unit each subject
    belongs to, None where there is none.
    """

    def __init__(
        self,
        times: np.ndarray | None,
        subject: np.ndarray | None,
        starts: np.ndarray,
        outer: np.ndarray | None = None,
        n: int = 0,
    ) -> None:
        """n : number of rows, needed without subject. What is None is made when it is asked for."""
        self.starts, self.outer = starts, outer
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


# Subjects are grouped by equal A when that at least divides their number by this.
WORTH_GROUPING = 4
# Subjects among which a repetition is looked for first.
PROBED = 256
# Entries of A that differ by less, relative to the largest, are sums of the same terms in another order.
ROUNDING = 1e-13
# Irrational, so that different A hardly ever have the same key.
HASH = np.pi / 4


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

    def rotated(self, fixed: np.ndarray, random: np.ndarray) -> Subjects:
        """Moments of [Z random, X fixed, y] for fixed : (p, p), random : (q, q)."""
        return Subjects(*rotate(self.A, self.B, self.S, fixed, random), self.log_r)

    def quadratic(self, H: np.ndarray) -> np.ndarray:
        """sum_i B_i H_i B_i' : (r, r) for H : (q, q, N)."""
        r, q, _ = self.B.shape
        return self.B.reshape(r, -1) @ np.einsum("abn,rbn->ran", H, self.B).reshape(r, -1).T

    def project(self, M: np.ndarray) -> SubjectProjection:
        """U_i = M_i B_i' of every subject, for M : (q, q, N)."""
        return SubjectProjection(np.einsum("abn,rbn->ran", M, self.B))


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
        outer = (flat @ flat.T).reshape(r, q, r, q)
        return np.einsum("jab,rasb->jrs", D, outer)


def weigh(W: np.ndarray, U: np.ndarray) -> np.ndarray:
    """W U_i' : (r, q, N) for U : (r, q, N) and W : (r, r) or (r, r, N)."""
    return np.tensordot(W, U, axes=1) if W.ndim == 2 else np.einsum("rsn,san->ran", W, U)


@dataclass(frozen=True)
class Patterns:
    """Moments with one cell a set of subjects whose A_i are equal (R = I).

    S : (r, r, 1). T : (q, q, P, r, r), sum over the subjects of a pattern of B_i[., a] (x) B_i[., b]: the
    cost of an evaluation depends on the number P of patterns and not on the number of subjects.
    """

    A: np.ndarray
    T: np.ndarray
    S: np.ndarray
    log_r: float
    counts: np.ndarray

    def quadratic(self, H: np.ndarray) -> np.ndarray:
        """sum_i B_i H_i B_i' : (r, r) for H : (q, q, P)."""
        r = len(self.S)
        return (H.reshape(-1) @ self.T.reshape(-1, r * r)).reshape(r, r)

    def project(self, M: np.ndarray) -> PatternProjection:
        """The same as for subjects, kept as sums over each pattern."""
        return PatternProjection(M, self.T)


@dataclass(frozen=True)
class PatternProjection:
    """M : (q, q, P) and T as above; U itself is never formed."""

    M: np.ndarray
    T: np.ndarray

    def weighted(self, W: np.ndarray) -> np.ndarray:
        """sum of U_i W U_i' over each pattern : (q, q, P)."""
        q, _, P = self.M.shape
        inner = (self.T.reshape(q * q * P, -1) @ W.reshape(-1)).reshape(q, q, P)
        return np.einsum("acp,bdp,cdp->abp", self.M, self.M, inner)

    def forms(self, D: np.ndarray) -> np.ndarray:
        """sum_i U_i' D_j U_i : (m, r, r)."""
        r = self.T.shape[-1]
        sandwiched = np.einsum("acp,jab,bdp->jcdp", self.M, D, self.M)
        return (sandwiched.reshape(len(D), -1) @ self.T.reshape(-1, r * r)).reshape(-1, r, r)


def rotate(
    A: np.ndarray, B: np.ndarray, S: np.ndarray, fixed: np.ndarray, random: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A : (..., q, q, N), B : (..., r, q, N), S : (..., r, r, O) of [Z random, X fixed, y]."""
    r = len(fixed) + 1
    full = np.eye(r)
    full[: r - 1, : r - 1] = fixed
    A, B, S = turned(A, random, random), turned(B, full, random), turned(S, full, full)
    return np.ascontiguousarray(A), np.ascontiguousarray(B), S


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


def grouped(subjects: Subjects) -> Subjects | Patterns:
    """Subjects with equal A as patterns, where that pays."""
    q, _, N = subjects.A.shape
    r = len(subjects.B)
    # A linear combination is a hash, equal for equal A because it is made entry by entry (a matrix product
    # may add in another order near the end of an array); equality, but for rounding, is checked then.
    key = np.zeros(N)
    for place, entry in enumerate(((a, b) for a in range(q) for b in range(a + 1)), start=1):
        key += HASH**place * subjects.A[entry]
    if N > PROBED and len(np.unique(key[:PROBED])) == PROBED:  # irregular times: no two are alike
        return subjects
    keys = np.unique(key)
    P = len(keys)
    if P * WORTH_GROUPING > N:
        return subjects
    pattern = np.searchsorted(keys, key).astype(np.int32)
    member = np.empty(P, dtype=np.intp)
    member[pattern] = np.arange(N)  # one of each
    same = subjects.A[:, :, member][:, :, pattern]
    if np.abs(same - subjects.A).max() > ROUNDING * np.abs(subjects.A).max():
        return subjects
    order = np.argsort(pattern.astype(np.int16) if P < 2**15 else pattern, kind="stable")
    counts = np.bincount(pattern, minlength=P)
    flat = subjects.B.reshape(r * q, N)[:, order]
    T = np.empty((P, r * q, r * q))
    for index, (end, count) in enumerate(zip(np.cumsum(counts), counts, strict=True)):
        members = flat[:, end - count : end]
        T[index] = members @ members.T
    T = np.ascontiguousarray(T.reshape(P, r, q, r, q).transpose(2, 4, 0, 1, 3))
    return Patterns(
        np.ascontiguousarray(subjects.A[:, :, member]), T, subjects.S, subjects.log_r, counts.astype(float)
    )


class Products:
    """Column products summed by a given rule, each distinct pair of columns made once.

    Columns of Z are most often columns of X as well (the same array object), and an intercept is a
    broadcast 1, so that a product with it is the other column.
    """

    def __init__(self, total: Callable[[np.ndarray], np.ndarray]) -> None:
        self._total = total
        self._scratch: np.ndarray | None = None
        self._known: dict[tuple[int, int], np.ndarray] = {}

    def sum(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """Sums of left * right : (N,)."""
        key = (id(left), id(right)) if id(left) < id(right) else (id(right), id(left))
        if key not in self._known:
            if is_one(left) or is_one(right):
                self._known[key] = self._total(product(left, right))
            else:
                if self._scratch is None:  # a fresh array costs more than the arithmetic
                    self._scratch = np.empty_like(left)
                self._known[key] = self._total(np.multiply(left, right, out=self._scratch))
        return self._known[key]

    def table(self, rows: Sequence[np.ndarray], columns: Sequence[np.ndarray]) -> np.ndarray:
        """(len(rows), len(columns), N) of all sums."""
        return np.array([[self.sum(row, column) for column in columns] for row in rows])


def is_one(column: np.ndarray) -> bool:
    """Whether the column is the constant 1 kept as a broadcast scalar."""
    return column.strides == (0,)


def product(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """left * right without work for an intercept."""
    if is_one(left):
        return right
    return left if is_one(right) else left * right


def gram(columns: Sequence[np.ndarray]) -> np.ndarray:
    """All inner products of the columns, each made once."""
    size = len(columns)
    result = np.empty((size, size))
    for i in range(size):
        for j in range(i + 1):
            result[i, j] = result[j, i] = inner(columns[i], columns[j])
    return result


def inner(left: np.ndarray, right: np.ndarray) -> float:
    """Inner product of columns (n,), the same to the last bit for any number of threads (BLAS's is not)."""
    return float(np.einsum("i,i->", left, right))


def independent(Z: Sequence[np.ndarray], XY: Sequence[np.ndarray], rows: SortedRows) -> Subjects:
    """Moments for R = I of sorted rows."""
    q, r, N = len(Z), len(XY), len(rows.starts)
    products = Products(
        lambda values: rows.sizes.astype(float) if is_one(values) else np.add.reduceat(values, rows.starts)
    )
    A = products.table(Z, Z) if q else np.zeros((0, 0, N))
    B = products.table(XY, Z) if q else np.zeros((r, 0, N))
    if rows.outer is None:
        return Subjects(A, B, gram(XY)[:, :, None], 0.0)
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
