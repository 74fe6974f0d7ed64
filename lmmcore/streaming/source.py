"""A Parquet file, read in batches of complete rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import narwhals as nw
import numpy as np

from lmmcore.data.table import Column, Factor, Table, complete_rows, finite, read
from lmmcore.errors import DataError
from lmmcore.model.specification import Specification
from lmmcore.runtime.threads import allowed_threads
from lmmcore.streaming.choice import categories_by_formula, grouping_columns, needed_columns
from lmmcore.streaming.prefetch import ahead

if TYPE_CHECKING:
    import polars as pl

# Rows read at once: a column of them is 2 MB.
BATCH = 262_144
# Bytes of a column read from the disk at once.
READ = 2**20
# Rows of the sample, and places in the file that they come from.
SAMPLE = 32_768
PLACES = 16


@dataclass(frozen=True)
class Batch:
    """Complete rows. keys : frame of the grouping columns, outermost first."""

    table: Table
    keys: pl.DataFrame


@dataclass(frozen=True)
class Category:
    """A category of the file. texts : values as text; codes : their places in levels."""

    texts: pl.Series
    codes: np.ndarray
    levels: tuple[str, ...]

    def factor(self, values: pl.Series) -> Factor:
        """Values of some rows in the levels of all rows."""
        import polars as pl

        new = pl.Series(self.codes, dtype=pl.Int64)
        codes = values.cast(pl.String).replace_strict(self.texts, new, return_dtype=pl.Int64)
        return Factor(codes.to_numpy().astype(np.intp, copy=False), self.levels)


@dataclass(frozen=True)
class Source:
    """The columns of a file that a model needs. rows : in the file."""

    path: Path
    variables: list[str]
    grouping: list[str]
    categories: Mapping[str, Category]
    rows: int

    def batches(self) -> Iterator[Batch]:
        """All rows, in the order of the file."""
        before = 0
        for frame in ahead(self._frames(BATCH)):
            yield self._batch(frame, before)
            before += len(frame)

    def sample(self) -> Batch:
        """Rows from places all over the file; all of a small one."""
        import polars as pl
        import pyarrow.parquet as pq

        groups = pq.read_metadata(self.path).num_row_groups
        places = np.unique(np.linspace(0, groups - 1, min(groups, PLACES)).round().astype(int))
        size = SAMPLE // len(places)
        near = groups // len(places)  # row groups may hold a few rows each: several make up a place
        frames = [next(self._frames(size, list(range(at, min(at + near, groups))))) for at in places]
        return self._batch(pl.concat(frames), 0)

    def _frames(self, size: int, row_groups: list[int] | None = None) -> Iterator[pl.DataFrame]:
        import polars as pl
        import pyarrow.parquet as pq

        columns = list(dict.fromkeys([*self.variables, *self.grouping]))
        # Left to itself the reader keeps all of the file that it has read.
        file = pq.ParquetFile(self.path, pre_buffer=False, buffer_size=READ)
        several = allowed_threads() > 1
        for batch in file.iter_batches(size, row_groups=row_groups, columns=columns, use_threads=several):
            frame = pl.from_arrow(batch)
            assert isinstance(frame, pl.DataFrame)
            coded = [name for name in columns if frame.schema[name] in (pl.Categorical, pl.Enum)]
            yield frame.with_columns(pl.col(coded).cast(pl.String))

    def _batch(self, frame: pl.DataFrame, before: int) -> Batch:
        """The complete rows of a frame; before : rows of the file that come before it."""
        missing: list[tuple[str, np.ndarray]] = []
        columns: dict[str, Column] = {}
        for name in self.variables:
            if name in self.categories:
                absent = _absent(frame[name])
            else:
                columns[name], absent = finite(name, _numbers(frame[name]), before)
            if absent is not None:
                missing.append((name, absent))
        for name in self.grouping:
            absent = _absent(frame[name])
            if absent is not None:
                missing.append((name, absent))
        kept, dropped = complete_rows(missing, len(frame))
        if kept is not None:
            frame = frame[kept]
            columns = {name: column[kept] for name, column in columns.items()}  # type: ignore[index]
        columns |= {name: known.factor(frame[name]) for name, known in self.categories.items()}
        backend = nw.Implementation.POLARS
        table = Table(columns, len(frame), len(frame), dropped, None, backend)
        return Batch(table, frame.select(self.grouping))


def open_source(spec: Specification, path: Path) -> Source:
    """The file, with the levels of its categories; these take a pass over the file, numbers take none.

    Raises DataError for a value outside the levels given.
    """
    import polars as pl

    variables, grouping = needed_columns(spec), grouping_columns(spec)
    lazy = pl.scan_parquet(path)
    schema = lazy.collect_schema()
    given, wrapped = spec.categories or {}, categories_by_formula(spec)
    names = [name for name in variables if name in given or name in wrapped or not schema[name].is_numeric()]
    rows = int(lazy.select(pl.len()).collect().item())
    found: dict[str, Category] = {}
    if names:
        complete = [_present(name, schema[name]) for name in {*variables, *grouping}]
        distinct = lazy.filter(pl.all_horizontal(complete)).select(
            pl.col(name).unique().implode() for name in names
        )
        values = distinct.collect(engine="streaming")
        found = {name: _category(name, values[name][0], given.get(name)) for name in names}
    return Source(path, variables, grouping, found, rows)


def _category(name: str, values: pl.Series, listed: list[Any] | None) -> Category:
    """The levels that reading all rows would find."""
    import polars as pl

    if not len(values):
        return Category(values.cast(pl.String), np.empty(0, dtype=np.intp), ())
    if listed is None and values.dtype.is_numeric():
        listed = values.sort().to_list()
    column = read(pl.DataFrame({name: values}), [name], (), None if listed is None else {name: listed})
    factor = column.columns[name]
    assert isinstance(factor, Factor)
    return Category(values.cast(pl.String), factor.codes, factor.levels)


def _numbers(values: pl.Series) -> np.ndarray:
    import polars as pl

    return (values if values.dtype == pl.Float64 else values.cast(pl.Float64)).to_numpy()


def _absent(values: pl.Series) -> np.ndarray | None:
    """Where a key or a category is missing; None: nowhere."""
    gone = values.is_null()
    if values.dtype.is_float():
        gone = gone | values.is_nan().fill_null(True)
    return gone.to_numpy() if gone.any() else None


def _present(name: str, dtype: Any) -> pl.Expr:
    import polars as pl

    column = pl.col(name)
    return column.is_not_null() & column.is_not_nan() if dtype.is_float() else column.is_not_null()


def nothing_left(rows: int, dropped: Mapping[str, int]) -> DataError:
    """The error of a file without a complete row."""
    reasons = ", ".join(f"{reason} in {count}" for reason, count in dropped.items())
    return DataError(f"No row is left of {rows}" + (f": {reasons}." if reasons else "; the data are empty."))
