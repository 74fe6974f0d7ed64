"""Moments of every subject in other coordinates, by the compiled loops."""

from __future__ import annotations

import numpy as np

from lmmcore import kernel
from lmmcore.kernel import address
from lmmcore.kernel.blocks import BLOCK, by_block


def turned(
    A: np.ndarray, B: np.ndarray, fixed: np.ndarray, random: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """R'A R : (q, q, N) and F'B R : (r, q, N) for F = fixed : (r, r), R = random : (q, q)."""
    assert kernel.loops is not None
    r, q, N = B.shape
    given = [np.ascontiguousarray(part) for part in (A, B, fixed, random)]
    to_A, to_B = np.empty((q, q, N)), np.empty((r, q, N))
    call, (at_A, at_B, F, R) = kernel.loops.lmm_turn, map(address, given)
    out_A, out_B = address(to_A), address(to_B)

    def of(start: int) -> None:
        begin = 8 * start
        size = min(BLOCK, N - start)
        call(q, r, size, N, at_A + begin, at_B + begin, F, R, out_A + begin, out_B + begin)

    by_block(of, N, 2 * (q * q + r * q))
    return to_A, to_B
