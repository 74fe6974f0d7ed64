"""Models bound to small simulated data, and their likelihood with V written out."""

import numpy as np
import polars as pl

from lmmcore.covariance.residual import subject_columns
from lmmcore.data.table import read
from lmmcore.formula.parse import parse
from lmmcore.likelihood.objective import Objective
from lmmcore.model.build import build
from lmmcore.model.specification import Specification
from lmmcore.system.moments.subjects import blockwise


def simulated(seed=3):
    """4 large units, 2 to 4 smaller ones in each with re-used labels, 1 to 5 rows in two parts."""
    rng = np.random.default_rng(seed)
    rows = []
    for a in range(4):
        for b in range(rng.integers(2, 5)):
            for t in np.sort(rng.choice(6, rng.integers(1, 6), replace=False)):
                rows.append((f"a{a}", f"b{b}", f"c{t // 3}", float(t), a + 0.5 * b + rng.normal()))
    frame = pl.DataFrame(rows, schema=["a", "b", "c", "t", "y"], orient="row")
    frame = frame.with_columns(
        b_id=pl.format("{}.{}", "a", "b"),
        x=pl.Series(rng.uniform(1, 3, len(frame))),
        w=pl.Series(rng.uniform(0.5, 2, len(frame))),
    )
    return frame.sample(fraction=1, shuffle=True, seed=1)


def bound(formula, residual, method, frame, variance=None, weights=None):
    parsed = parse(formula)
    groups = {column for term in parsed.random for column in term.group}
    groups.update(subject_columns(residual))
    table = read(frame, sorted({*parsed.variables, "t", "x", "c", "w"}), sorted(groups))
    return build(Specification(parsed, method, residual, variance, weights, None, None), table)


def dense_covariance(model, psi, natural):
    """V / sigma^2 : (n, n) of the sorted rows; psi : (q, q) and natural in the user's terms."""
    rows, n = model.rows, model.n
    innermost = rows.units[-1]
    V = np.eye(n)
    if model.structure is not None:
        for who in np.unique(innermost.subject):
            mine = np.flatnonzero(innermost.subject == who)
            V[np.ix_(mine, mine)] = model.structure.covariance(natural, mine)
    if rows.weights is not None:
        V /= np.sqrt(np.outer(rows.weights, rows.weights))
    for level, unit in enumerate(rows.units):
        columns = model.columns(level)
        if columns.start < columns.stop:
            Z = np.column_stack(rows.Z[columns])
            same = unit.subject[:, None] == unit.subject[None, :]
            V += np.where(same, Z @ psi[columns, columns] @ Z.T, 0)
    return V


def dense_deviance(model, objective, theta):
    """-2 log likelihood with V written out, in the user's coordinates."""
    rows, rotation, n = model.rows, model.coordinates.random, model.n
    psi = rotation @ blockwise(objective.psis(theta)) @ rotation.T
    natural = None if model.structure is None else model.structure.natural(theta[objective.residual])
    V = dense_covariance(model, psi, natural)
    X = np.column_stack(rows.X)
    inverse = np.linalg.inv(V)
    gram = X.T @ inverse @ X
    left = rows.y - X @ np.linalg.solve(gram, X.T @ inverse @ rows.y)
    reml = model.spec.reml
    nu = n - X.shape[1] if reml else n
    deviance = np.linalg.slogdet(V)[1] + nu * (1 + np.log(2 * np.pi * (left @ inverse @ left) / nu))
    return deviance + (np.linalg.slogdet(gram)[1] if reml else 0)


def check_against_dense(model, seed=1):
    """The deviance of a bound model against V written out, its derivatives against differences."""
    objective = Objective(model.covariances[0], model.moments, model.n, model.spec.reml)
    size = len(objective.theta(objective.psis(np.zeros(100)), np.zeros(0)))
    size += 0 if model.structure is None else len(model.structure.independence)
    theta = np.random.default_rng(seed).normal(0.3, 0.4, size)
    evaluation = objective.evaluate(theta)
    constant = 2 * model.coordinates.log_det_fixed if model.spec.reml else 0
    if model.rows.weights is not None:
        constant += np.log(model.rows.weights).sum()
    assert abs(evaluation.deviance - constant - dense_deviance(model, objective, theta)) < 1e-10
    steps = 1e-5 * np.eye(size)
    values = [
        (objective.value(theta + h).deviance - objective.value(theta - h).deviance) / 2e-5 for h in steps
    ]
    slopes = [
        (objective.evaluate(theta + h).gradient - objective.evaluate(theta - h).gradient) / 2e-5
        for h in steps
    ]
    assert np.allclose(evaluation.gradient, values, rtol=0, atol=1e-6)
    assert np.allclose(evaluation.hessian, slopes, rtol=0, atol=1e-6)
