"""Products of columns and their sums, each distinct one made once, a cache's worth of rows at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from lmmcore import kernel
from lmmcore.kernel.columns import is_one
from lmmcore.kernel.columns import residuals as compiled_residuals

# Rows whose columns and products stay in the processor's cache together.
ROWS = 32_768
# BLAS makes no use of threads for inner products of so few numbers.
SHORT = 8_192


class Products:
    """Column products summed by a given rule, each distinct pair of columns made once.

    Columns of Z are most often columns of X as well (the same array object), and an intercept is a
    broadcast 1, so that a product with it is the other column.
    """

    def __init__(self, total: Callable[[np.ndarray], np.ndarray]) -> None:
        self._total = total
        self._scratch: np.ndarray | None = None
        self._known: dict[tuple[int, int], np.ndarray] = {}

    def sum(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """Sums of left * right : (N,)."""
        key = _pair(left, right)
        if key not in self._known:
            if is_one(left) or is_one(right):
                self._known[key] = self._total(product(left, right))
            else:
                if self._scratch is None:  # a fresh array costs more than the arithmetic
                    self._scratch = np.empty_like(left)
                self._known[key] = self._total(np.multiply(left, right, out=self._scratch))
        return self._known[key]

    def table(self, rows: Sequence[np.ndarray], columns: Sequence[np.ndarray]) -> np.ndarray:
        """(len(rows), len(columns), N) of all sums."""
        return np.array([[self.sum(row, column) for column in columns] for row in rows])

    def gram(self, columns: Sequence[np.ndarray]) -> np.ndarray:
        """All inner products of the columns : (k, k), from sums that are there already where they are."""
        return symmetric(columns, self._inner)

    def _inner(self, left: np.ndarray, right: np.ndarray) -> float:
        known = self._known.get(_pair(left, right))
        return inner(left, right) if known is None else float(known.sum())


def _pair(left: np.ndarray, right: np.ndarray) -> tuple[int, int]:
    a, b = id(left), id(right)
    return (a, b) if a < b else (b, a)


def product(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """left * right without work for an intercept."""
    if is_one(left):
        return right
    return left if is_one(right) else left * right


def inner(left: np.ndarray, right: np.ndarray) -> float:
    """Inner product of columns (n,), the same to the last bit for any number of threads."""
    if is_one(left) or is_one(right):
        return float(product(left, right).sum())
    whole = len(left) // SHORT * SHORT
    parts = np.vecdot(left[:whole].reshape(-1, SHORT), right[:whole].reshape(-1, SHORT))
    return float(parts.sum() + np.dot(left[whole:], right[whole:]))


def symmetric(columns: Sequence[np.ndarray], of: Callable[[np.ndarray, np.ndarray], float]) -> np.ndarray:
    """of(column, column) of every two columns : (k, k)."""
    result = np.empty((len(columns), len(columns)))
    for i in range(len(columns)):
        for j in range(i + 1):
            result[i, j] = result[j, i] = of(columns[i], columns[j])
    return result


def residuals(y: np.ndarray, coefficients: np.ndarray, columns: Sequence[np.ndarray]) -> np.ndarray:
    """y - sum of coefficient * column : (n,)."""
    if kernel.loops is not None:
        found = [None if is_one(column) else column for column in columns]
        return compiled_residuals(y, coefficients, found)
    left = np.empty_like(y)
    scratch = np.empty(min(ROWS, len(y)))
    for part in row_parts(len(y)):
        rest, source = left[part], y[part]
        for coefficient, column in zip(coefficients, columns, strict=True):
            made = coefficient
            if not is_one(column):
                made = np.multiply(column[part], coefficient, out=scratch[: len(rest)])
            source = np.subtract(source, made, out=rest)
        if source is not rest:
            rest[:] = source
    return left


def row_parts(n: int) -> Iterator[slice]:
    """Parts of n rows, ROWS at a time."""
    for start in range(0, n, ROWS):
        yield slice(start, min(start + ROWS, n))
