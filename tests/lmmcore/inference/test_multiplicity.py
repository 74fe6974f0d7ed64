"""Adjusted p values: printed examples and tables, scipy, R's ptukey and qtukey."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.special import ndtri, stdtr, stdtrit

from lmmcore.inference.emmeans.multiplicity import adjusted
from lmmcore.inference.emmeans.studentized_range import quantile, upper_tail

ROOT = Path(__file__).resolve().parents[3]
RANGE = json.loads((ROOT / "tests/reference/tests_reference.json").read_text("utf-8"))["studentized_range"]


def normal(p):
    """Statistics with two-sided p values p : (m,) in the normal distribution, and their df."""
    return -ndtri(np.array(p) / 2), np.full(len(p), np.inf)


def test_holm_and_bonferroni():
    """Worked by hand: sorted p times 4, 3, 2, 1, each at least the one before."""
    statistic, df = normal([0.01, 0.04, 0.03, 0.005])
    assert adjusted(statistic, df, "holm", 0.95)[0] == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert adjusted(statistic, df, "bonferroni", 0.95)[0] == pytest.approx([0.04, 0.16, 0.12, 0.02])
    assert adjusted(statistic, df, "none", 0.95)[0] == pytest.approx([0.01, 0.04, 0.03, 0.005])
    for adjust, tests in (("none", 1), ("bonferroni", 4), ("holm", 4)):
        limit = adjusted(statistic, df, adjust, 0.9)[1]
        assert limit == pytest.approx(np.full(4, -ndtri(0.1 / tests / 2)))


def test_p_values_end_at_1():
    statistic, df = normal([0.9, 0.8, 0.7])
    for adjust in ("holm", "bonferroni"):
        assert adjusted(statistic, df, adjust, 0.95)[0].tolist() == [1, 1, 1]


def test_what_has_no_estimate_is_not_in_the_family():
    statistic, df = normal([0.01, 0.04])
    with_gap = np.array([statistic[0], np.nan, statistic[1]]), np.array([df[0], np.nan, df[1]])
    for adjust in ("holm", "bonferroni", "none"):
        p, limit = adjusted(*with_gap, adjust, 0.95)
        assert p[[0, 2]].tolist() == adjusted(statistic, df, adjust, 0.95)[0].tolist()
        assert np.isnan(p[1]) and np.isnan(limit[1])


def test_tukey_is_the_studentized_range():
    t, df = np.array([0.5, 2.0, -3.5]), np.array([7.5, 7.5, 30.0])
    p, limit = adjusted(t, df, "tukey", 0.95, means=3)
    assert p == pytest.approx([upper_tail(np.sqrt(2) * abs(s), 3, d) for s, d in zip(t, df, strict=True)])
    assert limit[2] == pytest.approx(quantile(0.05, 3, 30) / np.sqrt(2))
    # Two means make one comparison, Student's.
    p, limit = adjusted(t[:1], df[:1], "tukey", 0.95, means=2)
    assert (p[0], limit[0]) == pytest.approx((2 * stdtr(7.5, -0.5), -stdtrit(7.5, 0.025)))


@pytest.mark.parametrize(
    "level, means, df, printed",
    [(0.05, 3, 10, 3.877), (0.05, 5, 20, 4.232), (0.01, 4, 12, 5.502), (0.05, 10, np.inf, 4.474)],
)
def test_printed_tables(level, means, df, printed):
    """Pearson & Hartley, Biometrika Tables for Statisticians I, table 29."""
    assert round(quantile(level, means, df), 3) == printed


def test_against_r():
    """R's algorithm (AS 190) is good to 1e-8 or so, less below 3 df."""
    for row in RANGE:
        df = float(row["df"]) if row["df"] is not None else np.inf
        few = df < 3
        assert upper_tail(row["q"], row["means"], df) == pytest.approx(row["p"], abs=1e-4 if few else 1e-7)
        assert quantile(0.05, row["means"], df) == pytest.approx(row["quantile"], rel=1e-3 if few else 1e-6)


@pytest.mark.parametrize("df", [1.0, 2.3, 7.5, 120.4, 1e4, np.inf])
@pytest.mark.parametrize("means", [2, 3, 12])
def test_against_scipy(means, df):
    from scipy.stats import studentized_range

    for q in (0.5, 3.3, 9.0):
        assert upper_tail(q, means, df) == pytest.approx(studentized_range.sf(q, means, df), abs=1e-11)
    for level in (0.3, 0.01):
        assert upper_tail(quantile(level, means, df), means, df) == pytest.approx(level, rel=1e-8)


def test_tails():
    """Far out the p value keeps its digits: two means are Student's t, whose tail is known."""
    assert upper_tail(12.0, 2, 50) == pytest.approx(2 * stdtr(50, -12 / np.sqrt(2)), rel=1e-8)
    assert upper_tail(0.0, 3, 5) == pytest.approx(1)
    assert upper_tail(np.inf, 3, 5) == 0


def test_mistakes():
    with pytest.raises(ValueError, match=r"^adjust is 'sidak', but must be one of 'none', 'holm'"):
        adjusted(np.zeros(2), np.ones(2), "sidak", 0.95)
    with pytest.raises(ValueError, match="between 0 and 1"):
        adjusted(np.zeros(2), np.ones(2), "holm", 95)
