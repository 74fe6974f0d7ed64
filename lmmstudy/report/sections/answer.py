"""Answer: the contrast that answers the study's question, or the joint test of several, in words; the means
and slopes behind it, compared; the predicted means over time."""

from collections.abc import Sequence

import numpy as np

from lmmstudy.report.absent import no_model
from lmmstudy.report.attempt import parts
from lmmstudy.report.blocks import Block, Section, Table, Text
from lmmstudy.report.refit.refit import MEANS
from lmmstudy.report.refit.rows import Rows
from lmmstudy.report.sections.fixed import estimate_cells
from lmmstudy.report.sections.means import means_figure, means_table
from lmmstudy.report.study import Json, Study
from lmmstudy.report.words.numbers import column, decimals_for, fixed, fmt, p_sentence, p_value, plain
from lmmstudy.report.words.phrases import sentence
from lmmstudy.report.words.sentences import estimate_words, level_text, test_words


def section(study: Study) -> Section:
    """The answer, or why there is none."""
    winner, rows = study.winner, study.rows
    if winner is None:
        blocks: tuple[Block, ...] = (Text(no_model(study.clean, study.selection), "warning"),)
    else:
        found = winner["answer"]
        blocks = parts(
            study.lost,
            ("The answer in words", lambda: [Text(words, "lead") for words in answer_words(study, found)]),
            ("The table of the answer", lambda: _table(study, found)),
        )
    figure = ("The figure of the means", lambda: _drawn(study, rows) if rows is not None else [])
    tables = ("The means and slopes", lambda: _tables(study, winner["answer"]) if winner else [])
    return Section("answer", "Answer", (*blocks, *parts(study.lost, (MEANS, lambda: []), figure, tables)))


def _drawn(study: Study, rows: Rows) -> list[Block]:
    return [means_figure(study, rows)] if study.time else means_table(study, rows)


def answer_words(study: Study, found: Json) -> list[str]:
    """The answer in sentences."""
    if found["problem"]:
        return [found["problem"]]
    words = []
    if found["joint"]:
        words.append(test_words(found["joint"]))
    words += [estimate_words(row["statement"], row, study.conf_level) for row in found["estimates"]]
    if found["margin"]:
        words.append(_margin_words(found["margin"], found["estimates"][0], study.conf_level))
    if found["note"]:
        words.append(sentence(found["note"]))
    return words


def _margin_words(margin: Json, row: Json, conf_level: float) -> str:
    decimals = decimals_for(row["std_error"])
    bound, value = fixed(margin["bound"], decimals), plain(margin["margin"])
    side = "above" if margin["above"] else "below"
    verdict = "is" if margin["met"] else "is not"
    limit = "lower" if margin["above"] else "upper"
    test = f"one-sided {p_sentence(margin['p_value'])} against {value}"
    return (
        f"Non-inferiority with the margin {value} {verdict} shown: the {limit} limit of the "
        f"{level_text(conf_level)} CI, {bound}, {verdict} {side} it ({test})."
    )


def _table(study: Study, found: Json) -> list[Block]:
    """The contrast with its hypothesis."""
    body = []
    for row in found["estimates"]:
        estimate, _, interval = estimate_cells(row)
        df = fmt(row["df"]) if row["df"] else "∞"
        body.append((row["name"], estimate, interval, df, p_value(row["p_value"]), row["hypothesis"]))
    heads = ("Contrast", "Estimate", f"{level_text(study.conf_level)} CI", "df", "p", "p tests")
    return [Table("The contrast in question", heads, tuple(body), "lrrrrl")] if body else []


def _tables(study: Study, found: Json) -> list[Block]:
    """Estimated means, slopes, and all pairs of groups."""
    blocks: list[Block] = []
    level = level_text(study.conf_level)
    note = sentence(found["note"])
    if found["means"]:
        caption = f"Estimated means of {study.response}"
        blocks.append(_estimates(study, caption, "Mean", found["means"], level, note))
    if found["slopes"]:
        caption = f"Estimated slopes of {study.response} over {study.time}"
        blocks.append(_estimates(study, caption, "Slope", found["slopes"], level, ""))
    if found["pairs"]:
        blocks.append(_pairs(study, found, level))
    return blocks


def _estimates(study: Study, caption: str, what: str, rows: Sequence[Json], level: str, note: str) -> Table:
    keys = [key for key in (study.group, study.time) if key in rows[0]]
    several = [*keys, *(key for key in rows[0] if key not in (*keys, *NUMBERS))]
    printed = column([v for row in rows for v in (row["estimate"], row["conf_low"], row["conf_high"])])
    cells = np.array(printed).reshape(len(rows), 3).tolist()
    body = []
    for row, (mean, low, high) in zip(rows, cells, strict=True):
        df = fmt(row["df"]) if row["df"] is not None else "∞"
        body.append((*(plain(row[key]) for key in several), mean, f"{low} to {high}", df))
    heads = (*several, what, f"{level} CI", "df")
    return Table(caption, heads, tuple(body), "l" * len(several) + "rrr", note, folded=len(body) > FOLDED)


def _pairs(study: Study, found: Json, level: str) -> Table:
    by = [key for key in (study.time,) if key in found["pairs"][0]]
    body = []
    for row in found["pairs"]:
        estimate, _, interval = estimate_cells(row)
        df = fmt(row["df"]) if row["df"] is not None else "∞"
        body.append((*(plain(row[key]) for key in by), row["contrast"], estimate, interval, df,
                     p_value(row["p_value"])))  # fmt: skip
    heads = (*by, "Difference", "Estimate", f"{level} CI", "df", "p")
    what = "slopes" if found["slopes"] else "means"
    group = next(
        name for name in (found["means"] or found["slopes"])[0] if name not in (*NUMBERS, study.time)
    )
    caption = f"Differences of the {what} between the levels of {group}"
    return Table(
        caption, heads, tuple(body), "l" * len(by) + "lrrrr", found["pairs_note"], len(body) > FOLDED
    )


NUMBERS = ("estimate", "std_error", "df", "conf_low", "conf_high")
FOLDED = 8
"""Longer tables are folded."""
