"""The unit of time never matters: days, seconds since 1970, or ten thousand years a step."""

import numpy as np
import polars as pl
import pytest

import lmmcore as lmm

UNITS = {"a ten-thousandth": (1e-4, 0.0), "ten thousand": (1e4, 0.0), "unix seconds": (86400.0, 1.7e9)}
ANY_TIME = {
    "car1": lmm.CAR1("t", subject="id"),
    "exponential": lmm.Exponential("t", subject="id"),
    "exponential, nugget": lmm.Exponential("t", nugget=True, subject="id"),
    "gaussian": lmm.Gaussian("t", subject="id"),
    "gaussian, nugget": lmm.Gaussian("t", nugget=True, subject="id"),
    "unstructured": lmm.Unstructured("t", subject="id"),
}
WHOLE_TIMES = {"ar1": lmm.AR1("t", subject="id"), "toeplitz": lmm.Toeplitz("t", subject="id")}
FROM_ZERO = {"random walk": lmm.RandomWalk("t", subject="id")}
STRUCTURES = ANY_TIME | WHOLE_TIMES | FROM_ZERO
FORMULAS = {"alone": "y ~ arm", "intercept": "y ~ arm + (1 | id)"}


def panel(rho=0.7, subjects=24, visits=5, seed=4):
    """Serial residuals beside a subject's level, in days; a visit is missing here and there."""
    rng = np.random.default_rng(seed)
    subject, t = np.repeat(np.arange(subjects), visits), np.tile(np.arange(1.0, visits + 1), subjects)
    noise = rng.normal(size=(subjects, visits))
    for visit in range(1, visits):
        noise[:, visit] = rho * noise[:, visit - 1] + np.sqrt(1 - rho**2) * noise[:, visit]
    arm = np.where(subject % 2, "b", "a")
    y = 5 + rng.normal(0, 0.7, subjects)[subject] + noise.ravel() + (arm == "b") * 0.5
    frame = pl.DataFrame({"id": subject, "t": t, "y": y, "arm": arm, "g": np.where(t > 3, "late", "early")})
    return frame.filter(pl.Series(rng.random(len(t)) > 0.1))


def told(formula, frame, new, **given):
    """Every number of a fit that has no time in it, and its words."""
    fit = lmm.fit(formula, frame, **given)
    certificate = fit.certificate
    numbers = [fit.loglik, *fit.tidy()["std_error"], *fit.tidy()["df"], *fit.tidy(df="kenward-roger")["df"]]
    for name in ("fitted", "residual_normalized"):
        numbers += fit.augment()[name].to_list()
    if not isinstance(given["residual"], lmm.RandomWalk):  # sigma is that of one unit of time
        numbers += fit.augment()["residual_pearson"].to_list()
    for level in ("population", "subject"):
        predicted = fit.predict(new, level=level, interval="observation")
        numbers += [*predicted["prediction"], *predicted["std_error"]]
    numbers += fit.ranef()["estimate"].to_list()
    numbers += fit.marginal_covariance(new).correlation.ravel().tolist()
    numbers += fit.robust().tidy()["std_error"].to_list()
    return np.array(numbers, dtype=float), (certificate.converged, certificate.boundary), fit


def compared(structure, formula, unit, frame=None, tolerance=1e-6, **given):
    factor, shift = UNITS[unit]
    residual = STRUCTURES[structure]
    frame = panel() if frame is None else frame
    new = frame.filter(pl.col("id") == frame["id"][0])
    moved = [data.with_columns(t=factor * pl.col("t") + shift) for data in (frame, new)]
    here = told(formula, frame, new, residual=residual, **given)
    there = told(formula, *moved, residual=residual, **given)
    assert here[1] == there[1]
    assert np.allclose(here[0], there[0], rtol=tolerance, atol=tolerance, equal_nan=True)
    return here[2], there[2]


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("formula", FORMULAS.values(), ids=FORMULAS)
@pytest.mark.parametrize("structure", STRUCTURES)
def test_results(structure, formula, unit):
    if structure in WHOLE_TIMES and unit == "a ten-thousandth":
        pytest.skip("times must be whole numbers")
    if structure in ("toeplitz", "unstructured") and "|" in formula:
        pytest.skip("a random intercept is part of such a covariance")
    if structure in FROM_ZERO and unit == "unix seconds":
        pytest.skip("times count from zero")
    compared(structure, formula, unit)


@pytest.mark.parametrize("unit", UNITS)
def test_variance_beside_it(unit):
    compared("car1", FORMULAS["intercept"], unit, variance=lmm.ByGroup("g"))


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("structure", ["car1", "exponential"])
def test_boundary(structure, unit):
    """No correlation, and one of 1 beside a drifting level: the same words in every unit."""
    rng = np.random.default_rng(8)
    frame = panel()
    noise = frame.with_columns(y=pl.Series(rng.normal(size=len(frame))))
    here, _ = compared(structure, FORMULAS["alone"], unit, frame=noise)
    assert not any("is 1" in phrase or "infinite" in phrase for phrase in here.certificate.boundary)


def test_rho_keeps_its_distance_from_one():
    """Unix seconds: rho per second is 0.9999..., not 1, and the half-life says the rest."""
    frame = panel().with_columns(t=86400 * pl.col("t") + 1.7e9)
    fit = lmm.fit("y ~ arm", frame, residual=lmm.CAR1("t", subject="id"))
    days = lmm.fit("y ~ arm", panel(), residual=lmm.CAR1("t", subject="id"))
    line = next(line for line in str(fit).split("\n") if line.startswith("Residuals"))
    assert "rho = 0.99999" in line and "half-life = " in line
    half = float(line.split("half-life = ")[1].rstrip(")"))
    assert half / 86400 == pytest.approx(np.log(0.5) / np.log(days.residual_parameters["rho"]), rel=1e-3)
    assert fit.residual_parameters["rho"] ** 86400 == pytest.approx(days.residual_parameters["rho"], rel=1e-8)


def test_intervals_of_rho():
    frame = panel()
    for factor in (1e-4, 1e4):
        moved = frame.with_columns(t=factor * pl.col("t"))
        plain, other = (
            lmm.fit("y ~ arm", data, residual=lmm.Exponential("t", subject="id")).components().frame()
            for data in (frame, moved)
        )
        ranges = [table.filter(pl.col("term") == "range") for table in (plain, other)]
        for column in ("estimate", "conf_low", "conf_high"):
            assert ranges[1][column][0] == pytest.approx(factor * ranges[0][column][0], rel=1e-6)
