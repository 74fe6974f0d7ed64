"""Whether the covariance of the model is that of the rows: by visit, over time, and left over between the
residuals."""

import numpy as np

from lmmcore.diagnostics.semivariogram import Semivariogram
from lmmcore.diagnostics.serial import FEW_PAIRS, Autocorrelation
from lmmcore.diagnostics.spread import VarianceOverTime, VisitMoments
from lmmstudy.report.attempt import parts
from lmmstudy.report.blocks import Block, Figure, Heading, Table, Text
from lmmstudy.report.charts import covariance as charts
from lmmstudy.report.charts import svg, visits
from lmmstudy.report.refit.diagnostics import LAGS, SEMIVARIOGRAM, VISITS, Diagnostics
from lmmstudy.report.refit.diagnostics import SPREAD as VARIANCE
from lmmstudy.report.study import Study
from lmmstudy.report.words.numbers import count, fixed, fmt, plain

EXPECTED = (
    "Both maps show the correlation of two rows of a subject about the population mean: on one side as the "
    "model implies it, on the other as the rows have it. Expected: the same pattern, with differences within "
    "about two standard errors, (1 − r²)/√n. Each pair is of the subjects seen at both; drop-out can move it."
)
SPREAD = (
    "The variance of the rows about the population mean, and what the model implies. Expected: the line "
    "within "
    "about 95% of the intervals. A rise that the model lacks asks for a random slope or a variance structure."
)
LEFT_OVER = (
    "The normalised residuals are multiplied with those of the same subject a lag later; the model has made "
    "them "
    "independent. Expected: all lags within the band, which holds all of them together with probability 0.95."
)
HALF = (
    "The semivariance is half the mean squared difference of two rows of a subject about the population "
    "mean, by "
    "their distance in time. Expected: all marks within the band about the model's line, which holds all of "
    "them "
    "together with probability 0.95. A line that starts above 0 is measurement error; the gap to the total "
    "variance at long distances is what lasts between subjects."
)


def covariance(study: Study, found: Diagnostics, lost: dict[str, str]) -> tuple[Block, ...]:
    """What there is of correlations, variances, autocorrelations and semivariances."""
    return parts(
        lost,
        (VISITS, lambda: between_visits(study, found.visits) if found.visits is not None else []),
        (VARIANCE, lambda: over_time(study, found.spread) if found.spread is not None else []),
        (LAGS, lambda: left_over(study, found.lags) if found.lags is not None else []),
        (
            SEMIVARIOGRAM,
            lambda: by_distance(study, found.semivariogram) if found.semivariogram is not None else [],
        ),
    )


def between_visits(study: Study, moments: VisitMoments) -> list[Block]:
    """Correlations by visit."""
    i, j = np.tril_indices(moments.times.size, -1)
    seen = (moments.subjects[i, j] > 2) & np.isfinite(moments.correlation[i, j])
    i, j = i[seen], j[seen]
    if not i.size:
        return []
    words = _difference_words(study, moments, i, j)
    names = [plain(t) for t in moments.times.tolist()]
    label = svg.Label("fig-visits", f"Correlation of {study.response} between visits", words)
    maps = (("Implied by the model", moments.implied_correlation), ("Of the rows", moments.correlation))
    chart = visits.heat(label, names, maps, study.time_label)
    caption = "Correlations about the population mean, on one scale: the darker, the nearer to 1 or −1."
    figure = Figure("fig-visits", chart, caption, _pairs(study, moments, i, j))
    return [Heading("Correlation between visits"), Text(f"{EXPECTED} Seen: {words}"), figure]


def _difference_words(study: Study, moments: VisitMoments, i: np.ndarray, j: np.ndarray) -> str:
    implied, empirical = moments.implied_correlation, moments.correlation
    difference = empirical[i, j] - implied[i, j]
    error = (1 - implied[i, j] ** 2) / np.sqrt(moments.subjects[i, j])
    far = int(np.sum(np.abs(difference) > 2 * error))
    k = int(np.argmax(np.abs(difference)))
    times = f"{plain(float(moments.times[j[k]]))} and {plain(float(moments.times[i[k]]))}"
    largest = f"the largest difference is {fixed(float(difference[k]), 2)}, between {study.time} {times}"
    verb = "differs" if far == 1 else "differ"
    return f"{largest}; {far:,} of {count(i.size, 'pair')} {verb} by more than two standard errors."


def _pairs(study: Study, moments: VisitMoments, i: np.ndarray, j: np.ndarray) -> Table:
    rows = []
    for a, b in zip(j, i, strict=True):
        values = (float(moments.implied_correlation[a, b]), float(moments.correlation[a, b]))
        pair = plain(float(moments.times[a])), plain(float(moments.times[b]))
        rows.append((*pair, f"{moments.subjects[a, b]:,}", *(fixed(v, 3) for v in values)))
    heads = (study.time, f"and {study.time}", "Subjects", "Implied", "Of the rows")
    return Table("Correlations between visits", heads, tuple(rows), "rrrrr")


def over_time(study: Study, found: VarianceOverTime) -> list[Block]:
    """Variances by time, or by class of times."""
    far = int(np.sum((found.implied < found.conf_low) | (found.implied > found.conf_high)))
    of = count(found.time.size, "interval")
    seen = f"the model's variance lies outside {far:,} of {of}."
    label = svg.Label("fig-spread", f"Variance of {study.response} over {study.time}", seen.capitalize())
    names = (study.time_label, f"Variance of {study.response_label}")
    chart = charts.variances(label, found, names)
    columns = (found.implied, found.empirical, found.conf_low, found.conf_high)
    rows = tuple(
        (plain(float(t)), f"{n:,}", *(fmt(float(v)) for v in values))
        for t, n, *values in zip(found.time, found.rows, *columns, strict=True)
    )
    heads = (study.time, "Rows", "Implied", "Of the rows", "95% interval from", "to")
    data = Table("Variance about the population mean", heads, rows, "rrrrrr")
    classes = np.unique(study.rows.time).size > found.time.size if study.rows is not None else False
    where = f"in {found.time.size} classes of {study.time}" if classes else f"by {study.time}"
    caption = f"Variance about the population mean {where}, with 95% intervals, each by itself."
    figure = Figure("fig-spread", chart, caption, data)
    return [Heading("Spread over time"), Text(f"{SPREAD} Seen: {seen}"), figure]


def left_over(study: Study, lags: Autocorrelation) -> list[Block]:
    """Autocorrelation of the residuals."""
    verb = "lies" if lags.outside == 1 else "lie"
    seen = f"{lags.outside:,} of {count(lags.lag.size, 'lag')} {verb} outside the band."
    label = svg.Label("fig-lags", "Autocorrelation of the residuals by lag", seen)
    chart = charts.autocorrelation(label, lags, (f"Lag in {study.time}", "Autocorrelation"))
    caption = (
        f"Autocorrelation of the normalised residuals by lag in {study.time}. Lags with fewer than "
        f"{FEW_PAIRS} pairs of rows are left out."
    )
    rows = tuple(
        (plain(float(lag)), f"{n:,}", *(fixed(float(v), 3) for v in values))
        for lag, n, *values in zip(
            lags.lag, lags.pairs, lags.correlation, lags.pointwise, lags.simultaneous, strict=True
        )
    )
    heads = (f"Lag in {study.time}", "Pairs of rows", "Autocorrelation", "Limit ±, alone", "together")
    data = Table("Autocorrelation of the residuals", heads, rows, "rrrrr")
    figure = Figure("fig-lags", chart, caption, data)
    return [Heading("Correlation left between the residuals"), Text(f"{LEFT_OVER} Seen: {seen}"), figure]


def by_distance(study: Study, found: Semivariogram) -> list[Block]:
    """Semivariances by distance in time."""
    verb = "lies" if found.outside == 1 else "lie"
    seen = f"{found.outside:,} of {count(found.distance.size, 'distance')} {verb} outside the band."
    label = svg.Label("fig-semivariogram", f"Semivariogram of {study.response}", seen)
    names = (f"Distance in {study.time}", "Semivariance")
    chart = charts.semivariances(label, found, names)
    columns = (found.implied, found.empirical, found.low, found.high)
    rows = tuple(
        (plain(float(d)), f"{n:,}", *(fmt(float(v)) for v in values))
        for d, n, *values in zip(found.distance, found.pairs, *columns, strict=True)
    )
    heads = (f"Distance in {study.time}", "Pairs of rows", "Implied", "Of the rows", "Band from", "to")
    caption = (
        f"Semivariance by distance in {study.time}, with the model's line and the total variance "
        f"{fmt(found.variance)}. Distances with fewer than {FEW_PAIRS} pairs of rows are left out."
    )
    data = Table("Semivariances", heads, rows, "rrrrrr")
    figure = Figure("fig-semivariogram", chart, caption, data)
    return [Heading("Covariance by distance in time"), Text(f"{HALF} Seen: {seen}"), figure]
