"""The figure of raw and predicted means over time; a table of them in data without a time."""

from dataclasses import replace

import numpy as np

from lmmstudy.report.blocks import Block, Figure, Table, Text
from lmmstudy.report.charts import profiles, svg
from lmmstudy.report.refit.refit import Fitted
from lmmstudy.report.refit.rows import ALL, Rows, visits
from lmmstudy.report.refit.series import Curve, Means
from lmmstudy.report.study import Study
from lmmstudy.report.words.numbers import MISSING, count, fmt, plain
from lmmstudy.report.words.phrases import listing
from lmmstudy.report.words.sentences import level_text

TIMES = 60
"""Up to this many distinct times a raw mean stands at its time; above, rows are averaged in intervals of
time."""
INTERVALS = 20


def raw_means(rows: Rows) -> tuple[Means, ...]:
    """Mean response of each group at each visit (rows.visits), at the mean time of its rows; in INTERVALS
    equal intervals of time where times are many and make no visits."""
    result, visit = [], visits(rows)
    distinct = np.unique(rows.time)
    group = np.array(rows.group)
    for name in rows.groups:
        time, response = rows.time[group == name], rows.response[group == name]
        if visit is not None:
            _, place, n = np.unique(visit[group == name], return_inverse=True, return_counts=True)
            at = np.bincount(place, weights=time) / n
        elif distinct.size <= TIMES:
            at, place = np.unique(time, return_inverse=True)
        else:
            edges = np.linspace(distinct[0], distinct[-1], INTERVALS + 1)
            place = np.clip(np.searchsorted(edges, time, side="right") - 1, 0, INTERVALS - 1)
            used, place = np.unique(place, return_inverse=True)
            at = (edges[used] + edges[used + 1]) / 2
        n = np.bincount(place)
        result.append(Means(name, at, np.bincount(place, weights=response) / n, n))
    return tuple(result)


def means_figure(study: Study, rows: Rows) -> Figure:
    means = raw_means(rows)
    fit = study.fitted
    curves = fit.curves if fit else ()
    title = f"{study.response} over {study.time}: raw and predicted means"
    label = svg.Label("fig-means", title, _desc(study, means, curves))
    distinct, visit = np.unique(rows.time).size, visits(rows)
    of = f" in {INTERVALS} equal intervals of {study.time}" if visit is None and distinct > TIMES else ""
    if visit is not None and int(visit.max()) + 1 < distinct:
        of = f" of {int(visit.max()) + 1} visits: times nearer than a quarter of the usual distance are one"
    caption = [f"Marks are raw means{of}."]
    if fit and curves:
        caption.append(curve_words(study, fit))
    svg_ = profiles.predicted_means(
        label, means, curves, (study.time_label, study.response_label), study.group
    )
    return Figure("fig-means", svg_, " ".join(caption), _data(study, means, curves))


def means_table(study: Study, rows: Rows) -> list[Block]:
    """The means of the groups, in data without a time; nothing where there are no groups."""
    if not study.group:
        return []
    fit, means = study.fitted, raw_means(rows)
    curves = fit.curves if fit else ()
    words = [Text(curve_words(study, fit).replace("Lines", "Predictions"), "note")] if fit and curves else []
    table = _data(study, means, curves)
    k = table.heads.index(study.time)
    rest = tuple((*row[:k], *row[k + 1 :]) for row in table.rows)
    heads, align = (*table.heads[:k], *table.heads[k + 1 :]), table.align[:k] + table.align[k + 1 :]
    return [replace(table, heads=heads, rows=rest, align=align), *words]


def curve_words(study: Study, fit: Fitted) -> str:
    """What the lines of predicted means are."""
    if fit.averaged:
        return (
            f"Lines are means of the population predictions of the rows, because {listing(fit.averaged)} "
            f"{'moves' if len(fit.averaged) == 1 else 'move'} with {study.time or 'the rows'}."
        )
    words = f"Lines are predicted population means with {level_text(study.conf_level)} intervals of the mean."
    return f"{words} Each is {fit.note}" if fit.note else words


def _desc(study: Study, means: tuple[Means, ...], curves: tuple[Curve, ...]) -> str:
    words = []
    for c in curves:
        name = "" if c.group == ALL else f" in {c.group}"
        if c.x.size > 1:
            start, end = (
                f"{fmt(float(c.mean[0]))} at {plain(float(c.x[0]))}",
                f"{fmt(float(c.mean[-1]))} at {plain(float(c.x[-1]))}",
            )
            words.append(f"The predicted mean{name} goes from {start} to {end}.")
    for m in means:
        name = "" if m.group == ALL else f" in {m.group}"
        low, high = fmt(float(m.mean.min())), fmt(float(m.mean.max()))
        words.append(f"{count(m.x.size, 'raw mean')}{name} between {low} and {high}.")
    return " ".join(words)


def _data(study: Study, means: tuple[Means, ...], curves: tuple[Curve, ...]) -> Table:
    named, rows = len(means) > 1, []
    known = {(c.group, x): k for c in curves for k, x in enumerate(c.x.tolist())}
    lines = {c.group: (c.mean, c.low, c.high) for c in curves}
    for m in means:
        for x, mean, n in zip(m.x.tolist(), m.mean.tolist(), m.rows.tolist(), strict=True):
            at = known.get((m.group, x))
            of_line = lines[m.group] if at is not None else (None, None, None)
            predicted = [MISSING if v is None or at is None else fmt(float(v[at])) for v in of_line]
            rows.append((*([m.group] if named else []), plain(x), f"{n:,}", fmt(mean), *predicted))
    heads = (*([study.group] if named else []), study.time, "Rows", f"Mean of {study.response}")
    heads += ("Predicted mean", "Interval from", "to")
    return Table("Raw and predicted means", heads, tuple(rows), "l" * named + "lrrrrr")
