"""Texts as numbers, ids and categories, and sentences about those that are not."""

from collections.abc import Iterator, Sequence
from typing import Any

import polars as pl

from lmmstudy.base.text import label, shown
from lmmstudy.clean.layout import Layout
from lmmstudy.clean.raw_bytes import Unusable
from lmmstudy.config.problems_values import LARGEST

EXAMPLES = 5
MARKS = {".": r"^[^,]*$", ",": r"^[^.]*$", "both": r"^(?:[^,]*|[^.,]*,[^.,]*)$"}
THOUSANDS = r"^[+-]?\d{1,3}(?:[.,'’ \u{a0}\u{202f}]\d{3})+(?:[.,]\d+)?$"
PERHAPS = r"^[+-]?[1-9]\d{0,2}[.,]\d{3}$"
"""A number whose mark can stand before the fraction or between the thousands."""
APART = 30
"""How many times larger the other numbers are when these have lost a factor of 1000: about its root."""
UNITS = r"^[+-]?\d+(?:[.,]\d+)?\s*[^\d\s.,]{1,12}$"


def parse(values: pl.Series, decimal: str) -> pl.Series:
    """Float64, null where the text is no number up to LARGEST written with the decimal mark `decimal`."""
    plain = values.set(~values.str.contains(MARKS[decimal]).fill_null(False), None)
    numbers = plain.str.replace(",", ".", literal=True).cast(pl.Float64, strict=False)
    return numbers.set(~(numbers.abs() <= LARGEST).fill_null(False), None)


def thousands(text: pl.Series, numbers: pl.Series, separator: str | None) -> bool:
    """Whether marks that were read as decimal marks evidently separate thousands.

    All of them have three digits behind them, and either they are commas in a file of fields separated by
    commas, or the other numbers are a thousand times larger: 950, 1.010, 1.060. text : as in the file;
    numbers : as read.
    """
    marked = text.str.contains("[.,]").fill_null(False)
    doubtful = text.str.contains(PERHAPS).fill_null(False) & numbers.is_not_null()
    for mark in ",.":
        of_mark = marked & text.str.contains(mark, literal=True).fill_null(False)
        if not of_mark.any() or not doubtful.filter(of_mark).all():
            continue
        if mark == "," == separator:
            return True
        others = numbers.filter(~of_mark).drop_nulls().abs().median()
        own = numbers.filter(of_mark).abs().median()
        if isinstance(others, float) and isinstance(own, float) and others > APART * own:
            return True
    return False


def subjects(values: pl.Series) -> pl.Series:
    """Whole numbers when every id is one in its shortest form, so that 2 sorts before 10; else text."""
    whole = values.drop_nulls().str.contains(r"^(?:0|-?[1-9]\d{0,17})$")
    return values.cast(pl.Int64) if len(whole) and whole.all() else values


def as_text(values: pl.Series) -> pl.Series:
    """The values as text; whole numbers without a fraction."""
    if values.dtype.is_float():
        labels = [None if v is None or v != v else label(v) for v in values]
        return pl.Series(values.name, labels, dtype=pl.String)
    return values.cast(pl.String).str.normalize("NFC")


def numeric_codes(layout: Layout) -> list[float]:
    """The codes for missing values that are numbers."""
    return list(_floats(layout.design["missing"]))


def listing(values: pl.Series, rows: pl.Series, wanted: pl.Series) -> str:
    """The wanted values with their rows, the first few of many."""
    found = list(zip(values.filter(wanted), rows.filter(wanted), strict=True))
    first = ", ".join(f"{shown(value)} in row {row}" for value, row in found[:EXAMPLES])
    return first if len(found) <= EXAMPLES else f"{first} and {len(found) - EXAMPLES} more"


def not_numbers(values: pl.Series, rows: pl.Series, strange: pl.Series, layout: Layout) -> Unusable:
    """Why the `strange` values of a column are no numbers, and what to do about it."""
    column, texts = values.name, values.filter(strange)
    where = listing(values, rows, strange)
    covariate = layout.role(column) == "covariate"
    advice = "correct them, or name them under `missing`"
    if column == layout.time and texts.str.contains(r"^\d{4}-\d|^\d{1,2}[./]\d{1,2}[./]\d{2}").all():
        return Unusable(
            f"column {column!r} holds what is not a number: {where}: for dates set `time_unit`, such as days"
        )
    named = len(texts) == values.drop_nulls().len() and texts.str.contains(r"^[^\W\d]").all()
    if column == layout.time and named:  # "Week 2", "V1"
        return Unusable(
            f"column {column!r} holds what is not a number: {where}: if these are visits by name, leave "
            f"`time` out, write `occasion: {column}`, and `time: {column}` in the residual structure"
        )
    if texts.str.contains(THOUSANDS).any() and not _decimal_comma(texts, layout):
        advice = "separators of thousands are not read, remove them"
        if texts.str.contains(r"^[+-]?\d+,\d+$").any() and layout.design["decimal"] == ".":
            advice += "; if the comma is a decimal mark, set `decimal`"
    elif _decimal_comma(texts, layout):
        advice = "if the comma is a decimal mark, set `decimal`"
    elif texts.str.contains(UNITS).any() and not covariate:
        advice = "write the numbers without a unit, or name these under `missing`"
    elif covariate:
        advice += f"; if {column!r} is a category, list its levels under `categories`"
    return Unusable(f"column {column!r} holds what is not a number: {where}: {advice}")


def separated(values: pl.Series, rows: pl.Series) -> Unusable:
    """Why a column with separators of thousands (see `thousands`) is not read, and what to do about it."""
    doubtful = values.str.contains(PERHAPS).fill_null(False)
    return Unusable(
        f"column {values.name!r} has marks that separate thousands, to judge by the file: "
        f"{listing(values, rows, doubtful)}: as decimal marks they would make these numbers a thousandth; "
        "remove them, or write fractions with another number of digits (1.010 as 1.01)"
    )


def _decimal_comma(texts: pl.Series, layout: Layout) -> bool:
    commas = texts.filter(texts.str.contains(r"^[+-]?\d*,\d+$"))
    return layout.design["decimal"] == "." and len(commas) > 0 and not commas.str.contains(THOUSANDS).all()


def _floats(codes: Sequence[Any]) -> Iterator[float]:
    for code in codes:
        try:
            yield float(code)
        except ValueError:
            continue
