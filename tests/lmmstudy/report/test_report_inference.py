"""Intervals, shares and tests on the page: chosen numbers, and those of fits with published results."""

from dataclasses import replace
from pathlib import Path

import pytest
from test_report_page import Page, close, html, tables
from test_report_sample import study

import lmmcore as lmm
from lmmcore.errors import FitError
from lmmstudy.report.attempt import Attempts
from lmmstudy.report.refit import inference as engine
from lmmstudy.report.sections.variances import interval_note, interval_text
from tests.support.sample_diagnostics import TERMS, inference

ROOT = Path(__file__).resolve().parents[3]
SLEEP = str(ROOT / "data/raw/sleepstudy.csv")


def test_intervals_stand_beside_their_estimates():
    shown = tables(Page(html()))["Variances and correlations (REML)"]
    assert [row[5] for row in shown] == [
        "4.000 to 9.500", "0 to 1.250", "−0.500 to 0.875", "2.500 to 3.750",
    ]  # fmt: skip


def test_the_note_says_what_is_no_profile_and_which_end_is_reached():
    note = interval_note(inference().bounds)
    assert "no limit for the correlation of Intercept and week for id: Wald" in note
    assert note.endswith("The SD of week within id may be as low as 0.") and "The search failed" not in note
    all_wald = [replace(b, method="Wald", note="") for b in inference().bounds]
    assert interval_note(all_wald).startswith("Intervals are Wald")


def test_an_interval_without_limits_is_a_dash():
    bound = replace(inference().bounds[0], low=None, high=None)
    assert interval_text(bound) == interval_text(None) == "–"
    assert interval_text(replace(bound, low=1.0)) == "1.000 to –"


def test_shares_and_explained_variance():
    page = Page(html())
    assert tables(page)["Shares of the variance (REML)"] == [
        ["id", "36.00", "80.0%", "0.8000"], ["Residual", "9.000", "20.0%", "–"],
    ]  # fmt: skip
    facts = {e["text"]: None for e in page.all("dd")}
    assert "0.250" in facts and "0.850" in facts


def test_terms_have_their_hypothesis():
    text = html()
    shown = tables(Page(text))["F tests of the terms (REML)"]
    assert shown == [["week:arm", "5.125", "1", "10.25", "0.0466"]]
    assert "tests: The slope of week is the same in every arm." in text


def test_several_coefficients_are_answered_together():
    whole = study()
    joint = TERMS[0] | {"num_df": 2, "den_df": None}
    model = whole.winner | {"answer": whole.winner["answer"] | {"joint": joint, "estimates": []}}
    text = html(replace(whole, models={"random_slope": model}))
    found = "Hypothesis: The slope of week is the same in every arm. F(2, ∞) = 5.125; p"
    assert found in text and "Hypothesis:" not in html()


def test_conflicting_degrees_of_freedom_are_told():
    whole = study()
    text = html(replace(whole, models={"random_slope": whole.winner | {"df_conflict": "A sentence."}}))
    assert any(e["text"] == "A sentence." for e in Page(text).all("p"))


def test_random_effects_left_out_in_turn():
    caption = "Random effects of the selected model, each left out in turn (REML)"
    (row,) = tables(Page(html()))[caption]
    assert row[0] == "week in (1 + week | id)" and row[1] == "8.000" and row[5] == "χ²(2)"
    assert row[2] == "0.0115" and row[3] == "half χ²(1), half χ²(2)" and row[4] == "0.0183"


def test_the_key_estimate_of_each_candidate():
    whole = study()
    other = whole.winner | {"model": "random_intercept", "ml": whole.winner["ml"] | {"caic": 299.25}}
    both = replace(whole, models={"random_slope": whole.winner, "random_intercept": other})
    found = tables(Page(html(both)))
    shown = found["Slope of score over week: b − a"]
    assert [row[0] for row in shown] == ["random_slope", "random_intercept"]
    assert close(shown[0][1], whole.winner["fixed"][3]["estimate"])
    assert found["Conditional AIC (ML)"] == [["random_slope", "290.50"], ["random_intercept", "299.25"]]
    assert 'id="fig-forest"' in html(both) and 'id="fig-forest"' not in html(whole)


@pytest.fixture(scope="module")
def sleep():
    return lmm.fit("Reaction ~ Days + (Days | Subject)", SLEEP)


def test_profile_limits_are_those_of_lme4(sleep):
    """confint(fm1) of lme4's help page, by profiles of the ML deviance: sd 14.38 to 37.72 and 3.80 to 8.75,
    correlation -0.48 to 0.68, sigma 22.90 to 28.86."""
    found = {b.term: (b.low, b.high, b.method) for b in engine.infer(sleep, 0.95, Attempts()).bounds}
    expected = {
        "sd__Intercept": (14.3814, 37.7160), "sd__Days": (3.8011, 8.7534),
        "cor__Intercept.Days": (-0.4815, 0.6850), "sd__Observation": (22.8983, 28.8580),
    }  # fmt: skip
    for term, limits in expected.items():
        assert found[term][2] == "profile"
        assert found[term][:2] == pytest.approx(limits, abs=2e-3)


def test_wald_takes_over_where_there_is_no_profile(sleep, monkeypatch):
    """A profile that fails, and one that would take long; the limits are the engine's Wald limits."""
    real = lmm.Fit.confint

    def refused(self, method="wald", *arguments):
        if method == "profile":
            raise FitError("The profile cannot be followed.")
        return real(self, method, *arguments)

    monkeypatch.setattr(lmm.Fit, "confint", refused)
    wald = {row["term"]: row for row in real(sleep, "wald").to_dicts() if row["effect"] == "ran_pars"}
    for bound in engine.infer(sleep, 0.95, Attempts()).bounds:
        assert bound.method == "Wald" and bound.low == wald[bound.term]["conf_low"]


def test_long_series_are_not_profiled(monkeypatch):
    fit = lmm.fit("Reaction ~ Days", SLEEP, residual=lmm.AR1("Days", subject="Subject"))
    monkeypatch.setattr(engine, "PROFILED", 100)
    found = engine.infer(fit, 0.95, Attempts())
    assert {b.method for b in found.bounds} == {"Wald"} and not found.profiles and not found.reductions


def test_profiles_run_through_the_estimate_of_ml(sleep):
    """zeta is 0 at the ML estimate, whatever the fit; the curve is increasing."""
    ml = lmm.fit("Reaction ~ Days + (Days | Subject)", SLEEP, method="ML")
    estimate = {b.term: b.estimate for b in engine.infer(ml, 0.95, Attempts()).bounds}
    for curve in engine.infer(sleep, 0.95, Attempts()).profiles:
        assert (curve.zeta[1:] > curve.zeta[:-1]).all()
        nearest = abs(curve.zeta).argmin()
        assert curve.value[nearest] == pytest.approx(estimate[curve.term], rel=1e-4)
