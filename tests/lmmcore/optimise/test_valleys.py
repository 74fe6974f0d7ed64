"""Samples of some hundred rows whose likelihood has several optima: a nugget and a variance by a covariate.

The right value is a lower limit: the likelihood by its definition on a grid of the parameters, with V written
out here."""

import numpy as np
import polars as pl
import pytest

import lmmcore as lmm


def smooth_and_noise(seed, subjects=10, visits=25):
    """A smooth course of each subject, and noise that grows with v."""
    rng = np.random.default_rng(seed)
    subject = np.repeat(np.arange(subjects), visits)
    t = np.tile(np.arange(float(visits)), subjects) + rng.uniform(-0.4, 0.4, len(subject))
    v = np.exp(rng.normal(size=len(t)))
    correlation = np.exp(-(((t[:, None] - t) / 20) ** 2)) * (subject[:, None] == subject)
    course = np.linalg.cholesky(correlation + 1e-6 * np.eye(len(t))) @ rng.normal(size=len(t))
    return pl.DataFrame({"id": subject, "t": t, "v": v, "y": course + v**0.7 * rng.normal(size=len(t))})


def loglik(frame, reach, nugget, power):
    """The highest log-likelihood of y ~ t by beta and sigma, given the others."""
    subject, t, v, y = (frame[name].to_numpy() for name in ("id", "t", "v", "y"))
    n = len(t)
    R = (1 - nugget) * np.exp(-(((t[:, None] - t) / reach) ** 2)) * (subject[:, None] == subject)
    R[np.diag_indices(n)] = 1
    V = R * np.outer(v**power, v**power)
    X = np.column_stack([np.ones(n), t])
    solved = np.linalg.solve(V, np.column_stack([X, y]))
    beta = np.linalg.solve(X.T @ solved[:, :2], X.T @ solved[:, 2])
    left = y - X @ beta
    r2 = left @ np.linalg.solve(V, left)
    return -(n * (1 + np.log(2 * np.pi * r2 / n)) + np.linalg.slogdet(V)[1]) / 2


@pytest.mark.parametrize("seed", range(8))
def test_the_best_of_ranges_nuggets_and_powers(seed):
    frame = smooth_and_noise(seed)
    fit = lmm.fit(
        "y ~ t",
        frame,
        method="ML",
        residual=lmm.Gaussian("t", nugget=True, subject="id"),
        variance=lmm.Power("v"),
    )
    found = fit.residual_parameters
    assert fit.loglik == pytest.approx(loglik(frame, *found.values()), rel=1e-9)
    points = [
        loglik(frame, reach, nugget, power)
        for reach in (1, 3, 8, 16, 30)
        for nugget in (0.2, 0.5, 0.8, 0.95)
        for power in (0.3, 0.7, 1.0)
    ]
    assert fit.loglik >= max(points)
