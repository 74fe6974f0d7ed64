"""Time 1,000 parametric bootstrap refits beside lme4's bootMer, in one run: python benchmarks/bootstrap.py

Needs R with lme4 for the peer (Debian: r-cran-lme4); without it, or for what bootMer does not do, the peer is
named as absent. Both sides run on one thread, from a fitted model to 1,000 replicates of all parameters;
bootMer makes 50, and its time is scaled.
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
from lmmcore.bootstrap import bootstrap  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
REPLICATES, THEIRS = 1000, 50


def grown(subjects: int, rows: int, irregular: bool) -> pl.DataFrame:
    """Random intercept and slope; a centre for every five subjects."""
    rng = np.random.default_rng(1)
    g = np.repeat(np.arange(subjects), rows)
    t = rng.uniform(0, 9, len(g)) if irregular else np.tile(np.arange(float(rows)), subjects)
    b = rng.multivariate_normal([0, 0], [[25, 1.2], [1.2, 0.64]], subjects)
    y = 50 + 2 * t + b[g, 0] + b[g, 1] * t + rng.normal(size=subjects)[g // 5] + 2 * rng.normal(size=len(g))
    return pl.DataFrame({"centre": g // 5, "id": g, "t": t, "y": y})


def ours(frame: pl.DataFrame, formula: str, residual: lmm.AR1 | None, kind: str, n: int) -> float:
    """Median seconds of three runs, for 1,000 replicates."""
    fit = lmm.fit(formula, frame, residual=residual)
    times = []
    for _ in range(3):
        start = time.perf_counter()
        bootstrap(fit.solution, n, seed=1, kind=kind)
        times.append(time.perf_counter() - start)
    return median(times) * REPLICATES / n


def theirs(frame: pl.DataFrame, formula: str) -> float | None:
    """Seconds of bootMer, for 1,000 replicates; None without R."""
    if which("Rscript") is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "d.csv"
        frame.write_csv(path)
        script = (
            f"suppressMessages(library(lme4)); d <- read.csv('{path}'); m <- lmer({formula}, d); "
            "f <- function(m) c(fixef(m), as.data.frame(VarCorr(m))$sdcor); "
            f"s <- system.time(suppressMessages(suppressWarnings(bootMer(m, f, nsim = {THEIRS})))); "
            "cat(s[['elapsed']])"
        )
        done = subprocess.run(["Rscript", "-e", script], capture_output=True, text=True, check=False)
    if done.returncode:
        print(done.stderr.strip(), file=sys.stderr)
        return None
    return float(done.stdout) * REPLICATES / THEIRS


def main() -> None:
    sleep = pl.read_csv(ROOT / "data/raw/sleepstudy.csv")
    many, uneven, grid = grown(2000, 6, False), grown(100, 10, True), grown(60, 5, False)
    cases = [
        ("sleepstudy, slope", sleep, "Reaction ~ Days + (Days | Subject)", None, "parametric", 1000),
        ("100 irregular x 10, slope", uneven, "y ~ t + (t | id)", None, "parametric", 1000),
        ("2,000 on a grid x 6, slope", many, "y ~ t + (t | id)", None, "parametric", 1000),
        ("60 x 5 in 12 centres", grid, "y ~ t + (1 | centre / id)", None, "parametric", 1000),
        ("sleepstudy, AR(1)", sleep, "Reaction ~ Days + (1 | Subject)", lmm.AR1("Days"), "parametric", 100),
        ("sleepstudy, slope, cases", sleep, "Reaction ~ Days + (Days | Subject)", None, "cases", 1000),
        ("100 irregular x 10, cases", uneven, "y ~ t + (t | id)", None, "cases", 1000),
    ]
    print(f"{'1,000 refits':<32}{'lmmcore':>10}{'bootMer':>10}{'ratio':>9}")
    for name, frame, formula, residual, kind, n in cases:
        mine = ours(frame, formula, residual, kind, n)
        peer = theirs(frame, formula) if residual is None and kind == "parametric" else None
        shown = f"{peer:>8.1f} s{peer / mine:>8.0f}x" if peer else f"{'absent':>10}"
        print(f"{name:<32}{mine:>8.2f} s{shown}", flush=True)


if __name__ == "__main__":
    main()
