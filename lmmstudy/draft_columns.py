"""What the columns of an unknown table look like, and which of them is probably what."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from lmmstudy.clean_columns import MISSING

SUBJECT = r"subject|subj|patient|participant|person|animal|child|pupil|student|mare|rat\b|\bids?\b|_id|id_"
TIME = r"time|day|week|month|year|visit|wave|occasion|session|date|\bage\b|hour|minute|\bt\b"
RESPONSE = r"response|outcome|score|value|result|measure|weight|level|\by\b"
CODES = ("-9", "-99", "-999", "-9999", "999", "9999", "-77", "-88")


@dataclass(frozen=True)
class Column:
    """A column at a glance. `kind`: "number", "date", "text", "empty", "other" (bytes, nested values);
    `codes`: probable missing codes; `pointed`: some numbers have a decimal point."""

    name: str
    kind: str
    distinct: int
    decimal: str = "."
    pointed: bool = False
    codes: tuple[str, ...] = ()


def describe(values: pl.Series) -> Column:
    """Look at one column."""
    name = values.name
    if values.dtype.is_temporal():
        return Column(name, "date", values.n_unique())
    if values.dtype.is_nested() or values.dtype == pl.Binary:
        return Column(name, "other", 0)
    values = values.alias("values")  # polars takes some names for patterns
    text = values.cast(pl.String, strict=False).str.strip_chars()
    text = text.filter(~text.is_in(list(MISSING)) & text.is_not_null())
    distinct = text.n_unique()
    if not len(text):
        return Column(name, "empty", 0)
    comma = "both" if text.str.contains(".", literal=True).any() else ","
    for mark, plain in ((".", text), (comma, text.str.replace(",", ".", literal=True))):
        if plain.cast(pl.Float64, strict=False).is_not_null().all():
            present = [code for code in CODES if code in set(text.to_list())]
            numbers = plain.cast(pl.Float64)
            usual = numbers.filter(~text.is_in(present)) if present else numbers
            far = [c for c in present if not len(usual) or not _inside(float(c), usual)]
            return Column(name, "number", distinct, mark, comma == "both", tuple(far))
    if text.str.contains(r"^\d{4}-\d\d-\d\d|^\d\d?[./]\d\d?[./]\d{4}").all():
        return Column(name, "date", distinct)
    return Column(name, "text", distinct)


def guess_roles(frame: pl.DataFrame, columns: Sequence[Column]) -> dict[str, str]:
    """`subject`, `time`, `response`: columns whose name and content speak for it; what is unclear is left
    out.
    """
    rows = frame.height
    by_name = {column.name: column for column in columns}
    kinds = ("text", "number")
    subjects = [c for c in columns if c.kind in kinds and 0 < c.distinct <= max(rows, 1)]
    roles: dict[str, str] = {}
    subject = max(subjects, key=lambda c: _subject_score(c, rows), default=None)
    if subject is None:
        return roles
    roles["subject"] = subject.name
    times = [c for c in columns if c.kind in ("number", "date") and c is not subject and c.distinct > 1]
    values = {series.name: series for series in frame.get_columns()}
    who = values[subject.name].alias("subject")
    pairs = {c.name: pl.DataFrame([who, values[c.name].alias("time")]) for c in times}
    unique = {name: pair.n_unique() / max(rows, 1) for name, pair in pairs.items()}
    good = [c for c in times if unique[c.name] > 0.9 or re.search(TIME, c.name, re.IGNORECASE)]
    if good:
        roles["time"] = max(good, key=lambda c: _time_score(c, unique[c.name], rows)).name
    rest = [c for c in columns if c.kind == "number" and c.name not in roles.values()]
    if rest:
        roles["response"] = max(rest, key=_response_score).name
    return {role: name for role, name in roles.items() if name in by_name}


def wide_columns(columns: Sequence[Column]) -> tuple[str, dict[str, float]] | None:
    """The stem and {column: time} of at least three columns of numbers named stem + number, else None."""
    stems: dict[str, dict[str, float]] = {}
    for column in (column for column in columns if column.kind == "number"):
        if match := re.fullmatch(r"(.*?[^\d.])[_ .]?(\d+(?:\.\d+)?)", column.name):
            stems.setdefault(match[1].rstrip("_. "), {})[column.name] = float(match[2])
    longest = max(stems.items(), key=lambda item: len(item[1]), default=None)
    return longest if longest and len(longest[1]) >= 3 else None


def _subject_score(column: Column, rows: int) -> tuple[int, int]:
    """Named like a subject, then: text, or few distinct values, with several rows each."""
    repeated = column.distinct < rows
    return 2 * _named(SUBJECT, column.name) + repeated, (column.kind == "text") * 2 + (column.distinct > 2)


def _response_score(column: Column) -> tuple[int, int]:
    """Named like a response and not like a time; then the column with the most distinct values."""
    return _named(RESPONSE, column.name) - _named(TIME, column.name), column.distinct


def _time_score(column: Column, unique: float, rows: int) -> tuple[float, ...]:
    few = column.distinct < rows
    return _named(TIME, column.name) + (unique > 0.9), few, -column.distinct


def _named(pattern: str, name: str) -> int:
    return int(bool(re.search(pattern, name, re.IGNORECASE)))


def _inside(value: float, usual: pl.Series) -> bool:
    low, high = usual.min(), usual.max()
    return isinstance(low, float) and isinstance(high, float) and low <= value <= high
