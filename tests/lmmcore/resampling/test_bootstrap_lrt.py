"""The simulated likelihood-ratio test against exact distributions."""

import numpy as np
import polars as pl
import pytest
from scipy import stats

import lmmcore as lmm
from lmmcore.resampling import bootstrap_lrt


def one_way(batches, rows, between, seed=1):
    rng = np.random.default_rng(seed)
    batch = np.repeat(np.arange(batches), rows)
    y = 10 + between * rng.normal(size=batches)[batch] + rng.normal(size=batches * rows)
    return pl.DataFrame({"batch": [f"b{b}" for b in batch], "x": np.tile(np.arange(rows), batches), "y": y})


def test_a_variance_in_balanced_data_is_tested_as_by_f():
    """The restricted likelihood ratio is a monotone function of F, and 0 where F <= 1."""
    frame = one_way(6, 5, 0.5, seed=4)
    null, alternative = lmm.fit("y ~ 1", frame), lmm.fit("y ~ 1 + (1 | batch)", frame)
    groups = [part["y"].to_numpy() for part in frame.partition_by("batch")]
    F, p = stats.f_oneway(*groups)
    assert F > 1
    n = 4000
    found = bootstrap_lrt(null, alternative, n, seed=1)
    assert found.p_value == pytest.approx(p, abs=4.5 * np.sqrt(p * (1 - p) / n))
    assert found.statistic == pytest.approx(2 * (alternative.loglik - null.loglik))
    zero = stats.f(5, 24).cdf(1)
    assert np.mean(found.replicates == 0) == pytest.approx(zero, abs=4.5 * np.sqrt(zero * (1 - zero) / n))
    assert found.p_value == (1 + np.sum(found.replicates >= found.statistic - 1e-8)) / (1 + n)


def test_a_fixed_effect_without_random_effects_is_tested_as_by_f():
    """Gaussian regression: the ML likelihood ratio is n log(1 + F / (n - p))."""
    frame = one_way(3, 4, 0)
    null, alternative = (lmm.fit(f"y ~ {x}", frame, method="ML") for x in ("1", "1 + x"))
    n, nobs = 4000, 12
    found = bootstrap_lrt(null, alternative, n, seed=2)
    F = (nobs - 2) * (np.exp(found.replicates / nobs) - 1)
    assert stats.kstest(F, stats.f(1, nobs - 2).cdf).pvalue > 1e-3


def test_nested_levels_and_serial_residuals(raw):
    frame = pl.read_csv(raw / "sleepstudy.csv")
    null = lmm.fit("Reaction ~ Days + (1 | Subject)", frame)
    alternative = lmm.fit("Reaction ~ Days + (1 | Subject)", frame, residual=lmm.AR1("Days"))
    found = bootstrap_lrt(null, alternative, 19, seed=1)
    assert found.p_value == 1 / 20  # a statistic of 58 on one degree of freedom
    assert found.replicates.max() < 15
    assert "19 responses were simulated" in found.sentence
    again = bootstrap_lrt(null, alternative, 7, seed=1)
    assert again.replicates == pytest.approx(found.replicates[:7], abs=1e-7)


def test_what_cannot_be_compared_is_refused(raw):
    frame = pl.read_csv(raw / "sleepstudy.csv")
    small, large = (lmm.fit(f"Reaction ~ {x} + (1 | Subject)", frame) for x in ("1", "Days"))
    with pytest.raises(lmm.FitError, match='method="ML"'):
        bootstrap_lrt(small, large, 10, seed=1)
    slope = lmm.fit("Reaction ~ Days + (Days | Subject)", frame)
    with pytest.raises(lmm.FitError, match="not a special case"):
        bootstrap_lrt(slope, large, 10, seed=1)
    with pytest.raises(lmm.FitError, match="same method"):
        bootstrap_lrt(large, lmm.fit("Reaction ~ Days + (Days | Subject)", frame, method="ML"), 10, seed=1)
    with pytest.raises(ValueError, match="at least 1"):
        bootstrap_lrt(large, slope, 0, seed=1)
