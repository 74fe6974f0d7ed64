"""Degrees of freedom of singular fits: the conflict is stated, not hidden."""

import numpy as np
import polars as pl
import pytest

import lmmcore as lmm
from lmmcore.inference.fixed.boundary_df import df_conflict, few_df

# Dyestuff2 (Box & Tiao 1973), six batches of five; lme4 ships it.
YIELD = """7.298 3.846 2.434 9.566 7.990 5.220 6.556 0.608 11.788 -0.892 0.110 10.386 13.434 5.510 8.166
2.212 4.852 7.092 9.288 4.980 0.282 9.014 4.458 9.446 7.198 1.722 4.782 8.106 0.758 3.758"""


def dyestuff2():
    return pl.DataFrame({"y": [float(v) for v in YIELD.split()], "batch": list(np.repeat(list("ABCDEF"), 5))})


def test_dyestuff2():
    """lmerTest says 29 df, pbkrtest 5 and p = 4e-4; a one-way layout has 5 between batches, 24 within."""
    fit = lmm.fit("y ~ 1 + (1 | batch)", dyestuff2())
    found = df_conflict(fit.solution)
    assert found.active == pytest.approx([29.0])
    assert found.full == pytest.approx([5.0])
    assert "variance of Intercept within batch is 0" in found.sentence
    assert "29" in found.sentence and "5 (Kenward-Roger)" in found.sentence
    assert fit.tidy(df="kenward-roger")["p_value"][0] == pytest.approx(4.03e-4, rel=5e-3)


def test_no_boundary_no_conflict():
    frame = dyestuff2().with_columns(y=pl.col("y") + 5 * pl.col("batch").is_in(["A", "B"]))
    fit = lmm.fit("y ~ 1 + (1 | batch)", frame)
    assert not fit.certificate.singular
    assert df_conflict(fit.solution) is None
    assert df_conflict(lmm.fit("y ~ 1 + (1 | batch)", dyestuff2(), method="ML").solution) is None


def test_the_summary_says_it():
    assert "29 degrees of freedom" in str(lmm.fit("y ~ 1 + (1 | batch)", dyestuff2()))


def test_fewer_than_one_degree_of_freedom_is_said():
    """By name; what is exactly 1, or not known, is no case of it."""
    assert few_df(("Intercept", "t"), np.array([0.4, 7.0])) is not None
    assert "Intercept" in few_df(("Intercept", "t"), np.array([0.4, 7.0]))
    assert few_df(("Intercept", "t"), np.array([1.0, np.nan])) is None
