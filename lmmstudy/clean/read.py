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
from pathlib import Path
from typing import Any

import polars as pl

from lmmstudy.base.text import did_you_mean, quoted
from lmmstudy.clean.raw_bytes import Unusable, decoded, read_bytes, unpacked

__all__ = ["ROW", "Unusable", "kind_of", "parquet_table", "read_raw", "separator_of", "text_table"]

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
        source["separator"] = separator_of(design)
        source["encoding"] = design["encoding"]
        text = decoded(content, source["encoding"], name)
        frame = text_table(text, source["separator"] or ",", name, design.get("header_row", 1))
    _require(columns, frame.columns, source.get("separator"), name)
    return frame.select(columns).with_row_index(ROW, offset=1 + design.get("header_row", 1))


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
    if not text.strip():
        raise Unusable(f"{name} is empty")
    if header > 1:
        above = text.split("\n", header - 1)
        text = above[-1] if len(above) == header else ""
    if '"' in text:
        _check_quotes(text, separator, name, header)
    names = [column.strip() for column in next(_records(text, separator), [])]
    if not any(names):
        place = "in the first row; or set `header_row`" if header == 1 else "where `header_row` says"
        raise Unusable(f"row {header} of {name} names no column: the names must stand {place}")
    _check_unique(names, name)
    try:
        frame = pl.read_csv(
            io.BytesIO(text.encode()), separator=separator, infer_schema=False, raise_if_empty=False
        )
    except pl.exceptions.PolarsError as error:
        raise Unusable(
            f"{name} is not a proper table: {_improper(text, separator, len(names), header)}"
        ) from error
    # Polars leaves doubled quotes in names as they are; columns without a name keep the one it gave them.
    return frame.rename({old: new for old, new in zip(frame.columns, names, strict=False) if new})


def parquet_table(content: bytes, name: str) -> pl.DataFrame:
    """The table of a Parquet file, names without spaces around them. Raises `Unusable`."""
    try:
        frame = pl.read_parquet(io.BytesIO(content))
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise Unusable(f"{name} is not a readable Parquet file") from error
    names = [unicodedata.normalize("NFC", column.strip()) for column in frame.columns]
    _check_unique(names, name)
    # Columns without a name keep the one they have.
    return frame.rename({old: new for old, new in zip(frame.columns, names, strict=True) if new})


def _check_unique(names: Sequence[str], file: str) -> None:
    if twice := sorted(name for name, times in Counter(names).items() if name and times > 1):
        raise Unusable(f"the header of {file} names {quoted(twice)} twice: rename or remove one of them")


def _records(text: str, separator: str) -> Iterator[list[str]]:
    """The records of the text. Raises csv.Error where a quoted field does not end as it should."""
    csv.field_size_limit(max(csv.field_size_limit(), len(text)))  # it holds for all readers of the process
    return csv.reader(io.StringIO(text), delimiter=separator, strict=True)


def _check_quotes(text: str, separator: str, name: str, row: int) -> None:
    """Raise `Unusable` where a quoted field does not end as it should.

    Polars guesses there, and two rows can become one without a word. row : the number of the first.
    """
    try:
        for _ in _records(text, separator):
            row += 1
    except csv.Error as error:
        what = 'there is text after a closing quote: write quotes within a field twice ("")'
        if "unexpected end" in str(error):
            what = "a quote is not closed: it opens there"
        raise Unusable(f"{name} is not a proper table: in row {row} {what}") from error


def _improper(text: str, separator: str, width: int, header: int) -> str:
    """What keeps the text, whose quotes are in order, from being a table, and what to do."""
    widths = [len(record) for record in _records(text, separator)][1:]
    if row := next((row for row, found in enumerate(widths, header + 1) if found > width), None):
        remedy = "put a field with a separator in it in quotes"
        if width == 1:
            remedy = "remove what stands above the header, or set `header_row`"
        elif all(found in (0, width + 1) for found in widths):
            remedy = "the names of the rows have no name, as in R: write the file with `row.names = FALSE`"
        return f"row {row} has more fields than the header: {remedy}"
    return 'a field has quotes and does not begin with one: put it in quotes, and those within it twice ("")'


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
