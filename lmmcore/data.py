"""Rows from any frame or file -> float64 columns and categories, without missing values."""

from __future__ import annotations

import numbers
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import narwhals as nw
import numpy as np

from lmmcore.errors import DataError

# Up to so many rows a dict of Python strings is faster than the frame library's own encoding.
FEW = 1000

_WHOLE = re.compile(r"-?(?:0|[1-9][0-9]*)")


@dataclass(frozen=True)
class Factor:
    """A category. codes : (n,) intp, places in levels; every level occurs."""

    codes: np.ndarray
    levels: tuple[str, ...]


Column = np.ndarray | Factor


@dataclass(frozen=True)
class Table:
    """The rows that have all variables.

    columns : variables and grouping columns by name; a name that is both has its variable here.
    groups : grouping columns as factors. dropped : reason -> rows, each row counted once.
    kept : positions of the rows used, None if all were. backend : library of the frame read.
    """

    columns: Mapping[str, Column]
    n: int
    rows_read: int
    dropped: Mapping[str, int]
    kept: np.ndarray | None
    backend: nw.Implementation
    groups: Mapping[str, Factor] = field(default_factory=dict)


def read(
    source: Any,
    variables: Iterable[str],
    grouping: Iterable[str] = (),
    categories: Mapping[str, Sequence[Any]] | None = None,
) -> Table:
    """Read the columns that a model needs, leaving out rows with a missing value in any of them.

    source : frame (polars, pandas, pyarrow, anything Narwhals reads), mapping of columns, or path of a .csv or
    .parquet file. variables : numbers become float64, text, booleans and categories Factors. grouping : always
    Factors. categories : {column: levels in order}; numbers become categories too.
    Raises DataError for a missing column, an infinite value, dates, a value outside the given levels, or if no
    row is left.
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
        groups[name], absent = _category(name, frame.get_column(name), None, name in from_text)
        if absent is not None:
            missing.append((name, absent))
    kept, dropped = _kept(missing, len(frame))
    if len(frame) == sum(dropped.values()):
        reasons = ", ".join(f"{reason} in {count}" for reason, count in dropped.items())
        raise DataError(
            f"No row is left of {len(frame)}" + (f": {reasons}." if reasons else "; the data are empty.")
        )
    if kept is not None:
        raw = {name: _taken(column, kept) for name, column in raw.items()}
        groups = {name: _taken(column, kept) for name, column in groups.items()}  # type: ignore[misc]
    n = len(frame) if kept is None else len(kept)
    return Table({**groups, **raw}, n, len(frame), dropped, kept, frame.implementation, groups)


def interaction(factors: Sequence[Factor]) -> Factor:
    """The combinations of levels that occur, sorted by the first factor, then the second; levels "a:b"."""
    codes, levels = factors[0].codes, list(factors[0].levels)
    for factor in factors[1:]:
        size = len(factor.levels)
        codes, combined = _compact(codes * size + factor.codes)
        levels = [f"{levels[value // size]}:{factor.levels[value % size]}" for value in combined.tolist()]
    if len(set(levels)) < len(levels):
        twice = next(level for level in levels if levels.count(level) > 1)
        raise DataError(
            f"Two combinations of the grouping columns are both written {twice!r}, because a level holds ':'; "
            "replace the ':' in the data."
        )
    return Factor(codes, tuple(levels))


def to_frame(columns: Mapping[str, Any], backend: nw.Implementation) -> Any:
    """A native frame of the library that the data came in."""
    plain = {
        name: values.tolist() if isinstance(values, np.ndarray) and values.dtype.kind in "OU" else values
        for name, values in columns.items()
    }
    return nw.from_dict(plain, backend=backend).to_native()


def level_text(value: Any) -> str:
    """A level as text; a whole number without decimals."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


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
            f"The data are {type(source).__name__!r}, but must be a frame (polars, pandas, pyarrow), a dict of columns, "
            "or the path of a .csv or .parquet file."
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
        return _category(name, series, levels, False)
    dtype = series.dtype
    if dtype.is_numeric():
        return _numbers(name, series if dtype == nw.Float64 else series.cast(nw.Float64))
    if dtype in (nw.String, nw.Categorical, nw.Enum, nw.Boolean):
        return _category(name, series, None, False)
    if dtype in (nw.Object, nw.Unknown):
        return _objects(name, series)
    raise _unusable(name, str(dtype), dtype.is_temporal())


def _numbers(name: str, series: nw.Series[Any]) -> tuple[np.ndarray, np.ndarray | None]:
    return _finite(name, np.asarray(series.to_numpy(), dtype=np.float64))


def _finite(name: str, values: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    if np.isfinite(values).all():
        return values, None
    infinite = np.flatnonzero(np.isinf(values))
    if len(infinite):
        raise DataError(
            f"The column {name!r} is infinite in row {infinite[0] + 1} of the data; make it missing or correct it."
        )
    return values, np.isnan(values)


def _objects(name: str, series: nw.Series[Any]) -> tuple[Column, np.ndarray | None]:
    """A column of Python objects, as pandas makes them of booleans or numbers with missing values."""
    values = series.to_list()
    absent = series.is_null().to_numpy()
    present = [value for value, gone in zip(values, absent, strict=True) if not gone]
    if all(isinstance(value, (bool, np.bool_)) for value in present):
        codes = np.array([-1 if gone else int(value) for value, gone in zip(values, absent, strict=True)])
        codes, used = _compact(codes)
        return Factor(codes, tuple(("False", "True")[index] for index in used)), absent
    if all(isinstance(value, (numbers.Real, Decimal)) for value in present):
        floats = np.array(
            [np.nan if gone else float(value) for value, gone in zip(values, absent, strict=True)]
        )
        return _finite(name, floats)
    kinds = sorted({type(value).__name__ for value in present})
    raise _unusable(name, " and ".join(kinds), any(hasattr(value, "isoformat") for value in present))


def _unusable(name: str, kind: str, temporal: bool) -> DataError:
    if temporal:
        return DataError(
            f"The column {name!r} holds {kind} values, which have no unit in a formula; convert it to a number first, "
            f"e.g. days since the start: (pl.col({name!r}) - pl.col({name!r}).min()).dt.total_days()."
        )
    return DataError(
        f"The column {name!r} holds {kind} values; a model needs numbers, text or booleans, so convert it."
    )


def _category(
    name: str, series: nw.Series[Any], listed: Sequence[Any] | None, numeric_text: bool
) -> tuple[Factor, np.ndarray | None]:
    """A column as a category, codes -1 where it is missing.

    listed : the user's levels in order. numeric_text : text that is whole numbers throughout sorts as numbers.
    """
    codes, values, declared = _encoded(series)
    absent = codes < 0
    where = absent if absent.any() else None
    texts = [level_text(value) for value in values]
    if listed is not None:
        return _listed(name, codes, texts, [level_text(value) for value in listed]), where
    if numeric_text and texts and all(_WHOLE.fullmatch(text) for text in texts):
        values = [int(text) for text in texts]
    order = range(len(values)) if declared else sorted(range(len(values)), key=values.__getitem__)
    return _ordered(codes, texts, order), where


def _listed(name: str, codes: np.ndarray, texts: list[str], levels: list[str]) -> Factor:
    if len(set(levels)) < len(levels) or not levels:
        raise DataError(
            f"The categories given for {name!r} are empty or name a level twice; list each level once."
        )
    outside = [text for text in texts if text not in levels]
    if outside:
        raise DataError(
            f"The column {name!r} has the level {outside[0]!r}, but its known levels are "
            f"{', '.join(map(repr, levels[:20]))}; correct the value or add it to the list."
        )
    return _ordered(codes, texts, [texts.index(level) for level in levels if level in texts])


def _ordered(codes: np.ndarray, texts: list[str], order: Iterable[int]) -> Factor:
    """Levels in the given order of their places; codes follow, -1 stays."""
    order = list(order)
    place = np.full(len(texts) + 1, -1, dtype=np.intp)
    place[order] = np.arange(len(order))
    return Factor(place[codes], tuple(texts[index] for index in order))


def _encoded(series: nw.Series[Any]) -> tuple[np.ndarray, list[Any], bool]:
    """codes (n,), -1 where missing; the distinct values they number; whether these are in a declared order."""
    dtype = series.dtype
    if dtype.is_integer() or dtype == nw.Boolean:
        return *_encoded_integers(series, dtype == nw.Boolean), False
    if dtype.is_float():
        values = np.asarray(series.cast(nw.Float64).to_numpy(), dtype=np.float64)
        distinct, codes = np.unique(values, return_inverse=True)  # one NaN, and that last
        known = distinct[~np.isnan(distinct)].tolist()
        return np.where(codes < len(known), codes, -1), known, False
    if dtype in (nw.Categorical, nw.Enum) or (dtype == nw.String and len(series) > FEW):
        if series.implementation.is_polars():
            return _encoded_polars(series)
        if series.implementation.is_pyarrow():
            return _encoded_pyarrow(series)
        return _encoded_pandas(series)
    texts = [level_text(value) for value in series.to_list()]
    absent = np.flatnonzero(series.is_null().to_numpy()) if series.null_count() else ()
    place = {text: index for index, text in enumerate(dict.fromkeys(texts))}
    codes = np.fromiter(map(place.__getitem__, texts), np.intp, len(texts))
    if len(absent):
        codes[absent] = -1
        codes, present = _compact(codes)
        return codes, [list(place)[index] for index in present], False
    return codes, list(place), False


def _encoded_integers(series: nw.Series[Any], boolean: bool) -> tuple[np.ndarray, list[Any]]:
    absent = series.is_null().to_numpy() if series.null_count() else None
    filled = series if absent is None else series.fill_null(False if boolean else 0)
    values = np.asarray(filled.to_numpy())
    if boolean:
        values = values.astype(np.int8)
    lowest = int(values.min()) if len(values) else 0
    if len(values) and int(values.max()) - lowest > 4 * len(values) + 1000:
        distinct, codes = np.unique(values, return_inverse=True)
    else:
        codes, distinct = values.astype(np.int64) - lowest, None
    if absent is not None:
        codes = np.where(absent, -1, codes)
    codes, present = _compact(codes)
    known = (present + lowest if distinct is None else distinct[present]).tolist()
    return codes, [bool(value) for value in known] if boolean else known


def _encoded_polars(series: nw.Series[Any]) -> tuple[np.ndarray, list[str], bool]:
    native, pl = series.to_native(), series.__native_namespace__()
    declared = series.dtype == nw.Enum
    numbered = native.cast(pl.Categorical) if series.dtype == nw.String else native
    raw = numbered.to_physical().cast(pl.Int64).fill_null(-1).to_numpy()
    codes, present = _compact(raw)
    example = np.zeros(len(present) + 1, dtype=np.intp)  # a row of each level; the last for missing
    example[codes] = np.arange(len(codes))
    return codes, native.gather(example[:-1]).cast(pl.String).to_list(), declared


def _encoded_pyarrow(series: nw.Series[Any]) -> tuple[np.ndarray, list[Any], bool]:
    native, pa = series.to_native(), series.__native_namespace__()
    if not pa.types.is_dictionary(native.type):
        native = native.dictionary_encode()
    array = native.unify_dictionaries().combine_chunks()
    raw = array.indices.cast("int64").fill_null(-1).to_numpy(zero_copy_only=False)
    codes, present = _compact(raw)
    return codes, array.dictionary.take(pa.array(present)).to_pylist(), array.type.ordered


def _encoded_pandas(series: nw.Series[Any]) -> tuple[np.ndarray, list[Any], bool]:
    native, pd = series.to_native(), series.__native_namespace__()
    if series.dtype == nw.String:
        raw, values = pd.factorize(native)
        return raw.astype(np.intp, copy=False), values.tolist(), False
    codes, present = _compact(native.cat.codes.to_numpy().astype(np.int64))
    return codes, [native.cat.categories[index] for index in present], bool(native.cat.ordered)


def _compact(raw: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Non-negative integers (n,) renumbered 0, 1, ... in their order, -1 as it is; and the integers that occur."""
    top = int(raw.max()) if len(raw) else -1
    if top > 4 * len(raw) + 1000:
        present, codes = np.unique(raw, return_inverse=True)
        gone = int(present[0] == -1)
        return codes - gone, present[gone:]
    used = np.zeros(top + 2, dtype=bool)  # the last place is that of -1
    used[raw] = True
    present = np.flatnonzero(used[:-1])
    place = np.full(top + 2, -1, dtype=np.intp)
    place[present] = np.arange(len(present))
    return place[raw], present


def _kept(missing: list[tuple[str, np.ndarray]], n: int) -> tuple[np.ndarray | None, dict[str, int]]:
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


def _taken(column: Column, kept: np.ndarray) -> Column:
    """The rows kept; levels that no longer occur go."""
    if not isinstance(column, Factor):
        return column[kept]
    codes, present = _compact(column.codes[kept])
    return Factor(codes, tuple(column.levels[index] for index in present))
