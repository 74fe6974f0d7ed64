"""Data of the benchmarks: simulated with fixed seeds, rows sorted by subject and time, with id, t and y."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

ROOT = Path(__file__).resolve().parents[1]
# Covariance of intercepts and slopes, and the residual SD, of all simulated panels.
PSI = ((25.0, 1.2), (1.2, 0.64))
SIGMA = 2.0


def panel(
    subjects: int,
    visits: int = 10,
    *,
    irregular: bool = False,
    missing: float = 0.0,
    rho: float = 0.0,
    slopes: bool = True,
) -> pl.DataFrame:
    """Random intercept and, unless told otherwise, random slope.

    irregular : times uniform in 0 to 9 instead of 0, 1, ...; missing : share of rows left out; rho : residual
    correlation at a distance of 1 in time.
    """
    rng = np.random.default_rng(1)
    t = (
        np.sort(rng.uniform(0, 9, (subjects, visits)))
        if irregular
        else np.tile(np.arange(float(visits)), (subjects, 1))
    )
    b = rng.multivariate_normal([0, 0], PSI, subjects)
    noise = rng.normal(size=t.shape)
    if rho:
        for visit in range(1, visits):
            kept = rho ** (t[:, visit] - t[:, visit - 1])
            noise[:, visit] = kept * noise[:, visit - 1] + np.sqrt(1 - kept**2) * noise[:, visit]
    y = 10 + 2 * t + b[:, :1] + slopes * b[:, 1:] * t + SIGMA * noise
    frame = pl.DataFrame({"id": np.repeat(np.arange(subjects), visits), "t": t.ravel(), "y": y.ravel()})
    return frame.filter(pl.Series(rng.random(len(frame)) > missing)) if missing else frame


def trial(subjects: int, visits: int) -> pl.DataFrame:
    """A panel at irregular times with a second column `arm` (0 or 1) that changes the slope."""
    frame = panel(subjects, visits, irregular=True).with_columns(arm=(pl.col("id") % 2).cast(pl.Float64))
    return frame.with_columns(y=pl.col("y") + 0.5 * pl.col("arm") * pl.col("t"))


def visits_with_dropout(subjects: int, visits: int = 10) -> pl.DataFrame:
    """A panel on a grid, each subject followed to a visit drawn at random; `visit` is text."""
    rng = np.random.default_rng(2)
    last = np.where(rng.random(subjects) < 0.6, visits, rng.integers(2, visits + 1, subjects))
    frame = panel(subjects, visits, rho=0.5)
    seen = frame["t"].to_numpy() < np.repeat(last, visits)
    name = pl.format("v{}", pl.col("t").cast(pl.Int64).cast(pl.String).str.zfill(2))
    return frame.filter(pl.Series(seen)).with_columns(visit=name)


def schools(students: int, of_each: int = 50, visits: int = 4) -> pl.DataFrame:
    """Students (`id`) in schools (`school`), each seen at a few times."""
    rng = np.random.default_rng(3)
    id = np.repeat(np.arange(students), visits)
    t = np.tile(np.arange(float(visits)), students)
    school = id // of_each
    y = 50 + 2 * t + rng.normal(0, 3, students)[id] + rng.normal(0, 2, school[-1] + 1)[school]
    return pl.DataFrame({"school": school, "id": id, "t": t, "y": y + rng.normal(0, SIGMA, len(t))})


def sleepstudy() -> pl.DataFrame:
    """Reaction times of 18 subjects on 10 days (Belenky et al. 2003), with this module's names."""
    frame = pl.read_csv(ROOT / "data/raw/sleepstudy.csv")
    return frame.select(id="Subject", t=pl.col("Days").cast(pl.Float64), y="Reaction")
