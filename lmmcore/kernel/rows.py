"""Moments of independent rows, by the compiled loops."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lmmcore import kernel
from lmmcore.kernel.blocks import by_block
from lmmcore.kernel.columns import is_one


def moments(
    Z: Sequence[np.ndarray], XY: Sequence[np.ndarray], starts: np.ndarray, n: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """A : (q, q, N), B : (r, q, N) and S : (r, r) of sorted columns (n,); None without a loop for them.

    Z and XY may hold a column as often as they like; one that is a broadcast 1 costs nothing. starts : (N,)
    first row of each subject.
    """
    if kernel.loops is None:
        return None
    distinct: dict[int, np.ndarray] = {}
    z, xy = (np.array([_place(column, distinct) for column in part], dtype=np.int64) for part in (Z, XY))
    if len(distinct) > kernel.loops.MOST_COLUMNS:
        return None
    q, r, N = len(z), len(xy), len(starts)
    columns = [
        None if is_one(column) else np.ascontiguousarray(column, dtype=float) for column in distinct.values()
    ]
    A, B = np.empty((q, q, N)), np.empty((r, q, N))
    call, starts = kernel.loops.rows, np.ascontiguousarray(starts, dtype=np.int64)

    def of(first: int, last: int) -> np.ndarray:
        S = np.empty((r, r))
        call(columns, n, z, xy, starts, first, last, A, B, S)
        return S

    return A, B, np.sum(by_block(of, N, n / N * len(columns)), axis=0)


def _place(column: np.ndarray, distinct: dict[int, np.ndarray]) -> int:
    """Place of a column among the distinct ones, to which it is added if it is new."""
    key = 0 if is_one(column) else id(column)
    distinct.setdefault(key, column)
    return list(distinct).index(key)
