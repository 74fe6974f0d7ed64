"""Nearly singular R beside random effects that make V a plain covariance: the deviance keeps its digits.

With correlations of 1 - 1e-6 or 1e-6 - 1 between rows R^-1 has entries of 1e6, but V = Z Psi Z' + R need not
be near to singular: what cancels must not leave noise. So it is with one random effect per unit; with two,
the determinant of A_i loses the square of that.
"""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

import lmmcore as lmm
from lmmcore.likelihood.objective import Objective
from tests.support.dense import bound, dense_deviance, simulated

END = float(np.arctanh(1 - 1e-6))
NEAR = {
    "AR1": (lmm.AR1("t"), [[END], [-END]]),
    "CAR1": (lmm.CAR1("t"), [[14.0], [-3.0]]),
    "Exponential": (lmm.Exponential("t"), [[14.0]]),
    "Exponential with a nugget": (lmm.Exponential("t", nugget=True), [[14.0, 1e-3], [2.0, 1e-4]]),
    "Gaussian": (lmm.Gaussian("t"), [[2.0]]),
    "CompoundSymmetry": (lmm.CompoundSymmetry(), [[15.0], [-15.0]]),
    "Toeplitz": (lmm.Toeplitz("t"), [[END, 0, 0, 0, 0], [-END, 0, 0, 0, 0], [0.3, -END, 0, 0, 0]]),
}


@pytest.mark.parametrize("method", ["ML", "REML"])
@pytest.mark.parametrize("name", NEAR)
@pytest.mark.parametrize("formula", ["y ~ x + (1 | a/b)", "y ~ t + (1 | a)", "y ~ 1 + (1 | b_id)"])
def test_the_deviance_is_that_of_the_parameters(formula, name, method, loops):
    residual, near = NEAR[name]
    if "b" not in formula:  # the units of the residual are those of the formula
        residual = replace(residual, subject=["a", "b"])
    model = bound(formula, residual, method, simulated(seed=5))
    objective = Objective(model.covariances[0], model.moments, model.n, model.spec.reml)
    psis = [level.parameters(np.eye(level.q)) for level in objective.levels]
    for z in near:
        theta = np.concatenate([*psis, z])
        value = objective.value(theta)
        assert value is not None
        constant = 2 * model.coordinates.log_det_fixed if model.spec.reml else 0
        assert value.deviance - constant == pytest.approx(dense_deviance(model, objective, theta), abs=1e-6)


@pytest.mark.parametrize("weights", [None, "w"])
@pytest.mark.parametrize("formula", ["y ~ 1 + (1 | id)", "y ~ x * t + (1 | id)"])
@pytest.mark.parametrize("z", [-7.7, -8.4, -9.0, 7.7, 8.4, 9.0])
def test_pairs_of_rows(z, formula, weights):
    """Two rows of a subject, one step apart: all that R^-1 has is the sum of its parts that cancel most."""
    rng = np.random.default_rng(3)
    rows = [(number, 5.0 + 3 * visit) for number in range(9) for visit in range(2) if number % 4 or visit]
    frame = pl.DataFrame(rows, schema=["id", "t"], orient="row")
    columns = {"y": rng.normal(size=len(rows)), "x": rng.uniform(1, 3, len(rows))}
    frame = frame.with_columns(w=pl.Series(rng.uniform(0.5, 4, len(rows))), c=pl.lit("c"), **columns)
    model = bound(formula, lmm.AR1("t"), "ML", frame, weights=weights)
    objective = Objective(model.covariances[0], model.moments, model.n, False)
    theta = np.array([1.0, z])
    constant = 0 if weights is None else np.log(model.rows.weights).sum()
    right = dense_deviance(model, objective, theta)
    assert objective.value(theta).deviance - constant == pytest.approx(right, abs=1e-5)
