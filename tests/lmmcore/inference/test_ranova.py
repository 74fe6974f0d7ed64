"""Tests of the random effects against lmerTest's ranova, and of the distributions it does not have.

The results of lmerTest, their script and versions are in tests/reference.
"""

import json
from pathlib import Path

import polars as pl
import pytest
from scipy import stats

import lmmcore as lmm

ROOT = Path(__file__).resolve().parents[3]
REFERENCE = json.loads((ROOT / "tests/reference/random_effects_reference.json").read_text("utf-8"))["ranova"]


def made(name):
    return pl.read_csv(ROOT / "tests/reference/data" / f"{name}.csv")


def ranova(fit):
    return fit.ranova()


@pytest.mark.parametrize("entry", REFERENCE, ids=lambda entry: f"{entry['formula']}, {entry['method']}")
def test_lmertest(entry):
    fit = lmm.fit(entry["formula"], pl.read_csv(ROOT / entry["data"]), method=entry["method"])
    rows = ranova(fit).to_dicts()
    assert [row["term"] for row in rows] == [row["term"] for row in entry["rows"]]
    for row, theirs in zip(rows, entry["rows"], strict=True):
        assert row["npar"] == theirs["npar"]
        assert row["loglik"] == pytest.approx(theirs["loglik"], abs=2e-6)
        assert row["aic"] == pytest.approx(theirs["aic"], abs=4e-6)
        if row["term"] == "<none>":
            assert row["statistic"] is row["p_value"] is row["distribution"] is None
            continue
        assert row["statistic"] == pytest.approx(theirs["statistic"], abs=8e-6)
        assert row["df"] == theirs["df"]
        assert row["p_value_naive"] == pytest.approx(theirs["p_value_naive"], rel=1e-5)
        # Part of the mixture has fewer degrees of freedom.
        assert row["p_value"] < row["p_value_naive"]


def test_boundary(raw):
    """One variance: half of chi-square(1); a slope with its covariance: half chi2(1), half chi2(2)."""
    data = pl.read_csv(raw / "sleepstudy.csv")
    _, slope = ranova(lmm.fit("Reaction ~ Days + (Days | Subject)", data)).to_dicts()
    expected = stats.chi2.sf(slope["statistic"], [1, 2]).mean()
    assert slope["p_value"] == pytest.approx(expected, rel=1e-9)
    assert slope["p_value"] == pytest.approx(2.79e-10, rel=2e-3)
    nested = lmm.fit("score ~ Machine + (1 | Worker/Machine)", made("machines"))
    for row in ranova(nested).to_dicts()[1:]:
        assert row["p_value"] == pytest.approx(stats.chi2.sf(row["statistic"], 1) / 2, rel=1e-9)


def test_uncorrelated_effects_one_by_one(raw):
    data = pl.read_csv(raw / "sleepstudy.csv")
    fit = lmm.fit("Reaction ~ Days + (Days || Subject)", data)
    _, intercept, slope = ranova(fit).to_dicts()
    assert (intercept["term"], slope["term"]) == ("1 in (Days || Subject)", "Days in (Days || Subject)")
    for row, formula in (
        (intercept, "Reaction ~ Days + (0 + Days | Subject)"),
        (slope, "Reaction ~ Days + (1 | Subject)"),
    ):
        smaller = lmm.fit(formula, data)
        assert row["statistic"] == pytest.approx(2 * (fit.loglik - smaller.loglik), abs=1e-7)
        assert row["df"] == 1


def test_a_number_without_intercept_goes_as_a_whole(raw):
    """(1 | g), which lmerTest compares with, is not a special case of (0 + x | g)."""
    data = pl.read_csv(raw / "sleepstudy.csv")
    rows = ranova(lmm.fit("Reaction ~ Days + (1 | Subject) + (0 + Days | Subject)", data)).to_dicts()
    assert [row["term"] for row in rows] == ["<none>", "(1 | Subject)", "(0 + Days | Subject)"]
    assert rows[2]["loglik"] == pytest.approx(lmm.fit("Reaction ~ Days + (1 | Subject)", data).loglik)


def test_interactions_before_their_parts(raw):
    late = pl.when(pl.col("Days") > 4).then(pl.lit("late")).otherwise(pl.lit("early"))
    data = pl.read_csv(raw / "sleepstudy.csv").with_columns(half=late)
    rows = ranova(lmm.fit("Reaction ~ Days * half + (Days + half + Days:half | Subject)", data)).to_dicts()
    assert [row["term"] for row in rows[1:]] == ["Days:half in (Days + half + Days:half | Subject)"]
    smaller = lmm.fit("Reaction ~ Days * half + (Days + half | Subject)", data)
    assert rows[1]["loglik"] == pytest.approx(smaller.loglik, abs=1e-6)
    assert rows[1]["distribution"] == "1/2 chi2(3) + 1/2 chi2(4)"


def test_structured_terms_go_as_a_whole():
    machines = made("machines")
    nested = lmm.fit("score ~ Machine + (1 | Worker/Machine)", machines)
    (whole,) = ranova(lmm.fit("score ~ Machine + cs(0 + Machine | Worker)", machines)).to_dicts()[1:]
    alone = lmm.fit("score ~ Machine", machines)
    # Compound symmetry is the nested model as long as the correlation is positive.
    assert whole["statistic"] == pytest.approx(2 * (nested.loglik - alone.loglik), abs=1e-6)
    assert whole["term"] == "cs(0 + Machine | Worker)"
    assert whole["df"] == 2 and whole["npar"] == 4


def test_residual_structure_keeps_its_subject(raw):
    data = pl.read_csv(raw / "sleepstudy.csv")
    fit = lmm.fit("Reaction ~ Days + (1 | Subject)", data, residual=lmm.AR1("Days"))
    (row,) = ranova(fit).to_dicts()[1:]
    without = lmm.fit("Reaction ~ Days", data, residual=lmm.AR1("Days", subject="Subject"))
    assert row["loglik"] == pytest.approx(without.loglik, abs=1e-7)
    machines = made("machines").with_columns(row=pl.int_range(pl.len()).over("Worker", "Machine"))
    nested = lmm.fit("score ~ Machine + (1 | Worker/Machine)", machines, residual=lmm.AR1("row"))
    _, worker, inner = ranova(nested).to_dicts()
    machines = machines.with_columns(wm=pl.format("{}:{}", "Worker", "Machine"))
    for found, random in ((worker, "(1 | Worker:Machine)"), (inner, "(1 | Worker)")):
        again = lmm.fit(f"score ~ Machine + {random}", machines, residual=lmm.AR1("row", subject="wm"))
        assert found["loglik"] == pytest.approx(again.loglik, abs=1e-7)


def test_variance_by_fitted_values_is_settled_again(raw):
    data = pl.read_csv(raw / "orthodont.csv")
    power = lmm.Power(of="fitted")
    (row,) = ranova(lmm.fit("distance ~ age + (1 | Subject)", data, variance=power)).to_dicts()[1:]
    assert row["loglik"] == pytest.approx(lmm.fit("distance ~ age", data, variance=power).loglik, abs=1e-7)


def test_library_of_the_data_and_refusal(raw):
    data = pl.read_csv(raw / "sleepstudy.csv").to_pandas()
    assert type(ranova(lmm.fit("Reaction ~ Days + (1 | Subject)", data))).__module__.startswith("pandas")
    with pytest.raises(lmm.FitError, match="no random effects"):
        ranova(lmm.fit("Reaction ~ Days", data))
