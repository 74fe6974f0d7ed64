"""The deviance against the textbook formula with dense matrices, its derivatives against differences."""

import numpy as np
import pytest

from lmmcore.covariance.ar1 import AR1
from lmmcore.covariance.random import Block, RandomCovariance, semidefinite_cholesky
from lmmcore.likelihood.objective import Objective
from lmmcore.system.moments.patterns import Patterns, grouped
from lmmcore.system.moments.subjects import SortedRows, independent

BLOCKS = {
    "no random effects": (),
    "intercept": ((0,),),
    "correlated slope": ((0, 1),),
    "slope first": ((1, 0),),
    "three effects": ((2, 0, 1),),
    "two terms": ((0, 1), (2,)),
}


def covariance_of(blocks):
    return RandomCovariance(tuple(Block(columns) for columns in blocks))


def simulated(q, subjects=7, seed=1):
    """Irregular times (with gaps, subjects of one row too), three fixed effects, q random ones."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 7, subjects)
    subject = np.repeat(np.arange(subjects), sizes)
    times = np.concatenate([np.sort(rng.choice(12, size, replace=False)) for size in sizes]).astype(float)
    n = len(times)
    X = [np.broadcast_to(1.0, n), times / 5, rng.normal(size=n)]
    Z = [X[0], X[1], rng.normal(size=n)][:q]
    y = rng.normal(size=n) + subject
    starts = np.flatnonzero(np.concatenate([[True], np.diff(subject) > 0]))
    return X, Z, y, subject, times, starts


def objective_for(blocks, serial, reml, seed=1):
    q = sum(map(len, blocks))
    X, Z, y, subject, times, starts = simulated(q, seed=seed)
    if serial:
        rows = SortedRows(times, subject, starts)
        moments = AR1("t").bind(rows).moments(Z, [*X, y])
    else:
        moments = independent(Z, [*X, y], SortedRows(times, subject, starts))
    return Objective(covariance_of(blocks), moments, len(y), reml), (X, Z, y, subject, times)


def dense_deviance(data, psi, rho, reml):
    """-2 log likelihood with V written out, beta and sigma^2 at their best."""
    X, Z, y, subject, times = data
    X, Z = np.column_stack(X), np.column_stack([np.zeros(len(y)), *Z])[:, 1:]
    same = subject[:, None] == subject[None, :]
    R = np.eye(len(y)) if rho is None else rho ** np.abs(times[:, None] - times[None, :])
    V = np.where(same, R + Z @ psi @ Z.T, 0.0)
    inverse = np.linalg.inv(V)
    gram = X.T @ inverse @ X
    left = y - X @ np.linalg.solve(gram, X.T @ inverse @ y)
    nu = len(y) - X.shape[1] if reml else len(y)
    deviance = np.linalg.slogdet(V)[1] + nu * (1 + np.log(2 * np.pi * (left @ inverse @ left) / nu))
    return deviance + (np.linalg.slogdet(gram)[1] if reml else 0)


@pytest.mark.usefixtures("loops")
@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("serial", [False, True])
@pytest.mark.parametrize("blocks", BLOCKS.values(), ids=BLOCKS)
def test_deviance_and_derivatives(blocks, serial, reml):
    objective, data = objective_for(blocks, serial, reml)
    theta = np.random.default_rng(5).normal(0, 0.6, objective.split + serial)
    evaluation = objective.evaluate(theta)
    rho = np.tanh(theta[-1]) if serial else None
    assert evaluation.deviance == pytest.approx(
        dense_deviance(data, objective.psis(theta)[0], rho, reml), abs=1e-10
    )
    steps = 1e-5 * np.eye(len(theta))
    gradient = [
        (objective.value(theta + h).deviance - objective.value(theta - h).deviance) / 2e-5 for h in steps
    ]
    hessian = [
        (objective.evaluate(theta + h).gradient - objective.evaluate(theta - h).gradient) / 2e-5
        for h in steps
    ]
    assert np.allclose(evaluation.gradient, gradient, rtol=0, atol=1e-6)
    assert np.allclose(evaluation.hessian, np.reshape(hessian, (len(theta),) * 2), rtol=0, atol=1e-6)


@pytest.mark.parametrize("reml", [True, False])
def test_patterns_equal_subjects(reml):
    """Grouping subjects with equal designs changes nothing."""
    rng = np.random.default_rng(2)
    subjects, visits = 60, 5
    times = np.tile(np.arange(visits, dtype=float), subjects)
    kept = np.flatnonzero((rng.random(len(times)) > 0.4) | (times == 0))
    subject, times = np.repeat(np.arange(subjects), visits)[kept], times[kept]
    one = np.broadcast_to(1.0, len(times))
    y = rng.normal(size=len(times))
    starts = np.flatnonzero(np.concatenate([[True], np.diff(subject) > 0]))
    whole = independent([one], [one, times, y], SortedRows(times, subject, starts))
    cells = grouped(whole)
    assert isinstance(cells, Patterns) and len(cells.counts) == 5
    theta = np.array([0.7])
    one_by_one = Objective(covariance_of(((0,),)), whole, len(y), reml).evaluate(theta)
    together = Objective(covariance_of(((0,),)), cells, len(y), reml).evaluate(theta)
    assert together.deviance == pytest.approx(one_by_one.deviance, abs=1e-10)
    assert together.gradient == pytest.approx(one_by_one.gradient, abs=1e-10)
    assert together.hessian == pytest.approx(one_by_one.hessian, abs=1e-9)
    assert together.gram_first == pytest.approx(one_by_one.gram_first, abs=1e-9)


def test_cone_derivative_is_the_derivative_by_psi():
    """D* against differences of the deviance along directions of Psi, at a singular Psi."""
    objective, data = objective_for(((0, 1),), False, True)
    theta = np.array([0.8, 0.3, 0.0])
    psi = objective.psis(theta)[0]
    cone = objective.evaluate(theta).cones[0]
    for direction in (np.diag([1.0, 0.0]), np.diag([0.0, 1.0]), np.array([[0, 1.0], [1, 0]])):
        h = 1e-5
        difference = (
            dense_deviance(data, psi + h * direction, None, True)
            - dense_deviance(data, psi - h * direction, None, True)
        ) / (2 * h)
        assert np.sum(cone * direction) == pytest.approx(difference, abs=1e-6)


def test_semidefinite_cholesky():
    singular = np.array([[4.0, 2.0], [2.0, 1.0]])
    lower = semidefinite_cholesky(singular)
    assert lower @ lower.T == pytest.approx(singular)
    assert lower[1, 1] == 0
    assert semidefinite_cholesky(np.zeros((2, 2))) == pytest.approx(np.zeros((2, 2)))


def test_pivot_puts_the_largest_variance_first():
    covariance = covariance_of(((0, 1),))
    psi = np.array([[0.1, 0.2], [0.2, 3.0]])
    turned = covariance.repivoted(psi)
    assert turned.blocks[0].columns == (1, 0)
    factor = turned.factor(turned.parameters(psi))
    assert factor @ factor.T == pytest.approx(psi)
    assert turned.repivoted(psi) is turned
