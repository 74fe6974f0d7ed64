import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmmstudy.report.charts.scales import (
    Axis,
    Panel,
    cut,
    fits,
    nice_ticks,
    numeric_axis,
    padded,
    thinned,
    tick_names,
    visit_axis,
    within,
)


@pytest.mark.parametrize(
    ("low", "high", "count", "expected"),
    [
        (0, 10, 5, (0, 2, 4, 6, 8, 10)),
        (0, 1, 4, (0, 0.25, 0.5, 0.75, 1)),
        (-3.2, 3.2, 6, (-2, 0, 2)),
        (194.3, 466.4, 5, (200, 300, 400)),
        (0.001, 0.0031, 5, (0.001, 0.0015, 0.002, 0.0025, 0.003)),
        (1e6, 3e6, 4, (1e6, 1.5e6, 2e6, 2.5e6, 3e6)),
    ],
)
def test_ticks_are_round_numbers_inside_the_range(low, high, count, expected):
    assert nice_ticks(low, high, count) == expected


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6), st.integers(2, 8))
def test_ticks_are_multiples_of_1_2_or_5_and_few(low, span, count):
    ticks = nice_ticks(low, low + span, count)
    assert 1 <= len(ticks) <= count + 1
    if len(ticks) > 1:
        step = (ticks[-1] - ticks[0]) / (len(ticks) - 1)
        mantissa = step / 10 ** math.floor(math.log10(step) + 1e-9)
        assert min(abs(mantissa - m) for m in (1, 2, 2.5, 5, 10)) < 1e-4


def test_tick_names_have_the_decimals_the_ticks_need():
    assert tick_names((0.0, 0.25, 0.5)) == ("0.00", "0.25", "0.50")
    assert tick_names((-10.0, 0.0, 10.0)) == ("−10", "0", "10")
    assert tick_names((0.0, 10000.0, 20000.0)) == ("0", "10,000", "20,000")
    assert tick_names((0.0, 2e-5)) == ("0", "2.0 × 10⁻⁵")


def test_a_panel_puts_the_corners_of_the_range_on_its_corners():
    panel = Panel(50, 20, 400, 200, Axis("x", 0, 10, (), ()), Axis("y", -1, 1, (), ()))
    assert (panel.px(0), panel.px(10), panel.py(-1), panel.py(1)) == (50, 450, 220, 20)
    assert (panel.px(2.5), panel.py(0)) == (150, 120)
    later = Panel(0, 0, 100, 100, Axis("x", 50, 150, (), ()), Axis("y", 10, 20, (), ()))
    assert (later.px(75), later.py(12.5)) == (25, 75)


def test_equal_and_missing_values_still_have_a_range():
    assert padded([5.0, 5.0]) == (4.5, 5.5)
    assert padded([0.0]) == (-1.0, 1.0)
    assert padded([]) == (0.0, 1.0)
    assert padded([math.nan, 1.0, 3.0], 0.1) == (0.8, 3.2)


def test_planned_visits_are_ticked_where_they_are():
    assert visit_axis("age", [8, 10, 12, 14], 500).ticks == (8, 10, 12, 14)
    assert visit_axis("age", [8.0] * 5, 500).low < 8 < visit_axis("age", [8.0], 500).high


def test_labels_that_would_touch_are_thinned():
    crowded = numeric_axis("t", [0.0, 1000.0], at=[float(k) for k in range(0, 1001, 10)])
    assert not fits(crowded, 300)
    shown = thinned(crowded, 300)
    assert fits(shown, 300) and 3 <= len(shown.ticks) < 20
    irregular = visit_axis("day", [1, 8, 15, 22, 29, 36, 43, 44, 50, 57, 64], 540)
    assert fits(irregular, 540)


def test_one_absurd_limit_does_not_flatten_the_rest():
    values, limits = [1.0, 2.0, 3.0], [0.5, 1.5, 2.5, 3.5, 1e117, -1e20, math.inf]
    shown = within(values, limits)
    assert min(shown) >= 1 - 3 * 2 and max(shown) <= 3 + 3 * 2 and {0.5, 3.5} <= set(shown)
    assert cut(values, limits) and not cut(values, limits[:4])
    assert within([], [1.0]) == [1.0] and within([5.0], []) == [5.0]
    # wide intervals that are all alike are shown whole
    assert not cut([1.0, 1.1], [-10.0, 12.0, -9.0, 11.0])
