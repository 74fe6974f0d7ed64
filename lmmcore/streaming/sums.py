"""Sums by key over rows that come in batches, in any order.

A batch gives the sums over its runs of rows with equal keys. Runs of one key are added together: at the
border of two batches at once, all others by sorting, when the runs have doubled since the last time. A file
sorted by the keys is never sorted again; one in another order needs the memory of about twice its units.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import polars as pl

# Room reserved, as a multiple of what a sorted file seems to need.
SPARE = 1.1
# Runs that are waiting before keys in another order are merged.
WAITING = 1_000_000


class KeyedSums:
    """Sums of several columns by key. The one mutable thing of a streamed fit: the moments so far."""

    def __init__(self, rows: int) -> None:
        """rows : of all batches, or more."""
        self._rows = rows
        self._keys: list[pl.DataFrame] = []
        self._sums = np.empty((0, 0))  # (K, capacity), of which the first _runs columns are in use
        self._runs = 0
        self._units = 0  # after the last merge
        self._ascending = True

    def add(self, keys: pl.DataFrame, sums: np.ndarray, rows: int) -> None:
        """keys : frame of R rows; sums : (K, R), over so many rows of the batch."""
        if self._keys and keys.row(0) == self._keys[-1].row(-1):
            self._sums[:, self._runs - 1] += sums[:, 0]
            keys, sums = keys[1:], sums[:, 1:]
        if not len(keys):
            return
        after = not self._keys or self._keys[-1].row(-1) < keys.row(0)
        self._ascending = self._ascending and after and keys.equals(keys.sort(keys.columns))
        self._reserve(len(sums), self._runs + len(keys), len(keys) / rows)
        self._sums[:, self._runs : self._runs + len(keys)] = sums
        self._keys.append(keys)
        self._runs += len(keys)
        if not self._ascending and self._runs > 2 * self._units + WAITING:
            self._merge()

    def _reserve(self, K: int, runs: int, a_row: float) -> None:
        """Room for so many runs, and for all that will come if they stay so many a row.

        What is reserved and not written costs no memory; what is reserved anew is copied.
        """
        if runs > self._sums.shape[1]:
            expected = int(SPARE * a_row * self._rows) if self._ascending else 0
            larger = np.empty((K, max(2 * runs, expected)))
            larger[: len(self._sums), : self._runs] = self._sums[:, : self._runs]
            self._sums = larger

    def _merge(self) -> None:
        """Sort by key and add up what belongs together."""
        import polars as pl

        keys = pl.concat(self._keys)
        order = keys.select(pl.arg_sort_by(keys.columns)).to_series().to_numpy()
        keys = keys[order]
        starts = np.flatnonzero(changes(keys, keys.columns))
        for row in self._sums:
            row[: len(starts)] = np.add.reduceat(row[: self._runs][order], starts)
        self._keys = [keys[starts]]
        self._units = self._runs = len(starts)

    def result(self) -> tuple[pl.DataFrame, np.ndarray]:
        """Keys in order, and their sums : (K, N)."""
        import polars as pl

        if not self._ascending:
            self._merge()
        return pl.concat(self._keys), self._sums[:, : self._runs]


def changes(keys: pl.DataFrame, names: list[str]) -> np.ndarray:
    """(n,) True in the rows whose keys differ from those of the row before, and in the first."""
    result = np.zeros(len(keys), dtype=bool)
    result[:1] = True
    for name in names:
        column = keys[name]
        if column.dtype.is_numeric():
            values = column.to_numpy()
            result[1:] |= values[1:] != values[:-1]
        else:
            result[1:] |= (column[1:] != column[:-1]).to_numpy()
    return result
