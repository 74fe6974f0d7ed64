"""Moments of every subject in other coordinates, by the compiled loops."""

from __future__ import annotations

import numpy as np

from lmmcore import kernel
from lmmcore.kernel.blocks import by_block


def turned(
    A: np.ndarray, B: np.ndarray, fixed: np.ndarray, random: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """R'A R : (q, q, N) and F'B R : (r, q, N) for F = fixed : (r, r), R = random : (q, q)."""
    assert kernel.loops is not None
    r, q, N = B.shape
    A, B, fixed, random = map(np.ascontiguousarray, (A, B, fixed, random))
    to_A, to_B, call = np.empty((q, q, N)), np.empty((r, q, N)), kernel.loops.turn

    def of(first: int, last: int) -> None:
        call(A, B, fixed, random, first, last, to_A, to_B)

    by_block(of, N, 2 * (q * q + r * q))
    return to_A, to_B
