"""Diagnostics: residuals against fitted values, their normal quantiles and spread, their covariance, and what
the estimates would be without each unit."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lmmcore.diagnostics.qq import Quantiles
from lmmstudy.report.attempt import parts
from lmmstudy.report.blocks import Block, Figure, Heading, Section, Table, Text
from lmmstudy.report.charts import residuals, svg
from lmmstudy.report.refit.diagnostics import EQUAL, INFLUENCE, QUANTILES
from lmmstudy.report.refit.refit import BEND, Fitted
from lmmstudy.report.refit.smooth import Smooth, loess
from lmmstudy.report.sections.correlation import covariance
from lmmstudy.report.sections.figures import MOST, quantile_table
from lmmstudy.report.sections.influence import influence
from lmmstudy.report.study import Json, Study
from lmmstudy.report.words.numbers import count, fixed, fmt, p_sentence, p_value, percent, plain
from lmmstudy.report.words.phrases import sentence
from lmmstudy.report.words.ranking import largest_first

CONDITIONAL = (
    "These residuals are conditional: observed minus fitted with random effects, divided by the SD of the "
    "row's residual. Expected: an even spread and no curve; a slight rise is normal, because predicted "
    "random effects are drawn towards 0."
)
MARGINAL = (
    "These residuals are marginal and normalised: observed minus population mean, made independent by the "
    "Cholesky factor of the covariance that the model gives the rows of a subject. Expected: all points "
    "within the band; in 19 of 20 normal samples all are."
)
SPREAD = (
    "If the model holds, normalised residuals have the same variance everywhere. p values are not adjusted "
    "for the number of tests."
)


def section(study: Study, model: Json) -> Section:
    """Plots of the residuals and of their covariance, each with what one should see and what is seen."""
    if study.fitted is None:
        return Section("diagnostics", "Diagnostics", (Text(sentence(study.trouble)),))
    fit, found = study.fitted, study.fitted.diagnostics
    blocks = (
        Heading("Residuals against fitted values"),
        *parts(
            fit.lost,
            ("The plot of the residuals", lambda: _scatter(fit, bool(study.time))),
            (BEND, lambda: _bend(study, fit)),
        ),
        Heading("Normal quantiles of the residuals"),
        *parts(
            fit.lost,
            (QUANTILES, lambda: _quantiles(found.quantiles)),
            (EQUAL, lambda: _equal_variances(found.equal_variances)),
        ),
        *covariance(study, found, fit.lost),
        *parts(fit.lost, (INFLUENCE, lambda: influence(found.deletion) if found.deletion else [])),
    )
    return Section("diagnostics", "Diagnostics", blocks)


def _bend(study: Study, fit: Fitted) -> list[Block]:
    """Whether powers of time would add to the mean."""
    if fit.bend is None:
        return []
    added = f"The square and the cube of {study.time}, added to the fixed effects: {p_sentence(fit.bend)}."
    meaning = f"A small p means that the mean bends over {study.time} more than the model lets it."
    return [Text(f"{added} {meaning}")]


def _scatter(fit: Fitted, timed: bool) -> list[Block]:
    smooth = loess(fit.fitted, fit.pearson)
    seen = _smooth_words(smooth)
    n = fit.pearson.size
    far = int(np.sum(np.abs(fit.pearson) > residuals.FAR))
    label = svg.Label(
        "fig-residuals",
        "Residuals against fitted values",
        f"{count(n, 'residual')}, {far:,} beyond ±3. {seen}",
    )
    caption = "Conditional residuals against fitted values"
    if n > residuals.DOTS:
        caption += f"; binned, n = {n:,}, with dots for residuals beyond ±3"
    caption += ", with a local-linear smoother and its pointwise 95% band."
    names = ("Fitted value", "Conditional residual / SD")
    chart = residuals.residuals(label, fit.fitted, fit.pearson, smooth, names, fit.rows.subject)
    rows = _largest(fit, timed)
    seen += f" Residuals beyond ±3: {far:,} of {n:,} ({percent(far / n)}; 0.3% under normality)."
    return [Text(f"{CONDITIONAL} {seen}"), Figure("fig-residuals", chart, caption, rows)]


def _smooth_words(smooth: Smooth | None) -> str:
    if smooth is None:
        return "Seen: too few different fitted values for a smoother."
    away = float(np.max(np.abs(smooth.mean)))
    clear = (smooth.low > 0) | (smooth.high < 0)
    where = (
        "its band holds 0 everywhere"
        if not clear.any()
        else f"its band leaves 0 in {percent(clear.mean(), 0)} of the range"
    )
    return f"Seen: the smoother stays within ±{fixed(away, 2)} and {where}."


def _largest(fit: Fitted, timed: bool) -> Table:
    order = largest_first(np.abs(fit.pearson))
    rows = []
    for k in order[:MOST]:
        seen = (*[plain(float(fit.rows.time[k]))] * timed, plain(float(fit.rows.response[k])))
        rows.append((fit.rows.subject[k], *seen, fmt(float(fit.fitted[k])), fixed(float(fit.pearson[k]), 2)))
    heads = ("Subject", *["Time"] * timed, "Observed", "Fitted", "Residual")
    note = f"The {MOST} largest of {order.size:,}." if order.size > MOST else ""
    return Table("Residuals, the largest first", heads, tuple(rows), "l" + "l" * timed + "rrr", note)


def _quantiles(q: Quantiles | None) -> list[Block]:
    if q is None:
        return [Text("There are fewer than three different residuals, so no quantiles are plotted.")]
    label = svg.Label("fig-quantiles", "Normal quantiles of the residuals", q.sentence)
    caption = (
        f"Normalised residuals against normal quantiles (mean {fixed(q.mean, 3)}, SD {fixed(q.sd, 3)}); the "
        f"band holds all points together with probability {q.conf_level:.2f} if they are normal; points "
        f"outside are diamonds."
    )
    if q.rank.size < q.n:
        caption += f" All tails and a part of the middle are drawn ({q.rank.size:,} of {q.n:,})."
    chart = residuals.quantiles(label, q, ("Normal quantile", "Normalised residual"))
    figure = Figure("fig-quantiles", chart, caption, quantile_table(q))
    return [Text(f"{MARGINAL} Seen: {q.sentence}"), figure]


def _equal_variances(tests: Sequence[Mapping[str, Any]]) -> list[Block]:
    rows = []
    for t in tests:
        if t["num_df"]:
            df = f"{t['num_df']}, {fmt(t['den_df'])}" if np.isfinite(t["den_df"]) else f"{t['num_df']}"
            rows.append((t["against"], t["test"], fixed(t["statistic"], 3), df, p_value(t["p_value"])))
    heads = ("Against", "Test", "Statistic", "df", "p")
    table = Table("Tests of equal variance of the normalised residuals", heads, tuple(rows), "llrrr", SPREAD)
    return [Heading("Equal variance"), table] if rows else []
