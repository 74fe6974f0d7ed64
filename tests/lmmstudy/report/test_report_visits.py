"""Covariances between visits, over time and by distance, as the page shows them."""

from dataclasses import replace

import numpy as np
from test_report_page import Page, close, tables
from test_report_sample import study

from lmmcore.diagnostics.semivariogram import Semivariogram
from lmmstudy.report.page import assemble, render
from tests.support.sample_diagnostics import moments


def with_diagnostics(whole=None, **changed):
    """The sample with other diagnostics."""
    whole = whole or study()
    found = replace(whole.fitted.diagnostics, **changed)
    return replace(whole, fitted=replace(whole.fitted, diagnostics=found))


def with_moments():
    return with_diagnostics(visits=moments())


def test_visits_on_the_page():
    text = render(assemble(with_moments()))
    assert "Seen: the largest difference is −0.50, between week 0 and 2; 1 of 2 pairs differs by more" in text
    found = tables(Page(text))
    assert found["Correlations between visits"] == [
        ["0", "2", "25", "0.500", "0.000"],
        ["2", "4", "25", "−0.250", "−0.300"],
    ]


def test_the_map_prints_each_pair_twice_on_each_side_and_colours_its_sign():
    page = Page(render(assemble(with_moments())))
    chart = next(e for e in page.all("svg") if "fig-visits-t" in e["attrs"]["aria-labelledby"])
    cells = [e for e in chart["children"] if e["tag"] == "rect"]
    assert len(cells) == 8
    colours = [e["attrs"]["class"] for e in cells]
    assert colours.count("c1 bar") == 4 and colours.count("c0 bar") == 4
    darkness = {float(e["attrs"]["fill-opacity"]) for e in cells}
    assert darkness == {0.3, 0.15, 0.0, 0.18}
    texts = [e["text"] for e in chart["children"] if e["tag"] == "text"]
    assert texts.count("0.50") == 2 and texts.count("−0.30") == 2


def test_variances_over_time_on_the_page():
    """The model's variance leaves the interval 30 to 90 at the last of five visits."""
    text = render(assemble(study()))
    shown = tables(Page(text))["Variance about the population mean"]
    assert shown[0] == ["0", "12", "45.00", "50.00", "30.00", "90.00"] and shown[4][2] == "95.00"
    assert "variance lies outside 1 of 5 intervals." in text


def test_autocorrelation_on_the_page():
    whole = study(24)
    lags = whole.fitted.diagnostics.lags
    text = render(assemble(whole))
    shown = tables(Page(text))["Autocorrelation of the residuals"]
    assert [row[:2] for row in shown] == [
        [f"{lag:g}", f"{n}"] for lag, n in zip(lags.lag, lags.pairs, strict=True)
    ]
    assert all(close(row[2], r) for row, r in zip(shown, lags.correlation, strict=True))
    assert f"Seen: {lags.outside} of 4 lags" in text


def test_semivariances_on_the_page():
    """One of three marks, 9 above a band of 4 to 6, is outside."""
    d, ones = np.array([1.0, 2.5, 4.0]), np.ones(3)
    empirical = np.array([5.0, 9.0, 5.0])
    found = Semivariogram(d, np.array([40, 30, 20]), empirical, 5 * ones, 4 * ones, 6 * ones, 8.0)
    text = render(assemble(with_diagnostics(semivariogram=found)))
    assert "Seen: 1 of 3 distances lies outside the band." in text and "the total variance 8.000." in text
    assert tables(Page(text))["Semivariances"][1] == ["2.5", "30", "5.000", "9.000", "4.000", "6.000"]


def test_what_the_rows_do_not_allow_is_left_out():
    bare = with_diagnostics(visits=None, spread=None, lags=None, semivariogram=None)
    page = Page(render(assemble(bare)))
    ids = {e["attrs"].get("id") for e in page.elements}
    assert not ids & {"fig-visits", "fig-spread", "fig-lags", "fig-semivariogram"} and "fig-influence" in ids
