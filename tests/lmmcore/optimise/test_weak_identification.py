"""Parameters that the data can hardly, or not at all, tell apart: the certificate says so."""

import numpy as np
import polars as pl
import pytest

import lmmcore as lmm


def few_visits(seed):
    """Lasting differences and a slowly fading correlation over four visits: the two look alike."""
    rng = np.random.default_rng(seed)
    subjects, visits, rho = 300, 4, 0.9
    noise = np.empty((subjects, visits))
    noise[:, 0] = rng.normal(size=subjects)
    for j in range(1, visits):
        noise[:, j] = rho * noise[:, j - 1] + np.sqrt(1 - rho**2) * rng.normal(size=subjects)
    y = rng.normal(0, 1, subjects)[:, None] + noise
    return pl.DataFrame(
        {
            "id": np.repeat(np.arange(subjects), visits),
            "t": np.tile(np.arange(visits), subjects),
            "y": y.ravel(),
        }
    )


def test_intercept_and_slow_correlation_are_hardly_told_apart():
    certificate = lmm.fit("y ~ t + (1 | id)", few_visits(1), residual=lmm.AR1("t")).certificate
    assert certificate.converged and not certificate.boundary
    assert len(certificate.weak) == 1
    assert "the SD of Intercept within id and rho" in certificate.weak[0]
    assert "hardly tell apart" in certificate.sentence


def test_correlation_is_that_of_the_inverse_hessian():
    fit = lmm.fit("y ~ t + (1 | id)", few_visits(2), residual=lmm.AR1("t"))
    covariance = np.linalg.inv(fit.solution.optimum.evaluation.hessian)
    correlation = covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1])
    assert bool(fit.certificate.weak) == (abs(correlation) > 0.95)


def test_an_intercept_beside_compound_symmetry_is_not_determined(raw):
    fit = lmm.fit(
        "distance ~ age * Sex + (1 | Subject)",
        pl.read_csv(raw / "orthodont.csv"),
        residual=lmm.CompoundSymmetry(),
    )
    assert not fit.certificate.converged
    assert "do not determine" in fit.certificate.sentence


def test_as_many_effects_as_rows_are_refused():
    frame = few_visits(3).filter(pl.col("t") < 2)
    with pytest.raises(lmm.FitError, match="cannot be told from the residuals"):
        lmm.fit("y ~ t + (t | id)", frame)
