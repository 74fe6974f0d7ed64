"""Intraclass correlations, R squared and the marginal covariance, against R and V written out."""

import json

import numpy as np
import polars as pl
import pytest

import lmmcore as lmm
from lmmcore.estimate.residuals import marginal_covariance as of_rows
from lmmcore.inference.covariance.explained import icc, r_squared
from lmmcore.inference.covariance.marginal import marginal_covariance
from tests.support.inference_fits import DATA, KINDS, REFERENCE, frame, kind, refit
from tests.support.shared_data import needs_shared, reference, shared


@pytest.mark.parametrize("entry", REFERENCE["explained"], ids=lambda entry: entry["id"])
def test_r_squared_against_lme4(entry):
    """The variances of Nakagawa & Schielzeth (2013) and Johnson (2014) from lme4's estimates."""
    found = r_squared(refit(entry).solution)
    groups = {"cask:batch": "batch:cask"}
    assert found.marginal == pytest.approx(entry["marginal"], rel=1e-5, abs=1e-12)
    assert found.conditional == pytest.approx(entry["conditional"], rel=1e-5)
    assert found.fixed == pytest.approx(entry["fixed"], rel=1e-5, abs=1e-12)
    assert found.residual == pytest.approx(entry["residual_variance"], rel=1e-5)
    assert found.random.keys() == {groups.get(name, name) for name in entry["random"]}
    for name, variance in entry["random"].items():
        assert found.random[groups.get(name, name)] == pytest.approx(variance, rel=1e-5)


@needs_shared
def test_the_intraclass_correlation_of_the_seed():
    """Seed 003: rho = var(operator) / (var(operator) + var(residual)) of the pulp data."""
    known = {row["id"]: row["value"] for row in json.loads(reference("seed_results.json"))["results"]}
    found = icc(lmm.fit("bright ~ 1 + (1 | operator)", shared("pulp.csv")).solution)
    assert found.icc[0] == pytest.approx(known["pulp.m.icc"], abs=5e-8)


def test_nested_shares_are_correlations_of_two_rows():
    solution = kind("nested").solution
    found = icc(solution)
    assert found.group == ("batch", "batch:cask")
    assert found.share.sum() == pytest.approx(1) and np.all(np.diff(found.icc) > 0)
    rows = marginal_covariance(solution, pl.DataFrame({"cask": ["a", "a", "b"]}))
    assert rows.correlation[0, 2] == pytest.approx(found.icc[0], rel=1e-12)
    assert rows.correlation[0, 1] == pytest.approx(found.icc[1], rel=1e-12)
    assert found.frame()["group"].to_list() == ["batch", "batch:cask", "Residual"]


def test_shares_at_a_value_of_the_covariate():
    fit = kind("slope")
    varcorr = fit.varcorr()
    intercept, slope, between = (varcorr["covariance"][k] for k in (0, 1, 2))
    for day in (0.0, 4.5):
        found = icc(fit.solution, {"Days": day})
        assert found.variance[0] == pytest.approx(intercept + 2 * day * between + day**2 * slope, rel=1e-10)
        assert found.variance[1] == pytest.approx(fit.sigma**2, rel=1e-12)
        assert f"at Days = {day}" in found.sentence
    # Averaged over the rows: at the mean day, and the slope's variance times the variance of the days.
    days = np.tile(np.arange(10.0), 18)
    average = intercept + 2 * days.mean() * between + (days**2).mean() * slope
    assert icc(fit.solution).variance[0] == pytest.approx(average, rel=1e-10)


def test_a_residual_variance_that_differs_is_averaged_or_stated():
    fit = kind("by group")
    sexes = frame("data/raw/orthodont.csv")["Sex"].to_numpy()
    ratio = fit.residual_parameters["sd(Male)/sd(Female)"]
    variances = np.where(sexes == "Male", (ratio * fit.sigma) ** 2, fit.sigma**2)
    assert icc(fit.solution).variance[1] == pytest.approx(variances.mean(), rel=1e-10)
    assert icc(fit.solution, {"Sex": "Male"}).variance[1] == pytest.approx(variances.max(), rel=1e-10)
    assert icc(fit.solution, {"Sex": "Female"}).variance[1] == pytest.approx(fit.sigma**2, rel=1e-10)


def test_groups_without_random_effects_have_no_share():
    found = icc(kind("compound").solution)
    assert found.group == () and found.share.tolist() == [1.0]
    assert "correlation of residuals within a subject is counted as residual" in found.sentence
    explained = r_squared(kind("compound").solution)
    assert explained.marginal == explained.conditional


def test_values_that_the_variances_do_not_depend_on():
    with pytest.raises(ValueError, match="depend on 'Days', for which `at` has no value"):
        icc(kind("slope").solution, {})
    with pytest.raises(ValueError, match="do not depend on 'age', but on Days"):
        icc(kind("slope").solution, {"Days": 0, "age": 3})


# ---- the marginal covariance ----


@pytest.mark.parametrize("entry", REFERENCE["marginal"], ids=lambda entry: entry["id"])
def test_marginal_covariance_against_nlme(entry):
    """getVarCov(type = "marginal") of nlme."""
    found = marginal_covariance(refit(entry).solution, entry["rows"])
    assert np.allclose(found.covariance, entry["covariance"], rtol=1e-4)


@pytest.mark.parametrize("name", KINDS)
def test_marginal_covariance_of_the_rows_of_a_subject(name):
    """At the rows of the first outermost unit it is sigma^2 V of these rows."""
    solution = kind(name).solution
    model = solution.model
    starts = np.append(model.rows.units[0].starts, model.n)
    index = np.arange(starts[0], starts[1])
    V = solution.sigma2 * of_rows(solution, index[None])[0]
    places = index if model.rows.order is None else model.rows.order[index]
    found = marginal_covariance(solution, frame(KINDS[name][0])[places.tolist()])
    assert np.allclose(found.covariance, V, rtol=1e-10)
    assert np.allclose(np.diag(found.correlation), 1)
    assert np.allclose(found.sd, np.sqrt(np.diag(V)))


def test_marginal_covariance_at_other_times():
    fit = lmm.fit(
        "Reaction ~ Days + (Days | Subject)", frame("data/raw/sleepstudy.csv"), residual=lmm.CAR1("Days")
    )
    days = np.array([0.0, 2.5, 11.0])
    Z = np.column_stack([np.ones(3), days])
    rho = fit.residual_parameters["rho"]
    R = rho ** np.abs(days[:, None] - days)
    dense = fit.sigma**2 * (Z @ fit.solution.psi @ Z.T + R)
    found = marginal_covariance(fit.solution, {"Days": days.tolist()})
    assert np.allclose(found.covariance, dense, rtol=1e-12)
    shown = found.frame()
    assert shown.columns == ["row1", "row2", "covariance", "correlation"] and len(shown) == 6
    assert shown.row(1)[2] == pytest.approx(dense[0, 1]) and shown.row(0)[3] == pytest.approx(1)


def test_prior_weights_divide_the_residual_variance():
    data = frame("data/raw/sleepstudy.csv").with_columns(w=1.0 + pl.col("Days") / 9)
    fit = lmm.fit("Reaction ~ Days + (1 | Subject)", data, weights="w")
    found = marginal_covariance(fit.solution, {"Days": [0, 1], "w": [1.0, 4.0]}).covariance
    between = found[0, 1]
    assert found[0, 0] - between == pytest.approx(fit.sigma**2, rel=1e-12)
    assert found[1, 1] - between == pytest.approx(fit.sigma**2 / 4, rel=1e-12)
    mean = float(np.mean(fit.sigma**2 / data["w"].to_numpy()))
    assert r_squared(fit.solution).residual == pytest.approx(mean, rel=1e-12)


def test_a_variance_that_follows_the_fitted_values():
    fit = lmm.fit("y ~ dose + (1 | id)", frame(f"{DATA}/growing_spread.csv"), variance=lmm.Power(of="fitted"))
    found = marginal_covariance(fit.solution, {"dose": [1.0, 4.0]}).covariance
    mean = fit.beta["Intercept"] + fit.beta["dose"] * np.array([1.0, 4.0])
    residual = fit.sigma**2 * np.abs(mean) ** (2 * fit.residual_parameters["power"])
    assert np.allclose(np.diag(found) - found[0, 1], residual, rtol=1e-10)


def test_rows_that_have_no_covariance():
    ar1 = kind("ar1").solution
    with pytest.raises(lmm.DataError, match="Two of the rows are at Days = 2"):
        marginal_covariance(ar1, {"Days": [2, 3, 2]})
    with pytest.raises(lmm.DataError, match="no column 'Days'"):
        marginal_covariance(ar1, {"day": [1, 2]})
    with pytest.raises(lmm.DataError, match="needs every value of its rows, but there are some missing Days"):
        marginal_covariance(ar1, pl.DataFrame({"Days": [1.0, None]}))
