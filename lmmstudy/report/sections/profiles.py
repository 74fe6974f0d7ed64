"""Profiles: the raw data over time with the predicted means, and subjects one by one with their fitted
lines."""

from collections.abc import Sequence

import numpy as np

from lmmstudy.report.blocks import Block, Figure, Heading
from lmmstudy.report.charts import profiles, svg
from lmmstudy.report.numbers import count, plain
from lmmstudy.report.results import profiles as profiles_of
from lmmstudy.report.rows import Rows
from lmmstudy.report.series import Profile
from lmmstudy.report.study import Study

CELLS = 24
"""Most subjects that are shown one by one."""


def blocks(study: Study, rows: Rows) -> list[Block]:
    """All profiles; with a fit also one cell a subject."""
    lines = profiles_of(rows, study.fitted)
    result: list[Block] = [Heading("Profiles"), _together(study, rows, lines)]
    if study.fitted is not None:
        result.append(_cells(study, lines))
    return result


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
    return Figure("fig-profiles", profiles.spaghetti(label, lines, curves, names, study.group), caption)


def _cells(study: Study, lines: Sequence[Profile]) -> Figure:
    ranked = sorted(lines, key=_above)
    shown = profiles.sample(ranked, CELLS)
    misfit = max(shown, key=_misfit).subject
    desc = f"{count(len(shown), 'subject')}; the rows of {misfit} lie farthest from their fitted line."
    label = svg.Label("fig-subjects", "Observed and fitted, one cell a subject", desc)
    which = "All subjects"
    if len(shown) < len(lines):
        which = f"{CELLS} of {len(lines):,} subjects, evenly spaced in this order"
    caption = f"{which}, from the lowest to the highest fitted line relative to the population mean."
    chart = profiles.cells(label, shown, (study.time_label, study.response_label))
    return Figure("fig-subjects", chart, caption)


def _above(profile: Profile) -> float:
    """Mean distance of the fitted line from the population's."""
    assert profile.fitted is not None and profile.population is not None
    return float(np.mean(profile.fitted - profile.population))


def _misfit(profile: Profile) -> float:
    """Root mean squared distance of the rows from their fitted line."""
    assert profile.fitted is not None
    return float(np.sqrt(np.mean((profile.y - profile.fitted) ** 2)))
