"""Sums over the subjects of one level of random effects, by the compiled loops."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lmmcore import kernel
from lmmcore.kernel.blocks import BLOCK, by_block


def value(factor: np.ndarray, A: np.ndarray, B: np.ndarray) -> tuple[float, np.ndarray]:
    """sum log|I + A Psi|, and sum B H B' : (r, r); factor : (q, q), Lambda; A : (q, q, N), B : (r, q, N)."""
    assert kernel.loops is not None
    r, q, N = B.shape
    A, B, psi, call = np.ascontiguousarray(A), np.ascontiguousarray(B), _psi(factor), kernel.loops.value

    def of(first: int, last: int) -> tuple[float, np.ndarray]:
        quadratic = np.empty((r, r))
        return call(A, B, psi, first, last, quadratic), quadratic

    if N <= BLOCK:
        return of(0, N)
    found = by_block(of, N, q**2 + r * q)
    return sum(log_det for log_det, _ in found), np.sum([quadratic for _, quadratic in found], axis=0)


@dataclass(frozen=True)
class BelowSums:
    """Sums for one parameter (a dot) of what stands below the level; the names are those of
    lmmcore.system.level.

    gram : (r, r), of B.'h + h'B. - h'A.h; mixed : (q, q), of M A. M' - 2 U w (M c)'; trace : of tr(H A.);
    both : of -tr(H A. H A.) - 2 <w, c'H c>; bend : of <A.., H + h'w h> - 2 <B.., w h>.
    """

    gram: np.ndarray
    mixed: np.ndarray
    trace: float
    both: float
    bend: float


@dataclass(frozen=True)
class Sums:
    """E, C : (q, q); spread : (q, q, q, q), of (2 C - E) (x) E; outer : (r, q, r, q), of U (x) U; below :
    None where nothing below has a parameter."""

    E: np.ndarray
    C: np.ndarray
    spread: np.ndarray
    outer: np.ndarray
    below: BelowSums | None


def slopes(
    factor: np.ndarray,
    A: np.ndarray,
    B: np.ndarray,
    W: np.ndarray,
    below: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray] | None = None,
) -> Sums:
    """What the derivatives for a weight W : (r, r) are made of; factor : (q, q), Lambda.

    A : (q, q, N), B : (r, q, N); below : their first derivatives by a parameter of what stands below, then
    the second ones.
    """
    assert kernel.loops is not None
    r, q, N = B.shape
    psi, call = _psi(factor), kernel.loops.slopes
    A, B, W = map(np.ascontiguousarray, (A, B, W))
    A1, B1, A2, B2 = (None, None, None, None) if below is None else map(np.ascontiguousarray, below)

    def of(first: int, last: int) -> list[np.ndarray]:
        shapes = (q, q), (q, q), (q, q, q, q), (r, q, r, q), (r, r), (q, q), (3,)
        sums = [np.empty(shape) for shape in shapes]
        call(A, B, A1, B1, A2, B2, psi, W, first, last, *sums)
        return sums

    found = by_block(of, N, (1 if below is None else 3) * (q**2 + r * q))
    sums = found[0] if len(found) == 1 else [np.sum(each, axis=0) for each in zip(*found, strict=True)]
    E, C, spread, outer, gram, mixed, rest = sums
    return Sums(E, C, spread, outer, None if below is None else BelowSums(gram, mixed, *rest.tolist()))


def _psi(factor: np.ndarray) -> np.ndarray:
    """Entries 00, 01, 11 of Psi, and |Psi|, for Psi = Lambda Lambda'."""
    psi = factor @ factor.T
    if len(psi) == 1:
        return np.array([psi[0, 0], 0.0, 0.0, 0.0])
    area = factor[0, 0] * factor[1, 1] - factor[0, 1] * factor[1, 0]
    return np.array([psi[0, 0], psi[0, 1], psi[1, 1], area * area])
