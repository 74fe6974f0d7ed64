import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmmstudy.report.words import numbers as n


@pytest.mark.parametrize(
    ("value", "digits", "printed"),
    [
        (251.4051, 4, "251.4"), (10.46729, 4, "10.47"), (-1.5, 4, "−1.500"), (0.0, 4, "0"), (18, 4, "18"),
        (12345.678, 4, "12,346"), (3.961e-10, 3, "3.96 × 10⁻¹⁰"), (-2.5e8, 3, "−2.50 × 10⁸"), (None, 4, "–"),
        (math.nan, 4, "–"), (math.inf, 4, "–"), (9.99996, 4, "10.00"),
    ],
)  # fmt: skip
def test_significant_digits(value, digits, printed):
    assert n.fmt(value, digits) == printed


@pytest.mark.parametrize(
    ("value", "printed"), [(2.0, "2"), (0.1363636, "0.136364"), (51.2, "51.2"), (-99, "−99"), ("x", "x")]
)
def test_a_value_of_the_data_keeps_its_own_digits(value, printed):
    assert n.plain(value) == printed


@pytest.mark.parametrize(
    ("p", "printed", "sentence"),
    [(0.0103, "0.0103", "p = 0.0103"), (7e-10, "< 0.0001", "p < 0.0001"), (0.0, "< 0.0001", "p < 0.0001"),
     (0.99999, "> 0.9999", "p > 0.9999"), (0.5, "0.5000", "p = 0.5000"), (None, "–", "p = –")],
)  # fmt: skip
def test_p_values_are_exact_and_never_zero_or_one(p, printed, sentence):
    assert n.p_value(p) == printed and n.p_sentence(p).replace("\u00a0", " ") == sentence


def test_a_number_that_rounds_to_zero_has_no_sign():
    assert n.fixed(-0.0004, 2) == "0.00" and n.fixed(-0.006, 2) == "−0.01"


def test_a_share_is_never_rounded_to_all_or_nothing():
    assert n.percent(0.0001) == "< 0.1%" and n.percent(0.9999) == "> 99.9%"
    assert n.percent(0.0) == "0.0%" and n.percent(1.0) == "100.0%" and n.percent(1 / 3) == "33.3%"


def test_a_column_has_one_number_of_decimals():
    assert n.column([612.09, 35.07, 9.6]) == ("612.09", "35.07", "9.60")
    assert n.column([1.0, 20.0, None]) == ("1", "20", "–")


@given(st.floats(-1e9, 1e9).filter(lambda v: v == 0 or abs(v) > 1e-200))
def test_what_is_printed_reads_back_within_half_a_unit_of_its_last_digit(value):
    printed = n.fmt(value, 4).replace(n.MINUS, "-").replace(",", "")
    if "×" in printed:
        mantissa, power = printed.split(" × 10")
        exponent = int(power.translate(str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")))
        assert abs(float(mantissa) * 10.0**exponent - value) <= 0.50001 * 10.0 ** (exponent - 3)
    else:
        decimals = len(printed.partition(".")[2])
        assert abs(float(printed) - value) <= 0.50001 * 10.0**-decimals


def test_counts_agree_with_their_noun():
    assert n.count(1, "row") == "1 row" and n.count(1800, "row") == "1,800 rows"
    assert n.count(2, "analysis", "analyses") == "2 analyses"


@pytest.mark.parametrize("low, high", [(0.0004, 1), (-0.0004, 1), (-3, -0.00012), (-2, 0.003), (0, 1)])
def test_an_interval_shows_whether_it_holds_0(low, high):
    """By the signs of its ends as they are printed."""
    for decimals in range(4):
        printed = [float(v.replace("−", "-")) for v in n.limits(low, high, decimals)]
        assert (printed[0] > 0) == (low > 0) and (printed[1] < 0) == (high < 0)
        assert (printed[0] == 0) == (low == 0)


@pytest.mark.parametrize("p", [0.05, 0.049996, 0.050004, 0.0100001, 0.00999999, 0.0009999, 0.0010004])
def test_a_p_value_stays_on_its_side_of_a_level(p):
    printed = float(n.p_value(p))
    for level in (0.1, 0.05, 0.025, 0.01, 0.001):
        assert (printed < level) == (p < level) and (printed > level) == (p > level)
