"""What is timed: each case is a task on data, with the programs that can do it and the ratios aimed at."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import polars as pl

from benchmarks.data import panel, schools, sleepstudy, trial, visits_with_dropout


@dataclass(frozen=True)
class Case:
    """task : named alike in peers/tasks.py and peers/tasks.R; peers : program -> the least ratio of its time
    to ours that was aimed at, or None; result : what a run gives, as a check that all did the same.
    """

    title: str
    task: str
    data: Callable[[], pl.DataFrame]
    peers: Mapping[str, int | None]
    result: str = "log-likelihood"


IRREGULAR = partial(panel, irregular=True)
GRID = partial(panel, missing=0.05)
DF = "df of the last coefficient"
SE = "bootstrap SE of t"

CASES = (
    Case(
        "sleepstudy, random slope",
        "slope",
        sleepstudy,
        {"lme4": 12, "nlme": None, "glmmTMB": None, "statsmodels": None},
    ),
    Case(
        "10,000 x 10 irregular rows, random slope",
        "slope",
        partial(IRREGULAR, 10_000),
        {"lme4": 200, "statsmodels": 2000, "nlme": None, "glmmTMB": None},
    ),
    Case(
        "10,000 x 10 irregular rows, independent slope, ML",
        "independent_slope",
        partial(IRREGULAR, 10_000),
        {"gpboost": 400, "lme4": None},
    ),
    Case("100,000 x 10 irregular rows, random slope", "slope", partial(IRREGULAR, 100_000), {"lme4": 250}),
    Case("100,000 x 10 visits, 5 % missing, random slope", "slope", partial(GRID, 100_000), {"lme4": 450}),
    Case(
        "random slope + AR(1), 10,000 x 10 visits, 5 % missing",
        "slope_ar1",
        partial(GRID, 10_000, rho=0.5),
        {"nlme": 1000},
    ),
    Case(
        "CAR(1) + random intercept, 1,000 x 10 irregular times",
        "intercept_car1",
        partial(IRREGULAR, 1_000, rho=0.5, slopes=False),
        {"nlme": 100},
    ),
    Case(
        "MMRM, unstructured, 1,000 x 10 visits with drop-out",
        "mmrm",
        partial(visits_with_dropout, 1_000),
        {"nlme": 3000, "glmmTMB": 500, "mmrm": None},
    ),
    Case(
        "1,000 bootstrap refits, sleepstudy, random slope",
        "bootstrap",
        sleepstudy,
        {"lme4": 250},
        SE,
    ),
    Case(
        "1,000 bootstrap refits, 100 x 10 irregular rows",
        "bootstrap",
        partial(IRREGULAR, 100),
        {"lme4": 100},
        SE,
    ),
    Case("(1 | school/student), 50,000 students x 4", "nested", partial(schools, 50_000), {"lme4": 20}),
    Case("Satterthwaite df, 500 x 8", "satterthwaite", partial(trial, 500, 8), {"lmerTest": 50}, DF),
    Case("Satterthwaite df, 10,000 x 10", "satterthwaite", partial(trial, 10_000, 10), {"lmerTest": 50}, DF),
    Case(
        "Kenward-Roger, 500 x 8",
        "kenward_roger",
        partial(trial, 500, 8),
        {"pbkrtest": 100, "lmerTest": None},
        DF,
    ),
)
