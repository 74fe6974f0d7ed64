"""Variance structures, prior weights and offset: V written out, textbook identities, nlme and lme4."""

import numpy as np
import polars as pl
import pytest

import lmmcore as lmm
from tests.support.dense import bound, check_against_dense, simulated
from tests.support.shared_data import needs_shared, shared

MODELS = {
    "by group": ("y ~ t + (1 | a)", None, lmm.ByGroup("c"), None),
    "power": ("y ~ t + (t | a)", None, lmm.Power(of="x"), None),
    "by group, marginal AR(1)": ("y ~ t", lmm.AR1("t", subject="b_id"), lmm.ByGroup("c"), None),
    "power with CAR(1)": ("y ~ t + (1 | b_id)", lmm.CAR1("t"), lmm.Power(of="x"), None),
    "by group, nested": ("y ~ t + (1 | a/b)", None, lmm.ByGroup("c"), None),
    "by group, unstructured inside": (
        "y ~ t + (1 | a)",
        lmm.Toeplitz("t", subject="b_id"),
        lmm.ByGroup("c"),
        None,
    ),
    "weights": ("y ~ t + (t | a)", None, None, "w"),
    "weights with AR(1)": ("y ~ t + (1 | b_id)", lmm.AR1("t"), None, "w"),
    "weights and power": ("y ~ t + (1 | a/b)", None, lmm.Power(of="x"), "w"),
}


@pytest.mark.parametrize("method", ["REML", "ML"])
@pytest.mark.parametrize("formula, residual, variance, weights", MODELS.values(), ids=MODELS)
def test_deviance_and_derivatives(formula, residual, variance, weights, method):
    check_against_dense(bound(formula, residual, method, simulated(), variance, weights))


def test_two_groups_are_two_regressions():
    """Without random effects and with everything by group, the likelihood is that of two separate fits."""
    rng = np.random.default_rng(4)
    data = pl.DataFrame({"g": ["a"] * 30 + ["b"] * 40, "x": rng.normal(size=70)})
    data = data.with_columns(y=pl.Series(rng.normal(size=70) * np.repeat([1.0, 3.0], [30, 40])) + pl.col("x"))
    both = lmm.fit("y ~ g * x", data, method="ML", variance=lmm.ByGroup("g"))
    apart = [lmm.fit("y ~ x", data.filter(pl.col("g") == g), method="ML") for g in "ab"]
    assert both.loglik == pytest.approx(sum(fit.loglik for fit in apart), abs=1e-9)
    assert both.residual_parameters["sd(b)/sd(a)"] == pytest.approx(apart[1].sigma / apart[0].sigma, rel=1e-8)


def test_weights_are_replicates():
    """A row of weight 2 without random effects counts like the mean of two rows."""
    rng = np.random.default_rng(6)
    pairs = rng.normal(size=(25, 2))
    x = rng.normal(size=25)
    means = pl.DataFrame({"x": x, "y": pairs.mean(axis=1), "w": np.full(25, 2.0)})
    single = pl.DataFrame({"x": np.repeat(x, 2), "y": pairs.ravel()})
    weighted, plain = lmm.fit("y ~ x", means, weights="w"), lmm.fit("y ~ x", single)
    assert weighted.beta == pytest.approx(plain.beta, rel=1e-10)
    with pytest.raises(lmm.DataError, match="positive"):
        lmm.fit("y ~ x", means.with_columns(w=pl.lit(0.0)), weights="w")


def test_offset_is_part_of_the_mean():
    data = simulated().with_columns(o=pl.col("t") * 2)
    shifted = data.with_columns(y=pl.col("y") - pl.col("o"))
    fit, plain = lmm.fit("y ~ t + (1 | a)", data, offset="o"), lmm.fit("y ~ t + (1 | a)", shifted)
    assert fit.loglik == pytest.approx(plain.loglik, abs=1e-9)
    expected = plain.augment()["fitted"] + data["o"]
    assert fit.augment()["fitted"].to_list() == pytest.approx(expected.to_list(), abs=1e-9)
    new = data.head(3)
    predicted = fit.predict(new, level="subject")["prediction"].to_list()
    assert predicted == pytest.approx(expected.head(3).to_list(), abs=1e-9)


@needs_shared
def test_power_of_fitted_values():
    """nlme 3.1-162: lme(weight ~ Time * Diet, random = ~ Time | Rat, weights = varPower(),
    correlation = corExp(form = ~ Time)) on BodyWeight (reference/seed_results.json, extra_reference)."""
    data = shared("nlme_bodyweight.csv")
    fit = lmm.fit(
        "weight ~ Time * Diet + (Time | Rat)",
        data,
        residual=lmm.Exponential("Time"),
        variance=lmm.Power(of="fitted"),
        categories={"Diet": [1, 2, 3]},
    )
    assert fit.loglik >= -560.570208069338 - 1e-6
    assert fit.residual_parameters["range"] == pytest.approx(4.88638650345331, rel=1e-3)
    assert fit.residual_parameters["power"] == pytest.approx(0.594342397928601, rel=1e-3)
    assert fit.sigma == pytest.approx(0.138387220351346, rel=1e-2)
    assert fit.beta["Time:Diet[T.3]"] == pytest.approx(0.30656182994646, rel=1e-3)
