"""One simulated data set: which tests reject a true hypothesis, which intervals hold the truth.

The design is a small trial: N subjects in two arms, ten visits, 5 % of them missing; nothing differs between
the arms. One subject more is never seen, and one visit more of each: they are there to be predicted. Each
replicate is a dictionary of booleans, so that any number of chunks can be added up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal

import numpy as np
import polars as pl
from null_distributions import of_independent, of_machines, of_nugget

import lmmcore as lmm

VISITS = 10
LEVEL = 0.05
# Random intercept and slope as in sleepstudy, residual SD 1; AR(1) residuals of SD 1 without random effects.
PSI = np.array([[0.93, 0.015], [0.015, 0.053]])
RHO = 0.5
BETA = np.array([9.8, 0.41])
# Share of the data sets for which profile likelihood intervals are found: they take a hundred times as long.
PROFILED = 0.1
TESTS = ("satterthwaite", "kenward-roger", "residual", "asymptotic")
CONTRASTS = {"arm": {"arm[T.b]": 1.0}, "slope": {"t:arm[T.b]": 1.0}}


def simulated(model: str, subjects: int, rng: np.random.Generator) -> tuple[pl.DataFrame, np.ndarray]:
    """All rows, `seen` where they are data, and each subject's expected response : (N + 1, VISITS + 1)."""
    subjects += 1
    t = np.arange(VISITS + 1.0)
    mean = BETA[0] + BETA[1] * t
    signal = np.broadcast_to(mean, (subjects, VISITS + 1)).copy()
    noise = rng.normal(size=signal.shape)
    if model == "slope":
        b = rng.multivariate_normal([0, 0], PSI, subjects)
        signal += b[:, :1] + b[:, 1:] * t
    elif model == "intercept":
        signal += rng.normal(size=(subjects, 1))
    elif model in ("ar1", "nugget"):
        for j in range(1, VISITS + 1):
            noise[:, j] = RHO * noise[:, j - 1] + np.sqrt(1 - RHO**2) * noise[:, j]
    y = signal + noise
    frame = pl.DataFrame(
        {
            "id": np.repeat(np.arange(subjects), VISITS + 1),
            "t": np.tile(t, subjects),
            "y": y.ravel(),
            "arm": np.repeat(np.where(np.arange(subjects) % 2, "b", "a"), VISITS + 1),
        }
    )
    known = (frame["t"] < VISITS) & (frame["id"] < subjects - 1)
    seen = known & pl.Series(rng.random(len(frame)) > 0.05)
    return frame.with_columns(seen=seen), signal


def replicate(model: str, subjects: int, rng: np.random.Generator) -> dict[str, bool]:
    """Outcomes of one data set by name; a fit that fails counts as "failed"."""
    frame, signal = simulated(model, subjects, rng)
    seen = frame.filter("seen")
    try:
        return dict(OUTCOMES[model](frame, seen, signal, rng))
    except lmm.LmmError:
        return {"failed": True}


def fixed_tests(fit: lmm.Fit) -> Iterator[tuple[str, bool]]:
    """Tests of the hypotheses that are true, by every kind of degrees of freedom."""
    for df in TESTS:
        for name, L in CONTRASTS.items():
            p = fit.contrast(L, df=df)["p_value"][0]
            yield f"size: {name}, {df}", p < LEVEL
        both = fit.contrast(list(CONTRASTS.values()), df=df)["p_value"][0]
        yield f"size: arm and slope, {df}", both < LEVEL


def predictions(fit: lmm.Fit, frame: pl.DataFrame, signal: np.ndarray) -> Iterator[tuple[str, bool]]:
    """The visit beyond the last: its mean, a known subject and a new one there, their responses."""
    last = frame.filter(pl.col("t") == VISITS)
    known, new = last.head(1), last.tail(1)
    cases = [
        ("mean", "population", "mean", known, BETA[0] + BETA[1] * VISITS),
        ("known subject", "subject", "subject", known, signal[0, -1]),
        ("known subject's response", "subject", "observation", known, known["y"][0]),
        ("new subject", "subject", "subject", new, signal[-1, -1]),
        ("new subject's response", "subject", "observation", new, new["y"][0]),
    ]
    for name, level, interval, rows, truth in cases:
        found = fit.predict(rows, level=level, interval=interval).row(0, named=True)
        yield f"coverage: {name}", found["conf_low"] < truth < found["conf_high"]


def intervals(fit: lmm.Fit, method: Literal["wald", "profile"]) -> Iterator[tuple[str, bool]]:
    """The covariance parameters and the fixed effects; a missing limit counts as no interval."""
    sd = np.sqrt(np.diag(PSI))
    truths = {
        "Intercept": BETA[0],
        "t": BETA[1],
        "sd__Intercept": sd[0],
        "sd__t": sd[1],
        "cor__Intercept.t": PSI[0, 1] / sd[0] / sd[1],
        "sd__Observation": 1.0,
        "rho": RHO,
    }
    for row in fit.confint(method).iter_rows(named=True):
        low, high = row["conf_low"], row["conf_high"]
        if low is not None and high is not None and np.isfinite(low) and np.isfinite(high):
            yield f"coverage: {row['term']}, {method}", low < truths[row["term"]] < high


def of_slope(
    frame: pl.DataFrame, seen: pl.DataFrame, signal: np.ndarray, rng: np.random.Generator
) -> Iterator[tuple[str, bool]]:
    """Random intercept and slope: tests of the arms, predictions without them."""
    fit = lmm.fit("y ~ t * arm + (t | id)", seen)
    yield from fixed_tests(fit)
    smaller = lmm.fit("y ~ t + (t | id)", seen)
    yield from predictions(smaller, frame, signal)
    yield from intervals(smaller, "wald")
    if rng.random() < PROFILED:
        yield from intervals(smaller, "profile")


def of_ar1(
    frame: pl.DataFrame, seen: pl.DataFrame, signal: np.ndarray, rng: np.random.Generator
) -> Iterator[tuple[str, bool]]:
    """AR(1) residuals alone: tests of the arms."""
    fit = lmm.fit("y ~ t * arm", seen, residual=lmm.AR1("t", subject="id"))
    yield from fixed_tests(fit)
    yield from intervals(lmm.fit("y ~ t", seen, residual=lmm.AR1("t", subject="id")), "wald")


def of_none(
    frame: pl.DataFrame, seen: pl.DataFrame, signal: np.ndarray, rng: np.random.Generator
) -> Iterator[tuple[str, bool]]:
    """No random effect: tests of a variance that is zero."""
    for method in ("REML", "ML"):
        null = lmm.fit("y ~ t", seen, method=method)
        one = lmm.fit("y ~ t + (1 | id)", seen, method=method)
        test = lmm.compare({"null": null, "one": one}).tests[0]
        yield f"size: variance, {method} boundary LRT", test["p_value"] < LEVEL
        yield f"size: variance, {method} naive LRT", test["p_value_naive"] < LEVEL
        exact = lmm.rlrt(one, "(1 | id)", n=2_000, seed=int(rng.integers(2**31)))
        yield f"size: variance, exact {'R' * (method == 'REML')}LRT", exact.p_value < LEVEL


OUTCOMES: dict[str, Callable[..., Iterator[tuple[str, bool]]]] = {
    "slope": of_slope,
    "ar1": of_ar1,
    "none": of_none,
    "independent": of_independent,
    "nugget": of_nugget,
    "machines": of_machines,
}
