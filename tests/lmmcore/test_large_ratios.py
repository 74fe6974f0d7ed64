"""Random effects far larger than the residuals, e.g. a response near 1e5 without a fixed intercept.

The reference is textbook: with R = I and a random intercept of relative variance psi, V_i has two
eigenspaces, so that generalised least squares is least squares of the rows less their subject's means, and of
these means with weights n_i / (1 + n_i psi). Nothing cancels, whatever the ratio is.
"""

import numpy as np
import polars as pl
import pytest
from scipy.optimize import minimize_scalar

import lmmcore as lmm


def panel(seed, mean, sd, between=2.0):
    """Unbalanced rows of subjects whose responses lie near `mean`."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(3, 8, rng.integers(6, 30))
    subject = np.repeat(np.arange(len(sizes)), sizes)
    t = np.concatenate([np.arange(1.0, size + 1) for size in sizes]) + rng.uniform(-0.2, 0.2, len(subject))
    effects = rng.normal(0, between, len(sizes))[subject]
    y = mean + effects + rng.uniform(-1, 1) * t + rng.normal(0, sd, len(t))
    return pl.DataFrame({"id": subject, "t": t, "y": y})


def loglik(frame, log_psi, method, names=("t",)):
    """The profiled log-likelihood of a random intercept with relative variance psi."""
    subject = frame["id"].to_numpy()
    sizes = np.bincount(subject)
    columns = np.array([frame[name].to_numpy() for name in (*names, "y")])
    means = np.array([np.bincount(subject, column) for column in columns]) / sizes
    within, weights = columns - means[:, subject], np.sqrt(sizes / (1 + sizes * np.exp(log_psi)))
    rows = np.concatenate([within, means * weights], axis=1).T
    triangle = np.abs(np.diag(np.linalg.qr(rows, mode="r")))
    n, p = len(subject), len(names)
    nu = n - p if method == "REML" else n
    log_det = np.log1p(sizes * np.exp(log_psi)).sum()
    deviance = log_det + nu * (1 + np.log(2 * np.pi * triangle[-1] ** 2 / nu))
    return -(deviance + (2 * np.log(triangle[:-1]).sum() if method == "REML" else 0)) / 2


def best(frame, method):
    """The highest log-likelihood, over 18 decades of psi."""
    grid = np.linspace(-8, 34, 85)
    top = grid[np.argmax([loglik(frame, point, method) for point in grid])]
    found = minimize_scalar(
        lambda x: -loglik(frame, x, method), bounds=(top - 0.6, top + 0.6), options={"xatol": 1e-10}
    )
    return -found.fun, found.x


@pytest.mark.parametrize("method", ["REML", "ML"])
@pytest.mark.parametrize("mean", [50.0, 1e3, 2e4, 1e5])
@pytest.mark.parametrize("sd", [0.1, 1.0, 3.0])
def test_a_response_far_from_zero_without_an_intercept(mean, sd, method):
    """Every fit reaches the optimum, and its certificate says so; SD ratios up to 1e6."""
    for seed in range(4):
        frame = panel(seed, mean, sd)
        fit = lmm.fit("y ~ 0 + t + (1 | id)", frame, method=method)
        top, log_psi = best(frame, method)
        assert fit.certificate.converged, fit.certificate.sentence
        assert fit.loglik == pytest.approx(top, abs=1e-6)
        psi = fit.varcorr()["covariance"][0] / fit.sigma**2
        assert np.log(psi) == pytest.approx(log_psi, abs=1e-4)


@pytest.mark.parametrize("method", ["REML", "ML"])
def test_subjects_far_apart(method):
    """Subjects that differ by 1e6 residual SDs beside a fixed intercept."""
    frame = panel(5, 0.0, 1.0, between=1e6)
    fit = lmm.fit("y ~ 0 + t + (1 | id)", frame, method=method)
    assert fit.certificate.converged
    assert fit.loglik == pytest.approx(best(frame, method)[0], abs=1e-6)


SUBJECTS = """
s00 1:999.9027790976306 2:999.8898685232672 3:996.9746615532597 4:995.0208513154467
s01 1:1000.0133932402547 2:998.843579080193 3:997.7396960374206 4:1002.0896240296154
s02 1:1001.6110962922452 2:1003.8596148706666 3:1004.1479790914068 4:1003.4208674884702
s03 3:1004.8166862384141 4:1006.5718081987866
s04 1:1002.3862935314684 2:1002.8516245188613 3:1005.1584785229192 4:1001.5720180777248
s05 1:1003.7426855801434 2:996.2443344340398 3:1002.9888137968748 4:1003.4900309567803
s06 1:1001.4796483526541 2:1001.8717876372019 4:1001.1129353867777
s07 1:1004.5319782163908 2:1006.879028402237 3:1003.9417092805214 4:1007.1220684807771
s08 2:1005.5971341734971
s09 1:1008.6228554404364 2:1000.2727970613087 3:999.0065343299232 4:1001.7430890044204
s10 2:1001.787181289764
s11 1:997.3763967151493 2:997.2124573347643 3:997.8858693205405 4:999.8035153222328
"""  # subject, then time:response


def test_lme4_and_nlme():
    """lme4 1.1-31: lmer(y ~ 0 + t + (1 | id)); nlme 3.1-162: lme(y ~ 0 + t, random = ~ 1 | id)."""
    rows = [
        (name, *map(float, pair.split(":")))
        for name, *pairs in map(str.split, SUBJECTS.split("\n")[1:-1])
        for pair in pairs
    ]
    frame = pl.DataFrame(rows, schema=["id", "t", "y"], orient="row")
    fit = lmm.fit("y ~ 0 + t + (1 | id)", frame)
    assert fit.certificate.converged
    assert fit.loglik == pytest.approx(-167.606673374, abs=1e-6)


def test_two_optima():
    """Without random effects, a slope that is another within subjects than between them looks like noise: an
    optimum of its own, 100 units and more below the other."""
    rng = np.random.default_rng(3)
    subject = np.repeat(np.arange(25), 4)
    level = rng.normal(0, 30, 25)
    t = level[subject] + np.tile(np.arange(4.0), 25)
    y = 100.0 - level[subject] + 3 * np.tile(np.arange(4.0), 25) + rng.normal(0, 0.3, 100)
    frame = pl.DataFrame({"id": subject, "t": t, "y": y, "one": 1.0})
    fit = lmm.fit("y ~ t + (1 | id)", frame, method="ML")
    grid = np.linspace(-12, 25, 400)
    top = max(loglik(frame, point, "ML", ("one", "t")) for point in grid)
    assert fit.loglik > top - 1e-6
    assert fit.certificate.converged
