"""Subjects drawn again, or left out: fits of the rows of these subjects, each copy a subject of its own."""

import numpy as np
import polars as pl
import pytest

import lmmcore as lmm
from lmmcore.resampling import bootstrap
from lmmcore.resampling.parameters import values
from lmmcore.resampling.rows import as_refit
from tests.support.dense import simulated


def repeated(frame, group, times):
    """The rows of each subject as often as times says, each copy a subject of its own."""
    units = frame[group].unique().sort()
    parts = [
        frame.filter(pl.col(group) == unit).with_columns(pl.lit(f"{unit}.{copy}").alias(group))
        for unit, count in zip(units, times, strict=True)
        for copy in range(count)
    ]
    return pl.concat(parts)


@pytest.mark.parametrize(
    ("formula", "group", "frame", "options"),
    [
        ("y ~ t + (x | b_id)", "b_id", simulated(), {"weights": "w"}),
        ("y ~ t + (1 | a/b)", "a", simulated(), {"method": "ML"}),
        ("y ~ t + (1 | b_id)", "b_id", simulated(), {"residual": lmm.AR1("t"), "variance": lmm.ByGroup("c")}),
        ("y ~ t + (1 | b_id)", "b_id", simulated(), {"residual": lmm.AR1("t")}),
        ("y ~ t", "b_id", simulated(), {"residual": lmm.CAR1("t", subject="b_id")}),
    ],
    ids=["batch", "nested", "by group", "ar1", "car1"],
)
def test_cases_are_fits_of_repeated_subjects(formula, group, frame, options):
    fit = lmm.fit(formula, frame, **options)
    n, N = 6, fit.groups[group]
    found = bootstrap(fit.solution, n, seed=11, kind="cases")
    drawn = np.random.Generator(np.random.PCG64(11)).integers(0, N, (n, N))
    for r in range(n):
        times = np.bincount(drawn[r], minlength=N)
        other = lmm.fit(formula, repeated(frame, group, times), **options)
        assert found.loglik[r] == pytest.approx(other.loglik, abs=1e-6)
        assert found.replicates[r, : len(fit.terms)] == pytest.approx(list(other.beta.values()), rel=1e-5)
        assert found.converged[r]


def test_jackknife_leaves_each_subject_out(raw):
    frame, formula = pl.read_csv(raw / "sleepstudy.csv"), "Reaction ~ Days + (Days | Subject)"
    fit = lmm.fit(formula, frame)
    left_out = bootstrap(fit.solution, 2, seed=1)._left_out
    subjects = frame["Subject"].unique().sort()
    for place in (0, 7, 17):
        other = lmm.fit(formula, frame.filter(pl.col("Subject") != subjects[place]))
        theirs = values(fit.solution, as_refit(other.solution))[0]
        assert left_out[place] == pytest.approx(theirs, rel=1e-5, abs=1e-5)
