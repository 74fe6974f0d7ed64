"""Autocorrelation and semivariogram: against nlme, loops over pairs, and variances with n x n matrices."""

import json

import numpy as np
import polars as pl
import pytest

import lmmcore as lmm
from lmmcore.diagnostics.semivariogram import semivariogram
from lmmcore.diagnostics.serial import autocorrelation, residual_autocorrelation
from lmmcore.diagnostics.times import steps
from tests.support.dense import dense_covariance, simulated


@pytest.fixture(scope="module")
def expected(root):
    return json.loads((root / "tests/reference/diagnostics_reference.json").read_text())["serial"]


@pytest.fixture(scope="module")
def marginal(raw):
    frame = pl.read_csv(raw / "orthodont.csv").with_columns(visit=pl.col("age") / 2 - 3)
    return lmm.fit("distance ~ age * Sex", frame, residual=lmm.AR1("visit", subject="Subject")).solution


def test_autocorrelation_by_nlme(marginal, expected):
    found = residual_autocorrelation(marginal)
    assert np.concatenate([[1], found.correlation]) == pytest.approx(expected["acf"], abs=1e-5)
    assert found.lag.tolist() == [1, 2, 3] and found.pairs.tolist() == [81, 54, 27]
    assert found.pointwise == pytest.approx(1.959964 / np.sqrt(found.pairs), rel=1e-6)
    assert found.simultaneous == pytest.approx(2.387738 / np.sqrt(found.pairs), rel=1e-5)  # Sidak, 3 lags


def test_autocorrelation_of_gaps_and_half_steps():
    """Against a loop over all pairs of rows; unordered rows, subjects with holes."""
    rng = np.random.default_rng(2)
    kept = rng.random((30, 9)) < 0.7
    subject, place = np.nonzero(kept)
    order = rng.permutation(len(subject))
    subject, times = subject[order], 10 + place[order] / 2
    values = rng.normal(size=len(times))
    found = autocorrelation(values, subject, times)
    for lag, correlation, pairs in zip(found.lag, found.correlation, found.pairs, strict=True):
        products = [
            values[i] * values[j]
            for i in range(len(values))
            for j in range(len(values))
            if subject[i] == subject[j] and abs(times[j] - times[i] - lag) < 1e-9
        ]
        assert pairs == len(products)
        assert correlation == pytest.approx(np.mean(products) / np.mean(values**2))
    assert found.lag[0] == pytest.approx(0.5)
    assert autocorrelation(values, subject, times + rng.uniform(0, 0.1, len(times))) is None


def test_steps():
    assert steps(np.array([0, 0.1, 0.3, 0.7]))[0] == pytest.approx(0.1)
    assert steps(np.array([8.0, 14, 10]))[1].tolist() == [0, 3, 1]
    assert steps(np.array([0.0, 2, 5, 7]))[0] == pytest.approx(1)  # no two visits are one step apart
    assert steps(np.array([0.0, 1, np.pi])) is None and steps(np.ones(3)) is None


def test_autocorrelation_of_true_and_false_models():
    """A true AR(1) model has a lag outside the simultaneous limits in at most 5% of fits; without the AR(1)
    nearly always."""
    rng = np.random.default_rng(6)
    who, t = np.repeat(np.arange(40), 8), np.tile(np.arange(8.0), 40)
    chol = np.linalg.cholesky(0.6 ** np.abs(np.subtract.outer(np.arange(8), np.arange(8))))
    outside = []
    for _ in range(100):
        y = (rng.normal(size=(40, 8)) @ chol.T).ravel() + rng.normal(size=40)[who]
        frame = pl.DataFrame({"id": who, "t": t, "y": y})
        fits = [lmm.fit("y ~ t + (1 | id)", frame, residual=residual) for residual in (lmm.AR1("t"), None)]
        outside.append([residual_autocorrelation(fit.solution, "t").outside > 0 for fit in fits])
    share = np.mean(outside, axis=0)
    assert share[0] <= 0.09 and share[1] > 0.9


def test_semivariogram_by_nlme(marginal, expected):
    """nlme's is that of the residuals as they are: less what estimating beta took off them."""
    found = semivariogram(marginal)
    residual, covariance, _ = written_out(marginal)
    time, who = marginal.model.rows.units[0].times, marginal.model.rows.units[0].subject
    for place, (distance, theirs) in enumerate(
        zip(expected["distance"], expected["semivariogram"], strict=True)
    ):
        laplacian = of_pairs(time, who, distance, distance)
        plain = residual @ laplacian @ residual / 2 / found.pairs[place]
        assert plain == pytest.approx(theirs, rel=1e-5)
        bias = found.implied[place] - np.trace(laplacian @ covariance) / 2 / found.pairs[place]
        assert found.empirical[place] == pytest.approx(plain + bias, rel=1e-9)


def written_out(solution, normalized=False):
    """Residuals, their covariance, and that with beta known: n x n."""
    model = solution.model
    V = solution.sigma2 * dense_covariance(model, solution.psi, solution.natural)
    X = np.column_stack([model.rows.X[index] for index in model.coordinates.kept])
    inverse = np.linalg.inv(V)
    H = X @ np.linalg.inv(X.T @ inverse @ X) @ X.T
    residual, whole = model.rows.y - X @ solution.beta, V
    if normalized:
        turn = np.linalg.inv(np.linalg.cholesky(V))
        residual, H, whole = turn @ residual, turn @ H @ turn.T, np.eye(len(V))
    return residual, whole - H, whole


def of_pairs(time, who, low, high):
    """Laplacian of the pairs of a subject that lie low to high apart."""
    apart = np.abs(np.subtract.outer(time, time))
    pairs = (
        (who[:, None] == who)
        & (apart >= low - 1e-9)
        & (apart <= high + 1e-9)
        & ~np.eye(len(time), dtype=bool)
    )
    return np.diag(pairs.sum(axis=1)) - pairs


@pytest.mark.parametrize("kind", ["raw", "normalized"])
@pytest.mark.parametrize("formula", ["y ~ t + x + (t | b_id)", "y ~ t + x + (1 | a/b)"])
def test_semivariogram_limits(formula, kind):
    """Expectation and variance of each class by r'L r / 2 with n x n matrices; limits of chi-square with
    both."""
    from scipy import stats

    solution = lmm.fit(formula, simulated()).solution
    model = solution.model
    found = semivariogram(solution, "t", kind)
    residual, covariance, whole = written_out(solution, kind == "normalized")
    order = model.rows.order
    time, who = model.table.columns["t"][order], model.rows.units[-1].subject
    assert np.array_equal(found.distance, np.round(found.distance))
    for place, distance in enumerate(found.distance):
        L = of_pairs(time, who, distance, distance)
        pairs = -np.tril(L, -1).sum()
        assert found.pairs[place] == pairs
        implied = np.trace(L @ whole) / 2 / pairs
        expectation = np.trace(L @ covariance) / 2 / pairs
        bias = implied - expectation
        assert found.implied[place] == pytest.approx(implied, rel=1e-9)
        assert found.empirical[place] == pytest.approx(residual @ L @ residual / 2 / pairs + bias, rel=1e-8)
        df = 2 * expectation**2 / (np.trace(L @ covariance @ L @ covariance) / 2 / pairs**2)
        level = 0.95 ** (1 / len(found.pairs))
        limits = stats.chi2.ppf([(1 - level) / 2, (1 + level) / 2], df) / df * expectation + bias
        assert [found.low[place], found.high[place]] == pytest.approx(limits, rel=1e-7)


def test_irregular_times():
    """Classes of about equal counts; a true CAR(1) model lies within the limits, one without it outside."""
    rng = np.random.default_rng(3)
    who = np.repeat(np.arange(60), 10)
    t = np.sort(rng.uniform(0, 10, (60, 10)), axis=1)
    y = np.concatenate(
        [rng.multivariate_normal(np.zeros(10), np.exp(-np.abs(np.subtract.outer(u, u)))) for u in t]
    )
    frame = pl.DataFrame({"id": who, "t": t.ravel(), "y": y}).sample(fraction=1, shuffle=True, seed=5)
    right = lmm.fit("y ~ t", frame, residual=lmm.CAR1("t", subject="id")).solution
    wrong = lmm.fit("y ~ t + (1 | id)", frame).solution
    found = semivariogram(right)
    assert len(found.pairs) == 15 and found.pairs.sum() == 60 * 45 and np.ptp(found.pairs) <= 2
    assert np.all(np.diff(found.implied) > 0) and found.outside == 0
    assert semivariogram(right, residual="normalized").outside == 0
    assert semivariogram(wrong, "t", "normalized").outside > 0
    assert found.variance == pytest.approx(right.sigma2)


def test_refusals(marginal):
    frame = simulated()
    plain = lmm.fit("y ~ x + (1 | b_id)", frame).solution
    with pytest.raises(lmm.DataError, match="has no time; name a column"):
        residual_autocorrelation(plain)
    with pytest.raises(lmm.DataError, match="no column 't'.*as an array"):
        residual_autocorrelation(plain, "t")
    assert residual_autocorrelation(plain, frame["t"].to_numpy()).pairs.max() > 10
    with pytest.raises(lmm.DataError, match="each of the .* rows"):
        residual_autocorrelation(plain, np.arange(3.0))
    with pytest.raises(lmm.DataError, match="must be a number"):
        residual_autocorrelation(lmm.fit("y ~ c + (1 | b_id)", frame).solution, "c")
    with pytest.raises(lmm.DataError, match="no grouping factor"):
        semivariogram(lmm.fit("y ~ t", frame).solution, "t")
    with pytest.raises(lmm.DataError, match="no common step"):
        residual_autocorrelation(plain, np.random.default_rng(1).uniform(size=len(frame)))
    with pytest.raises(ValueError, match="'raw' or 'normalized'"):
        semivariogram(marginal, residual="pearson")
