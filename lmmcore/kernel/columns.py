"""Passes over whole columns, by the compiled loops."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lmmcore import kernel
from lmmcore.kernel import address


def residuals(y: np.ndarray, coefficients: np.ndarray, columns: Sequence[np.ndarray | None]) -> np.ndarray:
    """y - sum of coefficient * column : (n,); None is the constant 1."""
    assert kernel.loops is not None
    y, coefficients = np.ascontiguousarray(y, dtype=float), np.ascontiguousarray(coefficients, dtype=float)
    kept = [column if column is None else np.ascontiguousarray(column, dtype=float) for column in columns]
    X = np.array([0 if column is None else address(column) for column in kept], dtype=np.uintp)
    left = np.empty_like(y)
    kernel.loops.lmm_residuals(len(X), len(y), *map(address, (y, X, coefficients, left)))
    return left


def serves(values: np.ndarray) -> bool:
    """Whether `runs` takes these values."""
    return (
        kernel.loops is not None and values.dtype == np.int64 and len(values) > 0 and values.strides == (8,)
    )


def runs(values: np.ndarray) -> int:
    """How many different int64 values : (n,) there are; -1 where they are not in rising order."""
    assert kernel.loops is not None
    return int(kernel.loops.lmm_runs(len(values), address(values)))
