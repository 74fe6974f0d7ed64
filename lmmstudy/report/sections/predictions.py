"""Predictions: for a new subject with three kinds of bands, and for the subjects of the study."""

import numpy as np

from lmmcore.prediction.predict import INTERVALS
from lmmcore.prediction.uncertainty import LEAST
from lmmstudy.report.attempt import parts
from lmmstudy.report.blocks import Block, Figure, Heading, Section, Table, Text
from lmmstudy.report.charts import bands as charts
from lmmstudy.report.charts import profiles, residuals, svg
from lmmstudy.report.charts.scales import cut
from lmmstudy.report.refit.refit import BANDS, LINES, Fitted
from lmmstudy.report.refit.series import Profile
from lmmstudy.report.sections.figures import capped, spaced
from lmmstudy.report.study import Json, Study
from lmmstudy.report.words.numbers import column, count, plain
from lmmstudy.report.words.phrases import listing, sentence
from lmmstudy.report.words.ranking import largest_first
from lmmstudy.report.words.sentences import level_text

NAMES = {"mean": "mean", "subject": "new subject", "observation": "single response"}
"""The intervals as the chart and the table call them."""
WEAK = (
    "Where the variance of a new subject is hardly known, as it is estimated near 0, "
    f"{LEAST:g} degrees of freedom are used, the fewest that make an interval: it is rough there."
)


def section(study: Study, model: Json) -> Section:
    """The bands and the lines of single subjects."""
    fit = study.fitted
    if fit is None:
        return Section("predictions", "Predictions", (Text(sentence(study.trouble)),))
    if not study.time:
        told = parts(fit.lost, (BANDS, lambda: _without_time(study, fit)))
        return Section("predictions", "Predictions", told)
    own = [Heading("For the subjects of the study")] if fit.lines or LINES in fit.lost else []
    blocks = (
        Heading("For a new subject"),
        *parts(fit.lost, (BANDS, lambda: _bands(study, fit))),
        *own,
        *parts(fit.lost, (LINES, lambda: [_cells(study, fit)] if fit.lines else [])),
    )
    return Section("predictions", "Predictions", blocks)


def _without_time(study: Study, fit: Fitted) -> list[Block]:
    """The table of the groups, where there is one prediction for each."""
    if fit.averaged or not fit.bands:
        return []
    words = " ".join(f"{sentence(f'{NAMES[name]}: {text}')}" for name, text in INTERVALS.items())
    if fit.held:
        words += f" Other covariates are held at {listing(f'{n} = {v}' for n, v in fit.held)}."
    return [Heading("For a new subject"), Text(words), _table(study, fit)]


def _bands(study: Study, fit: Fitted) -> list[Block]:
    if fit.averaged:
        verb = "moves" if len(fit.averaged) == 1 else "move"
        words = f"{listing(fit.averaged)} {verb} with {study.time}, so that no single line over "
        return [Text(f"{words}{study.time} is the prediction for a new subject.")]
    if not fit.bands:
        return [Text("The data do not determine the intervals of a prediction for a new subject.")]
    level = level_text(study.conf_level)
    words = " ".join(f"{sentence(f'{NAMES[name]}: {text}')}" for name, text in INTERVALS.items())
    widths = [band.limits["observation"][1] - band.limits["observation"][0] for band in fit.bands]
    desc = f"{count(len(fit.bands), 'group')}; the band of a single response is at most "
    desc += f"{plain(float(f'{max(float(w.max()) for w in widths):.4g}'))} wide."
    label = svg.Label("fig-bands", f"Predicted {study.response} over {study.time}", desc)
    rows = fit.rows
    drawn = rows.time.size <= residuals.DOTS and not fit.held  # a row has covariates of its own
    groups = np.array(rows.group)
    dots = {g: (rows.time[groups == g], rows.response[groups == g]) for g in rows.groups} if drawn else {}
    chart = charts.bands(label, fit.bands, dots, (study.time_label, study.response_label), study.group)
    caption = f"Predicted mean with {level} bands."
    if fit.held:
        caption += f" Other covariates are held at {listing(f'{n} = {v}' for n, v in fit.held)}."
    ends = np.concatenate([end for band in fit.bands for pair in band.limits.values() for end in pair])
    values = [*(v for band in fit.bands for v in band.mean), *(rows.response if drawn else ())]
    if cut(values, ends.tolist()):
        caption += " Limits beyond the scale are cut; the table has them."
    if any(band.weak.any() for band in fit.bands):
        caption += f" {WEAK}"
    if not drawn and not fit.held:
        caption += f" The {rows.time.size:,} rows are not drawn."
    return [Text(words), Figure("fig-bands", chart, caption, _table(study, fit))]


def _table(study: Study, fit: Fitted) -> Table:
    body, several, timed = [], len(fit.bands) > 1, bool(study.time)
    for band in fit.bands:
        columns = [band.mean, *(end for name in INTERVALS for end in band.limits[name])]
        printed = column(np.concatenate(columns).tolist())
        cells = np.array(printed).reshape(len(columns), -1)
        for k, x in enumerate(band.x.tolist()):
            place = (*[band.group] * several, *[plain(x)] * timed)
            body.append((*place, *cells[:, k].tolist()))
    ends = [f"{NAMES[name]} {end}" for name in INTERVALS for end in ("from", "to")]
    heads = (*[study.group] * several, *[study.time] * timed, "Prediction", *ends)
    align = "l" * several + "r" * (1 + timed + len(ends))
    return Table("Predictions for a new subject", heads, tuple(body), align)


def _cells(study: Study, fit: Fitted) -> Figure:
    shown, subjects = fit.lines, len(set(fit.rows.subject))
    misfit = shown[largest_first([_misfit(line) for line in shown])[0]].subject
    desc = f"{count(len(shown), 'subject')}; the rows of {misfit} lie farthest from their fitted line."
    label = svg.Label("fig-subjects", "Observed and fitted, one cell a subject", desc)
    which = "All subjects"
    if len(shown) < subjects:
        which = f"{len(shown)} of {subjects:,} subjects, evenly spaced in this order"
    caption = f"{which}, from the lowest to the highest fitted line relative to the population mean."
    if shown[0].low is not None:
        caption += f" Bands are {level_text(study.conf_level)} intervals of {INTERVALS['subject']}."
    elif study.winner and study.winner["residual_structure"]:
        caption += (
            " Residuals are correlated over time: what was observed is known to the prediction, and no "
            "interval is drawn; the line is what the model expects given all rows of the subject, and passes "
            "through those that it holds to be without measurement error."
        )
    chart = profiles.cells(label, shown, (study.time_label, study.response_label))
    return Figure("fig-subjects", chart, caption, _lines(study, shown))


def _lines(study: Study, shown: tuple[Profile, ...]) -> Table:
    with_limits, rows = shown[0].low is not None, []
    for p in shown:
        assert p.fitted is not None and p.population is not None
        values = [p.y, p.fitted, p.population]
        if p.low is not None and p.high is not None:
            values += [p.low, p.high]
        printed = np.array(column(np.concatenate(values).tolist())).reshape(len(values), -1)
        rows += [(p.subject, plain(float(x)), *printed[:, k].tolist()) for k, x in enumerate(p.x)]
    chosen = spaced(len(rows))
    ends = ("Interval from", "to") if with_limits else ()
    heads = (study.subject, study.time, "Observed", "Fitted", "Population", *ends)
    body = tuple(rows[k] for k in chosen)
    align = "lrrrr" + "r" * len(ends)
    return Table("Observed and fitted", heads, body, align, capped(len(body), len(rows)))


def _misfit(profile: Profile) -> float:
    """Root mean squared distance of the rows from their fitted line."""
    assert profile.fitted is not None
    return float(np.sqrt(np.mean((profile.y - profile.fitted) ** 2)))
