"""Where marks, bars and labels of the charts stand, read from the drawings themselves."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from lmmcore.diagnostics.qq import quantiles
from lmmstudy.report.charts import axes, counts, effects, profiles, residuals, svg
from lmmstudy.report.charts.scales import Axis, Panel
from lmmstudy.report.charts.svg import Label
from lmmstudy.report.refit.series import Counts, Curve, Effect, Interval, Means, Profile
from lmmstudy.report.refit.smooth import loess

LABEL = Label("x", "A title", "A description")


def drawn(markup: str) -> ElementTree.Element:
    return ElementTree.fromstring(str(markup))


def paths(markup: str, *classes: str) -> list[str]:
    """Path data of the elements that have all the classes."""
    return [
        p.get("d") for p in drawn(markup).iter("path") if set(classes) <= set((p.get("class") or "").split())
    ]


def points(d: str) -> np.ndarray:
    return np.array(re.findall(r"[ML](-?[\d.]+) (-?[\d.]+)", d), dtype=float)


def texts(markup: str) -> list[tuple[float, float, str, str]]:
    return [
        (float(t.get("x")), float(t.get("y")), t.get("text-anchor"), t.text)
        for t in drawn(markup).iter("text")
    ]


def boxes(markup: str) -> list[tuple[float, float, float, float]]:
    """Left, right, top, bottom of every label at the larger type of small screens."""
    found = []
    for x, y, anchor, content in texts(markup):
        width = svg.text_width(content or "") * svg.PHONE
        left = {"start": x, "middle": x - width / 2, "end": x - width}[anchor]
        found.append((left, left + width, y - 9, y + 2))
    return found


def overlaps(markup: str) -> list[tuple[int, int]]:
    all_boxes = boxes(markup)
    return [
        (i, j)
        for i, a in enumerate(all_boxes)
        for j, b in enumerate(all_boxes[:i])
        if a[0] < b[1] and b[0] < a[1] and a[2] < b[3] and b[2] < a[3]
    ]


def profile(name: str, x, y, group: str = "all", joined=None) -> Profile:
    x, y = np.array(x, float), np.array(y, float)
    joined = np.ones(x.size, bool) if joined is None else np.array(joined)
    return Profile(name, group, x, y, joined, y + 1, y - 1)


def trial(subjects: int = 6, groups=("placebo", "active")) -> list[Profile]:
    at = [0, 2, 4, 6, 8]
    return [profile(f"S{i}", at, [50 + i + t for t in at], groups[i % len(groups)]) for i in range(subjects)]


def curve(group: str = "all") -> Curve:
    x = np.array([0.0, 4, 8])
    return Curve(group, x, 50 + x, 48 + x, 52 + x)


def charts() -> dict[str, str]:
    random = np.random.default_rng(3)
    fitted, residual = random.normal(50, 5, 300), random.normal(size=300)
    two = ("placebo", "active")
    groups = [Counts(g, np.array([0.0, 2, 4]), np.array([20, 15, 12 - k])) for k, g in enumerate(two)]
    levels = [f"Subject {k}" for k in range(20)]
    chosen = {
        t: [Effect("g", v, t, k - 10, 2.0) for k, v in enumerate(levels)] for t in ("Intercept", "week")
    }
    means = [Means(g, np.array([0.0, 4, 8]), np.array([50.0, 54, 58]), np.array([3, 3, 3])) for g in two]
    names = ("Weeks since randomisation", "Symptom score")
    return {
        "spaghetti": profiles.spaghetti(LABEL, trial(), [curve(g) for g in two], names),
        "spaghetti of five groups": profiles.spaghetti(LABEL, trial(10, "abcde"), [], names),
        "means": profiles.predicted_means(LABEL, means, [curve(g) for g in two], names),
        "cells": profiles.cells(LABEL, trial(24), names),
        "attrition": counts.attrition(LABEL, groups, names),
        "patterns": counts.patterns(
            LABEL, ["0", "2", "4", "8", "12"], [((1, 1, 1, 1, 1), 40), ((1, 0, 1, 1, 1), 3)]
        ),
        "caterpillar": effects.caterpillar(LABEL, chosen),
        "residuals": residuals.residuals(
            LABEL, fitted, residual, loess(fitted, residual), ("Fitted", "Residual")
        ),
        "quantiles": residuals.quantiles(LABEL, quantiles(residual, "residuals"), ("Normal", "Residual")),
    }


@pytest.mark.parametrize("name", charts())
def test_no_label_touches_another_or_leaves_the_drawing(name):
    chart = charts()[name]
    assert overlaps(chart) == []
    width, height = map(float, drawn(chart).get("viewBox").split()[2:])
    for left, right, top, bottom in boxes(chart):
        assert left >= -2 and right <= width + 2 and top >= 0 and bottom <= height


@pytest.mark.parametrize("name", charts())
def test_every_drawing_is_named_and_described(name):
    root = drawn(charts()[name])
    assert root.get("role") == "img" and root.find("title").text and root.find("desc").text
    assert root.get("aria-labelledby").split() == [root.find("title").get("id"), root.find("desc").get("id")]


def test_a_long_legend_and_many_visits_stay_readable():
    names = tuple(f"A treatment with a long name, number {k}" for k in range(7))
    means = [Means(g, np.arange(0.0, 60, 5), np.arange(12.0) + k, np.ones(12)) for k, g in enumerate(names)]
    chart = profiles.predicted_means(LABEL, means, [], ("t", "y"), "arm")
    assert overlaps(chart) == [] and max(right for _, right, *_ in boxes(chart)) <= svg.WIDTH + 2
    visits = [float(k) for k in (0, 1, 2, 3, 400, 401, 402, 403)]
    crowded = profiles.spaghetti(LABEL, [profile("S1", visits, visits)], [], ("t", "y"))
    assert overlaps(crowded) == []
    panel = Panel(
        0, 0, 100, 100, Axis("x", 0, 9, tuple(range(10)), ("1,000,000",) * 10), Axis("y", 0, 1, (), ())
    )
    assert 1 <= len(re.findall("<text", "".join(axes.grid(panel)))) <= 2


def test_a_profile_goes_through_its_points_and_stops_at_a_gap():
    one = profile("S1", [0, 2, 6, 8], [10, 20, 30, 40], joined=[True, True, False, True])
    chart = profiles.spaghetti(LABEL, [one], [], ("t", "y"))
    line = next(d for d in paths(chart, "profile") if "L" in d)
    assert re.findall("[ML]", line) == ["M", "L", "M", "L"]
    at = points(line)
    assert at[0, 0] < at[1, 0] and at[0, 1] > at[1, 1]
    np.testing.assert_allclose(np.diff(at[:, 0]), np.array([2, 4, 2]) * (at[3, 0] - at[0, 0]) / 8, atol=0.11)
    np.testing.assert_allclose(np.diff(at[:, 1]), (at[3, 1] - at[0, 1]) / 3, atol=0.11)


def test_many_profiles_are_faint_within_the_budget_and_a_sample_is_full():
    many = [profile(f"S{i}", range(10), [i + t for t in range(10)]) for i in range(5000)]
    chart = profiles.spaghetti(LABEL, many, [curve()], ("t", "y"))
    assert len(points(paths(chart, "faint")[0])) <= profiles.VERTICES
    assert len([p for p in drawn(chart).iter("path") if p.get("data-s") and "L" in p.get("d")]) == 12
    assert len(str(chart)) < 200_000


def test_the_sample_holds_the_first_and_the_last():
    assert profiles.sample(list(range(100)), 12)[0] == 0 and profiles.sample(list(range(100)), 12)[-1] == 99
    assert profiles.sample([1, 2], 12) == [1, 2]


def test_the_mean_line_and_its_band_stand_where_the_numbers_say():
    panel = Panel(0, 0, 80, 100, Axis("x", 0, 8, (), ()), Axis("y", 0, 100, (), ()))
    area, line = profiles.mean_line(panel, curve(), 0)
    np.testing.assert_allclose(points(line), [[0, 50], [40, 46], [80, 42]])
    np.testing.assert_allclose(points(area), [[0, 48], [40, 44], [80, 40], [80, 44], [40, 48], [0, 52]])


def test_one_time_point_gives_a_mark_instead_of_a_line():
    panel = Panel(0, 0, 80, 100, Axis("x", 0, 8, (), ()), Axis("y", 0, 100, (), ()))
    single = Curve("all", np.array([4.0]), np.array([50.0]), np.array([45.0]), np.array([55.0]))
    bar, mark = profiles.mean_line(panel, single, 0)
    np.testing.assert_allclose(points(bar), [[40, 55], [40, 45]])
    assert "h0" in mark


def test_attrition_starts_at_zero():
    chart = charts()["attrition"]
    labels = {t: y for _, y, anchor, t in texts(chart) if anchor == "end"}
    mark = points(paths(chart, "c0", "mark")[1])  # the first is the legend's
    zero, ten = labels["0"] - 4, labels["10"] - 4
    np.testing.assert_allclose(mark[:, 1], zero + (ten - zero) * np.array([20, 15, 12]) / 10, atol=0.2)


def test_pattern_bars_are_proportional_and_missed_visits_are_open():
    root = drawn(charts()["patterns"])
    bars = [float(r.get("width")) for r in root.iter("rect") if "bar" in r.get("class")]
    assert bars[1] / bars[0] == pytest.approx(3 / 40, abs=0.001)
    assert [r.get("class") for r in root.iter("rect")].count("missed") == 1


def test_the_caterpillar_has_the_largest_effect_on_top_and_intervals_of_1_96():
    chart = charts()["caterpillar"]
    names = [t for *_, anchor, t in texts(chart) if anchor == "end"]
    assert names[0] == "Subject 19" and names[-1] == "Subject 0"
    ends = np.array(
        [re.match(r"M([\d.]+) ([\d.]+)H([\d.]+)", d).groups() for d in paths(chart, "interval")][:20], float
    )
    marks = points(paths(chart, "mark")[0])
    np.testing.assert_allclose(marks[:, 0], (ends[:, 0] + ends[:, 2]) / 2, atol=0.11)
    unit = (marks[0, 0] - marks[-1, 0]) / 19
    np.testing.assert_allclose(ends[:, 2] - ends[:, 0], 2 * 1.959964 * 2 * unit, atol=0.2)


def test_a_caterpillar_of_many_levels_is_thinned_and_unnamed():
    many = {"Intercept": [Effect("g", str(k), "Intercept", k, 1.0) for k in range(5000)]}
    chart = effects.caterpillar(LABEL, many)
    assert len(paths(chart, "interval")) == effects.MOST
    assert not [t for *_, anchor, t in texts(chart) if anchor == "end"]


def test_the_interval_of_the_index_is_symmetric_about_zero():
    chart = effects.interval(LABEL, Interval("x", 2.0, 1.0, 3.0))
    zero, mark = points(paths(chart, "zero")[0])[0, 0], points(paths(chart, "mark")[0])[0, 0]
    low, high = points(paths(chart, "interval")[0])[:, 0]
    assert zero == 90 and mark - zero == pytest.approx(2 * (low - zero), abs=0.2)
    assert high - zero == pytest.approx(3 * (low - zero), abs=0.3)


def test_residuals_are_dots_up_to_the_cap_and_bins_above():
    random = np.random.default_rng(0)
    few = residuals.residuals(LABEL, random.normal(size=2000), random.normal(size=2000), None, ("a", "b"))
    assert len(points(paths(few, "mark")[0])) == 2000 and not paths(few, "density")
    y = random.normal(size=50_000)
    many = residuals.residuals(LABEL, random.normal(size=50_000), y, None, ("a", "b"))
    assert paths(many, "density") and len(points(paths(many, "mark")[0])) == np.sum(np.abs(y) > 3)
    assert len(str(many)) < 90_000


def test_the_largest_residual_stands_on_its_pixel():
    fitted, residual = np.array([0.0, 5.0, 10.0]), np.array([0.0, 4.0, -4.0])
    mark = points(paths(residuals.residuals(LABEL, fitted, residual, None, ("a", "b")), "mark")[0])
    middle = axes.TOP + 125
    np.testing.assert_allclose(
        mark[:, 1], middle - 125 * residual / 4.4, atol=0.06
    )  # reach 4 and a 5% margin of 8
    assert mark[1, 0] == pytest.approx((mark[0, 0] + mark[2, 0]) / 2, abs=0.06)


def test_points_outside_the_envelope_are_diamonds():
    values = np.r_[np.random.default_rng(1).normal(size=100), 30.0]
    q = quantiles(values, "values")
    chart = residuals.quantiles(LABEL, q, ("a", "b"))
    assert len(points(paths(chart, "c1", "s3")[0])) == q.outside > 0


def test_series_differ_in_shape_as_well_as_colour():
    shapes = {svg.marks([0], [0], k) for k in (2, 3)} | {svg.marks([0], [0], 0)}
    assert len(shapes) == 3 and svg.mark_class(0) != svg.mark_class(1)
    assert svg.mark_class(4) == svg.mark_class(0)


def test_long_and_wide_labels_are_shortened_to_their_room():
    for text in ("a" * 200, "検査対象者" * 20):
        cut = svg.shorten(text, 100)
        assert cut.endswith("…") and svg.text_width(cut) <= 100
    assert svg.shorten("short", 100) == "short"


def test_markup_in_labels_is_escaped():
    payload = "</svg><script>alert(1)</script>"
    chart = profiles.spaghetti(
        Label("x", payload, payload), [profile(payload, [0, 1], [0, 1], payload)], [], (payload, payload)
    )
    assert "<script>" not in chart
    assert drawn(chart).find("title").text == payload
