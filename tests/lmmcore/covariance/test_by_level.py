"""A covariance of its own for each level: separate fits, the dense likelihood, inference, prediction."""

import numpy as np
import polars as pl
import pytest

import lmmcore as lmm
from lmmcore.data.table import read
from lmmcore.formula.parse import parse
from lmmcore.model.build import build
from lmmcore.model.specification import Specification
from tests.support.dense import check_against_dense

STRUCTURES = {
    "ar1": lambda **given: lmm.AR1("t", **given),
    "car1": lambda **given: lmm.CAR1("t", **given),
    "exponential": lambda **given: lmm.Exponential("t", True, **given),
    "gaussian": lambda **given: lmm.Gaussian("t", **given),
    "compound_symmetry": lambda **given: lmm.CompoundSymmetry(**given),
    "toeplitz": lambda **given: lmm.Toeplitz("t", **given),
    "unstructured": lambda **given: lmm.Unstructured("t", **given),
    "ante_dependence": lambda **given: lmm.AnteDependence("t", **given),
    "ante_homogeneous": lambda **given: lmm.AnteDependence("t", False, **given),
    "random_walk": lambda **given: lmm.RandomWalk("t", **given),
}


def trial(subjects=60, visits=4, seed=1, missing=0.1):
    """Two arms whose residuals differ in SD and correlation."""
    rng = np.random.default_rng(seed)
    second = np.arange(subjects) % 2 == 1
    rho, sd = np.where(second, 0.7, 0.4), np.where(second, 2.0, 1.0)
    noise = rng.normal(size=(subjects, visits))
    for j in range(1, visits):
        noise[:, j] = rho * noise[:, j - 1] + np.sqrt(1 - rho**2) * noise[:, j]
    noise += 0.3 * rng.normal(size=noise.shape)
    frame = pl.DataFrame(
        {
            "id": np.repeat([f"s{k}" for k in range(subjects)], visits),
            "arm": np.repeat(np.where(second, "B", "A"), visits),
            "t": np.tile(np.arange(1.0, visits + 1), subjects),
            "week": np.tile([f"w{j}" for j in range(1, visits + 1)], subjects),
            "y": (sd[:, None] * noise).ravel(),
        }
    ).with_columns(cell=pl.format("{}{}", "arm", "week"))
    return frame.filter(rng.random(len(frame)) >= missing).sample(fraction=1, shuffle=True, seed=seed)


@pytest.mark.parametrize("method", ["ML", "REML"])
@pytest.mark.parametrize("name", STRUCTURES)
def test_separate_fits(name, method):
    """With a mean of its own in each arm the likelihood is the product of those of the arms; REML needs no
    correction, as the columns of [X_A 0; 0 X_B] have the determinant of both."""
    frame, make = trial(), STRUCTURES[name]
    both = lmm.fit("y ~ 0 + arm + arm:t", frame, method=method, residual=make(subject="id", by="arm"))
    arms = {
        arm: lmm.fit("y ~ t", frame.filter(arm=arm), method=method, residual=make(subject="id"))
        for arm in "AB"
    }
    assert both.certificate.converged
    assert both.loglik == pytest.approx(sum(fit.loglik for fit in arms.values()), abs=1e-7)
    assert both.npar == sum(fit.npar for fit in arms.values())
    found = both.residual_parameters
    assert found["sd(B)/sd(A)"] == pytest.approx(arms["B"].sigma / arms["A"].sigma, rel=1e-4)
    for arm, fit in arms.items():
        for parameter, value in fit.residual_parameters.items():
            assert found[f"{arm}: {parameter}"] == pytest.approx(value, rel=2e-3, abs=1e-4)


# glmmTMB 1.1.5, R 4.2, on the rows of trial(); A and B are indicators of the arms and f is factor(t):
#   glmmTMB(y ~ t + arm + us(0 + f:A | id) + us(0 + f:B | id), dispformula = ~0, REML = reml)
# and the same with ar1(); optim's BFGS with reltol 1e-14.
GLMMTMB = {
    ("unstructured", "ML"): -354.602252,
    ("ar1", "ML"): -363.341395,
    ("unstructured", "REML"): -358.112581,
    ("ar1", "REML"): -366.652098,
}


@pytest.mark.parametrize("name, method", GLMMTMB)
def test_common_mean_against_glmmtmb(name, method):
    fit = lmm.fit("y ~ t + arm", trial(), method=method, residual=STRUCTURES[name](subject="id", by="arm"))
    assert fit.loglik == pytest.approx(GLMMTMB[name, method], abs=5e-6)


@pytest.mark.parametrize("variance", [None, lmm.ByGroup("week"), lmm.ByGroup("cell")])
@pytest.mark.parametrize("formula", ["y ~ t * arm", "y ~ t * arm + (1 | id)", "y ~ t * arm + (1 | arm/id)"])
@pytest.mark.parametrize("name", STRUCTURES)
def test_dense_likelihood(name, formula, variance):
    if variance is not None and name in ("unstructured", "ante_dependence"):
        pytest.skip("has variances of visits already")
    residual = STRUCTURES[name](subject="id", by="arm")
    table = read(trial(20), ["y", "t", "arm", "week", "cell"], ["id", "arm"])
    check_against_dense(
        build(Specification(parse(formula), "REML", residual, variance, None, None, None), table)
    )


@pytest.mark.parametrize("name", ["ar1", "toeplitz", "unstructured"])
def test_intervals_of_separate_fits(name):
    """Each arm's parameters have the Wald limits of its own fit."""
    frame, make = trial(), STRUCTURES[name]
    both = lmm.fit("y ~ 0 + arm + arm:t", frame, method="ML", residual=make(subject="id", by="arm"))
    rows = {row["term"]: row for row in both.confint().to_dicts() if row["group"] == "Residual"}
    assert "sd(B)/sd(A)" in rows
    for arm in "AB":
        fit = lmm.fit("y ~ t", frame.filter(arm=arm), method="ML", residual=make(subject="id"))
        for row in fit.confint().to_dicts():
            if row["group"] == "Residual" and row["term"] != "sd__Observation":
                found = rows[f"{arm}: {row['term']}"]
                for limit in ("conf_low", "conf_high"):
                    assert found[limit] == pytest.approx(row[limit], rel=1e-3, abs=1e-4)


def test_variance_by_level_and_visit():
    """ARH(1) of its own in each arm (TYPE=ARH(1) GROUP=arm): the SDs of arm and visit hold those of arms."""
    frame = trial()
    given = {"method": "ML", "variance": lmm.ByGroup("cell")}
    both = lmm.fit("y ~ 0 + arm + arm:t", frame, residual=lmm.AR1("t", subject="id", by="arm"), **given)
    arms = [
        lmm.fit("y ~ t", frame.filter(arm=arm), residual=lmm.AR1("t", subject="id"), **given) for arm in "AB"
    ]
    assert both.loglik == pytest.approx(sum(fit.loglik for fit in arms), abs=1e-7)
    assert both.npar == sum(fit.npar for fit in arms)


@pytest.mark.parametrize("df", ["satterthwaite", "kenward-roger"])
def test_tests_of_separate_fits(df):
    """An arm's own coefficients have the test of its own fit: the other arm says nothing of them."""
    frame = trial(missing=0)
    both = lmm.fit("y ~ 0 + arm + arm:t", frame, residual=lmm.Unstructured("t", subject="id", by="arm"))
    found = {row["term"]: row for row in both.tidy(df=df).to_dicts()}
    for arm in "AB":
        fit = lmm.fit("y ~ t", frame.filter(arm=arm), residual=lmm.Unstructured("t", subject="id"))
        (alone,) = (row for row in fit.tidy(df=df).to_dicts() if row["term"] == "t")
        for key in ("estimate", "std_error", "df"):
            assert found[f"arm[{arm}]:t"][key] == pytest.approx(alone[key], rel=1e-4)


def test_prediction_and_marginal_covariance():
    frame = trial()
    both = lmm.fit("y ~ 0 + arm + arm:t", frame, residual=lmm.AR1("t", subject="id", by="arm"))
    for arm, who in (("A", "s0"), ("B", "s1")):
        alone = lmm.fit("y ~ t", frame.filter(arm=arm), residual=lmm.AR1("t", subject="id"))
        new = {"id": [who, who], "arm": [arm, arm], "t": [6.0, 7.0]}
        for interval in (None, "observation"):
            one, two = (fit.predict(new, level="subject", interval=interval) for fit in (both, alone))
            for column in {"prediction", "std_error"} & set(one.columns):
                assert np.allclose(one[column], two[column], rtol=1e-4)
        V, W = (fit.marginal_covariance(new).covariance for fit in (both, alone))
        assert np.allclose(V, W, rtol=1e-4)
    with pytest.raises(lmm.DataError, match=r"'C'"):
        both.predict({"id": ["s0"], "arm": ["C"], "t": [6.0]}, level="subject")
    with pytest.raises(lmm.DataError, match="a new row of a subject with 'A' has 'B'"):
        both.predict({"id": ["s0"], "arm": ["B"], "t": [6.0]}, level="subject")
    with pytest.raises(lmm.DataError, match="must have the same level of 'arm'"):
        both.marginal_covariance({"arm": ["A", "B"], "t": [1.0, 2.0]})


def test_everything_else_takes_it(tmp_path):
    frame = trial()
    fit = lmm.fit("y ~ t * arm", frame, residual=lmm.Unstructured("t", subject="id", by="arm"))
    fit.save(tmp_path / "fit.parquet")
    again = lmm.load(tmp_path / "fit.parquet")
    assert again.loglik == pytest.approx(fit.loglik, abs=1e-9)
    assert again.residual_parameters == pytest.approx(fit.residual_parameters)
    assert "Unstructured over t by arm" in str(fit) and "B: cor(1,2)" in str(fit)
    sds = fit.residual_sds()
    assert sds.columns[:2] == ["arm", "t"] and len(sds) == 8
    assert sds["estimate"][0] == pytest.approx(fit.sigma)
    assert fit.augment()["residual_normalized"].std() == pytest.approx(1, abs=0.05)
    simulated = fit.simulate(300, seed=1)
    second = (frame["arm"] == "B").to_numpy()
    noise = simulated - fit.augment()["fitted_population"].to_numpy()[:, None]
    expected = np.sqrt(np.mean(sds.filter(arm="B")["estimate"].to_numpy() ** 2))
    assert noise[second].std() == pytest.approx(expected, rel=0.05)


def test_comparison():
    frame = trial()
    one, two = (
        lmm.fit("y ~ t * arm", frame, method="ML", residual=lmm.AR1("t", subject="id", by=by))
        for by in (None, "arm")
    )
    (test,) = lmm.compare(one, two).tests
    assert test["df"] == 2
    assert test["statistic"] == pytest.approx(2 * (two.loglik - one.loglik))


def test_sentences():
    frame = trial()
    changing = frame.with_columns(arm=pl.when(pl.col("t") > 2).then(pl.lit("B")).otherwise(pl.lit("A")))
    with pytest.raises(lmm.DataError, match="all rows of a subject must have the same level, but s"):
        lmm.fit("y ~ t", changing, residual=lmm.AR1("t", subject="id", by="arm"))
    with pytest.raises(lmm.DataError, match="by='t' needs a category, but 't' is a number"):
        lmm.fit("y ~ t", frame, residual=lmm.CompoundSymmetry(subject="id", by="t"))
    with pytest.raises(lmm.DataError, match="arm = B: Unstructured"):
        few = frame.filter((pl.col("arm") == "A") | pl.col("id").is_in(["s1", "s3"]))
        lmm.fit("y ~ t", few, residual=lmm.Unstructured("t", subject="id", by="arm"))
    with pytest.raises(lmm.DataError, match="No subject of arm = B has two rows"):
        single = frame.filter((pl.col("arm") == "A") | (pl.col("t") == 1))
        lmm.fit("y ~ t", single, residual=lmm.AR1("t", subject="id", by="arm"))
    with pytest.raises(lmm.LmmError, match="nowhere"):
        lmm.fit("y ~ t", frame, residual=lmm.AR1("t", subject="id", by="nowhere"))
    with pytest.raises(lmm.ArgumentError, match="by of AR1 is 3"):
        lmm.fit("y ~ t", frame, residual=lmm.AR1("t", subject="id", by=3))
