"""What is drawn has the distribution of the fitted model, by theory that does not use the engine."""

import numpy as np
import polars as pl
import pytest
from scipy import stats

import lmmcore as lmm
from lmmcore.estimate.residuals import marginal_covariance
from lmmcore.resampling import bootstrap, simulate
from lmmcore.resampling.arrangement import arranged
from lmmcore.resampling.draws import sampler
from lmmcore.resampling.objective import evaluate
from lmmcore.resampling.points import Points
from tests.support.dense import simulated

# Smallest p value of a test of fit that passes; seeds are fixed.
SMALLEST = 1e-3


def one_way(batches=6, rows=5, between=2.0, seed=1):
    rng = np.random.default_rng(seed)
    batch = np.repeat(np.arange(batches), rows)
    y = 10 + between * rng.normal(size=batches)[batch] + rng.normal(size=batches * rows)
    return pl.DataFrame({"batch": [f"b{b}" for b in batch], "y": y})


def irregular(subjects=30, seed=2, slope=0.5):
    """1 to 6 rows a subject at any times; two subjects have one row, two have two close ones."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 7, subjects)
    sizes[:2], sizes[2:4] = 1, 2
    g = np.repeat(np.arange(subjects), sizes)
    t = rng.uniform(0, 5, len(g))
    t[np.flatnonzero(g == 2)] = 1.0, 1.001
    b = rng.normal(size=(2, subjects))
    y = 3 + t + 2 * b[0, g] + slope * b[1, g] * t + rng.normal(size=len(g))
    return pl.DataFrame({"id": [f"s{i:02d}" for i in g], "arm": np.where(g % 2, "a", "b"), "t": t, "y": y})


def test_balanced_one_way_variances_are_chi_squares():
    """Within and between mean squares, recovered from the estimates, are chi-squares of their df, exactly."""
    a, J = 6, 5
    fit = lmm.fit("y ~ 1 + (1 | batch)", one_way(a, J, between=30.0))
    found = bootstrap(fit.solution, 2000, seed=3)
    terms = [name.term for name in found.parameters]
    known = [terms.index(term) for term in ("sd__Intercept", "sd__Observation", "icc")]
    (tau, sigma, icc), (tau0, sigma0, _) = found.replicates[:, known].T, found.estimate[known]
    assert tau.min() > 0  # else sigma would be pooled
    within = a * (J - 1) * sigma**2 / sigma0**2
    between = (a - 1) * (J * tau**2 + sigma**2) / (J * tau0**2 + sigma0**2)
    assert stats.kstest(within, stats.chi2(a * (J - 1)).cdf).pvalue > SMALLEST
    assert stats.kstest(between, stats.chi2(a - 1).cdf).pvalue > SMALLEST
    assert abs(np.corrcoef(within, between)[0, 1]) < 4.5 / np.sqrt(2000)
    assert icc == pytest.approx(tau**2 / (tau**2 + sigma**2))


def test_share_of_zero_variances_is_that_of_the_f_distribution(root):
    """REML's variance between is 0 exactly where F <= 1; under no variance F has its central distribution."""
    fit = lmm.fit("Yield ~ 1 + (1 | Batch)", pl.read_csv(root / "tests/reference/data/dyestuff2.csv"))
    found = bootstrap(fit.solution, 4000, seed=4)
    zero = stats.f(5, 24).cdf(1)
    band = 4.5 * np.sqrt(zero * (1 - zero) / 4000)
    place = [name.term for name in found.parameters].index("sd__Intercept")
    assert np.mean(found.replicates[:, place] == 0) == pytest.approx(zero, abs=band)
    assert found.failed == 0


def test_fixed_effects_are_normal_in_balanced_data(raw):
    """With the same times for all, beta* = OLS whatever the variances, so N(beta^, vcov) exactly."""
    fit = lmm.fit("Reaction ~ Days + (Days | Subject)", pl.read_csv(raw / "sleepstudy.csv"))
    beta = bootstrap(fit.solution, 4000, seed=5).replicates[:, :2]
    z = np.linalg.solve(np.linalg.cholesky(fit.vcov), (beta - list(fit.beta.values())).T)
    for row in z:
        assert stats.kstest(row, "norm").pvalue > SMALLEST
    assert abs(np.corrcoef(z)[0, 1]) < 4.5 / np.sqrt(4000)


@pytest.mark.parametrize(
    ("formula", "frame"),
    [
        ("y ~ t + (t | id)", irregular()),
        ("y ~ t * arm + I(t**2) + (1 | id)", irregular()),
        ("y ~ 1 + (t | id)", irregular()),
        ("y ~ 1 + (1 | batch)", one_way()),
        ("y ~ t", irregular()),
    ],
    ids=["slope", "more in X than in Z", "more in Z than in X", "balanced", "no random effects"],
)
def test_moments_are_those_of_rows(formula, frame):
    """Drawn moments have the mean, covariance and residual sum of squares of y ~ N(0, V), V written out."""
    fit = lmm.fit(formula, frame)
    solution, model = fit.solution, fit.solution.model
    layout = arranged(solution, 0)
    draws = sampler(layout.moments, layout.truth, model.n, np.random.SeedSequence(6))
    R = 20_000
    cells = draws.draw(R)
    index = model.rows.units[0].starts
    V = np.zeros((model.n, model.n))
    for start, end in zip(index, [*index[1:], model.n], strict=True):
        rows = np.arange(start, end)
        V[np.ix_(rows, rows)] = marginal_covariance(solution, rows[None])[0]
    X = np.column_stack([model.rows.X[k] for k in model.coordinates.kept]) @ model.coordinates.fixed
    band = 4.5 / np.sqrt(R)
    assert cells.yy.mean() == pytest.approx(np.trace(V), abs=band * np.sqrt(2 * (V * V).sum()))
    assert cells.yy.var() == pytest.approx(2 * (V * V).sum(), rel=0.15)
    theirs = X.T @ V @ X
    scale = np.sqrt(np.outer(np.diag(theirs), np.diag(theirs)))
    assert np.abs(np.cov(cells.Xy) - theirs).max() < 2 * band * scale.max()
    # y'P y / sigma^2 at the true covariance is chi-square on n - p, which all parts of the moments enter.
    theta = layout.layers.parameters(layout.psis)
    points = Points([layout.layers], np.zeros(R, dtype=int), np.repeat(theta[:, None], R, axis=1))
    found = evaluate(cells, points.theta, points.units, True)
    nu = model.n - model.p
    assert stats.kstest(found.sigma2 * nu, stats.chi2(nu).cdf).pvalue > SMALLEST
    beta = np.linalg.solve(np.linalg.cholesky(np.linalg.inv(X.T @ np.linalg.solve(V, X))), found.beta)
    for row in beta:
        assert stats.kstest(row, "norm").pvalue > SMALLEST


def test_balanced_data_of_any_size_are_a_handful_of_cells():
    fit = lmm.fit("y ~ 1 + (1 | batch)", one_way(500, 3))
    model = fit.solution.model
    layout = arranged(fit.solution, 0)
    draws = sampler(layout.moments, layout.truth, model.n, np.random.SeedSequence(1))
    assert draws.layout.A.shape[2] == 2
    assert draws.layout.counts.sum() == 500


@pytest.mark.parametrize(
    ("formula", "options"),
    [
        ("y ~ t + (t | a) + (1 | a:b)", {"weights": "w"}),
        ("y ~ t + (1 | b_id)", {"residual": lmm.AR1("t"), "variance": lmm.ByGroup("c")}),
        ("y ~ t", {"residual": lmm.Exponential("t", nugget=True, subject="b_id"), "offset": "x"}),
    ],
    ids=["nested", "serial, by group", "nugget"],
)
def test_simulated_rows_have_the_marginal_covariance(formula, options):
    frame = simulated()
    fit = lmm.fit(formula, frame, **options)
    solution, model = fit.solution, fit.solution.model
    n = 4000
    Y = simulate(solution, n, seed=8)
    mean = fit.predict(frame)["prediction"].to_numpy()
    order = np.arange(model.n) if model.rows.order is None else model.rows.order
    left = (Y - mean[:, None])[order]
    starts = model.rows.units[0].starts
    for start, end in zip(starts, [*starts[1:], model.n], strict=True):
        rows = np.arange(start, end)
        V = solution.sigma2 * marginal_covariance(solution, rows[None])[0]
        z = np.linalg.solve(np.linalg.cholesky(V), left[rows])
        assert np.abs(z.mean(axis=1)).max() < 4.5 / np.sqrt(n)
        assert np.abs(z @ z.T / n - np.eye(len(rows))).max() < 4.5 * np.sqrt(2 / n)


def test_rows_of_the_data_in_their_order(raw):
    frame = pl.read_csv(raw / "sleepstudy.csv").sample(fraction=1, shuffle=True, seed=1)
    fit = lmm.fit("Reaction ~ Days + (1 | Subject)", frame)
    Y = simulate(fit.solution, 500, seed=1)
    assert Y.shape == (180, 500)
    mean = fit.beta["Intercept"] + fit.beta["Days"] * frame["Days"].to_numpy()
    spread = np.sqrt(fit.varcorr()["covariance"].sum() / 500)
    assert np.abs(Y.mean(axis=1) - mean).max() < 4.5 * spread
    same = (frame["Subject"].to_numpy()[:, None] == frame["Subject"].to_numpy()) & ~np.eye(180, dtype=bool)
    together = np.corrcoef(Y)
    assert together[same].mean() > 0.5 and abs(together[~same & ~np.eye(180, dtype=bool)].mean()) < 0.02
    assert np.array_equal(simulate(fit.solution, 3, seed=1), Y[:, :3])
