"""Likelihood-ratio tests of covariance structures that are true: how often `compare` rejects at 5 %."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl

import lmmcore as lmm

LEVEL = 0.05
# A statistic below this is 0: both fits are the same.
ZERO = 1e-6
# Share of the data sets for which a null distribution is simulated, and from how many responses.
BOOTSTRAPPED, RESPONSES = 0.1, 199


def of_independent(
    frame: pl.DataFrame, seen: pl.DataFrame, signal: np.ndarray, rng: np.random.Generator
) -> Iterator[tuple[str, bool]]:
    """Independent residuals: tests of serial correlations."""
    seen = seen.with_columns(s=pl.col("t") + rng.uniform(-0.4, 0.4, len(seen)))
    null = lmm.fit("y ~ t", seen, method="ML")
    structures = {
        "AR(1)": lmm.AR1("t", subject="id"),
        "CAR(1)": lmm.CAR1("t", subject="id"),
        "CAR(1), irregular times": lmm.CAR1("s", subject="id"),
        "Gaussian": lmm.Gaussian("t", subject="id"),
        "Gaussian, irregular times": lmm.Gaussian("s", subject="id"),
    }
    for name, structure in structures.items():
        yield from outcomes(name, null, lmm.fit("y ~ t", seen, method="ML", residual=structure))
    if rng.random() < BOOTSTRAPPED:
        nugget = lmm.Exponential("t", nugget=True, subject="id")
        both = lmm.fit("y ~ t", seen, method="ML", residual=nugget)
        found = lmm.bootstrap_lrt(null, both, RESPONSES, seed=int(rng.integers(2**31)))
        yield "size: exponential with nugget, bootstrap_lrt", found.p_value <= LEVEL


def of_nugget(
    frame: pl.DataFrame, seen: pl.DataFrame, signal: np.ndarray, rng: np.random.Generator
) -> Iterator[tuple[str, bool]]:
    """Serial correlation without measurement error: tests of a nugget and of a random intercept."""
    null, nugget, serial = (
        lmm.fit("y ~ t", seen, method="ML", residual=structure)
        for structure in (
            lmm.Exponential("t", subject="id"),
            lmm.Exponential("t", nugget=True, subject="id"),
            lmm.AR1("t", subject="id"),
        )
    )
    yield from outcomes("nugget", null, nugget)
    intercept = lmm.fit("y ~ t + (1 | id)", seen, method="ML", residual=lmm.AR1("t"))
    yield from outcomes("random intercept beside AR(1)", serial, intercept)


def of_machines(
    frame: pl.DataFrame, seen: pl.DataFrame, signal: np.ndarray, rng: np.random.Generator
) -> Iterator[tuple[str, bool]]:
    """Workers at three machines, three rows each: (1 | worker/machine) in (0 + machine | worker)."""
    workers = frame["id"].n_unique() - 1
    worker, machine = np.repeat(np.arange(workers), 9), np.tile(np.repeat(np.arange(3), 3), workers)
    y = rng.normal(size=workers)[worker] + rng.normal(size=(workers, 3))[worker, machine]
    rows = {"worker": worker, "machine": np.array(["a", "b", "c"])[machine]}
    data = pl.DataFrame(rows | {"y": y + rng.normal(size=len(worker))})
    null = lmm.fit("y ~ machine + (1 | worker/machine)", data, method="ML")
    yield from outcomes("machines", null, lmm.fit("y ~ machine + (0 + machine | worker)", data, method="ML"))


def outcomes(name: str, null: lmm.Fit, alternative: lmm.Fit) -> Iterator[tuple[str, bool]]:
    """Whether the statistic is 0, and whether `compare` and the naive chi-square reject."""
    (test,) = lmm.compare({"null": null, "alternative": alternative}).tests
    yield f"statistic of 0: {name}", test["statistic"] < ZERO
    yield f"size: {name}, compare", test["p_value"] < LEVEL
    yield f"size: {name}, naive", test["p_value_naive"] < LEVEL
