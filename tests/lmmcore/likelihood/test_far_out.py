"""A trial step may end far out: the deviance and its derivatives are numbers or none, without a warning."""

import warnings

import numpy as np
import pytest

import lmmcore as lmm
from lmmcore.likelihood.objective import Objective
from tests.support.dense import bound, simulated

STRUCTURES = {
    "independent": (None, {}),
    "AR1": (lmm.AR1("t"), {}),
    "CAR1": (lmm.CAR1("t"), {}),
    "Exponential": (lmm.Exponential("t", nugget=True), {}),
    "Gaussian": (lmm.Gaussian("t"), {}),
    "CompoundSymmetry": (lmm.CompoundSymmetry(), {}),
    "Toeplitz": (lmm.Toeplitz("t"), {}),
    "Unstructured": (lmm.Unstructured("t"), {}),
    "RandomWalk": (lmm.RandomWalk("s"), {}),
    "ByGroup": (None, {"variance": lmm.ByGroup("c")}),
    "AR1 and Power": (lmm.AR1("t"), {"variance": lmm.Power(of="x")}),
}
FORMULAS = ("y ~ t + (1 | a/b)", "y ~ x + (t | b_id)", "y ~ 1 + (t + x | a) + (1 | a:b)")


@pytest.mark.parametrize("formula", FORMULAS)
@pytest.mark.parametrize("name", STRUCTURES)
def test_without_a_warning(name, formula, loops):
    residual, given = STRUCTURES[name]
    frame = simulated().with_columns(s=simulated()["t"] + 1)
    if residual is not None and residual.time == "s":
        frame = frame.with_columns(t=frame["s"])
        residual = lmm.RandomWalk("t")
    model = bound(formula, residual, "REML", frame, **given)
    objective = Objective(model.covariances[0], model.moments, model.n, model.spec.reml)
    size = sum(level.size for level in objective.levels)
    size += 0 if model.structure is None else len(model.structure.independence)
    rng = np.random.default_rng(1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for length in (1.0, 10.0, 40.0, 400.0, 1e5, 1e160):
            for theta in length * rng.choice([-1.0, 0.0, 1.0], (4, size)):
                found = objective.evaluate(theta)
                if found is not None:
                    assert np.isfinite(found.deviance)
                    assert found.gradient.shape == (size,)
