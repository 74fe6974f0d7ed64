"""Sums over the subjects of one level of random effects, by the compiled loops."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeGuard

import numpy as np

from lmmcore import kernel
from lmmcore.kernel import address
from lmmcore.kernel.blocks import BLOCK, by_block
from lmmcore.likelihood.level import LevelSums
from lmmcore.moments.subjects import Subjects


def serves(cells: object) -> TypeGuard[Subjects]:
    """Whether there are compiled loops for such moments."""
    return isinstance(cells, Subjects) and kernel.has_room(*cells.B.shape[1::-1])


def value(factor: np.ndarray, cells: Subjects) -> tuple[float, np.ndarray]:
    """sum log|I + A Psi|, and sum B H B' : (r, r); factor : (q, q), Lambda."""
    assert kernel.loops is not None
    r, q, N = cells.B.shape
    (A, B), stride = spaced(cells.A, cells.B)
    psi = _psi(factor)
    call, a, b, at_psi = kernel.loops.lmm_value, address(A), address(B), address(psi)

    def of(start: int) -> tuple[float, np.ndarray]:
        quadratic = np.empty((r, r))
        size, begin = min(BLOCK, N - start), 8 * start
        return call(q, r, size, stride, a + begin, b + begin, at_psi, address(quadratic)), quadratic

    if N <= BLOCK:
        return of(0)
    found = by_block(of, N, q**2 + r * q)
    return sum(log_det for log_det, _ in found), np.sum([quadratic for _, quadratic in found], axis=0)


@dataclass(frozen=True)
class BelowSums:
    """Sums for one parameter (a dot) of what stands below the level; the names are those of
    lmmcore.likelihood.level.

    gram : (r, r), of B.'h + h'B. - h'A.h; mixed : (q, q), of M A. M' - 2 U w (M c)'; trace : of tr(H A.);
    both : of -tr(H A. H A.) - 2 <w, c'H c>; bend : of <A.., H + h'w h> - 2 <B.., w h>.
    """

    gram: np.ndarray
    mixed: np.ndarray
    trace: float
    both: float
    bend: float


def slopes(
    factor: np.ndarray, cells: Subjects, W: np.ndarray, below: tuple[Subjects, Subjects] | None = None
) -> tuple[LevelSums, np.ndarray, BelowSums | None]:
    """What the derivatives for a weight W : (r, r) are made of, with sum U (x) U : (r, q, r, q).

    below : first and second derivative of the cells by a parameter of what stands below.
    """
    assert kernel.loops is not None
    r, q, N = cells.B.shape
    parts = [part for moment in (cells, *(below or ())) for part in (moment.A, moment.B)]
    inputs, stride = spaced(*parts)
    psi, W = _psi(factor), np.ascontiguousarray(W)
    call, at, at_psi, at_W = kernel.loops.lmm_slopes, [*map(address, inputs)], address(psi), address(W)
    at += [0] * (6 - len(at))
    ends = np.cumsum([q**2, q**2, q**4, (r * q) ** 2, r**2, q**2, 3]).tolist()
    offsets = [8 * end for end in (0, *ends[:-1])]

    def of(start: int) -> np.ndarray:
        sums = np.empty(ends[-1])
        size, begin, to = min(BLOCK, N - start), 8 * start, address(sums)
        places = [place and place + begin for place in at]
        call(
            q, r, below is not None, size, stride, *places, at_psi, at_W, *[to + offset for offset in offsets]
        )
        return sums

    found = by_block(of, N, len(parts) // 2 * (q**2 + r * q))
    sums = found[0] if len(found) == 1 else np.sum(found, axis=0)
    E, C, spread, outer, gram, mixed = (
        sums[begin:end] for begin, end in zip((0, *ends), ends[:-1], strict=False)
    )
    level = LevelSums(E.reshape(q, q), C.reshape(q, q), spread.reshape(q, q, q, q))
    outer = outer.reshape(r, q, r, q)
    if below is None:
        return level, outer, None
    return level, outer, BelowSums(gram.reshape(r, r), mixed.reshape(q, q), *sums[-3:].tolist())


def spaced(*parts: np.ndarray) -> tuple[list[np.ndarray], int]:
    """Arrays (a, b, N) whose vectors (N,) follow one another at one distance, which comes with them; copies
    of arrays of which that is not true."""
    strides = {part.strides[1] for part in parts}
    stride = strides.pop()
    if strides or any(part.strides != (part.shape[1] * stride, stride, 8) for part in parts):
        return [np.ascontiguousarray(part) for part in parts], parts[0].shape[2]
    return list(parts), stride // 8


def _psi(factor: np.ndarray) -> np.ndarray:
    """Entries 00, 01, 11 of Psi, and |Psi|, for Psi = Lambda Lambda'."""
    psi = factor @ factor.T
    if len(psi) == 1:
        return np.array([psi[0, 0], 0.0, 0.0, 0.0])
    area = factor[0, 0] * factor[1, 1] - factor[0, 1] * factor[1, 0]
    return np.array([psi[0, 0], psi[0, 1], psi[1, 1], area * area])
