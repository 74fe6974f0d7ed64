"""Columns of text to numbers and categories, each change counted.

Subject, time, response and columns with a range must be numbers (the subject may be anything). A
covariate is a category when the config lists it or all its values are text, a number when all are
numbers; a mixture is refused, for it is nearly always a missing code that nobody declared.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from lmmstudy.clean_read import ROW, Unusable

MISSING = ("", "NA", "N/A", "NaN", "nan", "null", ".")
EXAMPLES = 5
MARKS = {".": r"^[^,]*$", ",": r"^[^.]*$", "both": r"^(?:[^,]*|[^.,]*,[^.,]*)$"}


@dataclass(frozen=True)
class Layout:
    """The columns of a dataset and what each is for."""

    design: Mapping[str, Any]

    @property
    def subject(self) -> str:
        return self.design["subject"]

    @property
    def time(self) -> str:
        return self.design["time"]

    @property
    def response(self) -> str:
        return self.design["response"]

    @property
    def group(self) -> str | None:
        return self.design.get("group")

    @property
    def columns(self) -> list[str]:
        """Subject, time, response, then the covariates by name."""
        return [self.subject, self.time, self.response, *self.design["covariates"]]

    @property
    def categories(self) -> Mapping[str, list[str]]:
        """The levels named in the config, as the text they have in the clean table."""
        named = self.design.get("categories", {})
        return {column: [_label(level) for level in levels] for column, levels in named.items()}

    def role(self, column: str) -> str:
        """`subject`, `time`, `response` or `covariate`."""
        roles = {self.subject: "subject", self.time: "time", self.response: "response"}
        return roles.get(column, "covariate")

    def empty(self) -> pl.DataFrame:
        """A clean table without rows."""
        texts = {self.subject, self.group, *self.categories}
        return pl.DataFrame(
            schema={column: pl.String if column in texts else pl.Float64 for column in self.columns}
        )


def convert(frame: pl.DataFrame, layout: Layout) -> tuple[pl.DataFrame, list[dict[str, Any]]]:
    """The frame with numbers (Float64), categories (String) and subjects (Int64 or String), and the
    coercions.

    Raises `Unusable` where a value fits no rule; the sentence gives the values and their rows.
    """
    coercions: list[dict[str, Any]] = []
    typed = {}
    for column in layout.columns:
        values = frame[column]
        if values.dtype.is_temporal() or values.dtype.is_nested():
            kind = str(values.dtype).split("(")[0].lower()
            raise Unusable(f"column {column!r} holds {kind} values: store numbers or text instead")
        changes = _Changes(column, values)
        if values.dtype.is_numeric() and column != layout.subject:
            values = changes.numbers(values.cast(pl.Float64), layout)
        else:
            values = changes.text(_as_text(values), layout)
        typed[column] = _settle(values, frame[ROW], layout, changes)
        coercions += changes.found
    return frame.select(ROW).with_columns(pl.Series(c, v) for c, v in typed.items()), coercions


class _Changes:
    """Counts what conversion changes in one column."""

    def __init__(self, column: str, original: pl.Series) -> None:
        self.column, self.original = column, original
        self.found: list[dict[str, Any]] = []

    def note(self, kind: str, changed: pl.Series) -> None:
        """Record `kind` for the rows where `changed` is true, with examples as in the file."""
        if count := int(changed.fill_null(False).sum()):
            values = self.original.filter(changed.fill_null(False)).unique(maintain_order=True)
            examples = [value for value in values.head(EXAMPLES).to_list()]
            self.found.append({"column": self.column, "kind": kind, "count": count, "examples": examples})

    def numbers(self, values: pl.Series, layout: Layout) -> pl.Series:
        """A numeric column of a Parquet file with codes and NaN as null."""
        self.note("not a finite number", ~values.is_finite())
        values = values.set(~values.is_finite(), None)
        coded = values.is_in(_numeric_codes(layout))
        self.note("missing code", coded)
        return values.set(coded.fill_null(False), None)

    def text(self, values: pl.Series, layout: Layout) -> pl.Series:
        """A column of text without stray spaces and with missing codes as null."""
        trimmed = values.str.strip_chars()
        self.note("stray spaces", trimmed != values)
        own = () if self.column == layout.subject else layout.design["missing"]
        codes = [*MISSING, *(_label(code) for code in own)]
        coded = trimmed.is_in(codes)
        if own:
            coded |= _parse(trimmed, layout).is_in(_numeric_codes(layout)).fill_null(False)
        self.note("missing code", coded & (trimmed != ""))
        return trimmed.set(coded.fill_null(False), None)


def _settle(values: pl.Series, rows: pl.Series, layout: Layout, changes: _Changes) -> pl.Series:
    """The column in its final type."""
    column = changes.column
    if column == layout.subject:
        return _subjects(values)
    if column in layout.categories:
        return _categories(_as_text(values), layout.categories[column], rows, changes)
    if values.dtype == pl.Float64:
        numbers = values
    else:
        numbers = _parse(values, layout)
        changes.note("decimal comma", numbers.is_not_null() & values.str.contains(",", literal=True))
        if changes.original.dtype != pl.String:  # a Boolean or a categorical column of a Parquet file
            numbers = pl.Series(column, [None] * len(values), dtype=pl.Float64)
    strange = values.is_not_null() & numbers.is_null()
    must_be_number = layout.role(column) != "covariate" or column in layout.design["range"]
    if strange.any() and not must_be_number and numbers.null_count() == len(numbers):
        return values
    if strange.any():
        advice = "correct them, or name them under `missing`"
        if layout.design["decimal"] == "." and values.filter(strange).str.contains(r"^[+-]?\d*,\d+$").any():
            advice = "if the comma is a decimal mark, set `decimal`"
        elif not must_be_number:
            advice += f"; if {column!r} is a category, list its levels under `categories`"
        listing = _listing(values, rows, strange)
        raise Unusable(f"column {column!r} holds what is not a number: {listing}: {advice}")
    if column == layout.group:
        raise Unusable(f"group {column!r} holds numbers: list its levels under `categories`")
    return numbers


def _parse(values: pl.Series, layout: Layout) -> pl.Series:
    """Float64, null where the text is no finite number written with the file's decimal mark."""
    plain = values.set(~values.str.contains(MARKS[layout.design["decimal"]]).fill_null(False), None)
    numbers = plain.str.replace(",", ".", literal=True).cast(pl.Float64, strict=False)
    return numbers.set(~numbers.is_finite().fill_null(False), None)


def _subjects(values: pl.Series) -> pl.Series:
    """Whole numbers when every id is one in its shortest form, so that 2 sorts before 10; else text."""
    whole = values.drop_nulls().str.contains(r"^(?:0|-?[1-9]\d{0,17})$")
    return values.cast(pl.Int64) if len(whole) and whole.all() else values


def _categories(values: pl.Series, levels: list[str], rows: pl.Series, changes: _Changes) -> pl.Series:
    folded = {level.casefold(): level for level in levels}
    spelled = {value: folded.get(value.casefold(), value) for value in values.drop_nulls().unique()}
    settled = values.replace(spelled) if spelled else values
    changes.note("letter case", settled != values)
    strange = settled.is_not_null() & ~settled.is_in(levels)
    if strange.any():
        allowed = ", ".join(repr(level) for level in levels)
        raise Unusable(
            f"column {changes.column!r} has values that `categories` does not list: "
            f"{_listing(values, rows, strange)} (listed: {allowed})"
        )
    return settled


def _listing(values: pl.Series, rows: pl.Series, wanted: pl.Series) -> str:
    found = list(zip(values.filter(wanted), rows.filter(wanted), strict=True))
    shown = ", ".join(f"{value!r} in row {row}" for value, row in found[:EXAMPLES])
    return shown if len(found) <= EXAMPLES else f"{shown} and {len(found) - EXAMPLES} more"


def _numeric_codes(layout: Layout) -> list[float]:
    return list(_floats(layout.design["missing"]))


def _floats(codes: list[Any]) -> Iterator[float]:
    for code in codes:
        try:
            yield float(code)
        except ValueError:
            continue


def _label(level: Any) -> str:
    """A level or code as text; a whole number loses its fraction: 1.0 and 1 are one level."""
    return str(int(level)) if isinstance(level, float) and level.is_integer() else str(level)


def _as_text(values: pl.Series) -> pl.Series:
    if values.dtype.is_float():
        labels = [None if v is None or v != v else _label(v) for v in values]
        return pl.Series(values.name, labels, dtype=pl.String)
    return values.cast(pl.String)
