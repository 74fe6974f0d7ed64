"""Fixed part: every coefficient with its test, the hypothesis in words."""

from collections.abc import Mapping
from typing import Any

from lmmstudy.report.blocks import Block, Cell, Section, Table, Text
from lmmstudy.report.study import Json, Study
from lmmstudy.report.words.hypotheses import hypothesis
from lmmstudy.report.words.numbers import decimals_for, fixed, fmt, limits, p_value
from lmmstudy.report.words.phrases import listing
from lmmstudy.report.words.sentences import DF_METHODS, level_text


def section(study: Study, model: Json) -> Section:
    """The table of fixed effects."""
    method = DF_METHODS[model["df_method"]]
    note = (
        f"Degrees of freedom: {method}. Intervals have level {level_text(study.conf_level)}; tests are "
        f"two-sided and "
        "not adjusted for their number."
    )
    terms = [row["term"] for row in model["fixed"]]
    levels = study.all_levels
    rows = []
    for row in model["fixed"]:
        estimate, error, interval = estimate_cells(row)
        tests = Cell(row["term"], "tests " + hypothesis(row["term"], terms, study.response, levels))
        df = fmt(row["df"]) if row["df"] is not None else "∞"
        rows.append(
            (tests, estimate, error, df, fixed(row["statistic"], 3), p_value(row["p_value"]), interval)
        )
    heads = ("Term", "Estimate", "SE", "df", "t", "p", f"{level_text(study.conf_level)} CI")
    table = Table("Fixed effects (REML)", heads, tuple(rows), "lrrrrrr", note)
    blocks: list[Block] = [table, *_terms(model, method), *_curves(model, method)]
    if model["df_conflict"]:
        blocks.append(Text(model["df_conflict"], "warning"))
    if model["dropped"]:
        words = f"Left out, because the terms before them determine them: {listing(model['dropped'])}."
        blocks.append(Text(words, "warning"))
    return Section("fixed", "Fixed part", tuple(blocks))


def _terms(model: Json, method: str) -> list[Block]:
    """The F test of each term, with the hypothesis in the engine's words."""
    tested = [row for row in model["terms"] if row["num_df"]]
    if not tested:
        return []
    rows = tuple(
        (
            Cell(row["term"], f"tests: {row['hypothesis']}"),
            fixed(row["statistic"], 3),
            fmt(row["num_df"]),
            fmt(row["den_df"]) if row["den_df"] is not None else "∞",
            p_value(row["p_value"]),
        )
        for row in tested
    )
    note = (
        f"Type III: each term is adjusted for all others. Denominator df: {method}. p values are not "
        f"adjusted for their number."
    )
    heads = ("Term", "F", "df", "Denominator df", "p")
    return [Table("F tests of the terms (REML)", heads, rows, "lrrrr", note)]


def _curves(model: Json, method: str) -> list[Block]:
    """The F test of each column that the formula has several functions of."""
    rows = tuple(
        (
            Cell(row["term"], f"tests: {row['hypothesis']}"),
            fixed(row["statistic"], 3),
            fmt(row["num_df"]),
            fmt(row["den_df"]) if row["den_df"] is not None else "∞",
            p_value(row["p_value"]),
        )
        for row in model.get("curves") or ()
    )
    note = (
        "A column that the formula has several functions of is tested with all of them, other categories "
        f"averaged with equal weights, other numbers at their mean. Denominator df: {method}."
    )
    heads = ("Curve", "F", "df", "Denominator df", "p")
    return [Table("Curves tested as a whole (REML)", heads, rows, "lrrrr", note)] if rows else []


def estimate_cells(row: Mapping[str, Any]) -> tuple[str, str, str]:
    """Estimate, standard error and interval, all rounded to the decimals of the standard error."""
    decimals = decimals_for(row["std_error"])
    low, high = limits(row["conf_low"], row["conf_high"], decimals)
    return fixed(row["estimate"], decimals), fixed(row["std_error"], decimals), f"{low} to {high}"
