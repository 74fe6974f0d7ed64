"""Every residual structure: its map, its derivatives, and the likelihood built on it."""

import numpy as np
import pytest

import lmmcore as lmm
from lmmcore.covariance.random import Block, RandomCovariance
from lmmcore.likelihood.objective import Objective
from lmmcore.system.moments.subjects import SortedRows

STRUCTURES = {
    "ar1": lmm.AR1("t"),
    "car1": lmm.CAR1("t"),
    "exponential": lmm.Exponential("t"),
    "exponential nugget": lmm.Exponential("t", nugget=True),
    "gaussian": lmm.Gaussian("t"),
    "gaussian nugget": lmm.Gaussian("t", nugget=True),
    "compound symmetry": lmm.CompoundSymmetry(),
    "toeplitz": lmm.Toeplitz("t"),
    "unstructured": lmm.Unstructured("t"),
    "random walk": lmm.RandomWalk("t"),
    "ante-dependence": lmm.AnteDependence("t"),
    "ante-dependence, equal SDs": lmm.AnteDependence("t", heterogeneous=False),
}


def rows(seed=1, subjects=9, visits=5):
    """Visits 1..5 with gaps, a subject of one row, some subjects with the same visits."""
    rng = np.random.default_rng(seed)
    seen = [np.flatnonzero(rng.random(visits) < 0.7) + 1 for _ in range(subjects)]
    seen = [s if len(s) else np.array([1]) for s in seen] + [np.arange(1, visits + 1)] * 2
    times = np.concatenate(seen).astype(float)
    subject = np.repeat(np.arange(len(seen)), [len(s) for s in seen])
    starts = np.flatnonzero(np.concatenate([[True], np.diff(subject) > 0]))
    return SortedRows(times, subject, starts), rng


def parameters(bound, rng):
    return rng.normal(0.2, 0.4, len(bound.independence))


@pytest.mark.parametrize("structure", STRUCTURES.values(), ids=STRUCTURES)
def test_map_and_derivatives(structure):
    sorted_rows, rng = rows()
    bound = structure.bind(sorted_rows)
    z = parameters(bound, rng)
    assert len(bound.parameter_names) == len(bound.natural(z)) == len(z)
    full = np.flatnonzero(sorted_rows.subject == sorted_rows.subject[-1])  # a subject with all visits
    times = sorted_rows.times[full]
    R = bound.covariance(bound.natural(z), full)
    assert np.allclose(R, R.T) and np.linalg.eigvalsh(R)[0] > 0
    if not hasattr(bound, "law"):
        return  # AR(1) keeps its matrices apart; its likelihood is tested below
    exact = bound.law.matrices(z, times[None])
    assert exact.value[0] == pytest.approx(R, abs=1e-12)
    for i, step in enumerate(1e-5 * np.eye(len(z))):
        up, down = bound.law.matrices(z + step, times[None]), bound.law.matrices(z - step, times[None])
        assert exact.first[i] == pytest.approx((up.value - down.value) / 2e-5, abs=1e-8)
        assert exact.second[i] == pytest.approx((up.first - down.first) / 2e-5, abs=1e-8)


@pytest.mark.usefixtures("loops")
@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize(
    "blocks", [(), ((0,),), ((0, 1),)], ids=["marginal", "random intercept", "random slope"]
)
@pytest.mark.parametrize("structure", STRUCTURES.values(), ids=STRUCTURES)
def test_likelihood(structure, blocks, reml):
    """The deviance with R written out, and exact derivatives against differences."""
    sorted_rows, rng = rows(2)
    bound = structure.bind(sorted_rows)
    times, subject = sorted_rows.times, sorted_rows.subject
    n = len(times)
    X = [np.broadcast_to(1.0, n), times]
    Z = X[: sum(map(len, blocks))]
    y = rng.normal(size=n) + times
    moments = bound.moments(Z, [*X, y])
    objective = Objective(RandomCovariance(tuple(Block(columns) for columns in blocks)), moments, n, reml)
    theta = np.concatenate([rng.normal(0, 0.5, objective.split), parameters(bound, rng)])
    evaluation = objective.evaluate(theta)

    R = np.zeros((n, n))
    for who in np.unique(subject):
        mine = np.flatnonzero(subject == who)
        R[np.ix_(mine, mine)] = bound.covariance(bound.natural(theta[objective.split :]), mine)
    design = np.column_stack(X)
    V = R
    if blocks:
        random = design[:, : len(Z)]
        V = R + np.where(subject[:, None] == subject, random @ objective.psis(theta)[0] @ random.T, 0)
    inverse = np.linalg.inv(V)
    gram = design.T @ inverse @ design
    left = y - design @ np.linalg.solve(gram, design.T @ inverse @ y)
    nu = n - 2 if reml else n
    deviance = np.linalg.slogdet(V)[1] + nu * (1 + np.log(2 * np.pi * (left @ inverse @ left) / nu))
    deviance += np.linalg.slogdet(gram)[1] if reml else 0
    assert evaluation.deviance == pytest.approx(deviance, abs=1e-9)

    steps = 1e-5 * np.eye(len(theta))
    gradient = [
        (objective.value(theta + h).deviance - objective.value(theta - h).deviance) / 2e-5 for h in steps
    ]

    def bend(h):
        return (objective.evaluate(theta + h).gradient - objective.evaluate(theta - h).gradient) / 2

    # A nearly singular R needs differences without an error of second order (Richardson).
    hessian = [(8 * bend(h) - bend(2 * h)) / 6e-5 for h in steps]
    assert np.allclose(evaluation.gradient, gradient, rtol=0, atol=1e-6)
    assert np.allclose(evaluation.hessian, np.reshape(hessian, (len(theta),) * 2), rtol=0, atol=1e-6)


def test_toeplitz_needs_every_lag():
    """Weeks 0, 2, 4, 12 have no pair 6 apart, so its correlation could be anything."""
    times = np.tile([0.0, 2.0, 4.0, 12.0], 5)
    subject = np.repeat(np.arange(5), 4)
    with pytest.raises(lmm.DataError, match="no two rows of a subject are 6 apart"):
        lmm.Toeplitz("t").bind(SortedRows(times, subject, np.arange(0, 20, 4)))
