"""Passes over whole columns, by the compiled loops."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lmmcore import kernel


def residuals(y: np.ndarray, coefficients: np.ndarray, columns: Sequence[np.ndarray | None]) -> np.ndarray:
    """y - sum of coefficient * column : (n,); None is the constant 1."""
    assert kernel.loops is not None
    y, coefficients = np.ascontiguousarray(y, dtype=float), np.ascontiguousarray(coefficients, dtype=float)
    found = [column if column is None else np.ascontiguousarray(column, dtype=float) for column in columns]
    left = np.empty_like(y)
    kernel.loops.residuals(y, found, coefficients, left)
    return left


def is_one(column: np.ndarray) -> bool:
    """Whether the column is the constant 1 kept as a broadcast scalar."""
    return column.strides == (0,)


def serves(values: np.ndarray) -> bool:
    """Whether `runs` takes these values."""
    contiguous = values.strides == (8,) and values.flags.aligned
    return kernel.loops is not None and values.dtype == np.int64 and len(values) > 0 and contiguous


def runs(values: np.ndarray) -> int:
    """How many different int64 values : (n,) there are; -1 where they are not in rising order."""
    assert kernel.loops is not None
    return kernel.loops.runs(values)
