"""Subjects with equal A = Z'Z as one cell: an evaluation then costs what the patterns cost (R = I)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lmmcore import kernel
from lmmcore.kernel.patterns import patterns as compiled_patterns
from lmmcore.system.moments.subjects import Subjects, blockwise, turned

# Subjects are grouped by equal A when that at least divides their number by this.
WORTH_GROUPING = 4
# Subjects among which a repetition is looked for first: at irregular times no two are alike.
PROBED = 256
# Irrational, so that different A hardly ever have the same key; and a second one to check.
HASH = np.pi / 4
OTHER_HASH = np.e / 3


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

    def rotated(self, fixed: np.ndarray, random: np.ndarray) -> Patterns:
        """Moments of [Z random, X fixed, y] for fixed : (p, p), random : (q, q)."""
        q, _, P, r, _ = self.T.shape
        full = blockwise([fixed, np.eye(1)])
        both = np.kron(random, full)
        T = self.T.transpose(2, 0, 3, 1, 4).reshape(P, q * r, q * r)
        T = (both.T @ T @ both).reshape(P, q, r, q, r).transpose(1, 3, 0, 2, 4)
        A, S = turned(self.A, random, random), turned(self.S, full, full)
        return Patterns(np.ascontiguousarray(A), np.ascontiguousarray(T), S, self.log_r, self.counts)

    def quadratic(self, H: np.ndarray) -> np.ndarray:
        """sum_i B_i H_i B_i' : (r, r) for H : (q, q, P)."""
        r = len(self.S)
        return (H.reshape(-1) @ self.T.reshape(-1, r * r)).reshape(r, r)

    def squares(self, M: np.ndarray) -> np.ndarray:
        """sum over each pattern of M b_i (M b_i)' : (q, q, P) for M : (q, q, P) and the moments b_i of y."""
        return np.einsum("acp,bdp,cdp->abp", M, M, self.T[..., -1, -1])

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

    def forms_of(self, F: np.ndarray) -> np.ndarray:
        """sum_i U_i' F_i U_i : (r, r) for F : (q, q, P)."""
        r = self.T.shape[-1]
        sandwiched = np.einsum("acp,abp,bdp->cdp", self.M, F, self.M)
        return (sandwiched.reshape(-1) @ self.T.reshape(-1, r * r)).reshape(r, r)


def grouped(subjects: Subjects) -> Subjects | Patterns:
    """Subjects with equal A as patterns, where that pays."""
    q, _, N = subjects.A.shape
    if not q:
        return subjects
    entries = [subjects.A[a, b] for a in range(q) for b in range(a + 1)]
    alike = compiled_patterns if kernel.loops is not None else _patterns
    found = alike(entries, max(N // WORTH_GROUPING, 1), PROBED)
    if found is None:
        return subjects
    pattern, member = found
    A, counts = np.ascontiguousarray(subjects.A[:, :, member]), np.bincount(pattern).astype(float)
    T = _sums_of_products(subjects, A, pattern, counts)
    return Patterns(A, T, subjects.S, subjects.log_r, counts)


def _patterns(entries: list[np.ndarray], most: int, probed: int) -> tuple[np.ndarray, np.ndarray] | None:
    """What lmmcore.kernel.patterns gives, the patterns in another order."""
    N, first = len(entries[0]), [entry[:probed] for entry in entries]
    if N > probed and len(np.unique(_hash(first, HASH))) == probed:
        return None
    keys, pattern = np.unique(_hash(entries, HASH), return_inverse=True)
    if len(keys) > most:
        return None
    member = np.empty(len(keys), dtype=np.intp)
    member[pattern] = np.arange(N)  # one of each
    again = _hash(entries, OTHER_HASH)
    return None if np.any(again[member][pattern] != again) else (pattern, member)


def _hash(entries: list[np.ndarray], base: float) -> np.ndarray:
    """A linear combination : (N,), equal for equal entries because it is made entry by entry.

    (A matrix product may add in another order near the end of an array.)
    """
    key = base * entries[0]
    for place, entry in enumerate(entries[1:], start=2):
        key += base**place * entry
    return key


def _sums_of_products(
    subjects: Subjects, A: np.ndarray, pattern: np.ndarray, counts: np.ndarray
) -> np.ndarray:
    """T : (q, q, P, r, r) of Patterns; A : (q, q, P); pattern : (N,)."""
    (r, q, N), P = subjects.B.shape, len(counts)
    inside = _columns_of_Z(subjects)
    others = [x for x in range(r) if x not in inside]
    # Per pattern, sums of B_x and of its products, for the columns x that are not Z's.
    flat = subjects.B[others].reshape(len(others) * q, N)
    sums = np.array([np.bincount(pattern, row, P) for row in flat]).reshape(len(others), q, P)
    products = np.empty((len(flat), len(flat), P))
    for i, row in enumerate(flat):
        for j in range(i + 1):
            products[i, j] = products[j, i] = np.bincount(pattern, row * flat[j], P)
    T = np.empty((q, q, P, r, r))
    left, right = np.array(others)[:, None], np.array(others)
    if inside:
        places = np.array(list(inside))
        known = A[list(inside.values())]
        T[..., places[:, None], places] = np.einsum("xap,ybp,p->abpxy", known, known, counts)
        mixed = np.einsum("xap,ybp->abpxy", known, sums)
        T[..., places[:, None], right] = mixed
        T[..., left, places] = mixed.transpose(1, 0, 2, 4, 3)
    outside = products.reshape(len(others), q, len(others), q, P).transpose(1, 3, 4, 0, 2)
    T[..., left, right] = outside
    return T


def _columns_of_Z(subjects: Subjects) -> dict[int, int]:
    """Columns x of X that are columns c of Z: their B_x is row c of A, for every subject."""
    found = {}
    for x, B in enumerate(subjects.B[:-1]):
        for c, A in enumerate(subjects.A):
            if np.array_equal(B[:, :PROBED], A[:, :PROBED]) and np.array_equal(B, A):
                found[x] = c
    return found
