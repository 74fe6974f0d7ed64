"""Predictions of subjects beside a serial residual, against the conditional expectation by the textbook.

R comes from the formulas of the structures at the reported parameters, V = sigma^2 (Z Psi Z' + S R S) with
S = sd(v) / sqrt(w), and E(y_new | y) = x beta^ + c' V^-1 (y - X beta^).
"""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

import lmmcore as lmm

# Correlation of two measurements at times s and t, by the parameters that are reported.
STRUCTURES = {
    "AR1": (lmm.AR1("t"), lambda k, s, t: k["rho"] ** abs(s - t)),
    "CAR1": (lmm.CAR1("t"), lambda k, s, t: k["rho"] ** abs(s - t)),
    "Exponential": (lmm.Exponential("t"), lambda k, s, t: np.exp(-abs(s - t) / k["range"])),
    "Exponential, nugget": (
        lmm.Exponential("t", nugget=True),
        lambda k, s, t: (1 - k["nugget"]) * np.exp(-abs(s - t) / k["range"]),
    ),
    "Gaussian": (lmm.Gaussian("t"), lambda k, s, t: np.exp(-(((s - t) / k["range"]) ** 2))),
    "Gaussian, nugget": (
        lmm.Gaussian("t", nugget=True),
        lambda k, s, t: (1 - k["nugget"]) * np.exp(-(((s - t) / k["range"]) ** 2)),
    ),
    "CompoundSymmetry": (lmm.CompoundSymmetry(), lambda k, s, t: k["rho"]),
    "Toeplitz": (lmm.Toeplitz("t"), lambda k, s, t: 1.0 if s == t else k[f"rho({abs(s - t):g})"]),
    "Unstructured": (lmm.Unstructured("t"), lambda k, s, t: unstructured(k, s, t)),
    "RandomWalk": (lmm.RandomWalk("t"), lambda k, s, t: min(s, t)),
}
# A row of these at a time that was observed is a measurement of its own.
MEASURED_ANEW = {"CompoundSymmetry", "Exponential, nugget", "Gaussian, nugget"}
VARIANCES = {
    "equal": None,
    "ByGroup": lmm.ByGroup("arm"),
    "Power": lmm.Power("v"),
    "Power of fitted": lmm.Power("fitted"),
}


def unstructured(k, s, t):
    """Covariance relative to the variance of the first visit."""
    sd = [1.0 if of == 1 else k[f"sd({of:g})/sd(1)"] for of in (s, t)]
    return sd[0] * sd[1] * (1.0 if s == t else k[f"cor({min(s, t):g},{max(s, t):g})"])


def panel(seed=2, subjects=40):
    """Visits 1 to 5, about a fifth of them missing, of unequal weight and variance."""
    rng = np.random.default_rng(seed)
    rows = []
    for who in range(subjects):
        level, carried = rng.normal(0, 0.7), rng.normal()
        for t in range(1, 6):
            carried = 0.7 * carried + rng.normal(0, 0.7)
            w, v = rng.choice([0.5, 1.0, 4.0]), rng.uniform(1, 3)
            arm = "ab"[who % 2]
            y = (
                12
                + 0.6 * t
                + level
                + (carried + rng.normal(0, 0.5)) * (1.5 if arm == "b" else 1.0) / np.sqrt(w) * v**0.4
            )
            if rng.random() < 0.8:
                rows.append((f"s{who:02d}", float(t), arm, w, v, y))
    return pl.DataFrame(rows, schema=["id", "t", "arm", "w", "v", "y"], orient="row")


def residual_sd(fit, rows, fitted):
    """(n,) relative to sigma, of the variance function and the weights; fitted : (n,) values of the rows."""
    k, name = fit.residual_parameters, type(fit.solution.model.spec.variance).__name__
    sd = np.ones(rows.height)
    if name == "ByGroup":
        sd = np.where(rows["arm"].to_numpy() == "b", k["sd(b)/sd(a)"], 1.0)
    if name == "Power":
        of = fitted if fit.solution.model.spec.variance.of == "fitted" else rows["v"].to_numpy()
        sd = np.abs(of) ** k["power"]
    return sd if fit.solution.model.spec.weights is None else sd / np.sqrt(rows["w"].to_numpy())


def expected(fit, correlation, seen, new):
    """E(y_new | y of the subject) : (a,)."""
    k, random = fit.residual_parameters, fit.ranef()
    both = pl.concat([seen, new.select(seen.columns)])
    mean = fit.beta["Intercept"] + fit.beta["t"] * both["t"].to_numpy()
    b = random.filter(pl.col("level") == seen["id"][0])["estimate"].to_list() if random.height else [0.0]
    sd = residual_sd(fit, both, mean + b[0])
    t = both["t"].to_numpy()
    R = np.array([[correlation(k, one, other) for other in t] for one in t]) * np.outer(sd, sd)
    n = seen.height
    if fit.solution.model.spec.residual.type not in ("unstructured", "random_walk"):
        R[np.arange(n), np.arange(n)] = sd[:n] ** 2
    variance = random_variance(fit)
    V = variance + fit.sigma**2 * R
    left = seen["y"].to_numpy() - mean[:n]
    return mean[n:] + V[n:, :n] @ np.linalg.solve(V[:n, :n], left)


def random_variance(fit):
    rows = fit.varcorr().filter(pl.col("group") == "id")
    return rows["covariance"][0] if rows.height else 0.0


@pytest.mark.parametrize("variance", VARIANCES.values(), ids=VARIANCES)
@pytest.mark.parametrize("weights", [None, "w"])
@pytest.mark.parametrize("name", STRUCTURES)
def test_conditional_expectation(name, weights, variance):
    """At rows of the data, at other times of known subjects, with other weights, and for unknown subjects."""
    data, (residual, correlation) = panel(), STRUCTURES[name]
    alone = name in ("CompoundSymmetry", "Toeplitz", "Unstructured")  # they hold a random intercept
    formula = "y ~ t" if alone else "y ~ t + (1 | id)"
    if alone:
        residual = replace(residual, subject="id")
    if name == "Unstructured" and variance == lmm.Power("fitted"):
        pytest.skip("both are a standard deviation for each visit")
    try:
        fit = lmm.fit(formula, data, residual=residual, weights=weights, variance=variance)
    except lmm.FitError as error:  # the alternation between fitted values and variance need not settle
        assert "did not settle" in str(error)
        pytest.skip(str(error))
    for who in ("s00", "s07", "s13"):
        seen = data.filter(pl.col("id") == who)
        new = pl.DataFrame({"t": [1.0, 2.0, 3.0, 4.0, 5.0]}).with_columns(
            id=pl.lit(who),
            arm=pl.lit(seen["arm"][0]),
            w=pl.Series([0.25, 4.0, 1.0, 9.0, 2.0]),
            v=pl.lit(1.7),
            y=pl.lit(0.0),
        )
        for rows in (seen, new):
            rows = rows.select(seen.columns)
            found = fit.predict(rows.drop("y"), level="subject", interval="observation")
            assert found["prediction"].to_numpy() == pytest.approx(
                expected(fit, correlation, seen, rows), rel=1e-6
            )
            plain = fit.predict(rows.drop("y"), level="subject")["prediction"]
            assert plain.to_list() == found["prediction"].to_list()
            assert found["known_subject"].all()
        own = fit.predict(seen, level="subject", interval="observation")
        if name not in MEASURED_ANEW or fit.residual_parameters.get("nugget", 1.0) < 1e-6:
            assert own["prediction"].to_numpy() == pytest.approx(seen["y"].to_numpy(), rel=1e-6)
            assert own["std_error"].to_numpy() == pytest.approx(0, abs=1e-6)
        else:
            assert (own["std_error"].to_numpy() > 0.05 * fit.sigma).all()
    nobody = data.head(4).with_columns(id=pl.lit(" s00"))
    found = fit.predict(nobody, level="subject")
    assert not found["known_subject"].any()
    assert found["prediction"].to_list() == fit.predict(nobody)["prediction"].to_list()


def test_the_unit_of_the_weights_does_not_matter():
    """All weights times 4: sigma doubles, and neither predictions nor their errors change."""
    data = panel()
    for kind in ("subject", "observation"):
        found = []
        for unit in (1.0, 4.0):
            frame = data.with_columns(w=unit * pl.col("w"))
            fit = lmm.fit("y ~ t + (1 | id)", frame, residual=lmm.AR1("t"), weights="w")
            new = frame.head(8).with_columns(t=pl.col("t") + 2)
            found.append(fit.predict(new, level="subject", interval=kind).drop("known_subject").to_numpy())
        assert found[0] == pytest.approx(found[1], rel=1e-5)


def test_weights_of_new_rows_are_needed_where_they_matter():
    fit = lmm.fit("y ~ t + (1 | id)", panel(), residual=lmm.AR1("t"), weights="w")
    new = panel().head(3)
    with pytest.raises(lmm.DataError, match="no column 'w'"):
        fit.predict(new.drop("w"), level="subject")
    with pytest.raises(lmm.DataError, match="weights 'w' of the rows must be positive"):
        fit.predict(new.with_columns(w=pl.lit(0.0)), level="subject")
    assert np.isfinite(fit.predict(new.drop("w"))["prediction"].to_numpy()).all()
    independent = lmm.fit("y ~ t + (1 | id)", panel(), weights="w")
    assert np.isfinite(independent.predict(new.drop("w"), level="subject")["prediction"].to_numpy()).all()
