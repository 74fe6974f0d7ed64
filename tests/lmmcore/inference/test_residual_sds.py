"""Residual SDs of groups and visits, and broom.mixed's table of covariance parameters."""

import polars as pl
import pytest

import lmmcore as lmm


@pytest.fixture(scope="module")
def growth(raw):
    return pl.read_csv(raw / "orthodont.csv")


def test_of_groups(growth):
    """R 4.2.2, nlme 3.1-162: intervals(lme(distance ~ age * Sex, random = ~ 1 | Subject, weights =
    varIdent(form = ~ 1 | Sex)))$sigma of the first level, Male, by a numerical Hessian."""
    fit = lmm.fit("distance ~ age * Sex + (1 | Subject)", growth, variance=lmm.ByGroup("Sex"))
    female, male = fit.residual_sds().iter_rows(named=True)
    assert (female["Sex"], male["Sex"]) == ("Female", "Male")
    assert [male[name] for name in ("conf_low", "estimate", "conf_high")] == pytest.approx(
        [1.367471, 1.669823, 2.039026], rel=5e-5
    )
    # The SD of a level is sigma of a fit in which it is the reference.
    for own, levels in ((female, ["Female", "Male"]), (male, ["Male", "Female"])):
        other = lmm.fit(
            "distance ~ age * Sex + (1 | Subject)",
            growth,
            variance=lmm.ByGroup("Sex"),
            categories={"Sex": levels},
        )
        sigma = other.tidy("ran_pars").filter(pl.col("term") == "sd__Observation").row(0, named=True)
        for name in ("estimate", "std_error", "conf_low", "conf_high"):
            assert own[name] == pytest.approx(sigma[name], rel=1e-5)


def test_of_visits(growth):
    """nlme 3.1-162: gls(distance ~ age * Sex, correlation = corSymm(form = ~ 1 | Subject), weights =
    varIdent(form = ~ 1 | age)): sigma times the coefficients, and intervals()$sigma of the first visit."""
    fit = lmm.fit("distance ~ age * Sex", growth, residual=lmm.Unstructured("age", subject="Subject"))
    found = fit.residual_sds()
    assert found["age"].to_list() == [8, 10, 12, 14]
    assert found["estimate"].to_list() == pytest.approx([2.329213, 2.047097, 2.502645, 2.232988], rel=2e-5)
    assert found.row(0)[3:] == pytest.approx((1.764233, 3.075122), rel=2e-3)


def test_of_one_variance(growth):
    fit = lmm.fit("distance ~ age * Sex + (1 | Subject)", growth, residual=lmm.AR1("age"))
    (row,) = fit.residual_sds(0.9).iter_rows(named=True)
    sigma = fit.components(0.9).frame().filter(pl.col("term") == "sd__Observation").row(0, named=True)
    for name in ("estimate", "std_error", "conf_low", "conf_high"):
        assert row[name] == pytest.approx(sigma[name], rel=1e-8)
    with pytest.raises(lmm.LmmError, match="depends on the fitted values"):
        lmm.fit("distance ~ age + (1 | Subject)", growth, variance=lmm.Power("fitted")).residual_sds()


def test_tidy_of_covariance_parameters(growth):
    fit = lmm.fit("distance ~ age + (age | Subject)", growth)
    found, known = fit.tidy("ran_pars", conf_level=0.9), fit.components(0.9).frame()
    assert found.columns == fit.tidy().columns
    assert found["effect"].unique().to_list() == ["ran_pars"]
    assert found["term"].to_list() == [
        "sd__Intercept",
        "sd__age",
        "cor__Intercept.age",
        "sd__Observation",
    ]
    for name in ("group", "term", "estimate", "std_error", "conf_low", "conf_high"):
        assert found[name].to_list() == known[name].to_list()
    assert found["statistic"].is_nan().all()
