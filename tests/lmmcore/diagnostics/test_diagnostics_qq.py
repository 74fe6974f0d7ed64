"""Quantile plots: the band against order statistics and simulation, random effects by their own variance."""

import numpy as np
import polars as pl
import pytest
from scipy import stats

import lmmcore as lmm
from lmmcore.diagnostics.bands import limits, local_level, ranks
from lmmcore.diagnostics.qq import effect_quantiles, frame, quantiles, residual_quantiles
from tests.support.dense import dense_covariance, simulated


def test_limits_are_quantiles_of_order_statistics():
    rank = np.array([1, 2, 50, 99, 100])
    low, high = limits(100, rank, 0.02)
    assert low == pytest.approx(stats.norm.ppf(stats.beta.ppf(0.01, rank, 101 - rank)), rel=1e-9)
    assert high == pytest.approx(stats.norm.ppf(stats.beta.ppf(0.99, rank, 101 - rank)), rel=1e-9)


@pytest.mark.parametrize("n, conf_level", [(5, 0.95), (18, 0.95), (180, 0.95), (180, 0.8), (1500, 0.95)])
def test_level_of_the_band(n, conf_level):
    """Of 3,000 normal samples of any mean and SD, the share that stays inside (standard error at most
    0.7%)."""
    rng = np.random.default_rng(n)
    inside = [
        quantiles(rng.normal(40, 7, n), "sample", conf_level).outside == 0
        for _ in range(3000 if n < 1000 else 1000)
    ]
    assert np.mean(inside) == pytest.approx(conf_level, abs=0.02)


def test_many_values():
    """Thinned ranks keep both tails whole."""
    rank = ranks(1_000_000)
    assert len(rank) < 1200 and np.array_equal(rank[:100], np.arange(1, 101))
    assert np.array_equal(rank + rank[::-1], np.full(len(rank), 1_000_001))
    assert local_level(1_000_000, 0.95) < local_level(10_000, 0.95) < local_level(100, 0.95)


def test_coordinates():
    rng = np.random.default_rng(4)
    values = rng.standard_t(2, 200)
    found = quantiles(values, "values")
    assert found.outside > 0 and found.sentence.startswith(f"{found.outside} of the 200 values lie outside")
    assert np.array_equal(found.observed, np.sort(values))
    line = values.mean() + values.std(ddof=1) * found.theoretical
    assert found.detrended.y == pytest.approx(found.observed - line)
    eta = local_level(200, 0.95)
    assert found.pp.low == pytest.approx(stats.beta.ppf(eta / 2, found.rank, 201 - found.rank), rel=1e-8)
    assert found.pp.y == pytest.approx(stats.norm.cdf(np.sort(values), values.mean(), values.std(ddof=1)))
    assert found.pp.x == pytest.approx(stats.beta.ppf(0.5, found.rank, 201 - found.rank), abs=2e-4)
    assert quantiles(np.ones(9), "constant") is None and quantiles(np.arange(2.0), "two") is None
    assert "too few" in quantiles(np.array([1.0, 2.0, 9.0]), "three").sentence
    with pytest.raises(ValueError, match="conf_level"):
        quantiles(values, "values", 95)


@pytest.mark.parametrize(
    "formula, options",
    [
        ("y ~ t + x + (t | b_id)", {}),
        ("y ~ t + (t | a) + (1 | b_id)", {}),
        ("y ~ t + x + (1 | b_id)", {"residual": lmm.CAR1("t"), "weights": "w"}),
    ],
)
def test_random_effects_have_their_own_variance(formula, options):
    """b^ = Psi Z'P y, and var(b^) = sigma^2 Psi Z'P Z Psi with every matrix n x n."""
    fit = lmm.fit(formula, simulated(), **options)
    solution, model = fit.solution, fit.solution.model
    V = dense_covariance(model, solution.psi, solution.natural)
    X = np.column_stack([model.rows.X[index] for index in model.coordinates.kept])
    inverse = np.linalg.inv(V)
    P = inverse - inverse @ X @ np.linalg.inv(X.T @ inverse @ X) @ X.T @ inverse
    expected = []
    for level, unit in enumerate(model.rows.units):
        at = model.columns(level)
        psi, Z = solution.psi[at, at], np.column_stack(model.rows.Z[at])
        effects = []
        for number in range(len(unit.starts)):
            mine = Z * (unit.subject == number)[:, None]
            own = solution.sigma2 * np.diag(psi @ mine.T @ P @ mine @ psi)
            effects.append(psi @ mine.T @ P @ model.rows.y / np.sqrt(own))
        expected += list(np.sort(effects, axis=0).T)
    found = effect_quantiles(solution, fit.blups)
    assert len(found) == len(expected)
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.observed == pytest.approx(theirs, rel=1e-6, abs=1e-8)


def test_true_models_are_seldom_flagged():
    """Normalised residuals and random effects of a true model, every parameter estimated, unequal units: the
    share of fits with a point outside is at most about 5% (binomial standard error 1.3%)."""
    rng = np.random.default_rng(8)
    sizes = rng.integers(2, 9, 40)
    who = np.repeat(np.arange(40), sizes)
    t = np.concatenate([np.arange(size) for size in sizes]).astype(float)
    flagged = []
    for _ in range(150):
        b = rng.normal(size=(40, 2)) * [2, 0.7]
        y = 1 + t + b[who, 0] + b[who, 1] * t + rng.normal(size=len(t))
        fit = lmm.fit("y ~ t + (t || id)", pl.DataFrame({"id": who, "t": t, "y": y}))
        shown = [residual_quantiles(fit.solution), *effect_quantiles(fit.solution, fit.blups)]
        flagged.append([each.outside > 0 for each in shown[:2]])
    share = np.mean(flagged, axis=0)
    assert np.all(share < 0.09)


def test_zero_variance_and_frame(root):
    fit = lmm.fit("Yield ~ 1 + (1 | Batch)", root / "tests/reference/data/dyestuff2.csv")
    assert effect_quantiles(fit.solution, fit.blups) == ()
    found = residual_quantiles(fit.solution)
    table = frame([found], fit.solution)
    assert table.columns == ["name", "rank", "theoretical", "observed", "low", "high"]
    assert table["name"].unique().to_list() == ["normalised residuals"] and len(table) == 30
