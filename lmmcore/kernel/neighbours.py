"""Moments of a Markov correlation by subject, by the compiled loops."""

from __future__ import annotations

import numpy as np

from lmmcore import kernel


def serves(columns: int) -> bool:
    """Whether there are compiled loops for so many columns."""
    return kernel.loops is not None and columns <= kernel.loops.MOST_NEIGHBOURS


def moments(
    U: np.ndarray,
    C: np.ndarray,
    m: int,
    q: int,
    starts: np.ndarray,
    outer: np.ndarray | None,
    gaps: np.ndarray,
    decay: float,
    sets: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Moments of [Z X y] = U'C for U : (d, n), C : (d, k), under the correlation exp(-gap decay).

    q, m : columns of Z, and of U that make it; starts : (N,) first row of each subject; outer : (N,) its
    larger unit, from 0 on in rising order; gaps : (n,) before each row, infinite for first ones; sets : 1, or
    3 for the first two derivatives by -log(decay) too. Gives A : (sets, q, q, N), B : (sets, k - q, q, N),
    the sums of all columns of U by outer unit : (sets, d, d, O), and log|R| : (sets,).
    """
    assert kernel.loops is not None
    d, N, k = len(U), len(starts), C.shape[1]
    starts = np.ascontiguousarray(starts, dtype=np.int64)
    outer = np.zeros(N, dtype=np.int64) if outer is None else np.ascontiguousarray(outer, dtype=np.int64)
    units = int(outer[-1]) + 1
    A, B, log_r = np.empty((sets, q, q, N)), np.empty((sets, k - q, q, N)), np.empty(sets)
    total = np.empty((sets, d, d, units))
    U, C, gaps = (np.ascontiguousarray(part, dtype=float) for part in (U, C, gaps))
    kernel.loops.neighbours(U, C, starts, outer, gaps, decay, m, A, B, total, log_r)
    return A, B, total, log_r
