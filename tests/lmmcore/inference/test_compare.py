"""The ladder and the tests of nested pairs."""

import numpy as np
import polars as pl
import pytest
from scipy import stats

import lmmcore as lmm


@pytest.fixture(scope="module")
def sleep(raw):
    return pl.read_csv(raw / "sleepstudy.csv")


def ml(formula, frame, **kwargs):
    return lmm.fit(formula, frame, method="ML", **kwargs)


@pytest.fixture(scope="module")
def ladder(sleep):
    ar1 = lmm.AR1("Days", subject="Subject")
    return lmm.compare(
        {
            "mean": ml("Reaction ~ Days", sleep),
            "intercept": ml("Reaction ~ Days + (1 | Subject)", sleep),
            "slope": ml("Reaction ~ Days + (Days | Subject)", sleep),
            "uncorrelated": ml("Reaction ~ Days + (Days || Subject)", sleep),
            "ar1": ml("Reaction ~ Days", sleep, residual=ar1),
            "intercept_ar1": ml("Reaction ~ Days + (1 | Subject)", sleep, residual=ar1),
            "slope_only": ml("Reaction ~ Days + (0 + Days | Subject)", sleep),
        }
    )


def by_pair(ladder):
    return {(test["null"], test["alternative"]): test for test in ladder.tests}


def test_nesting_is_worked_out(ladder):
    assert set(by_pair(ladder)) == {
        ("mean", "intercept"),
        ("mean", "slope"),
        ("mean", "uncorrelated"),
        ("mean", "ar1"),
        ("mean", "intercept_ar1"),
        ("mean", "slope_only"),
        ("intercept", "uncorrelated"),
        ("intercept", "slope"),
        ("intercept", "intercept_ar1"),
        ("slope_only", "uncorrelated"),
        ("slope_only", "slope"),
        ("uncorrelated", "slope"),
        ("ar1", "intercept_ar1"),
    }


@pytest.mark.parametrize(
    "pair, expected",
    [
        (("mean", "intercept"), "1/2 chi2(0) + 1/2 chi2(1)"),
        (("mean", "ar1"), "chi2(1)"),
        (("intercept", "slope"), "1/2 chi2(1) + 1/2 chi2(2)"),
        (("intercept", "uncorrelated"), "1/2 chi2(0) + 1/2 chi2(1)"),
        (("uncorrelated", "slope"), "chi2(1)"),
        (("mean", "intercept_ar1"), "1/2 chi2(1) + 1/2 chi2(2)"),
        (("intercept", "intercept_ar1"), "chi2(1)"),
        (("ar1", "intercept_ar1"), "1/2 chi2(0) + 1/2 chi2(1)"),
    ],
)
def test_null_distributions(ladder, pair, expected):
    assert by_pair(ladder)[pair]["distribution"] == expected


def test_the_test_of_the_seed(ladder):
    """Seed 002: chi-square 42.139 on 2 df, p = 7.072e-10; at the boundary 3.96e-10."""
    test = by_pair(ladder)["intercept", "slope"]
    assert test["statistic"] == pytest.approx(42.139298542, abs=1e-6)
    assert test["df"] == 2
    assert test["p_value_naive"] == pytest.approx(7.07241254718902e-10, rel=1e-6)
    assert test["p_value"] == pytest.approx(3.96e-10, rel=1e-3)


def test_weights(ladder):
    weights = {row["model"]: row["weight"] for row in ladder.ladder}
    aic = {row["model"]: row["aic"] for row in ladder.ladder}
    assert sum(weights.values()) == pytest.approx(1)
    assert weights["slope"] / weights["uncorrelated"] == pytest.approx(
        np.exp((aic["uncorrelated"] - aic["slope"]) / 2)
    )
    assert [row["aic"] for row in ladder.ladder] == sorted(aic.values())
    assert ladder.ladder[0]["delta"] == 0


def test_simulated_weights_of_an_intercept_and_slope_at_once():
    """Balanced design, both variances tested at once: the mixture fits simulated statistics."""
    rng = np.random.default_rng(11)
    subjects, visits = 30, 5
    frame = pl.DataFrame(
        {
            "id": np.repeat(np.arange(subjects), visits),
            "t": np.tile(np.arange(visits) - 2.0, subjects),
        }
    )
    p_values = []
    for _ in range(300):
        data = frame.with_columns(y=pl.Series(rng.normal(size=subjects * visits)))
        pair = lmm.compare(ml("y ~ t", data), ml("y ~ t + (t || id)", data)).tests[0]
        p_values.append(pair["p_value"])
    # Under the null the p values are uniform below the point mass at 1.
    for level in (0.05, 0.2):
        share = np.mean(np.array(p_values) < level)
        assert abs(share - level) < 3.5 * np.sqrt(level * (1 - level) / 300)


def test_fixed_effects_are_compared_by_ml_only(sleep):
    with pytest.raises(lmm.FitError, match='method="ML"'):
        lmm.compare(
            lmm.fit("Reaction ~ Days + (1 | Subject)", sleep), lmm.fit("Reaction ~ 1 + (1 | Subject)", sleep)
        )
    test = lmm.compare(
        ml("Reaction ~ 1 + (1 | Subject)", sleep), ml("Reaction ~ Days + (1 | Subject)", sleep)
    ).tests[0]
    assert test["distribution"] == "chi2(1)"
    assert test["p_value"] == pytest.approx(stats.chi2.sf(test["statistic"], 1))


def test_mixed_methods_and_rows_are_refused(sleep):
    fit = ml("Reaction ~ Days + (1 | Subject)", sleep)
    with pytest.raises(lmm.FitError, match="same method"):
        lmm.compare(fit, lmm.fit("Reaction ~ Days + (Days | Subject)", sleep))
    with pytest.raises(lmm.FitError, match="different rows"):
        lmm.compare(fit, ml("Reaction ~ Days + (Days | Subject)", sleep.head(170)))


def test_same_column_space_is_nested_whatever_its_spelling(raw):
    data = pl.read_csv(raw / "orthodont.csv")
    pair = lmm.compare(
        ml("distance ~ age:Sex + (1 | Subject)", data), ml("distance ~ age * Sex + (1 | Subject)", data)
    )
    assert pair.tests[0]["distribution"] == "chi2(1)"
