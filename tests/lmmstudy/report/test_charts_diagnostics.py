"""Where the marks of the diagnostic charts stand, read from the drawings themselves."""

import re
from dataclasses import replace

import numpy as np
import pytest
from test_charts_geometry import LABEL, boxes, drawn, overlaps, paths, points, texts
from test_report_sample import rows

from lmmcore.diagnostics.semivariogram import Semivariogram
from lmmcore.diagnostics.spread import VarianceOverTime
from lmmstudy.report.charts import covariance, effects, influence, likelihood
from lmmstudy.report.refit.series import Interval
from tests.support.sample_diagnostics import diagnostics, inference

DATA = rows(24)
FOUND = diagnostics(DATA, np.random.default_rng(5).normal(size=DATA.time.size))
NAMES = ("Weeks since randomisation", "Value")
DISTANCE, ONES = np.array([2.0, 4.0, 6.0]), np.ones(3)
SEMI = Semivariogram(DISTANCE, np.array([9, 8, 7]), 4 * ONES, 5 * ONES, 3 * ONES, 6 * ONES, 8.0)
CURVES = [(f"SD of a term {k}", c.value, c.zeta, 6.0) for c in inference().profiles for k in range(4)]


def charts() -> dict[str, str]:
    wide = replace(FOUND.deletion, terms=("week", "a long name of a term"))
    both = replace(wide, estimate=np.array([0.5, 1]), std_error=np.ones(2), without=np.tile(wide.without, 2))
    intervals = [Interval(f"A model with a long name {k}", 1.0, 0.5, 2.0) for k in range(3)]
    return {
        "variances": covariance.variances(LABEL, FOUND.spread, NAMES),
        "autocorrelation": covariance.autocorrelation(LABEL, FOUND.lags, NAMES),
        "semivariances": covariance.semivariances(LABEL, SEMI, NAMES),
        "likelihoods": likelihood.likelihoods(LABEL, CURVES, "Signed root"),
        "one likelihood": likelihood.likelihoods(LABEL, CURVES[:1], "Signed root"),
        "deletions": influence.deletions(LABEL, FOUND.deletion, range(20), 1),
        "deletions of two terms": influence.deletions(LABEL, both, range(5), 2),
        "forest": effects.forest(LABEL, intervals, "week"),
    }


@pytest.mark.parametrize("name", charts())
def test_no_label_touches_another_or_leaves_the_drawing(name):
    chart = charts()[name]
    assert overlaps(chart) == []
    width, height = map(float, drawn(chart).get("viewBox").split()[2:])
    for left, right, top, bottom in boxes(chart):
        assert left >= -2 and right <= width + 2 and top >= 0 and bottom <= height


def height_of(chart: str, name: str) -> float:
    """Where the axis has the value of a tick."""
    return next(y for _, y, anchor, text in texts(chart) if anchor == "end" and text == name) - 4


def test_variances_start_at_zero_and_stand_at_their_values():
    found = VarianceOverTime(DISTANCE, np.array([9, 8, 7]), 40 * ONES, 20 * ONES, 80 * ONES, 60 * ONES)
    chart = covariance.variances(LABEL, found, NAMES)
    zero, step = height_of(chart, "0"), height_of(chart, "20")
    line = points(paths(chart, "c0", "line")[1])  # the first is the legend's
    np.testing.assert_allclose((zero - line[:, 1]) / (zero - step) * 20, 60, atol=0.2)
    intervals = np.array([points(d) for d in paths(chart, "c1", "interval")])
    np.testing.assert_allclose((zero - intervals[:, :, 1]) / (zero - step) * 20, [[20, 80]] * 3, atol=0.2)


def test_semivariances_lie_in_their_band():
    chart = covariance.semivariances(LABEL, SEMI, NAMES)
    mark = points(paths(chart, "c1", "mark")[1])
    area = points(paths(chart, "band")[0])
    line = points(paths(chart, "c0", "line")[1])
    unit = line[0, 1] - area[:, 1].min()  # from 5 to 6
    np.testing.assert_allclose(mark[:, 1] - line[:, 1], unit, atol=0.2)  # 4 is as far below
    assert area[:, 1].max() - line[0, 1] == pytest.approx(2 * unit, abs=0.2)


def test_a_profile_meets_its_cuts():
    """A straight profile with slope 1/1.2: the 95% limits are 1.2 x 1.96 from the estimate."""
    chart = likelihood.likelihoods(LABEL, CURVES[:1], "Signed root")
    cuts = np.array([points(d)[0, 0] for d in paths(chart, "c1", "interval")]).reshape(-1, 2)
    assert len(cuts) == 4  # the profile ends before 2.576
    mark = points(paths(chart, "mark")[0])[0]
    np.testing.assert_allclose(cuts.mean(axis=1), mark[0], atol=0.1)
    width = np.diff(cuts, axis=1)[:, 0]
    np.testing.assert_allclose(width / width[-1], np.array([0.674, 1.282, 1.645, 1.96]) / 1.96, atol=0.002)


def test_deletions_are_bars_from_zero_and_from_the_estimate():
    chart = influence.deletions(LABEL, FOUND.deletion, [0, 23], 1)
    bars = [[float(v) for v in re.match(r"M([\d.]+) [\d.]+H([\d.]+)", d).groups()]
            for d in paths(chart, "interval")]  # fmt: skip
    first, last, up, down = bars
    assert last[0] == last[1] == first[0] < first[1]  # Cook's distances 0.5 and 0
    assert up[1] - up[0] == pytest.approx(down[0] - down[1], abs=0.11) and up[1] > up[0]


def test_a_unit_that_cannot_be_left_out_has_no_mark():
    without = FOUND.deletion.without.copy()
    without[1] = np.nan
    chart = influence.deletions(LABEL, replace(FOUND.deletion, without=without), [0, 1, 2], 1)
    assert len(points(paths(chart, "c1", "mark")[0])) == 2


def test_a_variance_without_limits_is_a_mark_alone():
    bare = replace(
        FOUND.spread,
        **{
            k: np.where(FOUND.spread.time == FOUND.spread.time[0], np.nan, getattr(FOUND.spread, k))
            for k in ("conf_low", "conf_high")
        },
    )
    whole, less = (covariance.variances(LABEL, found, NAMES) for found in (FOUND.spread, bare))
    assert less.count("interval thin") == whole.count("interval thin") - 1 and "nan" not in less
