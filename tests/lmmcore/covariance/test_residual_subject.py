"""Whose residuals are correlated: the column or columns named by subject=, or no fit at all."""

import numpy as np
import polars as pl
import pytest

import lmmcore as lmm
from tests.support.dense import bound, check_against_dense, simulated

STRUCTURES = {
    "ar1": lambda **of: lmm.AR1("tt", **of),
    "car1": lambda **of: lmm.CAR1("tt", **of),
    "exponential": lambda **of: lmm.Exponential("tt", **of),
    "gaussian": lambda **of: lmm.Gaussian("tt", nugget=True, **of),
    "compound symmetry": lambda **of: lmm.CompoundSymmetry(**of),
    "toeplitz": lambda **of: lmm.Toeplitz("tt", **of),
    "ante-dependence": lambda **of: lmm.AnteDependence("tt", **of),
    "unstructured": lambda **of: lmm.Unstructured("tt", **of),
    "random walk": lambda **of: lmm.RandomWalk("tt1", **of),
}


@pytest.fixture(scope="module")
def pupils():
    """12 schools, 3 pupils each with labels used anew in each school, 6 rows each on two sides; shuffled."""
    rng = np.random.default_rng(1)
    pupil, t = np.repeat(np.arange(36), 6), np.tile(np.arange(6.0), 36)
    frame = {
        "school": np.repeat(np.arange(12), 18),
        "id": pupil,
        "label": pupil % 3,
        "side": np.where(t < 3, "l", "r"),
        "t": t,
        "tt": np.tile(np.arange(18.0), 12),
        "tt1": np.tile(np.arange(1.0, 19), 12),
        "y": np.round(rng.normal(size=216) + rng.normal(size=36)[pupil], 3),
    }
    return pl.DataFrame(frame).sample(fraction=1, shuffle=True, seed=1)


# nlme 3.1.162 (R 4.2.2), REML, d sorted by school, id, tt: lme(y ~ t, random = ~ 1 | school,
# correlation = corAR1(form = ~ tt | school/id)) and so on; gls(y ~ t, correlation = corAR1(form = ~ tt | is))
# with is <- interaction(d$id, d$side); logLik and the correlation.
NLME = {
    "nested in the random factor": ("y ~ t + (1 | school)", ["school", "label"], -341.120363863, 0.361215313),
    "a column of its own": ("y ~ t + (1 | school)", "id", -341.120363863, 0.361215313),
    "the random factor itself": ("y ~ t + (1 | school)", "school", -345.872166164, 0.256697849),
    "in another order": ("y ~ t + (1 | id)", ["side", "id"], -328.9880314588, -0.0223757429),
    "the innermost of two": ("y ~ t + (1 | id/side)", ["side", "id"], None, None),
    "no random effects": ("y ~ t", ["id", "side"], -342.175285633, 0.381345196),
}


@pytest.mark.parametrize(("formula", "subject", "loglik", "rho"), NLME.values(), ids=NLME)
def test_correlation_within_a_named_subject_is_that_of_nlme(pupils, formula, subject, loglik, rho):
    fit = lmm.fit(formula, pupils, residual=lmm.AR1("tt", subject=subject))
    if loglik is None:  # the subject by default
        default = lmm.fit(formula, pupils, residual=lmm.AR1("tt"))
        loglik, rho = default.loglik, default.residual_parameters["rho"]
    assert fit.loglik == pytest.approx(loglik, abs=1e-7)
    assert fit.residual_parameters["rho"] == pytest.approx(rho, abs=1e-6)


@pytest.mark.parametrize("subject", ["b_id", ["a", "b"], ["b", "a"]])
@pytest.mark.parametrize("formula", ["y ~ t", "y ~ t + (1 | a)", "y ~ t + (t | a)", "y ~ t + (1 | a/b)"])
def test_likelihood_is_that_of_the_named_subject(formula, subject):
    frame = simulated()
    model = bound(formula, lmm.AR1("t", subject=subject), "REML", frame)
    check_against_dense(model)
    sizes = np.diff([*model.rows.units[-1].starts, model.n])
    assert sorted(sizes) == sorted(frame.group_by("b_id").len()["len"])


REFUSED = {
    "outside the random factor": ("y ~ t + (1 | id)", "school", "use subject='id', or leave out"),
    "outside the innermost": ("y ~ t + (1 | id/side)", "id", r"use subject=\['id', 'side'\]"),
    "outside slopes": ("y ~ t + (t | id)", ["school"], "cannot be correlated within 'school'"),
    "outside both": ("y ~ t + (1 | id/side)", "school", "cannot be correlated within 'school'"),
    "crossed": ("y ~ t + (1 | id)", "side", r"crossed.*write subject=\['id', 'side'\], not 'side'"),
    "labels used anew": ("y ~ t + (1 | school/label)", "label", r"write subject=\['school', 'label'\]"),
}


@pytest.mark.parametrize("structure", STRUCTURES.values(), ids=STRUCTURES)
@pytest.mark.parametrize(("formula", "subject", "words"), REFUSED.values(), ids=REFUSED)
def test_another_model_is_never_fitted(pupils, structure, formula, subject, words):
    with pytest.raises(lmm.FormulaError, match=words):
        lmm.fit(formula, pupils, residual=structure(subject=subject))


@pytest.mark.parametrize("subject", [[], 3, ["id", 3], ()])
def test_a_subject_that_is_no_column_is_a_sentence(pupils, subject):
    with pytest.raises(lmm.FormulaError, match="must be a column, subject='id', or a list of columns"):
        lmm.fit("y ~ t", pupils, residual=lmm.AR1("tt", subject=subject))


def test_a_column_that_does_not_exist_is_named(pupils):
    with pytest.raises(lmm.DataError, match="no column 'labl'; did you mean 'label'"):
        lmm.fit("y ~ t", pupils, residual=lmm.AR1("tt", subject=["id", "labl"]))


@pytest.mark.parametrize("name", ["ar1", "car1", "compound symmetry", "exponential", "gaussian"])
def test_subjects_of_one_row_each_have_no_correlation(pupils, name):
    with pytest.raises(lmm.FitError, match="No level of 'id:tt' has two rows"):
        lmm.fit("y ~ t", pupils, residual=STRUCTURES[name](subject=["id", "tt"]))


def test_what_follows_a_fit_knows_the_combination(pupils, tmp_path):
    fits = [
        lmm.fit("y ~ t + (1 | school)", pupils, residual=lmm.AR1("tt", subject=subject))
        for subject in ("id", ["school", "label"])
    ]
    new = pupils.head(7).with_columns(tt=pl.col("tt") + 1)
    column, listed = (fit.predict(new, level="subject", interval="observation") for fit in fits)
    assert np.allclose(column.to_numpy(), listed.to_numpy(), rtol=1e-6)
    fits[1].save(tmp_path / "fit.parquet")
    assert lmm.load(tmp_path / "fit.parquet").loglik == fits[1].loglik
    assert fits[1].groups == {"school": 12, "school:label": 36}
