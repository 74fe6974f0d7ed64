"""Exact tests of one variance against RLRsim, the F test of balanced designs, and brute force.

The results of RLRsim, their script and versions are in tests/reference.
"""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy import stats

import lmmcore as lmm
from lmmcore.inference.models import spectral
from lmmcore.inference.models.rlrt import _lengths, rlrt
from lmmcore.inference.models.spectral import Spectrum, null_statistics, spectra
from tests.support.shared_data import needs_shared, reference, shared

ROOT = Path(__file__).resolve().parents[3]
REFERENCE = json.loads((ROOT / "tests/reference/random_effects_reference.json").read_text("utf-8"))
N = 40_000


def close_shares(count, of, expected, n=N):
    """Whether two Monte Carlo shares agree within 4.5 standard errors."""
    mean = np.clip((count / of + expected) / 2, 1 / n, 1)
    return abs(count / of - expected) <= 4.5 * np.sqrt(mean * (1 - mean) * (1 / of + 1 / n)) + 1 / of


@pytest.mark.parametrize("entry", REFERENCE["rlrt"], ids=lambda entry: f"{entry['id']}_{entry['method']}")
def test_rlrsim(entry):
    data = pl.read_csv(ROOT / entry["data"])
    test = rlrt(lmm.fit(entry["formula"], data, method=entry["method"]), entry["term"], n=N)
    assert test.statistic == pytest.approx(entry["statistic"], abs=2e-6)
    theirs = REFERENCE["simulations"]
    assert close_shares(test.p_value * N, N, entry["p_value"], theirs)
    balanced = entry["id"] not in ("unbalanced", "intercept")
    assert close_shares((test.replicates == 0).sum(), N, entry["zero"], theirs) == balanced
    for share, quantile in zip((0.6, 0.75, 0.9, 0.95, 0.99), entry["quantiles"], strict=True):
        if quantile > (0.01 if balanced else 1):
            assert close_shares((test.replicates > quantile).sum(), N, 1 - share, theirs)
    assert test.method.startswith("approximate" if entry["formula"].count("|") > 1 else "exact")


@pytest.mark.parametrize("entry", [e for e in REFERENCE["rlrt"] if e["id"] == "unbalanced"][:1])
def test_rlrsim_stops_at_the_first_decrease(entry):
    """Where eigenvalues differ the ratio can fall at 0 and rise later; RLRsim calls its maximum 0 then."""
    fit = lmm.fit(entry["formula"], pl.read_csv(ROOT / entry["data"]))
    model = fit.solution.model
    mu = spectra(*_lengths(model, model.blocks[0], fit.solution))[0]
    df = model.n - model.p
    rng = np.random.default_rng(6)
    w = rng.chisquare(mu.counts, (N, len(mu.values)))
    total = w.sum(axis=1) + rng.chisquare(df - mu.counts.sum(), N)
    falls = df * (w @ mu.values) / total <= mu.counts @ mu.values
    assert close_shares(falls.sum(), N, entry["zero"], REFERENCE["simulations"])
    zeros = (rlrt(fit, entry["term"], n=N).replicates == 0).mean()
    assert zeros < falls.mean() - 0.02


@needs_shared
def test_the_test_of_the_seed():
    """Seed 003: RLRT = 6.1118, p = 0.0103; 0.00933 with 200,000 simulations."""
    known = {entry["id"]: entry for entry in json.loads(reference("seed_results.json"))["results"]}
    test = rlrt(lmm.fit("yield ~ irrigation * variety + (1 | field)", shared("irrigation.csv")), "field", n=N)
    assert test.statistic == pytest.approx(known["irrigation.exactRLRT.stat"]["r_value"], abs=1e-6)
    assert close_shares(test.p_value * N, N, known["irrigation.exactRLRT.p"]["r_value"], 200_000)
    assert close_shares(test.p_value * N, N, known["irrigation.exactRLRT.p"]["value"], 10_000)


def of_f(F, between, within):
    """RLRT of a balanced one-way layout as a function of its F statistic."""
    F = np.maximum(F, 1)
    total = between + within
    return total * np.log((between * F + within) / total) - between * np.log(F)


@pytest.mark.parametrize("between, within", [(5, 24), (1, 3), (400, 40), (2000, 100_000)])
def test_each_replicate_is_the_maximum(between, within):
    """In a balanced layout the maximum has a closed form; the draws are made again in the same order."""
    mu = Spectrum(np.array([1.0]), np.array([between]))
    found = null_statistics(mu, mu, between + within, between + within, 2000, np.random.default_rng(3))
    rng = np.random.default_rng(3)
    w, error = rng.chisquare(between, 2000), rng.chisquare(within, 2000)
    expected = of_f((w / between) / (error / within), between, within)
    np.testing.assert_allclose(found, expected, rtol=1e-7, atol=1e-8)
    assert np.array_equal(found > 0, w / between > error / within)


def test_balanced_layout_is_the_f_test(raw):
    """p is that of the analysis of variance: the restricted likelihood ratio is a function of F."""
    data = pl.read_csv(raw / "sleepstudy.csv").with_columns(quiet=pl.col("Reaction") * 0)
    rng = np.random.default_rng(8)
    y = rng.normal(size=180) + np.repeat(rng.normal(0, 0.3, 18), 10)
    frame = data.sort("Subject", "Days").with_columns(y=pl.Series(y))
    test = rlrt(lmm.fit("y ~ Days + (1 | Subject)", frame), "Subject", n=N)
    means = y.reshape(18, 10).mean(axis=1)
    between = 10 * ((means - y.mean()) ** 2).sum() / 17
    left = y - np.repeat(means, 10)
    days = np.tile(np.arange(10) - 4.5, 18)
    within = (left @ left - (left @ days) ** 2 / (days @ days)) / 161
    assert test.statistic == pytest.approx(of_f(between / within, 17, 161), abs=1e-8)
    expected = stats.f.sf(between / within, 17, 161)
    assert 0.001 < expected < 0.5
    assert close_shares(test.p_value * N, N, expected, 10**9)


def small_design():
    """7 subjects, 2 to 4 irregular rows each."""
    rng = np.random.default_rng(2)
    sizes = np.array([2, 4, 3, 2, 4, 3, 2])
    t = rng.uniform(0, 3, sizes.sum()).round(2)
    return pl.DataFrame(
        {"id": np.repeat([f"s{i}" for i in range(7)], sizes), "t": t, "y": rng.normal(size=20)}
    )


@pytest.mark.parametrize("method", ["REML", "ML"])
def test_brute_force(method):
    """Responses are drawn, and the likelihood with V written out is maximised for each."""
    frame = small_design()
    test = rlrt(lmm.fit("y ~ t + (0 + t | id)", frame, method=method), "t | id", n=N)
    t, who = frame["t"].to_numpy(), frame["id"].to_numpy()
    X = np.column_stack([np.ones(20), t])
    same = who[:, None] == who[None, :]
    Y = np.random.default_rng(4).normal(size=(20, 6000))
    best = np.full(6000, -np.inf)
    nu = 18 if method == "REML" else 20
    for lam in np.concatenate([[0], np.geomspace(1e-4, 1e5, 700)]):
        V = np.eye(20) + lam * np.outer(t, t) * same
        inverse = np.linalg.inv(V)
        gram = X.T @ inverse @ X
        P = inverse - inverse @ X @ np.linalg.solve(gram, X.T @ inverse)
        value = -nu * np.log((Y * (P @ Y)).sum(axis=0)) - np.linalg.slogdet(V)[1]
        if method == "REML":
            value -= np.linalg.slogdet(gram)[1]
        if lam == 0:
            at_zero = value
        best = np.maximum(best, value)
    drawn = best - at_zero
    for level in (0.02, 0.3, 1.0, 2.0, 3.0, 4.0, 6.0):
        assert close_shares((test.replicates > level).sum(), N, (drawn > level).mean(), 6000)


def dense_spectra(fit, column, group, V):
    """Non-zero eigenvalues of Z'P Z and Z'V^-1 Z with everything written out; V : (n, n)."""
    rows, level = fit.solution.model.rows, [g.name for g in fit.solution.model.groups].index(group)
    unit = rows.units[level].subject
    columns = [rows.Z[index] for index in column]
    Z = np.column_stack([np.where(unit == u, z, 0) for u in np.unique(unit) for z in columns])
    X = np.column_stack([*rows.X, np.zeros((len(rows.y), 0))])
    inverse = np.linalg.inv(V)
    P = inverse - inverse @ X @ np.linalg.solve(X.T @ inverse @ X, X.T @ inverse)
    found = [np.linalg.eigvalsh(Z.T @ M @ Z) for M in (P, inverse)]
    return [values[values > 1e-9 * found[1][-1]] / found[1][-1] for values in found]


@pytest.mark.parametrize(
    "formula, group, place, weights, ar1",
    [
        ("y ~ t + (1 | id)", "id", 0, None, False),
        ("y ~ 0 + (0 + t | id)", "id", 0, None, False),
        ("y ~ t + (t || id)", "id", 1, None, False),
        ("y ~ t + identity(0 + part | id)", "id", 0, None, False),
        ("y ~ t + (1 | id/part)", "id", 0, "w", False),
        ("y ~ t + (1 | id/part)", "id:part", 1, "w", False),
        ("y ~ t + (1 | id/part)", "id", 0, None, True),
    ],
)
def test_spectra_against_dense(formula, group, place, weights, ar1):
    rng = np.random.default_rng(1)
    sizes = rng.integers(3, 7, 12)
    n = sizes.sum()
    frame = pl.DataFrame(
        {
            "id": np.repeat([f"s{i:02}" for i in range(12)], sizes),
            "t": np.concatenate([np.arange(size) for size in sizes]),
            "y": rng.normal(size=n),
            "w": rng.uniform(0.5, 2, n),
        }
    ).with_columns(part=pl.when(pl.col("t") > 1).then(pl.lit("late")).otherwise(pl.lit("early")))
    fit = lmm.fit(formula, frame, weights=weights, residual=lmm.AR1("t") if ar1 else None)
    model = fit.solution.model
    block = model.blocks[place]
    rows = model.rows
    V = np.eye(n) if weights is None else np.diag(1 / rows.weights)
    if ar1:
        times, who = rows.units[-1].times, rows.units[-1].subject
        same = who[:, None] == who[None, :]
        V = np.where(same, fit.residual_parameters["rho"] ** np.abs(times[:, None] - times), 0.0)
    expected = dense_spectra(fit, block.columns, group, V)
    for found, values in zip(spectra(*_lengths(model, block, fit.solution)), expected, strict=True):
        repeated = np.sort(np.repeat(found.values, found.counts))
        np.testing.assert_allclose(repeated, values, rtol=1e-8, atol=1e-12)


def test_rounded_lengths_move_eigenvalues_little(monkeypatch):
    rng = np.random.default_rng(5)
    a = rng.gamma(2, size=300)
    X = rng.normal(size=(3, 1, 300)) / 40 * np.sqrt(a)
    exact = np.sort(spectra(a[None, None], X)[0].values)
    monkeypatch.setattr(spectral, "LARGEST", 150)
    mu, xi = spectra(a[None, None], X)
    assert len(xi.values) <= 50
    rounded = np.sort(np.repeat(mu.values, mu.counts))
    step = np.log(a.max() / a.min()) / 49
    assert np.abs(np.log(rounded / exact)).max() <= step / 2 + step / 2
    assert np.abs(np.log(rounded / exact)).max() > 0


def test_same_seed_same_replicates():
    fit = lmm.fit("y ~ t + (1 | id)", small_design())
    first, again, other = (rlrt(fit, "id", n=500, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(first.replicates, again.replicates)
    assert not np.array_equal(first.replicates, other.replicates)
    assert first.replicates.shape == (500,)


def test_zero_variance_is_no_evidence():
    """Dyestuff2, whose variance between batches is estimated as 0."""
    data = pl.read_csv(ROOT / "tests/reference/data/dyestuff2.csv")
    test = rlrt(lmm.fit("Yield ~ 1 + (1 | Batch)", data), "Batch", n=200)
    assert (test.statistic, test.p_value, test.p_value_naive, test.p_value_mixture) == (0, 1, 1, 1)


def test_asymptotic_p_values_beside(raw):
    data = pl.read_csv(raw / "orthodont.csv").filter(pl.col("Sex") == "Female")
    fit = lmm.fit("distance ~ age + (age || Subject)", data)
    test = rlrt(fit, "age | Subject", n=200)
    assert test.p_value_naive == pytest.approx(stats.chi2.sf(test.statistic, 1))
    assert test.p_value_mixture == pytest.approx(stats.chi2.sf(test.statistic, 1) / 2)
    for same in ("(0 + age | Subject)", "(age | Subject)", "0 + age|Subject"):
        assert rlrt(fit, same, n=200).statistic == test.statistic
    intercept = rlrt(fit, "(1 | Subject)", n=200).statistic
    slope_alone = lmm.fit("distance ~ age + (0 + age | Subject)", data)
    assert intercept == pytest.approx(2 * (fit.loglik - slope_alone.loglik), abs=1e-7)


def test_residual_structure_is_kept(raw):
    data = pl.read_csv(raw / "sleepstudy.csv")
    test = rlrt(lmm.fit("Reaction ~ Days + (1 | Subject)", data, residual=lmm.AR1("Days")), "Subject", n=200)
    with_it = lmm.fit("Reaction ~ Days + (1 | Subject)", data, residual=lmm.AR1("Days"))
    without = lmm.fit("Reaction ~ Days", data, residual=lmm.AR1("Days", subject="Subject"))
    assert test.statistic == pytest.approx(2 * (with_it.loglik - without.loglik), abs=1e-6)
    assert "residual structure as known" in test.method


def test_refusals(raw):
    data = pl.read_csv(raw / "sleepstudy.csv")
    correlated = lmm.fit("Reaction ~ Days + (Days | Subject)", data)
    with pytest.raises(lmm.FitError, match="compare.*bootstrap"):
        rlrt(correlated, "Days | Subject")
    with pytest.raises(lmm.FitError, match="no random effect.*Days in"):
        rlrt(correlated, "(1 | Subject)")
    uncorrelated = lmm.fit("Reaction ~ Days + (Days || Subject)", data, method="ML")
    with pytest.raises(lmm.FitError, match="more than one"):
        rlrt(uncorrelated, "Subject")
    with pytest.raises(lmm.FitError, match='method="REML"'):
        rlrt(uncorrelated, "Days | Subject")
    with pytest.raises(lmm.FitError, match="no random effects"):
        rlrt(lmm.fit("Reaction ~ Days", data), "Subject")
    with pytest.raises(lmm.FitError, match="number of replicates"):
        rlrt(correlated, "Subject", n=0)
