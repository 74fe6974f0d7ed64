"""Time the engine beside lme4 and nlme on the same data, in one run: python benchmarks/against_r.py

Needs R for the peers (Debian: r-cran-lme4 r-cran-nlme); a peer that is missing is named as absent. Both sides
run on one thread, from a formula and a data frame in memory to the fitted model. Medians of several runs.
"""

from __future__ import annotations

import os

for pool in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS"):
    os.environ[pool] = "1"

import subprocess  # noqa: E402
import sys  # noqa: E402
import tempfile  # noqa: E402
import time  # noqa: E402
from pathlib import Path  # noqa: E402
from shutil import which  # noqa: E402
from statistics import median  # noqa: E402

import numpy as np  # noqa: E402
import polars as pl  # noqa: E402

import lmmcore as lmm  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
LMER = "suppressMessages(library(lme4)); f <- function() suppressWarnings(lmer({}, d))"
LME = (
    "library(nlme); f <- function() lme(y ~ t, random = ~ t | id, correlation = corAR1(form = ~ t | id), d, "
    "control = lmeControl(maxIter = 200, msMaxIter = 200, returnObject = TRUE))"
)


def simulated(subjects: int, grid: bool, rho: float = 0.0) -> pl.DataFrame:
    """Random intercept and slope, ten rows a subject; 5 % of the visits missing on a grid."""
    rng = np.random.default_rng(1)
    visits = 10
    t = (
        np.tile(np.arange(10.0), (subjects, 1))
        if grid
        else np.sort(rng.uniform(0, 9, (subjects, visits)), axis=1)
    )
    b = rng.multivariate_normal([0, 0], [[25, 1.2], [1.2, 0.64]], subjects)
    noise = rng.normal(size=(subjects, visits))
    for j in range(1, visits):
        noise[:, j] = rho * noise[:, j - 1] + np.sqrt(1 - rho**2) * noise[:, j]
    y = 10 + 2 * t + b[:, :1] + b[:, 1:] * t + 2 * noise
    frame = pl.DataFrame({"id": np.repeat(np.arange(subjects), visits), "t": t.ravel(), "y": y.ravel()})
    return frame.filter(pl.Series(rng.random(len(frame)) > 0.05)) if grid else frame


def ours(frame: pl.DataFrame, formula: str, residual: lmm.AR1 | None, runs: int) -> tuple[float, float]:
    """(median seconds, log-likelihood)."""
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        fit = lmm.fit(formula, frame, residual=residual)
        times.append(time.perf_counter() - start)
    return median(times), fit.loglik


def theirs(frame: pl.DataFrame, code: str, runs: int) -> tuple[float, float] | None:
    """(median seconds, log-likelihood) of R code that defines f(); None without R."""
    if which("Rscript") is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "d.csv"
        frame.write_csv(path)
        script = (
            f"d <- read.csv('{path}'); {code}; m <- f(); "
            f"s <- replicate({runs}, system.time(f())[['elapsed']]); "
            "cat(sprintf('%.9f %.9f', median(s), as.numeric(logLik(m))))"
        )
        done = subprocess.run(["Rscript", "-e", script], capture_output=True, text=True, check=False)
    if done.returncode:
        print(done.stderr.strip(), file=sys.stderr)
        return None
    seconds, loglik = done.stdout.split()
    return float(seconds), float(loglik)


def main() -> None:
    """Print one line a case."""
    sleep = pl.read_csv(ROOT / "data/raw/sleepstudy.csv")
    slope = "y ~ t + (t | id)"
    lmer_slope = LMER.format(slope)
    sleep_code = LMER.format("Reaction ~ Days + (Days | Subject)")
    cases = [
        ("sleepstudy, random slope", sleep, "Reaction ~ Days + (Days | Subject)", None, sleep_code, 30, 20),
        ("10,000 x 10 irregular, random slope", simulated(10_000, False), slope, None, lmer_slope, 9, 3),
        ("100,000 x 10 on a grid, 5 % missing", simulated(100_000, True), slope, None, lmer_slope, 5, 1),
        ("1,000 x 10, random slope + AR(1)", simulated(1_000, True, 0.5), slope, lmm.AR1("t"), LME, 9, 3),
    ]
    print(f"{'case':<40}{'lmmcore':>12}{'R':>12}{'ratio':>8}   log-likelihood, ours - R's")
    for name, frame, formula, residual, code, runs, peer_runs in cases:
        seconds, loglik = ours(frame, formula, residual, runs)
        peer = theirs(frame, code, peer_runs)
        if peer is None:
            print(f"{name:<40}{seconds * 1e3:>9.1f} ms{'absent':>12}")
            continue
        ratio = f"{peer[0] / seconds:.0f}x"
        print(
            f"{name:<40}{seconds * 1e3:>9.1f} ms{peer[0] * 1e3:>9.0f} ms{ratio:>8}   {loglik - peer[1]:+.1e}"
        )


if __name__ == "__main__":
    main()
