"""Reading a raw file: the needed columns as they stand in it, with the number of each row.

Text files are read as text, every field; what is a number is decided in `clean_columns`, where each
change is counted. Rows are numbered as in a spreadsheet: the header is row 1, the first record row 2; a
record whose quoted fields go over several lines is one row.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import polars as pl

from lmmstudy.clean_bytes import Unusable, decoded, read_bytes, unpacked
from lmmstudy.wording import did_you_mean, quoted

__all__ = ["ROW", "Unusable", "kind_of", "parquet_table", "read_raw", "text_table"]

ROW = "\0row"
"""The column of row numbers; no column of a raw file has this name."""


def read_raw(
    path: Path, design: Mapping[str, Any], columns: Sequence[str], source: dict[str, Any]
) -> pl.DataFrame:
    """A frame of `ROW` (UInt32) and the needed `columns`; `source`, of the audit, gains what the file is.

    Raises `Unusable` when the file cannot be read or lacks a column.
    """
    name = design["path"]
    packed = read_bytes(path, name)
    kind = kind_of(path)
    source |= {"sha256": sha256(packed).hexdigest(), "bytes": len(packed), "format": kind}
    content = unpacked(packed, name)
    if kind == "parquet":
        frame = parquet_table(content, name)
    else:
        source["separator"] = design.get("separator", "\t" if kind == "tsv" else ",")
        source["encoding"] = design["encoding"]
        text = decoded(content, source["encoding"], name)
        frame = text_table(text, source["separator"], name)
    _require(columns, frame.columns, source.get("separator"), name)
    return frame.select(columns).with_row_index(ROW, offset=2)


def kind_of(path: Path) -> str:
    """`parquet`, `tsv` or `csv`, by the ending of the name; `.gz` does not count."""
    ending = Path(path.stem).suffix if path.suffix.lower() == ".gz" else path.suffix
    kind = ending.lower().lstrip(".")
    return kind if kind in ("parquet", "tsv") else "csv"


def text_table(text: str, separator: str, name: str) -> pl.DataFrame:
    """The table that `text` holds, every field as text (null where it is empty), names without spaces
    around them. Raises `Unusable`.
    """
    try:
        header = next(csv.reader(io.StringIO(text), delimiter=separator), [])
    except csv.Error as error:
        raise Unusable(f"the header of {name} cannot be read ({error}): is a quote not closed?") from error
    names = [column.strip() for column in header]
    if not any(names):
        empty = f"row 1 of {name} names no column: the names must stand in the first row"
        raise Unusable(empty if text.strip() else f"{name} is empty")
    _check_unique(names, name)
    try:
        frame = pl.read_csv(
            io.BytesIO(text.encode()), separator=separator, infer_schema=False, raise_if_empty=False
        )
    except pl.exceptions.PolarsError as error:
        raise Unusable(f"{name} is not a proper table: {_improper(text, separator, len(names))}") from error
    # Polars leaves doubled quotes in names as they are; columns without a name keep the one it gave them.
    return frame.rename({old: new for old, new in zip(frame.columns, names, strict=False) if new})


def parquet_table(content: bytes, name: str) -> pl.DataFrame:
    """The table of a Parquet file, names without spaces around them. Raises `Unusable`."""
    try:
        frame = pl.read_parquet(io.BytesIO(content))
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise Unusable(f"{name} is not a readable Parquet file") from error
    _check_unique([column.strip() for column in frame.columns], name)
    return _stripped(frame)


def _stripped(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame with spaces around names taken away; columns without a name keep the name they have."""
    return frame.rename({column: column.strip() for column in frame.columns if column.strip()})


def _check_unique(names: Sequence[str], file: str) -> None:
    if twice := sorted({name for name in names if name and names.count(name) > 1}):
        raise Unusable(f"the header of {file} names {quoted(twice)} twice: rename or remove one of them")


def _improper(text: str, separator: str, width: int) -> str:
    """What keeps the text from being a table, and what to do."""
    records = csv.reader(io.StringIO(text), delimiter=separator)
    try:
        record = next((n for n, record in enumerate(records, start=1) if len(record) > width), None)
    except csv.Error:  # a field without end
        record = None
    if record:
        title = "remove what stands above the header"
        remedy = title if width == 1 else "put a field with a separator in it in quotes"
        return f"row {record} has more fields than the header: {remedy}"
    odd = [n for n, line in enumerate(text.splitlines(), start=1) if line.count('"') % 2]
    return f"a quote is not closed, the last one in line {odd[-1]}" if odd else "its quotes do not match"


def _require(columns: Sequence[str], present: Sequence[str], separator: str | None, name: str) -> None:
    missing = [column for column in columns if column not in present]
    if not missing:
        return
    hint = did_you_mean(missing[0], present)
    if separator and len(present) == 1:
        others = [mark for mark in ";\t,|" if mark in present[0] and mark != separator]
        hint = f"; is the `separator` {others[0]!r}?" if others else hint
    noun = "column" if len(missing) == 1 else "columns"
    raise Unusable(f"{name} has no {noun} {quoted(missing)}{hint or '.'} It has {quoted(present)}")
