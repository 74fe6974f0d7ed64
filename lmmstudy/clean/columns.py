"""Columns of text to numbers and categories, each change counted.

Subject, time, response and columns with a range must be numbers (the subject may be anything, the time a
date when `time_unit` is set). A covariate is a category when the config lists it or all its values are
text, a number when all are numbers; a mixture is refused, for it is nearly always a missing code that
nobody declared.
"""

from typing import Any

import polars as pl

from lmmstudy.base.text import label, quoted
from lmmstudy.clean.layout import Layout
from lmmstudy.clean.raw_bytes import Unusable
from lmmstudy.clean.read import ROW, separator_of
from lmmstudy.clean.times import describe, to_numbers
from lmmstudy.clean.values import (
    EXAMPLES,
    LARGEST,
    as_text,
    listing,
    not_numbers,
    numeric_codes,
    parse,
    separated,
    subjects,
    thousands,
)

MISSING = ("", "NA", "N/A", "NaN", "nan", "null", ".")


def convert(frame: pl.DataFrame, layout: Layout) -> tuple[pl.DataFrame, list[dict[str, Any]]]:
    """The frame with numbers (Float64), categories (String) and subjects (Int64 or String), and the
    coercions. `frame` loses its columns.

    Raises `Unusable` where a value fits no rule; the sentence gives the values and their rows, `others`
    those of the columns after the first.
    """
    coercions: list[dict[str, Any]] = []
    typed: dict[str, pl.Series] = {}
    problems: list[str] = []
    rows = frame[ROW]
    for column in layout.columns:
        changes = _Changes(column, frame.drop_in_place(column))  # a large file is not in memory twice
        try:
            typed[column] = _column(rows, layout, changes, typed.get(layout.subject))
        except Unusable as problem:
            problems.append(str(problem))
        coercions += changes.found
        del changes
    if problems:
        raise Unusable(problems[0], tuple(problems[1:]))
    return frame.select(ROW).with_columns(pl.Series(c, v) for c, v in typed.items()), coercions


class _Changes:
    """Counts what conversion changes in one column."""

    def __init__(self, column: str, original: pl.Series) -> None:
        self.column, self.original = column, original
        self.found: list[dict[str, Any]] = []

    def note(self, kind: str, changed: pl.Series) -> None:
        """Record `kind` for the rows where `changed` is true, with examples as in the file."""
        if count := int(changed.sum()):
            values = self.original.filter(changed).unique(maintain_order=True).head(EXAMPLES)
            examples = values.cast(pl.String).to_list() if values.dtype.is_temporal() else values.to_list()
            self.found.append({"column": self.column, "kind": kind, "count": count, "examples": examples})

    def numbers(self, values: pl.Series, rows: pl.Series, layout: Layout) -> pl.Series:
        """A numeric column of a Parquet file with codes and NaN as null. Raises `Unusable` for infinities and
        numbers beyond LARGEST."""
        if (endless := values.is_not_nan() & (values.abs() > LARGEST)).any():
            where = listing(values, rows, endless)
            advice = "correct them, or leave them empty"
            raise Unusable(f"column {self.column!r} holds what is not a number: {where}: {advice}")
        self.note("not a number", values.is_nan())
        values = values.set(values.is_nan().fill_null(False), None)
        coded = values.is_in(numeric_codes(layout))
        self.note("missing code", coded)
        return values.set(coded.fill_null(False), None)

    def text(self, values: pl.Series, layout: Layout) -> pl.Series:
        """A column of text without stray spaces and with missing codes as null."""
        trimmed = values.str.strip_chars()
        self.note("stray spaces", trimmed != values)
        own = () if self.column == layout.subject else layout.design["missing"]
        codes = [*MISSING, *(label(code) for code in own)]
        coded = trimmed.is_in(codes)
        if own:
            coded |= parse(trimmed, layout.design["decimal"]).is_in(numeric_codes(layout)).fill_null(False)
        self.note("missing code", coded & (trimmed != ""))
        return trimmed.set(coded.fill_null(False), None)


def _column(
    rows: pl.Series, layout: Layout, changes: _Changes, known_subjects: pl.Series | None
) -> pl.Series:
    """One column in its final type."""
    column, values = changes.column, changes.original
    dated = column == layout.time and "time_unit" in layout.design
    if values.dtype.is_temporal() and not dated or values.dtype.is_nested() or values.dtype == pl.Binary:
        kind = str(values.dtype).split("(")[0].lower()
        dates = column == layout.time and values.dtype in (pl.Date, pl.Datetime)
        hint = "set `time_unit`, such as days" if dates else "store numbers or text instead"
        raise Unusable(f"column {column!r} holds {kind} values: {hint}")
    if dated:
        if values.dtype.is_numeric():
            raise Unusable(f"column {column!r} holds numbers, no dates: remove `time_unit`")
        text = values if values.dtype.is_temporal() else changes.text(as_text(values), layout)
        # A subject that cannot be used has its own sentence; the dates are still checked.
        people = rows if known_subjects is None else known_subjects
        numbers = to_numbers(text, people, rows, layout)
        changes.note(describe(layout), numbers.is_not_null())
        return numbers
    if values.dtype.is_numeric() and column != layout.subject:
        values = changes.numbers(values.cast(pl.Float64), rows, layout)
    else:
        values = changes.text(as_text(values), layout)
    return _settle(values, rows, layout, changes)


def _settle(values: pl.Series, rows: pl.Series, layout: Layout, changes: _Changes) -> pl.Series:
    """A column without missing codes in its final type."""
    column = changes.column
    if column == layout.subject:
        return subjects(values)
    if column in layout.categories:
        return _categories(as_text(values), layout.categories[column], rows, changes)
    if values.dtype == pl.Float64:
        numbers = values
    else:
        numbers = parse(values, layout.design["decimal"])
        if thousands(values, numbers, separator_of(layout.design)):
            raise separated(values, rows)
        changes.note("decimal comma", numbers.is_not_null() & values.str.contains(",", literal=True))
        if changes.original.dtype != pl.String:  # a Boolean or a categorical column of a Parquet file
            numbers = pl.Series(column, [None] * len(values), dtype=pl.Float64)
    strange = values.is_not_null() & numbers.is_null()
    must_be_number = layout.role(column) != "covariate" or column in layout.design["range"]
    if strange.any() and not must_be_number and numbers.null_count() == len(numbers):
        return values
    if strange.any():
        raise not_numbers(values, rows, strange, layout)
    if column == layout.group and numbers.count():
        raise Unusable(f"group {column!r} holds numbers: list its levels under `categories`")
    return numbers


def _categories(values: pl.Series, levels: list[str], rows: pl.Series, changes: _Changes) -> pl.Series:
    folded = {level.casefold(): level for level in levels}
    spelled = {value: folded.get(value.casefold(), value) for value in values.drop_nulls().unique()}
    spelled |= {level: level for level in levels}  # levels that differ in letter case alone stay apart
    settled = values.replace(spelled) if spelled else values
    changes.note("letter case", settled != values)
    strange = settled.is_not_null() & ~settled.is_in(levels)
    if strange.any():
        raise Unusable(
            f"column {changes.column!r} has values that `categories` does not list: "
            f"{listing(values, rows, strange)} (listed: {quoted(levels)})"
        )
    return settled
