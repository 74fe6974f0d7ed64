"""The deviance on a visit grid equals the one by the moments of every subject, with all its derivatives."""

import numpy as np
import polars as pl
import pytest

import lmmcore as lmm
from lmmcore.likelihood.objective import Objective
from lmmcore.system.grid import GridObjective
from tests.support.dense import bound, dense_deviance


def panel(subjects=40, visits=5, seed=2):
    """Most of the visits of each subject, in no order; x changes within subjects, c does not."""
    rng = np.random.default_rng(seed)
    own = rng.normal(size=(subjects, 2))
    rows = [
        (f"s{i}", float(t), own[i, 0] + 0.4 * own[i, 1] * t + rng.normal(), rng.uniform(1, 3), f"c{i % 2}")
        for i in range(subjects)
        for t in range(1, visits + 1)
        if rng.random() < 0.85
    ]
    frame = pl.DataFrame(rows, schema=["id", "t", "y", "x", "c"], orient="row")
    return frame.with_columns(w=pl.lit(1.0), v=pl.format("v{}", "t")).sample(fraction=1, shuffle=True, seed=1)


STRUCTURES = [
    ("y ~ t + x", lmm.AR1("t", subject="id"), None),
    ("y ~ t + x + (t | id)", lmm.AR1("t"), None),
    ("y ~ t + (1 | id)", lmm.Exponential("t", nugget=True), None),
    ("y ~ t + x", lmm.Unstructured("t", subject="id"), None),
    ("y ~ t + (1 | id)", lmm.Unstructured("t"), None),
    ("y ~ t", lmm.Toeplitz("t", subject="id"), None),
    ("y ~ t * c", lmm.RandomWalk("t", subject="id"), None),
    ("y ~ t * c", lmm.CompoundSymmetry(subject="id"), None),
    ("y ~ t", lmm.AR1("t", subject="id"), lmm.ByGroup("c")),
    ("y ~ t", lmm.Unstructured("t", subject="id"), lmm.ByGroup("c")),
    ("y ~ t + (1 | id)", None, lmm.ByGroup("v")),
]


@pytest.mark.parametrize("method", ["ML", "REML"])
@pytest.mark.parametrize("formula, residual, variance", STRUCTURES, ids=lambda value: str(value)[:40])
def test_same_deviance_and_derivatives(formula, residual, variance, method):
    frame = panel()
    model = (
        bound(formula, residual, method, frame, variance)
        if variance is None
        else _with_v(formula, residual, method, frame, variance)
    )
    assert model.grid is not None
    reml = method == "REML"
    ordinary = Objective(model.covariances[0], model.moments, model.n, reml)
    grid = GridObjective(model.covariances[0], model.grid, model.n, reml, lambda: model.moments)
    size = grid.split + len(model.structure.independence)
    rng = np.random.default_rng(5)
    for _ in range(3):
        theta = rng.normal(0.3, 0.3, size)
        ours, theirs = grid.evaluate(theta), ordinary.evaluate(theta)
        assert ours.deviance == pytest.approx(theirs.deviance, rel=1e-11)
        constant = 2 * model.coordinates.log_det_fixed if reml else 0
        assert ours.deviance - constant == pytest.approx(dense_deviance(model, ordinary, theta), rel=1e-10)
        for name in ("gradient", "hessian", "gram_first"):
            expected = getattr(theirs, name)
            assert getattr(ours, name) == pytest.approx(
                expected, rel=1e-8, abs=1e-9 * np.abs(expected).max(initial=0)
            )
        for cone, expected in zip(ours.cones, theirs.cones, strict=True):
            assert cone == pytest.approx(expected, rel=1e-8, abs=1e-8)
        assert ours.value.level.log_det == pytest.approx(theirs.value.level.log_det, rel=1e-10)
        assert grid.subjects(theta).S == pytest.approx(ordinary.subjects(theta).S, rel=1e-10)


def _with_v(formula, residual, method, frame, variance):
    from lmmcore.data.table import read
    from lmmcore.formula.parse import parse
    from lmmcore.model.build import build
    from lmmcore.model.specification import Specification

    table = read(frame, ["y", "t", "c", "v"], ["id"])
    return build(Specification(parse(formula), method, residual, variance, None, None, None), table)


def test_a_singular_covariance_is_no_value():
    model = bound("y ~ t", lmm.Exponential("t", subject="id"), "ML", panel())
    grid = GridObjective(model.covariances[0], model.grid, model.n, False, lambda: model.moments)
    assert grid.value(np.array([90.0])) is None


@pytest.mark.parametrize(
    "frame, formula",
    [
        (panel().with_columns(t=pl.col("t") + pl.col("x")), "y ~ t + (1 | id)"),  # irregular times
        (panel(6, 12), "y ~ t + (1 | id)"),  # as many patterns as subjects
        (panel(), "y ~ t + (x | id)"),  # Z is no function of the visit
    ],
)
def test_where_there_is_no_grid(frame, formula):
    model = bound(formula, lmm.CAR1("t"), "ML", frame)
    assert model.grid is None


def test_weights_and_nested_factors_have_no_grid():
    frame = panel()
    assert bound("y ~ t", lmm.AR1("t", subject="id"), "ML", frame, weights="w").grid is None
    assert bound("y ~ t + (1 | c/id)", lmm.AR1("t"), "ML", frame).grid is None


def test_many_rows_find_the_visits_of_later_ones():
    """The visits are looked for among the first rows; those of later rows are added."""
    wide = panel(600, 6, seed=4).sort("t")
    late = wide.with_columns(t=pl.when(pl.col("id") > "s55").then(pl.col("t") + 1).otherwise("t"))
    for frame in (wide, late):
        model = bound("y ~ t", lmm.AR1("t", subject="id"), "ML", frame)
        assert model.grid.seen.shape[1] == frame["t"].n_unique()
        assert model.grid.counts.sum() == frame["id"].n_unique()
        assert model.grid.seen.sum(axis=1) @ model.grid.counts == len(frame)
