"""Tasks in Python: lmmcore's, statsmodels', GPBoost's. python -m benchmarks.peers.tasks PROGRAM TASK FILE

Says its version, or "absent", then answers every line on standard input with one line: the median seconds of
the runs that fit into ROUND, and the number that a run gave. peers/tasks.R is the same for R.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from statistics import median
from typing import Any

import polars as pl

ROUND = 0.2
# Rows of the fit before all others, which nobody times.
WARM_UP = 400


@dataclass(frozen=True)
class Task:
    """prepare : the data -> what a run starts from, not timed and made anew for each; run : what is timed;
    result : of a run, a number to compare."""

    run: Callable[[Any], Any]
    result: Callable[[Any], float]
    prepare: Callable[[pl.DataFrame], Any] = lambda frame: frame


def lmmcore() -> dict[str, Task]:
    """From formula and frame to estimates, their covariance and the log-likelihood."""
    import lmmcore as lmm

    slope = "y ~ t + (t | id)"

    def fitting(formula: str, **options: Any) -> Task:
        return Task(lambda frame: lmm.fit(formula, frame, **options), lambda fit: fit.loglik)

    def degrees(df: Any) -> Task:
        return Task(
            lambda fit: fit.tidy(df=df),
            lambda tidy: tidy["df"][-1],
            lambda frame: lmm.fit("y ~ t * arm + (t | id)", frame),
        )

    return {
        "slope": fitting(slope),
        "independent_slope": fitting("y ~ t + (t || id)", method="ML"),
        "slope_ar1": fitting(slope, residual=lmm.AR1("t")),
        "intercept_car1": fitting("y ~ t + (1 | id)", residual=lmm.CAR1("t")),
        "mmrm": fitting("y ~ visit", residual=lmm.Unstructured("t", subject="id")),
        "nested": fitting("y ~ t + (1 | school / id)"),
        "satterthwaite": degrees("satterthwaite"),
        "kenward_roger": degrees("kenward-roger"),
        "bootstrap": Task(
            lambda fit: fit.bootstrap(1000, seed=1, progress=lambda done, n: None),
            lambda found: found.frame()["t"].std(),
            lambda frame: lmm.fit(slope, frame),
        ),
    }


def statsmodels() -> dict[str, Task]:
    from statsmodels.formula.api import mixedlm

    return {
        "slope": Task(
            lambda frame: mixedlm("y ~ t", frame, groups="id", re_formula="~ t").fit(reml=True),
            lambda fit: fit.llf,
            lambda frame: frame.to_pandas(),
        )
    }


def gpboost() -> dict[str, Task]:
    """GPBoost knows maximum likelihood alone, and a slope independent of the intercept."""
    import gpboost
    import numpy as np

    def columns(frame: pl.DataFrame) -> tuple[np.ndarray, ...]:
        id, t, y = (frame[name].to_numpy() for name in ("id", "t", "y"))
        return id, t, y, np.column_stack([np.ones_like(t), t])

    def fit(given: tuple[np.ndarray, ...]) -> Any:
        id, t, y, X = given
        model = gpboost.GPModel(
            group_data=id, group_rand_coef_data=t, ind_effect_group_rand_coef=[1], likelihood="gaussian"
        )
        model.fit(y=y, X=X)
        model.get_coef(std_err=True)
        return model

    return {"independent_slope": Task(fit, lambda m: -m.get_current_neg_log_likelihood(), columns)}


PROGRAMS = {"lmmcore": lmmcore, "statsmodels": statsmodels, "gpboost": gpboost}


def serve(program: str, name: str, path: str) -> None:
    """Read the data, warm up, then run whenever a line comes in."""
    try:
        version = import_module(program).__version__
    except ImportError:
        print("absent", flush=True)
        return
    task, frame = PROGRAMS[program]()[name], pl.read_parquet(path)
    task.run(task.prepare(frame.head(WARM_UP)))
    print(f"{program} {version}", flush=True)
    for _ in sys.stdin:
        times: list[float] = []
        while sum(times) < ROUND:
            state = task.prepare(frame)
            start = time.perf_counter()
            found = task.run(state)
            times.append(time.perf_counter() - start)
        print(repr(median(times)), repr(float(task.result(found))), flush=True)


if __name__ == "__main__":
    serve(*sys.argv[1:])
