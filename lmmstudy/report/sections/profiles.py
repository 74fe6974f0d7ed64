"""Profiles: the raw data over time with the predicted means."""

from collections.abc import Sequence

import numpy as np

from lmmstudy.report.blocks import Block, Figure, Heading, Table
from lmmstudy.report.charts import profiles, svg
from lmmstudy.report.refit.refit import profiles as profiles_of
from lmmstudy.report.refit.rows import Rows
from lmmstudy.report.refit.series import Profile
from lmmstudy.report.sections.figures import capped, spaced
from lmmstudy.report.study import Study
from lmmstudy.report.words.numbers import count, plain


def blocks(study: Study, rows: Rows) -> list[Block]:
    """All profiles."""
    lines = study.fitted.profiles if study.fitted else profiles_of(rows)
    return [Heading("Profiles"), _together(study, rows, lines)]


def _together(study: Study, rows: Rows, lines: Sequence[Profile]) -> Figure:
    low, high = plain(float(rows.response.min())), plain(float(rows.response.max()))
    size = f"{count(len(lines), 'profile')} with {count(rows.response.size, 'row')}"
    title = f"Profiles of {study.response} over {study.time}"
    label = svg.Label("fig-profiles", title, f"{size}; values from {low} to {high}.")
    caption = f"Raw profiles of {count(len(lines), 'subject')}; a line stops where a visit is missing."
    if len(lines) > profiles.FULL:
        drawn = len(profiles.faint_sample(lines))
        faint = "all" if drawn == len(lines) else f"{drawn:,} of them, evenly spaced in their order,"
        caption = f"{count(len(lines), 'subject')}: {faint} drawn faintly, 12 evenly spaced ones in full."
    curves = study.fitted.curves if study.fitted else ()
    if curves:
        caption += " Thick lines are the predicted means of the first figure."
    names = (study.time_label, study.response_label)
    chart = profiles.spaghetti(label, lines, curves, names, study.group)
    return Figure("fig-profiles", chart, caption, _data(study, lines))


def _data(study: Study, lines: Sequence[Profile]) -> Table:
    """The rows that are drawn, evenly spaced ones where there are many."""
    ends = np.cumsum([p.x.size for p in lines])
    chosen = spaced(int(ends[-1]))
    rows = []
    for k, line in zip(chosen.tolist(), np.searchsorted(ends, chosen, side="right").tolist(), strict=True):
        p = lines[line]
        at = k - int(ends[line])
        group = [p.group] if study.group else []
        rows.append((p.subject, *group, plain(float(p.x[at])), plain(float(p.y[at]))))
    heads = (study.subject, *([study.group] if study.group else []), study.time, study.response)
    align = "ll"[: 1 + bool(study.group)] + "rr"
    return Table("Rows used", heads, tuple(rows), align, capped(len(rows), int(ends[-1])))
