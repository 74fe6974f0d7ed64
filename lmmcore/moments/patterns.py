"""Subjects with equal A = Z'Z as one cell: an evaluation then costs what the patterns cost (R = I)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lmmcore.moments.subjects import Subjects

# Subjects are grouped by equal A when that at least divides their number by this.
WORTH_GROUPING = 4
# Subjects among which a repetition is looked for first.
PROBED = 256
# Entries of A that differ by less, relative to the largest, are sums of the same terms in another order.
ROUNDING = 1e-13
# Irrational, so that different A hardly ever have the same key.
HASH = np.pi / 4


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
