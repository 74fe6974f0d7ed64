"""Predictions: the bands against formulas written out, the subjects' lines, and what the page says."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from test_charts_geometry import LABEL, boxes, drawn, overlaps, paths, points
from test_report_page import Page, close, html, tables
from test_report_sample import study

import lmmcore as lmm
from lmmcore.prediction.predict import INTERVALS
from lmmstudy.report.charts import bands as charts
from lmmstudy.report.refit import predictions
from lmmstudy.report.refit.refit import refit

ROOT = Path(__file__).resolve().parents[3]
DESIGN = {"subject": "Subject", "time": "Days", "response": "Reaction", "fixed": "Days"}
MODEL = {
    "formula": "Reaction ~ Days + (Days | Subject)",
    "residual_structure": None,
    "variance": None,
}


@pytest.fixture(scope="module")
def sleep(tmp_path_factory):
    """The rows in no order, the fit of MODEL and what the report takes from it."""
    frame = pl.read_csv(ROOT / "data/raw/sleepstudy.csv").with_columns(pl.col("Days").cast(float))
    frame = frame.with_columns(pl.col("Subject").cast(pl.String)).sample(fraction=1, shuffle=True, seed=2)
    path = tmp_path_factory.mktemp("sleep") / "rows.parquet"
    frame.write_parquet(path)
    return frame, lmm.fit(MODEL["formula"], frame), refit(str(path), frame, MODEL, DESIGN, 0.95)


def test_bands_are_those_of_the_formulas(sleep):
    """The variance of the mean is x'Phi x; a new subject adds z'Psi z, a single response sigma^2, and both
    more than these for the estimation of the covariance."""
    _, fit, found = sleep
    (band,) = found.bands
    np.testing.assert_allclose(band.mean, fit.beta["Intercept"] + fit.beta["Days"] * band.x, rtol=1e-9)
    x = np.column_stack([np.ones_like(band.x), band.x])
    mean = np.einsum("ij,jk,ik->i", x, fit.vcov, x)
    psi = np.array([[612.1, 9.604], [9.604, 35.07]])  # VarCorr of lme4
    between = np.einsum("ij,jk,ik->i", x, psi, x)
    t = 2.1098  # 17 degrees of freedom
    half = {name: (high - low) / 2 for name, (low, high) in band.limits.items()}
    np.testing.assert_allclose(half["mean"], t * np.sqrt(mean), rtol=1e-3)
    least = {"subject": mean + between, "observation": mean + between + 654.94}
    for name, variance in least.items():
        assert np.all(half[name] > 1.96 * np.sqrt(variance)) and np.all(half[name] < 2.5 * np.sqrt(variance))
    assert list(band.limits) == list(INTERVALS)


def test_lines_of_subjects_hold_their_prediction(sleep):
    frame, fit, found = sleep
    assert len(found.lines) == 18 == frame["Subject"].n_unique()
    heights = [predictions.above(line) for line in found.lines]
    assert heights == sorted(heights)
    line = found.lines[4]
    own = frame.filter(pl.col("Subject") == line.subject).sort("Days")
    expected = fit.predict(own, level="subject", interval="subject")
    for values, name in ((line.fitted, "prediction"), (line.low, "conf_low"), (line.high, "conf_high")):
        np.testing.assert_allclose(values, expected[name].to_numpy(), rtol=1e-7)


def test_a_serial_correlation_leaves_no_interval_at_what_was_seen(sleep):
    frame, _, found = sleep
    fit = lmm.fit(MODEL["formula"], frame, residual=lmm.AR1("Days", subject="Subject"))
    lines = predictions.own_lines(fit, frame, DESIGN, found.profiles, 0.95)
    assert len(lines) == 18 and all(line.low is None for line in lines)
    for line in lines:  # without measurement error, what the model knows of a row is the row
        np.testing.assert_allclose(line.fitted, line.y, rtol=1e-9)
    serial = {"type": "ar1", "time": "week", "subject": "id", "nugget": False}
    model = study().winner | {"residual_structure": serial, "residual_parameters": {"rho": 0.5}}
    assert "no interval is drawn" in html(replace(study(), models={"random_slope": model}))


def test_many_subjects_are_sampled_from_end_to_end(sleep, monkeypatch):
    frame, fit, found = sleep
    monkeypatch.setattr(predictions, "PANELS", 5)
    lines = predictions.own_lines(fit, frame, DESIGN, found.profiles, 0.95)
    assert [line.subject for line in lines][:: len(lines) - 1] == [
        found.lines[0].subject, found.lines[-1].subject,
    ]  # fmt: skip
    assert len(lines) == 5


def test_times_of_a_band_are_times_of_the_rows():
    at = predictions._some(np.arange(100.0) ** 2)
    assert at.size == predictions.TIMES and at[0] == 0 and at[-1] == 99**2 and set(np.sqrt(at) % 1) == {0.0}


def test_the_page_names_each_uncertainty_and_prints_each_limit():
    whole = study()
    page = Page(html(whole))
    words = " ".join(e["text"] for e in page.all("p"))
    assert all(text.removeprefix("the ").removeprefix("a ") in words for text in INTERVALS.values())
    shown = tables(page)["Predictions for a new subject"]
    band = whole.fitted.bands[0]
    assert len(shown) == 42 and shown[0][0] == "a"
    values = [band.mean, *(end for pair in band.limits.values() for end in pair)]
    assert all(close(text, value[0]) for text, value in zip(shown[0][2:], values, strict=True))


def test_what_cannot_be_predicted_is_said():
    whole = study()
    moving = replace(whole, fitted=replace(whole.fitted, averaged=("dose",), bands=()))
    assert "dose moves with week, so that no single line over week" in html(moving)
    unknown = replace(whole, fitted=replace(whole.fitted, bands=()))
    assert "do not determine the intervals of a prediction" in html(unknown)


def chart(groups: int = 2) -> str:
    band = study().fitted.bands[0]
    shown = [replace(band, group=f"group {k}") for k in range(groups)]
    rows = {"group 0": (np.array([0.0]), np.array([60.0]))}
    return charts.bands(LABEL, shown, rows, ("week", "score"), "arm")


@pytest.mark.parametrize("groups", [1, 2, 5])
def test_labels_of_the_bands_do_not_touch(groups):
    assert overlaps(chart(groups)) == []
    width, height = map(float, drawn(chart(groups)).get("viewBox").split()[2:])
    assert all(right <= width + 2 and bottom <= height for _, right, _, bottom in boxes(chart(groups)))


def test_wider_intervals_stand_farther_from_the_mean():
    """Half widths of 1, 2 and 3 in the sample's bands."""
    mean = points(paths(chart(1), "c0", "line")[-1])
    ends = [points(d) for kind in ("c1", "c2") for d in paths(chart(1), kind, "thin")]
    distance = [np.abs(end[:, 1] - mean[:, 1]) for end in ends]
    np.testing.assert_allclose(distance[0], distance[1], atol=0.11)
    np.testing.assert_allclose(distance[2] / distance[0], 1.5, atol=0.02)


def test_rows_are_not_drawn_beside_covariates_that_are_held():
    whole = study()
    held = replace(whole, fitted=replace(whole.fitted, held=(("sex", "F"),)))
    marks = [
        html(s).split('id="fig-bands"')[1].split("</figure>")[0].count("profile mark small")
        for s in (whole, held)
    ]
    assert marks[0] > 0 == marks[1]
    assert "Other covariates are held at sex = F." in html(held)


def test_a_curve_left_out_of_the_model_is_tested(sleep, tmp_path):
    """contest(lmer(Reaction ~ Days + I(Days^2) + I(Days^3) + (Days | Subject)), rbind(c(0, 0, 1, 0),
    c(0, 0, 0, 1))) of lmerTest 3.1: F(2, 142.0) = 0.82898, p = 0.438594."""
    frame, _, found = sleep
    assert found.bend == pytest.approx(0.438594, rel=1e-4)
    path = tmp_path / "rows.parquet"
    bent = frame.with_columns(pl.col("Reaction") + 8 * (pl.col("Days") - 4.5) ** 2)
    bent.write_parquet(path)
    assert refit(str(path), bent, MODEL, DESIGN, 0.95).bend < 1e-6
    square = MODEL | {"formula": "Reaction ~ Days + I(Days ** 2) + (Days | Subject)"}
    assert refit(str(path), bent, square, DESIGN, 0.95).bend > 0.05
