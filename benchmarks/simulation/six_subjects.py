"""Why Kenward and Roger's test rejects too seldom with six subjects: python six_subjects.py [DATA SETS]

Complete balanced data with a random slope, where exact tests exist: the t test of the subjects' own slopes,
and Hotelling's of their intercepts and slopes. The same data sets go to pbkrtest, if R has it.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import polars as pl
from scipy.stats import f, ttest_ind
from study import LEVEL, VISITS, simulated

import lmmcore as lmm

PBKRTEST = """
suppressMessages({library(lme4); library(pbkrtest)})
control <- lmerControl(check.conv.singular = "ignore")
for (data in split(d <- read.csv(commandArgs(TRUE)), d$set)) {
  large <- lmer(y ~ t * arm + (t | id), data, control = control)
  for (small in c(. ~ . - t:arm, . ~ t + (t | id)))
    cat(getKR(KRmodcomp(large, update(large, small)), "p.value"), "")
  cat("\\n")
}
"""


def hotelling(first: np.ndarray, second: np.ndarray) -> float:
    """p value of equal means of two samples : (n, k)."""
    n, k = len(first) + len(second), first.shape[1]
    shift = first.mean(axis=0) - second.mean(axis=0)
    within = sum((len(a) - 1) * np.cov(a.T) for a in (first, second)) / (n - 2)
    squared = shift @ np.linalg.solve(within, shift) / (1 / len(first) + 1 / len(second))
    return float(f.sf(squared * (n - k - 1) / ((n - 2) * k), k, n - k - 1))


def main(count: int = 1000) -> None:
    """Print the share of rejections at 5 %, over all data sets and by kind of fit."""
    rng = np.random.default_rng(6)
    slope = {"t:arm[T.b]": 1.0}
    singular, ours, exact, frames = [], [], [], []
    for k in range(count):
        frame = simulated("slope", 6, rng)[0].filter((pl.col("t") < VISITS) & (pl.col("id") < 6))
        fit = lmm.fit("y ~ t * arm + (t | id)", frame)
        singular.append(bool(fit.certificate.boundary))
        tests = [fit.contrast(L, df="kenward-roger") for L in (slope, [{"arm[T.b]": 1.0}, slope])]
        ours.append([test["p_value"][0] for test in tests])
        lines = np.polyfit(np.arange(VISITS), frame["y"].to_numpy().reshape(6, VISITS).T, 1).T
        a, b = lines[::2], lines[1::2]
        exact.append([ttest_ind(a[:, 0], b[:, 0]).pvalue, hotelling(a, b)])
        frames.append(frame.with_columns(set=pl.lit(k)))
    found = {"Kenward-Roger": ours, "exact test": exact}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sets.csv"
        pl.concat(frames).write_csv(path)
        done = subprocess.run(["Rscript", "-e", PBKRTEST, str(path)], capture_output=True, text=True)
    if done.returncode == 0:
        found["pbkrtest"] = [[float(p) for p in line.split()] for line in done.stdout.splitlines()]
    kinds = {"all": np.full(count, True), "interior": ~np.array(singular), "singular": np.array(singular)}
    print(f"{'':32}" + "".join(f"{f'{name} ({rows.sum()})':>18}" for name, rows in kinds.items()))
    for place, hypothesis in enumerate(("slope", "arm and slope")):
        for name, p in found.items():
            rejected = np.array(p)[:, place] < LEVEL
            shares = [100 * rejected[rows].mean() for rows in kinds.values()]
            print(f"{f'{hypothesis}, {name}':32}" + "".join(f"{share:>16.1f} %" for share in shares))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
