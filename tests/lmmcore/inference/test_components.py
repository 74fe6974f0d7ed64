"""Covariance parameters on the user's scale: derivatives, standard errors, limits, the boundary."""

import numpy as np
import polars as pl
import pytest
from scipy.stats import norm

import lmmcore as lmm
from lmmcore.inference.covariance.components import components, tau_of
from lmmcore.inference.covariance.parameters import covariance_parameters
from lmmcore.likelihood.unprofiled import derivatives, point_at
from tests.lmmcore.covariance.test_own_structure import MA1
from tests.support.dense import bound, simulated
from tests.support.inference_fits import DATA, KINDS, REFERENCE, frame, kind, refit
from tests.support.natural_scale import Written, hessian

QUANTILE = norm.ppf(0.975)


def names_of(found):
    return list(zip(found.group, found.term, strict=True))


# ---- derivatives ----


@pytest.mark.parametrize("name", KINDS)
def test_coordinates_and_their_derivatives(name):
    solution = kind(name).solution
    objective = solution.optimum.objective
    tau = tau_of(solution) + np.random.default_rng(1).normal(0, 0.05, len(tau_of(solution)))
    for parameter in covariance_parameters(solution.model):
        jet = parameter.jet(objective, tau)
        near = [
            [parameter.jet(objective, tau + sign * h) for sign in (1, -1)] for h in 1e-5 * np.eye(len(tau))
        ]
        first = [(up.value - down.value) / 2e-5 for up, down in near]
        second = [(up.first - down.first) / 2e-5 for up, down in near]
        assert np.allclose(jet.first, first, rtol=1e-6, atol=1e-8 * (1 + abs(jet.value)))
        assert np.allclose(jet.second, second, rtol=1e-6, atol=1e-7 * (1 + abs(jet.value)))
        scale, t = parameter.scale, jet.value
        step = 1e-6 * max(1, abs(t))
        slope = (scale.value(t + step) - scale.value(t - step)) / (2 * step)
        assert scale.slope(t) == pytest.approx(slope, rel=1e-6)
        straight = (scale.straight(t + step)[0] - scale.straight(t - step)[0]) / (2 * step)
        assert scale.straight(t)[1] == pytest.approx(straight, rel=1e-6)
        assert scale.back(scale.straight(t)[0]) == pytest.approx(scale.value(t), rel=1e-10)


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize(
    "formula, residual", [("y ~ t + x + (t | a) + (1 | b_id)", None), ("y ~ t + (1 | a)", "ar1")]
)
def test_deviance_with_sigma_as_a_parameter(formula, residual, reml):
    structure = lmm.AR1("t", subject="b_id") if residual else None
    model = bound(formula, structure, "REML" if reml else "ML", simulated())
    fit = lmm.fit(formula, simulated(), residual=structure, method=model.spec.method)
    optimum = fit.solution.optimum
    tau = tau_of(fit.solution)
    whole = np.eye(model.p + 1)
    at_optimum = point_at(optimum.objective, tau, whole)
    assert at_optimum.deviance == pytest.approx(optimum.deviance, abs=1e-9)
    assert np.abs(derivatives(at_optimum)[0]).max() < 1e-7
    # one coefficient held: y less its column's part, and that column gone
    held = whole[:, 1:].copy()
    held[0, -1] = -0.7
    moved = tau + np.random.default_rng(2).normal(0, 0.2, len(tau))
    for columns in (whole, held):
        gradient, curvature = derivatives(point_at(optimum.objective, moved, columns))
        steps = 1e-5 * np.eye(len(tau))
        points = [[point_at(optimum.objective, moved + s * h, columns) for s in (1, -1)] for h in steps]
        assert np.allclose(gradient, [(a.deviance - b.deviance) / 2e-5 for a, b in points], atol=1e-6)
        slopes = [(derivatives(a)[0] - derivatives(b)[0]) / 2e-5 for a, b in points]
        assert np.allclose(curvature, slopes, atol=1e-6)


# ---- standard errors ----


@pytest.mark.parametrize("method", ["REML", "ML"])
@pytest.mark.parametrize("name", KINDS)
def test_standard_errors_against_differences_of_the_written_out_likelihood(name, method):
    fit = kind(name, method)
    found = components(fit.solution)
    written = Written(fit.solution.model, names_of(found))
    reml = method == "REML"
    assert written.deviance(found.estimate, reml) == pytest.approx(fit.deviance, abs=1e-8)
    curvature = hessian(lambda values: written.deviance(values, reml), found.estimate, 0.02 * found.std_error)
    covariance = 2 * np.linalg.inv(curvature)
    se = np.sqrt(np.diag(covariance))
    assert np.allclose(found.std_error, se, rtol=2e-5)
    assert np.allclose(found.correlation, covariance / np.outer(se, se), atol=5e-5)


GROUPS = {"cask": "batch:cask", "cor": "Residual", "var": "Residual", "sigma": "Residual"}
TERMS = {
    "sd((Intercept))": "sd__Intercept",
    "sd(Days)": "sd__Days",
    "cor((Intercept),Days)": "cor__Intercept.Days",
    "Phi": "rho",
    "Rho": "rho",
    "active": "sd(active)/sd(placebo)",
    "": "sd__Observation",
}


def nlme_name(name):
    """(group, term) of an interval's name in nlme, e.g. "Subject|sd(Days)"."""
    group, _, term = name.partition("|")
    return GROUPS.get(group, group), TERMS.get(term, term)


@pytest.mark.parametrize("entry", REFERENCE["intervals"], ids=lambda entry: entry["id"])
def test_limits_against_nlme(entry):
    """nlme's standard errors are second differences: good to a thousandth of a standard error."""
    found = components(refit(entry).solution)
    rows = {name: at for at, name in enumerate(names_of(found))}
    assert len(rows) == len(entry["intervals"])
    for name, (low, estimate, high) in entry["intervals"].items():
        group, term = nlme_name(name)
        row = rows[group, term]
        near = 1e-3 * found.std_error[row]
        assert found.estimate[row] == pytest.approx(estimate, abs=near)
        if entry["id"] == "orthodont_car1" and term == "rho":
            # nlme's limits are symmetric in logit(rho), ours in the logarithm of the range.
            logit = np.log(np.array([low, high]) / (1 - np.array([low, high])))
            se = np.diff(logit)[0] / (2 * QUANTILE) * estimate * (1 - estimate)
            assert found.std_error[row] == pytest.approx(se, rel=1e-3)
            continue
        assert found.conf_low[row] == pytest.approx(low, abs=near)
        assert found.conf_high[row] == pytest.approx(high, abs=near)


def test_a_model_without_random_effects_has_the_textbook_standard_error():
    fit = lmm.fit("distance ~ age", frame("data/raw/orthodont.csv"))
    found = components(fit.solution)
    assert found.term == ("sd__Observation",)
    df = fit.nobs - 2
    assert found.std_error[0] == pytest.approx(fit.sigma / np.sqrt(2 * df), rel=1e-12)
    assert found.conf_high[0] == pytest.approx(fit.sigma * np.exp(QUANTILE / np.sqrt(2 * df)), rel=1e-12)


def test_units_of_time_do_not_matter_for_ar1():
    """Visits 1, 2, 3, 4 and ages 8, 10, 12, 14: the limits of the correlation over one step are the same."""
    data = frame("data/raw/orthodont.csv").with_columns(visit=(pl.col("age") - 6) / 2)
    ages, visits = (
        components(lmm.fit("distance ~ age * Sex", data, residual=lmm.AR1(time, subject="Subject")).solution)
        for time in ("age", "visit")
    )
    assert ages.term[0] == "rho"
    assert ages.conf_low[0] ** 2 == pytest.approx(visits.conf_low[0], rel=1e-7)
    assert ages.std_error[0] * 2 * ages.estimate[0] == pytest.approx(visits.std_error[0], rel=1e-7)


# ---- the boundary ----


def test_a_zero_variance_is_held():
    fit = lmm.fit("Yield ~ 1 + (1 | Batch)", frame(f"{DATA}/dyestuff2.csv"))
    found = components(fit.solution)
    assert found.estimate[0] == 0 and np.isnan(found.std_error[0]) and np.isnan(found.conf_low[0])
    alone = components(lmm.fit("Yield ~ 1", frame(f"{DATA}/dyestuff2.csv")).solution)
    assert found.std_error[1] == pytest.approx(alone.std_error[0], rel=1e-10)
    assert found.sentence.startswith("The SD of Intercept within Batch stands on the boundary: held there")
    shown = found.frame()
    assert shown["term"].to_list() == ["sd__Intercept", "sd__Observation"]
    assert shown["std_error"].is_nan().to_list() == [True, False]


def test_a_correlation_of_one_is_held():
    fit = lmm.fit("y ~ time + (time | id)", frame(f"{DATA}/correlation_plus_one.csv"))
    found = components(fit.solution)
    cor = found.term.index("cor__Intercept.time")
    assert found.estimate[cor] == pytest.approx(1, abs=1e-12) and np.isnan(found.std_error[cor])
    others = [at for at in range(4) if at != cor]
    assert np.all(np.isfinite(found.std_error[others]))
    # On the face of correlation 1 the model has two SDs and sigma.
    names = names_of(found)
    written = Written(fit.solution.model, names)

    def on_the_face(values):
        whole = np.insert(values, cor, 1.0)
        return written.deviance(whole, True)

    at = found.estimate[others]
    se = np.sqrt(np.diag(2 * np.linalg.inv(hessian(on_the_face, at, 0.02 * found.std_error[others]))))
    assert np.allclose(found.std_error[others], se, rtol=2e-5)


def test_a_correlation_with_an_effect_without_variance_is_missing():
    fit = lmm.fit("y ~ t + (t | id)", no_slope_variance())
    found = components(fit.solution)
    assert found.estimate[found.term.index("sd__t")] == 0
    assert np.isnan(found.estimate[found.term.index("cor__Intercept.t")])
    assert "the correlation of Intercept and t within id" in found.sentence


def no_slope_variance():
    """Subjects whose responses are mirror images about their intercepts: no slope varies."""
    rows = []
    for subject in range(8):
        for t, e in zip((-1.0, -0.5, 0.5, 1.0), (1.0, -1.0, -1.0, 1.0), strict=True):
            rows.append((f"s{subject}", t, 5 + subject + e * (-1) ** subject * 0.4))
    return pl.DataFrame(rows, schema=["id", "t", "y"], orient="row")


def test_a_nugget_of_zero_is_held():
    data = frame(f"{DATA}/farms.csv")
    fit = lmm.fit("y ~ t + (1 | farm/plot)", data, residual=lmm.Exponential("t", nugget=True))
    found = components(fit.solution)
    nugget = found.term.index("nugget")
    assert found.estimate[nugget] < 1e-8 and np.isnan(found.std_error[nugget])
    without = components(lmm.fit("y ~ t + (1 | farm/plot)", data, residual=lmm.Exponential("t")).solution)
    kept = [at for at in range(len(found.term)) if at != nugget]
    assert np.allclose(found.std_error[kept], without.std_error, rtol=1e-5, equal_nan=True)


def test_parameters_that_the_data_do_not_determine_have_no_standard_error():
    fit = lmm.fit("y ~ condition + (0 + sex | id)", frame(f"{DATA}/crossover.csv"))
    found = components(fit.solution)
    assert np.isnan(found.std_error).all() and "do not determine" in found.sentence


def test_a_level_outside_0_and_1():
    with pytest.raises(ValueError, match="between 0 and 1"):
        components(kind("nested").solution, 95)


def test_names_follow_broom():
    assert names_of(components(kind("slope").solution)) == [
        ("Subject", "sd__Intercept"),
        ("Subject", "sd__Days"),
        ("Subject", "cor__Intercept.Days"),
        ("Residual", "sd__Observation"),
    ]


def test_a_structure_from_outside_the_package():
    """It states the scale on which its parameter has limits."""
    data = frame("data/raw/sleepstudy.csv")
    fit = lmm.fit("Reaction ~ Days", data, residual=MA1("Days", subject="Subject"))
    found = components(fit.solution)
    assert found.term == ("rho", "sd__Observation") and found.scale[0] == "half Fisher's z"
    assert -0.5 < found.conf_low[0] < found.estimate[0] < found.conf_high[0] < 0.5
    written = Written(fit.solution.model, names_of(found))
    curvature = hessian(lambda values: written.deviance(values, True), found.estimate, np.array([1e-3, 0.1]))
    se = np.sqrt(2 * np.linalg.inv(curvature)[0, 0])
    assert found.std_error[0] == pytest.approx(se, rel=1e-3)
    se_z = se / (0.5 * (1 - (2 * found.estimate[0]) ** 2))
    z = np.arctanh(2 * found.estimate[0])
    assert found.conf_high[0] == pytest.approx(np.tanh(z + QUANTILE * se_z) / 2, rel=1e-4)
