"""Rows from any frame or file -> float64 columns and categories, without missing values."""

from __future__ import annotations

import numbers
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import narwhals as nw
import numpy as np

from lmmcore.errors import DataError
from lmmcore.formula.levels import (
    Factor,
    category,
    compact,
    declared_levels,
    interaction,
    kept_rows,
)

__all__ = ["Column", "Factor", "Table", "interaction", "read", "to_frame"]


Column = np.ndarray | Factor


@dataclass(frozen=True)
class Table:
    """The rows that have all variables.

    columns : variables and grouping columns by name; a name that is both has its variable here.
    groups : grouping columns as factors. dropped : reason -> rows, each row counted once.
    kept : positions of the rows used, None if all were. backend : library of the frame read; index : that of
    the rows read, None where a frame has none.
    """

    columns: Mapping[str, Column]
    n: int
    rows_read: int
    dropped: Mapping[str, int]
    kept: np.ndarray | None
    backend: nw.Implementation
    groups: Mapping[str, Factor] = field(default_factory=dict)
    index: Any = None

    @property
    def index_used(self) -> Any:
        """The index of the rows used."""
        return self.index if self.index is None or self.kept is None else self.index[self.kept]


def read(
    source: Any,
    variables: Iterable[str],
    grouping: Iterable[str] = (),
    categories: Mapping[str, Sequence[Any]] | None = None,
) -> Table:
    """Read the columns that a model needs, leaving out rows with a missing value in any of them.

    source : frame (polars, pandas, pyarrow, anything Narwhals reads), mapping of columns, or path of a .csv
    or .parquet file. variables : numbers become float64; text, booleans and categories become Factors.
    grouping : always Factors. categories : {column: levels in order}; numbers become categories too.
    Raises DataError for a missing column, an infinite value, dates, a value outside the given levels, or if
    no row is left.
    """
    variables, grouping = list(dict.fromkeys(variables)), list(dict.fromkeys(grouping))
    categories = categories or {}
    frame, from_text = _open(source, [*variables, *grouping, *categories], set(grouping))
    missing: list[tuple[str, np.ndarray]] = []
    raw: dict[str, Column] = {}
    groups: dict[str, Factor] = {}
    for name in variables:
        raw[name], absent = _variable(name, frame.get_column(name), categories.get(name))
        if absent is not None:
            missing.append((name, absent))
    for name in grouping:
        groups[name], absent = category(name, frame.get_column(name), None, name in from_text)
        if absent is not None:
            missing.append((name, absent))
    kept, dropped = complete_rows(missing, len(frame))
    if len(frame) == sum(dropped.values()):
        reasons = ", ".join(f"{reason} in {count}" for reason, count in dropped.items())
        raise DataError(
            f"No row is left of {len(frame)}" + (f": {reasons}." if reasons else "; the data are empty.")
        )
    if kept is not None:
        raw = {
            name: kept_rows(column, kept) if isinstance(column, Factor) else column[kept]
            for name, column in raw.items()
        }
        groups = {name: kept_rows(factor, kept) for name, factor in groups.items()}
    n = len(frame) if kept is None else len(kept)
    index = nw.maybe_get_index(frame)
    return Table({**groups, **raw}, n, len(frame), dropped, kept, frame.implementation, groups, index)


def positive_weights(table: Table, name: str) -> np.ndarray:
    """Prior weights : (n,) of the rows of a table; DataError unless they are positive numbers."""
    weights = table.columns[name]
    if isinstance(weights, Factor) or weights.min(initial=1.0) <= 0:
        raise DataError(f"The prior weights {name!r} of the rows must be positive numbers.")
    return weights


def to_frame(columns: Mapping[str, Any], backend: nw.Implementation, index: Any = None) -> Any:
    """A native frame of the library that the data came in; index : of its rows, where the library has one."""
    plain = {
        name: values.tolist() if isinstance(values, np.ndarray) and values.dtype.kind in "OU" else values
        for name, values in columns.items()
    }
    frame = nw.from_dict(plain, backend=backend)  # type: ignore[arg-type]
    native: Any = frame.to_native()
    if index is not None:
        native.index = index
    return native


def _open(source: Any, names: list[str], grouping: set[str]) -> tuple[nw.DataFrame[Any], set[str]]:
    """The needed columns, and those whose numbers, if they are numbers, were kept as text."""
    if isinstance(source, (str, Path)):
        return _scan(Path(source), names, grouping), grouping
    if isinstance(source, Mapping):
        _check_names(names, list(source))
        try:
            return nw.from_dict(
                {name: source[name] for name in dict.fromkeys(names)}, backend="polars"
            ), set()
        except Exception as error:  # polars has no common error for lengths, types and nesting
            raise DataError(f"The columns do not make a table: {error}") from None
    try:
        frame = nw.from_native(source)
    except TypeError:
        raise DataError(
            f"The data are {type(source).__name__!r}, but must be a frame (polars, pandas, pyarrow), a dict "
            "of columns, or the path of a .csv or .parquet file."
        ) from None
    except nw.exceptions.DuplicateError:
        raise DataError("Two columns of the data have the same name; rename one of them.") from None
    if isinstance(frame, nw.LazyFrame):
        _check_names(names, frame.collect_schema().names())
        return frame.select(list(dict.fromkeys(names))).collect(), set()
    if not isinstance(frame, nw.DataFrame):
        raise DataError("The data are a single column, but must be a frame.")
    _check_names(names, frame.columns)
    return frame, set()


def _scan(path: Path, names: list[str], grouping: set[str]) -> nw.DataFrame[Any]:
    """Needed columns of a file. A CSV's types come from all its rows; "NA" and empty fields are missing.

    Grouping columns of a CSV stay text, so that the subjects 01 and 1 are two.
    """
    import polars as pl

    if not path.is_file():
        raise DataError(f"There is no file {str(path)!r}; check the path.")
    if path.suffix.lower() not in (".csv", ".parquet"):
        raise DataError(f"The file {path.name!r} is neither .csv nor .parquet; convert it, or pass a frame.")
    try:
        if path.suffix.lower() == ".parquet":
            lazy = pl.scan_parquet(path)
            _check_names(names, lazy.collect_schema().names())
        else:
            _check_names(names, pl.scan_csv(path, infer_schema_length=0).collect_schema().names())
            texts = {name: pl.String for name in grouping}
            lazy = pl.scan_csv(path, infer_schema_length=None, null_values=["NA"], schema_overrides=texts)
        return nw.from_native(lazy.select(list(dict.fromkeys(names))).collect(), eager_only=True)
    except pl.exceptions.PolarsError as error:
        raise DataError(f"The file {path.name!r} cannot be read: {str(error).splitlines()[0]}") from None


def _check_names(names: list[str], present: list[str]) -> None:
    known = set(present)
    for name in names:
        if name not in known:
            near = get_close_matches(name, map(str, present), 1)
            shown = ", ".join(map(str, present[:20])) + (", ..." if len(present) > 20 else "")
            hint = f"did you mean {near[0]!r}?" if near else f"the columns are {shown}."
            raise DataError(f"The data have no column {name!r}; {hint}")


def _variable(
    name: str, series: nw.Series[Any], levels: Sequence[Any] | None
) -> tuple[Column, np.ndarray | None]:
    """A column of the model, and where it is missing (None: nowhere)."""
    if levels is not None:
        return _category(name, series, levels)
    dtype = series.dtype
    if dtype.is_numeric():
        return _numbers(name, series if dtype == nw.Float64 else series.cast(nw.Float64))
    if dtype in (nw.String, nw.Categorical, nw.Enum, nw.Boolean):
        return _category(name, series, None)
    if dtype in (nw.Object, nw.Unknown):
        return _objects(name, series)
    raise _unusable(name, str(dtype), dtype.is_temporal())


def _category(
    name: str, series: nw.Series[Any], levels: Sequence[Any] | None
) -> tuple[Factor, np.ndarray | None]:
    factor, absent = category(name, series, levels, False)
    return replace(factor, declared=declared_levels(series, levels)), absent


def _numbers(name: str, series: nw.Series[Any]) -> tuple[np.ndarray, np.ndarray | None]:
    return finite(name, np.asarray(series.to_numpy(), dtype=np.float64))


def finite(name: str, values: np.ndarray, before: int = 0) -> tuple[np.ndarray, np.ndarray | None]:
    """Numbers : (n,), and where they are missing (None: nowhere); DataError for an infinite one.

    before : rows of the data that come before these.
    """
    # A sum is finite only if all are; it need not be, of huge ones.
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(values.sum()) or np.isfinite(values).all():
            return values, None
    infinite = np.flatnonzero(np.isinf(values))
    if len(infinite):
        raise DataError(
            f"The column {name!r} is infinite in row {before + infinite[0] + 1} of the data; make it missing "
            "or correct it."
        )
    return values, np.isnan(values)


def _objects(name: str, series: nw.Series[Any]) -> tuple[Column, np.ndarray | None]:
    """A column of Python objects, as pandas makes them of booleans or numbers with missing values."""
    values = series.to_list()
    absent = series.is_null().to_numpy()
    present = [value for value, gone in zip(values, absent, strict=True) if not gone]
    if all(isinstance(value, (bool, np.bool_)) for value in present):
        codes = np.array(
            [-1 if gone else int(value) for value, gone in zip(values, absent, strict=True)], dtype=np.intp
        )
        codes, used = compact(codes)
        return Factor(codes, tuple(("False", "True")[index] for index in used)), absent
    if all(isinstance(value, (numbers.Real, Decimal)) for value in present):
        floats = np.array(
            [np.nan if gone else float(value) for value, gone in zip(values, absent, strict=True)]
        )
        return finite(name, floats)
    kinds = sorted({type(value).__name__ for value in present})
    raise _unusable(name, " and ".join(kinds), any(hasattr(value, "isoformat") for value in present))


def _unusable(name: str, kind: str, temporal: bool) -> DataError:
    if temporal:
        return DataError(
            f"The column {name!r} holds {kind} values, which have no unit in a formula; convert it to a "
            "number first, e.g. days since the start: "
            f"(pl.col({name!r}) - pl.col({name!r}).min()).dt.total_days()."
        )
    return DataError(
        f"The column {name!r} holds {kind} values; a model needs numbers, text or booleans, so convert it."
    )


def complete_rows(missing: list[tuple[str, np.ndarray]], n: int) -> tuple[np.ndarray | None, dict[str, int]]:
    """Positions of the rows without missing values (None: all), and how many each column cost."""
    if not missing:
        return None, {}
    gone = np.zeros(n, dtype=bool)
    dropped: dict[str, int] = {}
    for name, absent in missing:
        count = int(np.count_nonzero(absent & ~gone))
        if count:
            dropped[f"missing {name}"] = count
        gone |= absent
    return np.flatnonzero(~gone), dropped
