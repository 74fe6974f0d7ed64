"""Diagnostics: residuals against fitted values, their normal quantiles, their covariance."""

import numpy as np

from lmmstudy.report.blocks import Block, Figure, Heading, Section, Table, Text
from lmmstudy.report.charts import residuals, svg
from lmmstudy.report.numbers import count, fixed, fmt, percent, plain
from lmmstudy.report.phrases import sentence
from lmmstudy.report.results import Fitted
from lmmstudy.report.sections.correlation import between_visits, left_over
from lmmstudy.report.smooth import Smooth, loess, normal_quantiles
from lmmstudy.report.study import Json, Study

CONDITIONAL = (
    "These residuals are conditional: observed minus fitted with random effects, divided by the SD of the "
    "row's residual. Expected: an even spread and no curve; a slight rise is normal, because predicted "
    "random effects are drawn towards 0."
)
MARGINAL = (
    "These residuals are marginal: observed minus population mean, made independent by the Cholesky factor "
    "of the covariance that the model gives the rows of a subject. Expected: points along the line, about 5% "
    "outside the band."
)


def section(study: Study, model: Json) -> Section:
    """Plots of the residuals and of their covariance, each with what one should see and what is seen."""
    if study.fitted is None:
        return Section("diagnostics", "Diagnostics", (Text(sentence(study.trouble)),))
    blocks: list[Block] = [Heading("Residuals against fitted values"), *_scatter(study.fitted)]
    blocks += [Heading("Normal quantiles of the residuals"), *_quantiles(study.fitted)]
    if study.fitted.visits is not None:
        blocks += between_visits(study, study.fitted.visits)
    blocks += left_over(study, study.fitted)
    return Section("diagnostics", "Diagnostics", tuple(blocks))


def _scatter(fit: Fitted) -> list[Block]:
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
    chart = residuals.residuals(label, fit.fitted, fit.pearson, smooth, names)
    rows = _extremes(fit)
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


def _extremes(fit: Fitted, most: int = 10) -> Table:
    order = np.argsort(-np.abs(fit.pearson), kind="stable")[:most]
    rows = []
    for k in order:
        seen = (plain(float(fit.rows.time[k])), plain(float(fit.rows.response[k])))
        rows.append((fit.rows.subject[k], *seen, fmt(float(fit.fitted[k])), fixed(float(fit.pearson[k]), 2)))
    heads = ("Subject", "Time", "Observed", "Fitted", "Residual")
    return Table(
        f"The {count(len(rows), 'largest residual', 'largest residuals')}", heads, tuple(rows), "llrrr"
    )


def _quantiles(fit: Fitted) -> list[Block]:
    q = normal_quantiles(fit.normalized)
    if q is None:
        return [Text("There are fewer than three different residuals, so no quantiles are plotted.")]
    seen = f"{q.outside:,} of {count(q.n, 'point')} lie outside the pointwise 95% envelope"
    label = svg.Label("fig-quantiles", "Normal quantiles of the residuals", f"{seen}.")
    spread = fixed(float(fit.normalized.std(ddof=1)), 3)
    caption = (
        f"Marginal residuals, centred and scaled to SD 1 (theirs is {spread}), against normal quantiles; "
        f"the band "
        f"holds each "
        "point with probability 0.95 if they are normal; points outside are diamonds."
    )
    if q.theoretical.size < q.n:
        caption += f" All tails and a part of the middle are drawn ({q.theoretical.size:,} of {q.n:,})."
    chart = residuals.quantiles(label, q, ("Normal quantile", "Residual quantile"))
    return [Text(f"{MARGINAL} Seen: {seen}."), Figure("fig-quantiles", chart, caption)]
