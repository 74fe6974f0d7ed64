"""Moments of independent rows, by the compiled loops."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lmmcore import kernel
from lmmcore.kernel import address
from lmmcore.kernel.blocks import BLOCK, by_block
from lmmcore.moments.products import is_one

# Distinct columns that rows.c has room for.
MOST_COLUMNS = 16


def moments(
    Z: Sequence[np.ndarray], XY: Sequence[np.ndarray], starts: np.ndarray, n: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """A : (q, q, N), B : (r, q, N) and S : (r, r) of sorted columns (n,); None without a loop for them.

    starts : (N,) first row of each subject.
    """
    if kernel.loops is None:
        return None
    distinct: dict[int, np.ndarray] = {}
    z, xy = ([_place(column, distinct) for column in columns] for columns in (Z, XY))
    if len(distinct) > MOST_COLUMNS:
        return None
    q, r, N = len(Z), len(XY), len(starts)
    columns = [
        None if is_one(column) else np.ascontiguousarray(column, dtype=float) for column in distinct.values()
    ]
    U = np.array([0 if column is None else address(column) for column in columns], dtype=np.uintp)
    places = np.array([*z, *xy], dtype=np.intc)
    A, B = np.empty((q, q, N)), np.empty((r, q, N))
    ends = np.append(starts[BLOCK::BLOCK], n).tolist()
    call, starts = kernel.loops.lmm_rows, np.ascontiguousarray(starts, dtype=np.intp)
    at, at_U, at_z, at_xy, at_A, at_B = (
        *map(address, (starts, U, places)), address(places, q), address(A), address(B)
    )  # fmt: skip

    def of(start: int) -> np.ndarray:
        S = np.empty((r, r))
        size, begin = min(BLOCK, N - start), 8 * start
        call(
            *(len(columns), q, r, n, size, N, at + begin, ends[start // BLOCK]),
            *(at_U, at_z, at_xy, at_A + begin, at_B + begin, address(S)),
        )
        return S

    return A, B, np.sum(by_block(of, N, n / N * len(columns)), axis=0)


def _place(column: np.ndarray, distinct: dict[int, np.ndarray]) -> int:
    """Place of a column among the distinct ones, to which it is added if it is new."""
    key = 0 if is_one(column) else id(column)
    distinct.setdefault(key, column)
    return list(distinct).index(key)
