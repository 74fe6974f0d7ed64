"""Moments under any residual covariance R_i(phi), written out as a matrix for each set of times.

Subjects that share their times (and whatever else R depends on) share R: they form a cell. With
G = R^-1 and K = sum over the cell of [Z_i X_i y_i] w_i [Z_i X_i y_i]', w_i the weights of the moments,

    A = Z'G Z, ...      A_r = -Z'G R_r G Z, ...      log|R|_r = tr(G R_r)

and everything that is linear in a second derivative of R^-1 is a single contraction with Q = G K G:

    sum tr(H A_rs) + <W, S_rs - ...> = 2 <R_r G R_s, Q> - <R_rs, Q>
    log|R|_rs = tr(G R_rs) - tr(G R_r G R_s)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from lmmcore.system.moments.factor import check_spread, factors, log_dets
from lmmcore.system.moments.subjects import SortedRows, Subjects, Weights


@dataclass(frozen=True)
class Matrices:
    """R of each cell with its derivatives by m parameters.

    value : (c, n, n); first : (m, c, n, n); make_second : second, or what makes it.
    """

    value: np.ndarray
    first: np.ndarray
    make_second: np.ndarray | Callable[[], np.ndarray]

    @cached_property
    def second(self) -> np.ndarray:
        """Second derivatives : (m, m, c, n, n)."""
        return self.make_second() if callable(self.make_second) else self.make_second

    def bend(self, weight: np.ndarray) -> np.ndarray:
        """sum of second * weight : (m, m), for symmetric weight : (c, n, n)."""
        return np.einsum("rtcij,cij->rt", self.second, weight)

    def without_second(self) -> Matrices:
        """The same with second derivatives of 0."""
        m = len(self.first)
        return Matrices(self.value, self.first, np.zeros((m, m, 1, 1, 1)))


@dataclass(frozen=True)
class Batch:
    """c cells of s subjects with n rows each.

    marks : (c, n, d) times and whatever else R depends on; subjects : (c, s) subject numbers;
    U : (c, n, s, k) the rows of [Z X y].
    """

    marks: np.ndarray
    subjects: np.ndarray
    U: np.ndarray


# A batch, its R, R^-1, R^-1 U and log|R|.
Prepared = tuple[Batch, Matrices, np.ndarray, np.ndarray, np.ndarray]


class DenseMoments:
    """The moments of all batches at any phi; q columns of U are Z, the others are [X y]."""

    def __init__(
        self,
        batches: Sequence[Batch],
        matrices: Callable[[np.ndarray, np.ndarray], Matrices],
        q: int,
        outer: np.ndarray,
    ) -> None:
        self._batches = tuple(batches)
        self._matrices = matrices
        self._q, self._outer = q, outer
        self._k = batches[0].U.shape[3]
        # One evaluation asks for value, first and second derivatives at the same phi.
        self._prepared = lru_cache(maxsize=2)(self._prepare)

    def rotated(self, fixed: np.ndarray, random: np.ndarray) -> DenseMoments:
        """Moments of [Z random, X fixed, y] for fixed : (p, p), random : (q, q)."""
        q, p = self._q, len(fixed)
        rotation = np.eye(self._k)
        rotation[:q, :q] = random
        rotation[q : q + p, q : q + p] = fixed
        batches = [Batch(batch.marks, batch.subjects, batch.U @ rotation) for batch in self._batches]
        return DenseMoments(batches, self._matrices, q, self._outer)

    def _prepare(self, phi: tuple[float, ...]) -> list[Prepared]:
        prepared, least, largest = [], np.inf, 0.0
        for batch in self._batches:
            matrices = self._matrices(np.array(phi), batch.marks)
            own = np.diagonal(matrices.value, axis1=1, axis2=2)
            least, largest = min(least, own.min()), max(largest, own.max())
            lower = factors(matrices.value)
            root = np.linalg.inv(lower)
            inverse = root.mT @ root
            c, n, s, k = batch.U.shape
            whitened = (inverse @ batch.U.reshape(c, n, s * k)).reshape(batch.U.shape)
            prepared.append((batch, matrices, inverse, whitened, log_dets(lower)))
        check_spread(least, largest)
        return prepared

    def at(self, phi: np.ndarray) -> Subjects:
        """The moments at phi : (m,). Raises LinAlgError where R is numerically singular."""
        log_r = 0.0
        parts = []
        for batch, _, _, whitened, log_det in self._prepared(tuple(phi)):
            log_r += float(log_det.sum()) * batch.subjects.shape[1]
            parts.append((batch, batch.U, whitened))
        return self._gathered(parts, log_r)

    def first(self, phi: np.ndarray) -> list[Subjects]:
        """The moments' derivative by each parameter."""
        prepared = self._prepared(tuple(phi))
        result = []
        for r in range(len(phi)):
            log_r = 0.0
            parts = []
            for batch, matrices, inverse, whitened, _ in prepared:
                c, n, s, k = batch.U.shape
                slope = matrices.first[r]
                log_r += float(np.einsum("cij,cji->", inverse, slope)) * s
                parts.append((batch, whitened, -(slope @ whitened.reshape(c, n, s * k)).reshape(c, n, s, k)))
            result.append(self._gathered(parts, log_r))
        return result

    def curvature(self, phi: np.ndarray, weights: Weights) -> np.ndarray:
        """The part of the Hessian that is linear in second derivatives of R^-1 and log|R| : (m, m)."""
        m, q = len(phi), self._q
        total = np.zeros((m, m))
        for batch, matrices, inverse, *_ in self._prepared(tuple(phi)):
            s = batch.subjects.shape[1]
            Z, XY = batch.U[..., :q], batch.U[..., q:]
            yy = weights.yy[:, :, self._outer[batch.subjects]]
            K = np.einsum("cnsr,rtcs,cmst->cnm", XY, yy, XY, optimize=True)
            if q:
                zz, yz = weights.zz[:, :, batch.subjects], weights.yz[:, :, batch.subjects]
                K += np.einsum("cnsa,abcs,cmsb->cnm", Z, zz, Z, optimize=True)
                mixed = np.einsum("cnsr,racs,cmsa->cnm", XY, yz, Z, optimize=True)
                K += mixed + mixed.transpose(0, 2, 1)
            Q = inverse @ K @ inverse
            GR = inverse @ matrices.first  # (m, c, n, n)
            QR = Q @ matrices.first
            total += 2 * np.einsum("rcij,tcji->rt", QR, GR) - s * np.einsum("rcij,tcji->rt", GR, GR)
            total += matrices.bend(s * inverse - Q)
        return (total + total.T) / 2

    def _gathered(self, parts: Sequence[tuple[Batch, np.ndarray, np.ndarray]], log_r: float) -> Subjects:
        """sum over rows of left (x) right for each subject, split into A, B and S."""
        q, k, N = self._q, self._k, len(self._outer)
        units = int(self._outer[-1]) + 1
        A, B = np.zeros((q, q, N)), np.zeros((k - q, q, N))
        S = np.zeros((k - q, k - q, units))
        for batch, left, right in parts:
            if units == 1:
                flat = (-1, k - q)
                S[:, :, 0] += left[..., q:].reshape(flat).T @ right[..., q:].reshape(flat)
            else:
                each = np.einsum("cnsr,cnst->rtcs", left[..., q:], right[..., q:])
                np.add.at(S.transpose(2, 0, 1), self._outer[batch.subjects], each.transpose(2, 3, 0, 1))
            if q:
                A[:, :, batch.subjects] = np.einsum("cnsa,cnsb->abcs", left[..., :q], right[..., :q])
                B[:, :, batch.subjects] = np.einsum("cnsr,cnsa->racs", left[..., q:], right[..., :q])
        return Subjects(A, B, S, log_r)


def dense_moments(
    Z: Sequence[np.ndarray],
    XY: Sequence[np.ndarray],
    rows: SortedRows,
    marks: np.ndarray,
    matrices: Callable[[np.ndarray, np.ndarray], Matrices],
) -> DenseMoments:
    """Moments under R = matrices(phi, marks : (c, n, d)), subjects with equal marks : (n, d) sharing it."""
    ends = np.append(rows.starts[1:], len(rows.times))
    sizes = ends - rows.starts
    U = np.column_stack([*Z, *XY])
    batches = []
    for n in np.unique(sizes):
        members = np.flatnonzero(sizes == n)
        index = rows.starts[members][:, None] + np.arange(n)
        seen, cell, counts = np.unique(marks[index], axis=0, return_inverse=True, return_counts=True)
        order = np.argsort(cell, kind="stable")
        first = np.cumsum(counts) - counts
        for s in np.unique(counts):
            cells = np.flatnonzero(counts == s)
            chosen = order[first[cells][:, None] + np.arange(s)]  # (c, s) places in members
            batches.append(Batch(seen[cells], members[chosen], U[index[chosen]].transpose(0, 2, 1, 3)))
    outer = np.zeros(len(rows.starts), dtype=np.intp) if rows.outer is None else rows.outer
    return DenseMoments(batches, matrices, len(Z), outer)
