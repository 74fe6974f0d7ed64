"""The bootstrap as a user meets it."""

import os
import subprocess
import sys

import numpy as np
import polars as pl
import pytest

import lmmcore as lmm
from lmmcore.resampling import bootstrap, simulate
from lmmcore.resampling.intervals import limits

SLEEP = "Reaction ~ Days + (Days | Subject)"


@pytest.fixture(scope="module")
def fit(raw):
    return lmm.fit(SLEEP, pl.read_csv(raw / "sleepstudy.csv"))


@pytest.mark.parametrize("kind", ["parametric", "cases"])
def test_replicates_depend_on_the_seed_alone(fit, kind):
    found = bootstrap(fit.solution, 300, seed=1, kind=kind)
    again = bootstrap(fit.solution, 120, seed=1, kind=kind)
    assert found.replicates[:120] == pytest.approx(again.replicates, rel=1e-9, abs=1e-9)
    other = bootstrap(fit.solution, 120, seed=2, kind=kind)
    assert not np.isclose(other.replicates, again.replicates, rtol=1e-9).all(axis=1).any()


def test_batches_and_threads_do_not_matter(fit, monkeypatch):
    program = (
        "import sys, polars as pl, lmmcore as lmm; from lmmcore.resampling import bootstrap;"
        f"fit = lmm.fit({SLEEP!r}, {str(fit_path())!r});"
        "sys.stdout.buffer.write(bootstrap(fit.solution, 100, seed=1).replicates.tobytes())"
    )
    outputs = []
    for threads in ("1", "2"):
        env = os.environ | {name: threads for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
        done = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, check=True)
        outputs.append(np.frombuffer(done.stdout))
    monkeypatch.setattr("lmmcore.resampling.refit.BATCH", 30)  # ten replicates at a time
    small = bootstrap(fit.solution, 100, seed=1).replicates.ravel()
    for output in outputs:
        assert output == pytest.approx(small, rel=1e-9, abs=1e-9)


def fit_path():
    from pathlib import Path

    return Path(__file__).resolve().parents[3] / "data/raw/sleepstudy.csv"


def test_progress_counts_up_to_n(fit, monkeypatch):
    monkeypatch.setattr("lmmcore.resampling.refit.BATCH", 120)  # (p q)^2 / 4 = 4 numbers a replicate
    seen = []
    bootstrap(fit.solution, 70, seed=1, progress=lambda done, n: seen.append((done, n)))
    assert seen == [(30, 70), (60, 70), (70, 70)]


def test_frame_has_a_row_a_replicate(fit):
    found = bootstrap(fit.solution, 25, seed=1)
    frame = found.frame()
    assert frame.columns == [
        "replicate",
        "converged",
        "loglik",
        "Intercept",
        "Days",
        "Subject.sd__Intercept",
        "Subject.sd__Days",
        "Subject.cor__Intercept.Days",
        "Residual.sd__Observation",
    ]
    assert frame["replicate"].to_list() == list(range(1, 26))
    assert np.array_equal(frame["Subject.sd__Days"].to_numpy(), found.replicates[:, 3])


def test_frames_come_in_the_library_of_the_data(raw):
    pandas = pytest.importorskip("pandas")
    fit = lmm.fit("Reaction ~ Days + (1 | Subject)", pandas.read_csv(raw / "sleepstudy.csv"))
    found = bootstrap(fit.solution, 10, seed=1)
    assert isinstance(found.frame(), pandas.DataFrame)
    assert found.confint()["term"].tolist()[-1] == "icc"


@pytest.mark.parametrize("kind", ["parametric", "cases"])
@pytest.mark.parametrize("type", ["percentile", "basic", "bca"])
def test_limits_enclose_the_estimates(fit, kind, type):
    found = bootstrap(fit.solution, 999, seed=1, kind=kind)
    wide, narrow = found.confint(type), found.confint(type, conf_level=0.5)
    assert wide["term"].to_list() == [
        *("Intercept", "Days", "sd__Intercept", "sd__Days", "cor__Intercept.Days", "sd__Observation")
    ]
    assert wide["effect"].to_list() == ["fixed"] * 2 + ["ran_pars"] * 4
    assert wide["group"].to_list() == [None, None, "Subject", "Subject", "Subject", "Residual"]
    assert set(wide["method"]) == {"bootstrap"} and set(wide["type"]) == {type}
    estimate = [*fit.beta.values(), *fit.varcorr()["sd"].drop_nulls()[:2], 0.0656, fit.sigma]
    assert wide["estimate"].to_list() == pytest.approx(estimate, rel=1e-3)
    for name in ("conf_low", "conf_high"):
        assert wide[name].is_finite().all()
    assert (wide["conf_low"] < wide["estimate"]).all() and (wide["estimate"] < wide["conf_high"]).all()
    assert (wide["conf_low"] < narrow["conf_low"]).all() and (narrow["conf_high"] < wide["conf_high"]).all()


def test_percentile_limits_of_the_mean_are_close_to_wald(fit):
    found = bootstrap(fit.solution, 4000, seed=3).confint()
    half = 1.96 * fit.se["Days"]
    assert found["conf_low"][1] == pytest.approx(fit.beta["Days"] - half, abs=0.15 * half)
    assert found["conf_high"][1] == pytest.approx(fit.beta["Days"] + half, abs=0.15 * half)


def test_basic_limits_stay_in_the_space(raw):
    frame = pl.read_csv(raw.parents[1] / "tests/reference/data/dyestuff.csv")
    found = bootstrap(lmm.fit("Yield ~ 1 + (1 | Batch)", frame).solution, 500, seed=1)
    basic = dict(zip(found.confint("basic")["term"], found.confint("basic", 0.99)["conf_low"], strict=True))
    assert 2 * found.estimate[1] < np.quantile(found.replicates[:, 1], 0.995)
    assert basic["sd__Intercept"] == 0 and basic["icc"] >= 0


def test_intraclass_correlations_are_those_of_the_fit(root):
    fit = lmm.fit("strength ~ 1 + (1 | batch/cask)", pl.read_csv(root / "tests/reference/data/pastes.csv"))
    found = bootstrap(fit.solution, 20, seed=1)
    variances = dict(
        zip(*fit.varcorr()[["group", "covariance"]].to_dict(as_series=False).values(), strict=True)
    )
    total, batch = sum(variances.values()), variances["batch"]
    assert found.estimate[-2:] == pytest.approx([batch / total, (batch + variances["batch:cask"]) / total])


def test_percentiles_are_order_statistics():
    replicates = np.random.default_rng(1).permutation(np.arange(1.0, 100.0))  # 1..99
    assert limits(replicates, 50.0, "percentile", 0.9, None) == pytest.approx((5, 95))
    assert limits(replicates, 45.0, "basic", 0.9, None) == pytest.approx((-5, 85))
    # No bias, no acceleration: BCa is the percentile interval. An estimate above the median moves both up.
    symmetric = np.array([-1.0, 1.0, -2.0, 2.0])
    assert limits(replicates, 50.0, "bca", 0.9, symmetric) == pytest.approx((5, 95))
    low, high = limits(replicates, 55.0, "bca", 0.9, symmetric)
    assert low > 5 and high > 95
    assert np.isnan(limits(np.array([np.nan, 1.0]), 1.0, "percentile", 0.9, None)).all()


def test_failed_replicates_are_counted_not_hidden():
    """Drawing rows of a factor with two rows a level often loses one of its levels."""
    rng = np.random.default_rng(1)
    frame = pl.DataFrame({"id": np.repeat(list("abcdefgh"), 3), "arm": ["x"] * 6 + ["y"] * 18})
    frame = frame.with_columns(y=pl.Series(rng.normal(size=24) + np.repeat(rng.normal(size=8), 3)))
    fit = lmm.fit("y ~ arm + (1 | id)", frame)
    found = bootstrap(fit.solution, 200, seed=1, kind="cases")
    drawn = np.random.Generator(np.random.PCG64(1)).integers(0, 8, (200, 8))
    lost = ~(drawn < 2).any(axis=1) | (drawn < 2).all(axis=1)
    assert lost.sum() > 5
    assert not found.converged[lost].any() and np.isnan(found.replicates[lost]).all()
    assert found.failed == (~found.converged).sum() >= lost.sum()
    assert f"{found.failed} of the fits did not converge and are left out" in found.sentence
    assert found.confint()["conf_low"].is_finite().all()
    assert found.frame().filter(~pl.col("converged")).height == found.failed


def test_users_mistakes_are_one_sentence(fit):
    for arguments in ({"n": 0}, {"kind": "wild"}):
        with pytest.raises(ValueError, match="but must be"):
            bootstrap(fit.solution, **({"seed": 1} | arguments))
    with pytest.raises(ValueError, match="but must be at least 1"):
        simulate(fit.solution, 0, seed=1)
    found = bootstrap(fit.solution, 5, seed=1)
    with pytest.raises(ValueError, match="'percentile', 'basic', 'bca'"):
        found.confint("normal")
    with pytest.raises(ValueError, match="between 0 and 1"):
        found.confint(conf_level=95)


def test_a_fit_that_did_not_converge_is_refused(root):
    """No pair of rows carries the covariance of the two effects, so that the data do not determine it."""
    frame = pl.read_csv(root / "tests/reference/data/crossover.csv")
    wrong = lmm.fit("y ~ condition + (0 + sex | id)", frame)
    assert not wrong.certificate.converged
    with pytest.raises(lmm.FitError, match="did not converge"):
        bootstrap(wrong.solution, 5, seed=1)
