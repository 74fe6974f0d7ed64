"""A user's units, order and labels never change a result."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lmmcore as lmm


def simulated(seed, subjects=25, largest=7):
    """Irregular whole-number times, an arm, subjects of one row too."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, largest, subjects)
    subject = np.repeat(np.arange(subjects), sizes)
    time = np.concatenate([np.sort(rng.choice(10, size, replace=False)) for size in sizes]).astype(float)
    effects = rng.multivariate_normal([0, 0], [[2.0, 0.3], [0.3, 0.2]], subjects)[subject]
    arm = np.array(["a", "b"])[subject % 2]
    y = 10 + time + (arm == "b") * 0.5 + effects[:, 0] + effects[:, 1] * time + rng.normal(size=len(time))
    return pl.DataFrame({"id": subject, "time": time, "arm": arm, "y": y})


STRUCTURES = {
    "slope": ("y ~ time * arm + (time | id)", None),
    "slope and ar1": ("y ~ time * arm + (1 | id)", lmm.AR1("time")),
    "ar1": ("y ~ time * arm", lmm.AR1("time", subject="id")),
}


def statistics(fit):
    return fit.tidy()["statistic"].to_numpy(), fit.tidy()["df"].to_numpy()


@pytest.mark.parametrize("formula, residual", STRUCTURES.values(), ids=STRUCTURES)
@given(scale=st.sampled_from([1e-6, 1e-3, 7.0, 1e5]), shift=st.sampled_from([0.0, -3.0, 1e6]))
@settings(max_examples=12, deadline=None)
def test_response(formula, residual, scale, shift):
    data = simulated(1)
    plain = lmm.fit(formula, data, method="ML", residual=residual)
    moved = lmm.fit(
        formula, data.with_columns(y=scale * (pl.col("y") + shift)), method="ML", residual=residual
    )
    assert moved.loglik + plain.nobs * np.log(scale) == pytest.approx(plain.loglik, rel=1e-8)
    ours, theirs = statistics(moved)[0], statistics(plain)[0]
    assert ours[1:] == pytest.approx(theirs[1:], rel=1e-8)  # the intercept's t moves with the shift
    assert statistics(moved)[1] == pytest.approx(statistics(plain)[1], rel=1e-8)


@given(scale=st.sampled_from([1e-4, 1e-2, 30.0, 1e4]), shift=st.sampled_from([0.0, 2000.0]))
@settings(max_examples=8, deadline=None)
def test_time_of_a_random_slope(scale, shift):
    data = simulated(2)
    formula = "y ~ time * arm + (time | id)"
    plain = lmm.fit(formula, data, method="ML")
    moved = lmm.fit(formula, data.with_columns(time=scale * (pl.col("time") + shift)), method="ML")
    assert moved.loglik == pytest.approx(plain.loglik, rel=1e-8)
    slopes = [index for index, term in enumerate(plain.terms) if "time" in term]
    assert statistics(moved)[0][slopes] == pytest.approx(statistics(plain)[0][slopes], rel=1e-8)
    assert statistics(moved)[1][slopes] == pytest.approx(statistics(plain)[1][slopes], rel=1e-8)


@given(shift=st.sampled_from([-40.0, 2000.0]))
@settings(max_examples=2, deadline=None)
def test_time_of_a_serial_correlation(shift):
    data = simulated(3)
    for formula, residual in list(STRUCTURES.values())[1:]:
        plain = lmm.fit(formula, data, method="ML", residual=residual)
        moved = lmm.fit(
            formula, data.with_columns(time=pl.col("time") + shift), method="ML", residual=residual
        )
        assert moved.loglik == pytest.approx(plain.loglik, rel=1e-8)
        assert moved.residual_parameters["rho"] == pytest.approx(plain.residual_parameters["rho"], rel=1e-8)


@pytest.mark.parametrize("formula, residual", STRUCTURES.values(), ids=STRUCTURES)
@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=5, deadline=None)
def test_order_and_labels(formula, residual, seed):
    data = simulated(4)
    plain = lmm.fit(formula, data, residual=residual)
    shuffled = data.sample(fraction=1, shuffle=True, seed=seed).with_columns(
        id=pl.format("s{}", (pl.col("id") * 7919 + seed) % 100_003)
    )
    moved = lmm.fit(formula, shuffled, residual=residual)
    assert moved.loglik == pytest.approx(plain.loglik, rel=1e-10)
    assert list(moved.beta.values()) == pytest.approx(list(plain.beta.values()), rel=1e-8)
    assert moved.sigma == pytest.approx(plain.sigma, rel=1e-8)


@pytest.mark.parametrize("library", ["pandas", "pyarrow", "csv", "parquet"])
def test_data_frame_library(library, tmp_path):
    data = simulated(5)
    plain = lmm.fit("y ~ time * arm + (time | id)", data)
    if library == "pandas":
        other = data.to_pandas()
    elif library == "pyarrow":
        other = data.to_arrow()
    else:
        other = tmp_path / f"rows.{library}"
        getattr(data, f"write_{library}")(other)
    fit = lmm.fit("y ~ time * arm + (time | id)", other)
    assert fit.beta == pytest.approx(plain.beta, rel=1e-10)
    assert fit.loglik == pytest.approx(plain.loglik, rel=1e-12)


def test_reml_moves_with_the_scale_of_a_predictor():
    """REML belongs to contrasts of the data: Days x 10 moves it by exactly log 10."""
    data = simulated(6)
    plain = lmm.fit("y ~ time + (1 | id)", data)
    moved = lmm.fit("y ~ time + (1 | id)", data.with_columns(time=10 * pl.col("time")))
    assert plain.loglik - moved.loglik == pytest.approx(np.log(10), abs=1e-8)


def test_parameters_are_recovered():
    """A large simulated sample gives the parameters it was made with, within 4 standard errors or so."""
    rng = np.random.default_rng(8)
    subjects, visits, rho = 3000, 8, 0.6
    time = np.tile(np.arange(visits, dtype=float), subjects)
    subject = np.repeat(np.arange(subjects), visits)
    noise = np.empty((subjects, visits))
    noise[:, 0] = rng.normal(size=subjects)
    for j in range(1, visits):
        noise[:, j] = rho * noise[:, j - 1] + np.sqrt(1 - rho**2) * rng.normal(size=subjects)
    slope = rng.normal(0, 0.7, subjects)[subject]
    y = 3 + (2 + slope) * time + rng.normal(0, 1.5, subjects)[subject] + 1.2 * noise.ravel()
    kept = rng.random(len(y)) > 0.1
    data = pl.DataFrame({"id": subject, "time": time, "y": y}).filter(pl.Series(kept))
    fit = lmm.fit("y ~ time + (time | id)", data, residual=lmm.AR1("time"))
    assert fit.certificate.converged
    assert fit.residual_parameters["rho"] == pytest.approx(rho, abs=0.04)
    assert fit.sigma == pytest.approx(1.2, abs=0.05)
    sd = fit.varcorr()["sd"].to_list()
    assert sd[:2] == pytest.approx([1.5, 0.7], abs=0.08)
    assert fit.beta["time"] == pytest.approx(2, abs=4 * fit.se["time"])
