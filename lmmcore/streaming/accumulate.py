"""One pass over a file: the moments of every unit of every level, for R = I, in shifted columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lmmcore.covariance.random import RandomCovariance
from lmmcore.errors import DataError
from lmmcore.formula.design import Design, Parts
from lmmcore.formula.expressions import response
from lmmcore.model.assembly import level_columns
from lmmcore.model.specification import Specification
from lmmcore.streaming.prefetch import ahead
from lmmcore.streaming.shift import Shift
from lmmcore.streaming.source import Batch, Source, nothing_left
from lmmcore.streaming.sums import KeyedSums, changes
from lmmcore.system.moments.subjects import SortedRows, Subjects, independent

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True)
class Columns:
    """How the columns of the model are made of a batch."""

    spec: Specification
    fixed: Design
    random: Sequence[Design]

    def of(self, batch: Batch) -> tuple[list[np.ndarray], list[np.ndarray], np.ndarray]:
        """X, Z and the response less the offset; an intercept is a broadcast 1."""
        table = batch.table
        shared: dict[Parts, np.ndarray] = {}
        one = np.broadcast_to(1.0, (table.n,))

        def columns(design: Design) -> list[np.ndarray]:
            made = zip(design.names, design.columns(table, shared), strict=True)
            return [one if name == "Intercept" else column for name, column in made]

        y = response(self.spec.formula.response, table.columns)
        if self.spec.offset is not None:
            y = y - table.columns[self.spec.offset]
        return columns(self.fixed), [column for design in self.random for column in columns(design)], y


@dataclass(frozen=True)
class Level:
    """The units of one level. keys : frame, sorted; rows : (N,) of each unit; cells : their moments."""

    keys: pl.DataFrame
    rows: np.ndarray
    cells: Subjects


@dataclass(frozen=True)
class Accumulated:
    """levels : outermost first; dropped : reason -> rows of the file left out."""

    levels: list[Level]
    dropped: dict[str, int]


def accumulate(
    source: Source,
    columns: Columns,
    shift: Shift,
    names: Sequence[Sequence[str]],
    covariances: Sequence[RandomCovariance],
) -> Accumulated:
    """names : key columns of each level. Raises DataError if no row is left."""
    sums = [KeyedSums(source.rows) for _ in covariances]
    total: np.ndarray | float = 0.0
    dropped: dict[str, int] = {}
    # While the sums of one batch are put with the others, those of the next are made.
    for batch in ahead(_summed(source, columns, shift, names, covariances, dropped)):
        total = total + batch.total
        for level, (keys, values) in zip(sums, batch.levels, strict=True):
            level.add(keys, values, batch.rows)
    if isinstance(total, float):
        raise nothing_left(source.rows, dropped)
    return Accumulated(_levels(sums, total, covariances), _in_order(dropped, source))


@dataclass(frozen=True)
class BatchSums:
    """Sums over the runs of each level in one batch. total : S of all its rows; levels : keys and sums."""

    rows: int
    total: np.ndarray
    levels: Sequence[tuple[pl.DataFrame, np.ndarray]]


def _summed(
    source: Source,
    columns: Columns,
    shift: Shift,
    names: Sequence[Sequence[str]],
    covariances: Sequence[RandomCovariance],
    dropped: dict[str, int],
) -> Iterator[BatchSums]:
    """The sums of each batch that has rows; dropped : counts of the rows left out, added to."""
    before = 0
    for batch in source.batches():
        for reason, count in batch.table.dropped.items():
            dropped[reason] = dropped.get(reason, 0) + count
        if not batch.table.n:
            continue
        try:
            X, Z, y = shift.apply(*columns.of(batch))
        except DataError as error:
            raise DataError(f"In the rows used after the first {before:,}: {error}") from None
        units = _units(batch.keys, names)
        pairs = level_columns(Z, [*X, y], covariances)
        cells = [independent(*pair, unit) for pair, unit in zip(pairs, units, strict=True)]
        levels = []
        for level, (unit, cell) in enumerate(zip(units, cells, strict=True)):
            parts = [unit.sizes, cell.A, cell.B]
            parts += [inner.S for inner in cells[level + 1 : level + 2]]
            flat = np.concatenate([part.reshape(-1, len(unit.starts)) for part in parts])
            levels.append((batch.keys[unit.starts].select(names[level]), flat))
        yield BatchSums(batch.table.n, cells[0].S, levels)
        before += batch.table.n


def _units(keys: pl.DataFrame, names: Sequence[Sequence[str]]) -> list[SortedRows]:
    """The runs of equal keys of each level."""
    found: list[SortedRows] = []
    change = np.zeros(len(keys), dtype=bool)
    for own in names:
        outer = np.cumsum(change) - 1 if found else None
        change = change | changes(keys, list(own))
        starts = np.flatnonzero(change)
        found.append(SortedRows(None, None, starts, None if outer is None else outer[starts], len(keys)))
    return found


def _levels(
    sums: Sequence[KeyedSums], total: np.ndarray, covariances: Sequence[RandomCovariance]
) -> list[Level]:
    r, S = total.shape[0], total
    found = []
    for number, covariance in enumerate(covariances):
        keys, values = sums[number].result()
        q, N = covariance.q, len(keys)
        ends = 1 + q * q, 1 + q * q + r * q
        A, B = values[1 : ends[0]].reshape(q, q, N), values[ends[0] : ends[1]].reshape(r, q, N)
        found.append(Level(keys, values[0].astype(np.intp), Subjects(A, B, S, 0.0)))
        r += q
        S = values[ends[1] :].reshape(-1, r, N) if number + 1 < len(covariances) else S
    return found


def _in_order(dropped: dict[str, int], source: Source) -> dict[str, int]:
    """Reasons in the order of the columns."""
    reasons = [f"missing {name}" for name in [*source.variables, *source.grouping]]
    return {reason: dropped[reason] for reason in dict.fromkeys(reasons) if reason in dropped}
