"""Reading a raw file: the needed columns as they stand in it, with the number of each row.

Text files are read as text, every field; what is a number is decided in `clean_columns`, where each
change is counted. Rows are numbered as in a spreadsheet: the header is row 1, the first record row 2; a
record whose quoted fields go over several lines is one row.
"""

import csv
import io
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from lmmstudy.base.text import quoted
from lmmstudy.clean.raw_bytes import (
    LARGEST,
    PIECE,
    RATIO,
    SMALL,
    Lacking,
    Unusable,
    as_utf8,
    read_bytes,
    unpacked,
)

__all__ = ["ROW", "Unusable", "kind_of", "parquet_table", "read_raw", "separator_of", "text_table"]

DIGITS = 38
"""Of a decimal number of a Parquet file, as many as polars has."""
ROW = "\0row"
"""The column of row numbers; no column of a raw file has this name."""
CELL = 8
"""Bytes of a value in memory, at least."""


def read_raw(
    path: Path, design: Mapping[str, Any], columns: Sequence[str], record: dict[str, Any]
) -> pl.DataFrame:
    """A frame of `ROW` (UInt32) and the needed `columns`; `record`, the audit, gains what the file is.

    Columns that candidates need together and that the file has not all are left out; `record` says which it
    lacks. Raises `Unusable` when the file cannot be read or lacks another column.
    """
    name, header = design["path"], design.get("header_row", 1)
    kind = kind_of(path)
    content = read_bytes(path, name)
    source = record["source"]
    source |= {"sha256": sha256(content).hexdigest(), "bytes": len(content), "format": kind}
    content = unpacked(content, name)
    if kind != "parquet":
        source["separator"] = separator_of(design)
        source["encoding"] = design["encoding"]
        content = as_utf8(content, source["encoding"], name)

    def table(columns: Sequence[str]) -> pl.DataFrame:
        if kind == "parquet":
            return parquet_table(content, name, columns)
        return _table(content, source["separator"] or ",", name, header, columns)

    try:
        frame = table(columns)
    except Lacking as lacking:
        columns, record["absent"] = _without(columns, design["of_models"], lacking)
        frame = table(columns)
    return frame.select(columns).with_row_index(ROW, offset=1 + header)


def _without(
    columns: Sequence[str], of_models: Sequence[Sequence[str]], lacking: Lacking
) -> tuple[list[str], list[dict[str, Any]]]:
    """The columns without those that only candidates need of which the file has not all columns, and what it
    lacks: {"columns", "message"} for each such candidate."""
    whole = [needed for needed in of_models if set(needed) <= set(lacking.present)]
    optional, kept = set(chain.from_iterable(of_models)), set(chain.from_iterable(whole))
    absent: dict[tuple[str, ...], str] = {}
    for needed in of_models:
        if missing := tuple(column for column in needed if column not in lacking.present):
            absent[missing] = str(Lacking(lacking.name, missing, lacking.present))
    entries = [{"columns": list(missing), "message": f"{text}."} for missing, text in absent.items()]
    return [column for column in columns if column not in optional or column in kept], entries


def separator_of(design: Mapping[str, Any]) -> str | None:
    """The character between the fields of a dataset's text file; None for a Parquet file."""
    usual = {"parquet": None, "tsv": "\t", "csv": ","}
    return design.get("separator", usual[kind_of(Path(design["path"]))])


def kind_of(path: Path) -> str:
    """`parquet`, `tsv` or `csv`, by the ending of the name; `.gz` does not count."""
    ending = Path(path.stem).suffix if path.suffix.lower() == ".gz" else path.suffix
    kind = ending.lower().lstrip(".")
    return kind if kind in ("parquet", "tsv") else "csv"


def text_table(text: str, separator: str, name: str, header: int = 1) -> pl.DataFrame:
    """The table that `text` holds, every field as text (null where it is empty), names without spaces
    around them.

    header : the row of the names; what stands above it is left out. Raises `Unusable`.
    """
    return _table(text.encode(), separator, name, header, None)


def _table(
    content: bytes, separator: str, name: str, header: int, columns: Sequence[str] | None
) -> pl.DataFrame:
    """The table of a text in UTF-8, as `text_table` has it; of `columns` alone, if they are given."""
    if not content.strip():
        raise Unusable(f"{name} is empty")
    if header > 1:
        above = content.split(b"\n", header - 1)
        content = above[-1] if len(above) == header else b""
    if b'"' in content:
        _check_quotes(content, separator, name, header)
    names = [column.strip() for column in next(_records(content, separator), [])]
    if not any(names):
        place = "in the first row; or set `header_row`" if header == 1 else "where `header_row` says"
        raise Unusable(f"row {header} of {name} names no column: the names must stand {place}")
    _check_unique(names, name)
    wanted = None
    if columns is not None:
        # Polars does not look at the length of rows of which it reads a part.
        if _has_wider(content, separator, len(names)):
            reason = _improper(content, separator, len(names), header)
            raise Unusable(f"{name} is not a proper table: {reason}")
        _require(columns, names, separator, name)
        wanted = [place for place, column in enumerate(names) if column in columns]
    try:
        frame = pl.read_csv(
            content, columns=wanted, separator=separator, infer_schema=False, raise_if_empty=False
        )
    except pl.exceptions.PolarsError as error:
        raise Unusable(
            f"{name} is not a proper table: {_improper(content, separator, len(names), header)}"
        ) from error
    if wanted is not None:
        names = [names[place] for place in wanted]
    # Polars leaves doubled quotes in names as they are; columns without a name keep the one it gave them.
    return frame.rename({old: new for old, new in zip(frame.columns, names, strict=False) if new})


def parquet_table(content: bytes, name: str, columns: Sequence[str] | None = None) -> pl.DataFrame:
    """The table of a Parquet file, names without spaces around them; of `columns` alone, if they are given.

    Raises `Unusable`, also for a file that would not fit into memory: what it holds is asked first.
    """
    try:
        scan = pl.scan_parquet(io.BytesIO(content))
        stored = scan.collect_schema().names()
        rows = scan.select(pl.len()).collect().item()  # from the file's metadata
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise _unreadable(content, name) from error
    names = [unicodedata.normalize("NFC", column.strip()) for column in stored]
    _check_unique(names, name)
    if columns is not None:
        _require(columns, names, None, name)
    wanted = [place for place, column in enumerate(names) if columns is None or column in columns]
    size = CELL * rows * len(wanted)
    if size > max(SMALL, RATIO * len(content)):
        raise Unusable(f"{name} holds {rows:,} rows in {len(content):,} bytes: that is no table")
    if size > LARGEST:
        raise Unusable(f"{name} unpacks to more than {LARGEST // 2**30} GiB: split it")
    try:
        frame = pl.read_parquet(io.BytesIO(content), columns=wanted)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise _unreadable(content, name) from error
    # Columns without a name keep the one they have.
    return frame.rename({stored[place]: names[place] for place in wanted if names[place]})


def _unreadable(content: bytes, name: str) -> Unusable:
    """Why polars does not read a Parquet file, as far as another reader can tell."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    damaged = Unusable(f"{name} is not a readable Parquet file")
    try:
        schema = pq.read_schema(pa.BufferReader(content))
    except (pa.ArrowException, OSError, ValueError):
        return damaged
    try:
        _check_unique([unicodedata.normalize("NFC", column.strip()) for column in schema.names], name)
    except Unusable as twice:
        return twice
    for column in schema:
        if pa.types.is_decimal(column.type) and column.type.precision > DIGITS:
            what = f"decimal numbers of {column.type.precision} digits"
            return Unusable(f"column {column.name!r} of {name} holds {what}: store ordinary numbers instead")
    return damaged


def _has_wider(content: bytes, separator: str, width: int) -> bool:
    """Whether some row has more than `width` fields."""
    if b'"' in content:
        return any(len(record) > width for record in _records(content, separator))
    start = 0
    while start < len(content):
        end = content.rfind(b"\n", start, start + PIECE) + 1
        end = end if end > start else (content.find(b"\n", start) + 1 or len(content))
        piece = np.frombuffer(content, np.uint8, end - start, start)
        ends = np.append(np.flatnonzero(piece == ord("\n")), end - start)
        marks = np.searchsorted(np.flatnonzero(piece == ord(separator)), ends)
        if np.diff(marks, prepend=0).max() >= width:
            return True
        start = end
    return False


def _check_unique(names: Sequence[str], file: str) -> None:
    if twice := sorted(name for name, times in Counter(names).items() if name and times > 1):
        raise Unusable(f"the header of {file} names {quoted(twice)} twice: rename or remove one of them")


def _records(content: bytes, separator: str) -> Iterator[list[str]]:
    """The records of a text in UTF-8. Raises csv.Error where a quoted field does not end as it should."""
    csv.field_size_limit(max(csv.field_size_limit(), len(content)))  # it holds for all readers of the process
    lines = io.TextIOWrapper(io.BytesIO(content), "utf-8", newline="")
    return csv.reader(lines, delimiter=separator, strict=True)


def _check_quotes(content: bytes, separator: str, name: str, row: int) -> None:
    """Raise `Unusable` where a quoted field does not end as it should.

    Polars guesses there, and two rows can become one without a word. row : the number of the first.
    """
    try:
        for _ in _records(content, separator):
            row += 1
    except csv.Error as error:
        what = 'there is text after a closing quote: write quotes within a field twice ("")'
        if "unexpected end" in str(error):
            what = "a quote is not closed: it opens there"
        raise Unusable(f"{name} is not a proper table: in row {row} {what}") from error


def _improper(content: bytes, separator: str, width: int, header: int) -> str:
    """What keeps the text, whose quotes are in order, from being a table, and what to do."""
    widths = [len(record) for record in _records(content, separator)][1:]
    if row := next((row for row, found in enumerate(widths, header + 1) if found > width), None):
        remedy = "put a field with a separator in it in quotes"
        if width == 1:
            remedy = "remove what stands above the header, or set `header_row`"
        elif all(found in (0, width + 1) for found in widths):
            remedy = "the names of the rows have no name, as in R: write the file with `row.names = FALSE`"
        return f"row {row} has more fields than the header: {remedy}"
    return 'a field has quotes and does not begin with one: put it in quotes, and those within it twice ("")'


def _require(columns: Sequence[str], present: Sequence[str], separator: str | None, name: str) -> None:
    if set(columns) <= set(present):
        return
    hint = ""
    if separator and len(present) == 1:
        others = [mark for mark in ";\t,|" if mark in present[0] and mark != separator]
        hint = f"; is the `separator` {others[0]!r}?" if others else ""
    raise Lacking(name, columns, present, hint)
