"""Moments of a Markov correlation by subject, by the compiled loops."""

from __future__ import annotations

import numpy as np

from lmmcore import kernel
from lmmcore.kernel import address
from lmmcore.moments.subjects import SortedRows

# Columns that neighbours.c has room for.
MOST_COLUMNS = 12


def serves(columns: int) -> bool:
    """Whether there are compiled loops for so many columns."""
    return kernel.loops is not None and columns <= MOST_COLUMNS


def moments(
    U: np.ndarray, C: np.ndarray, m: int, q: int, rows: SortedRows, decay: float, sets: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Moments of [Z X y] = U'C for U : (d, n), C : (d, k), under the correlation exp(-gap decay).

    q, m : columns of Z, and of U that make it; sets : 1, or 3 for the first two derivatives by -log(decay)
    too. Gives A : (sets, q, q, N), B : (sets, k - q, q, N), the sums of all columns of U by outer unit :
    (sets, d, d, O), and log|R| : (sets,).
    """
    assert kernel.loops is not None
    (d, n), N, k = U.shape, len(rows.starts), C.shape[1]
    outer = np.zeros(N, dtype=np.intp) if rows.outer is None else rows.outer.astype(np.intp, copy=False)
    units = int(outer[-1]) + 1
    A, B, log_r = np.empty((sets, q, q, N)), np.empty((sets, k - q, q, N)), np.empty(sets)
    total = np.empty((sets, d, d, units))
    kernel.loops.lmm_neighbours(
        *(d, sets, m, q, k, n, N, address(rows.starts), address(outer), units),
        *(address(U), address(rows.gaps), decay, *map(address, (C, A, B, total, log_r))),
    )
    return A, B, total, log_r
