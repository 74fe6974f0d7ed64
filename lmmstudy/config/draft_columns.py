"""What the columns of an unknown table look like."""

import re
from dataclasses import dataclass

import polars as pl

from lmmstudy.clean.columns import MISSING
from lmmstudy.clean.values import THOUSANDS, parse, thousands

CODES = ("-9", "-99", "-999", "-9999", "999", "9999", "-77", "-88")
DATE = r"^\d{4}-\d\d-\d\d|^\d{4}/\d\d/\d\d|^\d\d?[./]\d\d?[./]\d{4}"
MOST_WORDS = 3
"""Most different words in a column of numbers that are taken for codes of missing values."""


@dataclass(frozen=True)
class Column:
    """A column at a glance.

    kind : "number", "date", "text", "empty", "other" (bytes, nested values). values : Float64, the days
    of dates, or text; null where missing. decimal : the mark of its fractions, "" for whole numbers.
    apart : numbers with separators of thousands. codes : probable codes for missing values. form : of
    dates that could be read in two ways.
    """

    name: str
    kind: str
    values: pl.Series
    decimal: str = ""
    apart: bool = False
    codes: tuple[str, ...] = ()
    form: str | None = None

    @property
    def distinct(self) -> int:
        return self.values.drop_nulls().n_unique()

    @property
    def whole(self) -> bool:
        """Whether it holds whole numbers."""
        return self.kind == "number" and bool((self.values.drop_nulls() % 1 == 0).all())


def describe(values: pl.Series, separator: str | None) -> Column:
    """Look at one column of a file whose fields are separated by `separator`."""
    name = values.name
    values = values.alias("values")  # polars takes some names for patterns
    if values.dtype.is_temporal():
        moments = values.dtype in (pl.Date, pl.Datetime)
        days = values.cast(pl.Datetime("us")).dt.timestamp() if moments else values.to_physical()
        return Column(name, "date", days.cast(pl.Float64))
    if values.dtype.is_nested() or values.dtype == pl.Binary:
        return Column(name, "other", values)
    text = values.cast(pl.String, strict=False).str.strip_chars()
    text = text.set(text.is_in(list(MISSING)).fill_null(True), None)
    if not text.count():
        return Column(name, "empty", text)
    for decimal in (".", ",", "both"):
        if (column := _numbers(name, text, decimal, separator)) is not None:
            return column
    if text.drop_nulls().str.contains(DATE).all():
        return _dates(name, text)
    return Column(name, "text", text)


def _numbers(name: str, text: pl.Series, decimal: str, separator: str | None) -> Column | None:
    """The column as numbers written with `decimal`, unless it holds something else."""
    numbers = parse(text, decimal)
    strange = text.filter(numbers.is_null() & text.is_not_null())
    apart = False
    if len(strange) and strange.str.contains(THOUSANDS).all():
        numbers, apart = _together(text), True
        strange = text.filter(numbers.is_null() & text.is_not_null())
    words = strange.unique().sort().to_list()
    letters = all(not re.search(r"\d", word) for word in words)
    if words and not (letters and len(words) <= MOST_WORDS and len(strange) <= 0.2 * text.count()):
        return None
    if not apart and thousands(text, numbers, separator):
        numbers, apart = _together(text), True
    used = {mark for mark in ".," if text.str.contains(mark, literal=True).any()}
    mark = "" if apart or not used else decimal if decimal == "both" and len(used) == 2 else used.pop()
    present = [code for code in CODES if (text == code).any()]
    usual = numbers.filter(~text.is_in(present).fill_null(True))
    far = [code for code in present if not usual.count() or not _inside(float(code), usual)]
    numbers = numbers.set(text.is_in(far).fill_null(False), None)
    return Column(name, "number", numbers, mark, apart, (*far, *words))


def _together(text: pl.Series) -> pl.Series:
    """Numbers without their separators of thousands."""
    return (
        text.str.replace_all(r"[.,'’ \x{a0}](\d{3})", "${1}")
        .str.replace(",", ".")
        .cast(pl.Float64, strict=False)
    )


def _dates(name: str, text: pl.Series) -> Column:
    """Dates as days; `form` where day and month could be exchanged: then the day is taken to come first."""
    forms = ["%Y-%m-%d", "%Y/%m/%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y"]
    day = text.str.extract(r"^(\S{8,10})")
    read = {form: day.str.to_date(form, strict=False, exact=True) for form in forms}
    good = [form for form, dates in read.items() if dates.count() == text.count()]
    if not good:
        return Column(name, "text", text)
    form = good[0] if len(good) > 1 else None
    return Column(name, "date", read[good[0]].cast(pl.Int32).cast(pl.Float64), form=form)


def _inside(value: float, usual: pl.Series) -> bool:
    low, high = usual.min(), usual.max()
    return isinstance(low, float) and isinstance(high, float) and low <= value <= high
