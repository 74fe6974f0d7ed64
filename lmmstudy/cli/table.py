"""The table of a file as `lmm fit` takes it: numbers, categories and ids, read as `lmm init` reads them."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from lmmcore.formula.parse import parse as parse_formula
from lmmstudy.base.text import quoted
from lmmstudy.clean.as_written import Source, open_file
from lmmstudy.clean.columns import MISSING
from lmmstudy.clean.raw_bytes import Unusable
from lmmstudy.clean.read import kind_of
from lmmstudy.clean.values import MARKS, THOUSANDS, listing, parse, subjects
from lmmstudy.config.draft_columns import describe


def fit_table(
    file: str, formula: str, residual: Mapping[str, Any] | None, variance: Mapping[str, Any] | None
) -> tuple[pl.DataFrame | str, str]:
    """The rows for lmmcore.fit, and a sentence about what was guessed ("" if nothing was).

    A Parquet file stays where it is: its columns have types, and the engine reads those it needs. In a text
    file the columns of the model become numbers, but for grouping factors, columns of text and those in C().
    Raises `Unusable` where a value fits none of these, FormulaError for the formula.
    """
    if kind_of(Path(file)) == "parquet" and Path(file).suffix.lower() == ".parquet" and Path(file).is_file():
        return file, ""
    source = open_file(Path(file), file)
    model = parse_formula(formula)
    residual, variance = residual or {}, variance or {}
    subject = residual.get("subject") or []
    groups = {*model.groups, *([subject] if isinstance(subject, str) else subject)}
    variables = {
        *model.variables,
        residual.get("time"),
        residual.get("by"),
        variance.get("of"),
        variance.get("column"),
    }
    categories = {
        *re.findall(r"\bC\(\s*`?([^`,)]+?)`?\s*[,)]", formula),
        variance.get("column"),
        residual.get("by"),
    }
    frame, commas = source.frame, []
    for column in frame.columns:
        values = frame[column]
        if values.dtype == pl.String and column in variables | groups:
            text = values.str.strip_chars()
            text = text.set(text.is_in(list(MISSING)).fill_null(False), None)
            typed = subjects(text)
            if column in variables and not (column in groups and typed.dtype == pl.Int64):
                typed, comma = _variable(file, text, source, column in categories, column == model.response)
                commas += [column] * comma
            frame = frame.with_columns(typed)
    return frame, _guesses(file, source, commas)


def _variable(
    file: str, text: pl.Series, source: Source, category: bool, response: bool
) -> tuple[pl.Series, bool]:
    """A column of the model as numbers, or as text where none is one; whether it has decimal commas."""
    rows = pl.Series(range(source.header + 1, source.header + 1 + len(text)), dtype=pl.UInt32)
    kind = describe(text, source.separator)
    numbers, mark = max(((parse(text, mark), mark) for mark in MARKS), key=lambda found: found[0].count())
    if kind.kind == "date" and not category:
        where = listing(text, rows, text.is_not_null())
        raise Unusable(
            f"column {text.name!r} of {file} holds dates: {where}: store days since a first one as numbers"
        )
    strange = text.is_not_null() & numbers.is_null()
    if category or (strange.sum() == text.count() and not response):
        return text if strange.any() else numbers, False
    if strange.any():
        advice = "correct them, or leave the fields empty"
        if not response:
            advice += f"; if it is a category, write C({text.name}) in the formula"
        where = listing(text, rows, strange)
        raise Unusable(f"column {text.name!r} of {file} holds what is not a number: {where}: {advice}")
    commas = text.str.contains(",", literal=True).fill_null(False)
    if commas.any() and text.filter(commas).str.contains(THOUSANDS).all():
        where = listing(text, rows, commas)
        raise Unusable(
            f"the commas in column {text.name!r} of {file} may be decimal marks or separate thousands: "
            f"{where}: remove them, or write points"
        )
    return numbers, bool(commas.any())


def _guesses(file: str, source: Source, commas: list[str]) -> str:
    plain = source.separator in (None, "\t" if source.kind == "tsv" else ",")
    told = [] if plain else [f"separator {source.separator!r}"]
    told += [f"names in row {source.header}"] if source.header > 1 else []
    told += [] if source.encoding in (None, "utf-8") else [f"encoding {source.encoding}"]
    told += [f"decimal commas in {quoted(commas)}"] if commas else []
    return f"{file} was read with {', '.join(told)}." if told else ""
