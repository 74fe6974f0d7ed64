"""Reading a raw file: the needed columns as they stand in it, with the number of each row.

Text files are read as text, every field; what is a number is decided in `clean_columns`, where each
change is counted. Rows are numbered as in an editor: the header is row 1, the first record row 2.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import polars as pl

from lmmstudy.wording import did_you_mean, quoted

ROW = "row number in the file"


class Unusable(Exception):
    """The raw file cannot be analysed; the text completes the sentence "... was not analysed: "."""


def read_raw(
    path: Path, design: Mapping[str, Any], columns: Sequence[str]
) -> tuple[dict[str, Any], pl.DataFrame]:
    """The audit's `source` entries and a frame of `ROW` (UInt32) and the needed `columns`.

    Raises `Unusable` when the file cannot be read or lacks a column.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise Unusable(f"{design['path']} cannot be read ({error.strerror})") from error
    kind = path.suffix.lower().lstrip(".")
    kind = kind if kind in ("parquet", "tsv") else "csv"
    source: dict[str, Any] = {"sha256": sha256(content).hexdigest(), "bytes": len(content)}
    source["format"] = kind
    if kind == "parquet":
        frame = _read_parquet(content, design)
    else:
        source["separator"] = design.get("separator", "\t" if kind == "tsv" else ",")
        source["encoding"] = design["encoding"]
        frame = _read_text(content, source["separator"], design)
    frame = frame.rename({name: name.strip() for name in frame.columns})
    _require(columns, frame.columns, source.get("separator"), design)
    return source, frame.select(columns).with_row_index(ROW, offset=2)


def _read_parquet(content: bytes, design: Mapping[str, Any]) -> pl.DataFrame:
    try:
        return pl.read_parquet(io.BytesIO(content))
    except pl.exceptions.PolarsError as error:
        raise Unusable(f"{design['path']} is not a readable Parquet file") from error


def _read_text(content: bytes, separator: str, design: Mapping[str, Any]) -> pl.DataFrame:
    path, encoding = design["path"], design["encoding"]
    try:
        text = content.decode("utf-8-sig" if encoding.lower() in ("utf-8", "utf8") else encoding)
    except LookupError as error:
        raise Unusable(f"Python knows no encoding {encoding!r}: correct `encoding`") from error
    except UnicodeDecodeError as error:
        raise Unusable(
            f"byte {error.start} of {path} is not {encoding}: name the file's `encoding`, such as latin-1"
        ) from error
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    header = next(csv.reader(io.StringIO(text), delimiter=separator), [])
    names = [name.strip() for name in header]
    if not any(names):
        raise Unusable(f"{path} is empty")
    if twice := sorted({name for name in names if name and names.count(name) > 1}):
        raise Unusable(f"the header of {path} names {quoted(twice)} twice")
    try:
        return pl.read_csv(
            io.BytesIO(text.encode()), separator=separator, infer_schema=False, raise_if_empty=False
        )
    except pl.exceptions.PolarsError as error:
        record = _ragged(text, separator, len(names))
        where = f"row {record} has more fields than the header" if record else "a quote is not closed"
        raise Unusable(f"{path} is not a proper table: {where}") from error


def _ragged(text: str, separator: str, width: int) -> int | None:
    records = csv.reader(io.StringIO(text), delimiter=separator)
    return next((n for n, record in enumerate(records, start=1) if len(record) > width), None)


def _require(
    columns: Sequence[str], present: Sequence[str], separator: str | None, design: Mapping[str, Any]
) -> None:
    missing = [column for column in columns if column not in present]
    if not missing:
        return
    hint = did_you_mean(missing[0], present)
    if separator and len(present) == 1:
        others = [mark for mark in ";\t,|" if mark in present[0] and mark != separator]
        hint = f"; is the `separator` {others[0]!r}?" if others else hint
    noun = "column" if len(missing) == 1 else "columns"
    raise Unusable(f"{design['path']} has no {noun} {quoted(missing)}{hint or '.'} It has {quoted(present)}")
