"""Whether the covariance of the model is that of the rows: by visit, and left over between the residuals."""

import numpy as np

from lmmstudy.report.blocks import Block, Figure, Heading, Table, Text
from lmmstudy.report.charts import svg
from lmmstudy.report.charts import visits as charts
from lmmstudy.report.numbers import count, fixed, fmt, plain
from lmmstudy.report.results import Fitted
from lmmstudy.report.series import Lags, VisitMoments
from lmmstudy.report.study import Study
from lmmstudy.report.visits import FEW_PAIRS, autocorrelation

EXPECTED = (
    "Both maps show the correlation of two rows of a subject about the population mean: on one side as the "
    "model implies it, on the other as the rows have it. Expected: the same pattern, with differences within "
    "about two standard errors, (1 − r²)/√n. Each pair is of the subjects seen at both; drop-out can move it."
)
LEFT_OVER = (
    "The marginal residuals of the normal plot, made independent by the model, are multiplied with those of "
    "the same subject a lag later. Expected: about 95% of the lags within the band."
)


def between_visits(study: Study, moments: VisitMoments) -> list[Block]:
    """Correlations and SDs by visit."""
    implied, empirical = moments.implied.correlation, moments.empirical.correlation
    i, j = np.tril_indices(moments.times.size, -1)
    seen = (moments.subjects[i, j] > 2) & np.isfinite(empirical[i, j])
    i, j = i[seen], j[seen]
    blocks: list[Block] = [Heading("Correlation between visits")]
    if i.size:
        words = _difference_words(study, moments, i, j)
        visits = [plain(t) for t in moments.times.tolist()]
        label = svg.Label("fig-visits", f"Correlation of {study.response} between visits", words)
        maps = (("Implied by the model", implied), ("Of the rows", empirical))
        chart = charts.heat(label, visits, maps, study.time_label)
        caption = "Correlations about the population mean, on one scale: the darker, the nearer to 1 or −1."
        data = _pairs(study, moments, i, j)
        blocks += [Text(f"{EXPECTED} Seen: {words}"), Figure("fig-visits", chart, caption, data)]
    return [*blocks, Heading("Spread over time"), _spreads(study, moments)]


def _difference_words(study: Study, moments: VisitMoments, i: np.ndarray, j: np.ndarray) -> str:
    implied, empirical = moments.implied.correlation, moments.empirical.correlation
    difference = empirical[i, j] - implied[i, j]
    error = (1 - implied[i, j] ** 2) / np.sqrt(moments.subjects[i, j])
    far = int(np.sum(np.abs(difference) > 2 * error))
    k = int(np.argmax(np.abs(difference)))
    times = f"{plain(float(moments.times[j[k]]))} and {plain(float(moments.times[i[k]]))}"
    largest = f"the largest difference is {fixed(float(difference[k]), 2)}, between {study.time} {times}"
    verb = "differs" if far == 1 else "differ"
    return f"{largest}; {far:,} of {count(i.size, 'pair')} {verb} by more than two standard errors."


def _pairs(study: Study, moments: VisitMoments, i: np.ndarray, j: np.ndarray) -> Table:
    implied, empirical = moments.implied.correlation, moments.empirical.correlation
    rows = []
    for a, b in zip(j, i, strict=True):
        values = (float(implied[a, b]), float(empirical[a, b]))
        pair = plain(float(moments.times[a])), plain(float(moments.times[b]))
        rows.append((*pair, f"{moments.subjects[a, b]:,}", *(fixed(v, 3) for v in values)))
    heads = (study.time, f"and {study.time}", "Subjects", "Implied", "Of the rows")
    return Table("Correlations between visits", heads, tuple(rows), "rrrrr")


def _spreads(study: Study, moments: VisitMoments) -> Figure:
    implied, empirical = moments.implied.sd.tolist(), moments.empirical.sd.tolist()
    low, high = (f"{fmt(v[0])} to {fmt(v[-1])}" for v in (implied, empirical))
    words = f"From the first visit to the last: implied by the model {low}, of the rows {high}."
    label = svg.Label("fig-spread", f"SD of {study.response} over {study.time}", words)
    chart = charts.spreads(label, moments, (study.time_label, f"SD of {study.response_label}"))
    rows = [
        (plain(t), f"{n:,}", fmt(a), fmt(b))
        for t, n, a, b in zip(
            moments.times.tolist(), np.diag(moments.subjects).tolist(), implied, empirical, strict=True
        )
    ]
    data = Table("SD at each visit", (study.time, "Subjects", "Implied", "Of the rows"), tuple(rows), "rrrr")
    caption = f"SD about the population mean at each {study.time}. {words}"
    return Figure("fig-spread", chart, caption, data)


def left_over(study: Study, fit: Fitted) -> list[Block]:
    """Autocorrelation of the residuals, where times are whole numbers."""
    lags = autocorrelation(fit.rows, fit.normalized)
    if lags is None:
        return []
    outside = int(np.sum(np.abs(lags.correlation) > lags.limit))
    verb = "lies" if outside == 1 else "lie"
    seen = f"{outside:,} of {count(lags.lag.size, 'lag')} {verb} outside the band."
    label = svg.Label("fig-lags", "Autocorrelation of the residuals by lag", seen)
    chart = charts.autocorrelation(label, lags, (f"Lag in {study.time}", "Autocorrelation"))
    caption = (
        f"Autocorrelation of the residuals by lag in {study.time}, with the band ±1.96/√pairs. Lags with "
        f"fewer than {FEW_PAIRS} pairs of rows are left out."
    )
    figure = Figure("fig-lags", chart, caption, _lags(study, lags))
    return [Heading("Correlation left between the residuals"), Text(f"{LEFT_OVER} Seen: {seen}"), figure]


def _lags(study: Study, lags: Lags) -> Table:
    rows = tuple(
        (plain(float(lag)), f"{n:,}", fixed(float(r), 3), fixed(float(limit), 3))
        for lag, n, r, limit in zip(lags.lag, lags.pairs, lags.correlation, lags.limit, strict=True)
    )
    heads = (f"Lag in {study.time}", "Pairs of rows", "Autocorrelation", "95% limit ±")
    return Table("Autocorrelation of the residuals", heads, rows, "rrrr")
