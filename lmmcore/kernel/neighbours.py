"""Moments of a Markov correlation by subject, by the compiled loops."""

from __future__ import annotations

from collections.abc import Sequence

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
    U: np.ndarray, m: int, rows: SortedRows, correlation: Sequence[np.ndarray]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Moments of the columns U : (d, n) and their first two derivatives.

    correlation : (n,) of each row with the one before it, 0 for first rows, and its derivatives.
    Gives those of all columns with the first m by subject : (3, d, m, N); of all with all by outer unit :
    (3, d, d, O); log|R| : (3,).
    """
    assert kernel.loops is not None
    (d, n), N = U.shape, len(rows.starts)
    outer = np.zeros(N, dtype=np.intp) if rows.outer is None else rows.outer.astype(np.intp, copy=False)
    units = int(outer[-1]) + 1
    by_subject, by_unit, log_r = np.empty((3, d, m, N)), np.empty((3, d, d, units)), np.empty(3)
    kernel.loops.lmm_neighbours(
        *(d, m, n, N, address(rows.starts), address(outer), units),
        *map(address, (np.ascontiguousarray(U), *correlation, by_subject, by_unit, log_r)),
    )
    return by_subject, by_unit, log_r
