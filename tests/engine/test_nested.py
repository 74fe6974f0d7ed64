"""Nested grouping factors: the recursion against V written out, and against lme4."""

import numpy as np
import polars as pl
import pytest

import lmmcore as lmm
from lmmcore.data import read
from lmmcore.formula.parse import parse
from lmmcore.likelihood.objective import Objective
from lmmcore.model import Specification, blockwise, build
from tests.shared_data import needs_shared, shared

MODELS = {
    "two levels": ("y ~ t + (1 | a/b)", None),
    "slopes on both": ("y ~ t + (t | a) + (t | a:b)", None),
    "uncorrelated inside": ("y ~ t + (1 | a) + (1 + t || a:b)", None),
    "three levels": ("y ~ t + (1 | a/b/c)", None),
    "serial inside": ("y ~ t + (t | a) + (1 | a:b)", lmm.AR1("t")),
    "serial by smaller units": ("y ~ t + (1 | a)", lmm.CAR1("t", subject="b_id")),
    "unstructured inside": ("y ~ t + (1 | a/b)", lmm.Exponential("t", nugget=True)),
}


def simulated(seed=3):
    """4 large units, 2 to 4 smaller ones in each with re-used labels, 1 to 5 rows in two parts."""
    rng = np.random.default_rng(seed)
    rows = []
    for a in range(4):
        for b in range(rng.integers(2, 5)):
            for t in np.sort(rng.choice(6, rng.integers(1, 6), replace=False)):
                rows.append((f"a{a}", f"b{b}", f"c{t // 3}", float(t), a + 0.5 * b + rng.normal()))
    frame = pl.DataFrame(rows, schema=["a", "b", "c", "t", "y"], orient="row")
    return frame.with_columns(b_id=pl.format("{}.{}", "a", "b")).sample(fraction=1, shuffle=True, seed=1)


def bound(formula, residual, method, frame):
    parsed = parse(formula)
    groups = {column for term in parsed.random for column in term.group}
    if residual is not None and residual.subject:
        groups.add(residual.subject)
    table = read(frame, sorted({*parsed.variables, "t"}), sorted(groups))
    return build(Specification(parsed, method, residual, None, None, None, None), table)


def dense_deviance(model, objective, theta):
    """-2 log likelihood with V written out, in the user's coordinates."""
    rows, rotation = model.rows, model.coordinates.random
    psi = rotation @ blockwise(objective.psis(theta)) @ rotation.T
    n = len(rows.y)
    innermost = rows.units[-1]
    V = np.eye(n)
    if model.structure is not None:
        natural = model.structure.natural(theta[objective.residual])
        for who in np.unique(innermost.subject):
            mine = np.flatnonzero(innermost.subject == who)
            V[np.ix_(mine, mine)] = model.structure.covariance(natural, mine)
    for level, unit in enumerate(rows.units):
        columns = model.columns(level)
        if columns.start < columns.stop:
            Z = np.column_stack(rows.Z[columns])
            same = unit.subject[:, None] == unit.subject[None, :]
            V += np.where(same, Z @ psi[columns, columns] @ Z.T, 0)
    X = np.column_stack(rows.X)
    inverse = np.linalg.inv(V)
    gram = X.T @ inverse @ X
    left = rows.y - X @ np.linalg.solve(gram, X.T @ inverse @ rows.y)
    reml = model.spec.reml
    nu = n - X.shape[1] if reml else n
    deviance = np.linalg.slogdet(V)[1] + nu * (1 + np.log(2 * np.pi * (left @ inverse @ left) / nu))
    return deviance + (np.linalg.slogdet(gram)[1] if reml else 0)


@pytest.mark.parametrize("method", ["REML", "ML"])
@pytest.mark.parametrize("formula, residual", MODELS.values(), ids=MODELS)
def test_deviance_and_derivatives(formula, residual, method):
    model = bound(formula, residual, method, simulated())
    objective = Objective(model.covariances[0], model.moments, model.n, model.spec.reml)
    size = len(objective.theta(objective.psis(np.zeros(100)), np.zeros(0)))
    size += 0 if model.structure is None else len(model.structure.independence)
    theta = np.random.default_rng(1).normal(0.3, 0.4, size)
    evaluation = objective.evaluate(theta)
    constant = 2 * model.coordinates.log_det_fixed if model.spec.reml else 0
    assert evaluation.deviance - constant == pytest.approx(dense_deviance(model, objective, theta), abs=1e-9)
    steps = 1e-5 * np.eye(size)
    gradient = [
        (objective.value(theta + h).deviance - objective.value(theta - h).deviance) / 2e-5 for h in steps
    ]
    hessian = [
        (objective.evaluate(theta + h).gradient - objective.evaluate(theta - h).gradient) / 2e-5
        for h in steps
    ]
    assert np.allclose(evaluation.gradient, gradient, rtol=0, atol=1e-6)
    assert np.allclose(evaluation.hessian, hessian, rtol=0, atol=1e-6)


@pytest.mark.parametrize("formula, residual", MODELS.values(), ids=MODELS)
def test_blups(formula, residual):
    """b^ = D Z'V^-1 (y - X beta^) and var(b^ - b) by the four-term formula of seed 003, written out."""
    frame = simulated()
    fit = lmm.fit(formula, frame, residual=residual)
    solution = fit.solution
    model, rows = solution.model, solution.model.rows
    n = len(rows.y)
    X = np.column_stack(rows.X)
    Z, D = [], []
    for level, unit in enumerate(rows.units):
        columns = model.columns(level)
        for who in range(len(unit.starts)):
            for column in rows.Z[columns]:
                Z.append(np.where(unit.subject == who, column, 0))
        D += [solution.sigma2 * solution.psi[columns, columns]] * len(unit.starts)
    Z, D = np.array(Z).T, blockwise(D)
    innermost = rows.units[-1]
    R = np.eye(n)
    if model.structure is not None:
        for who in np.unique(innermost.subject):
            mine = np.flatnonzero(innermost.subject == who)
            R[np.ix_(mine, mine)] = model.structure.covariance(solution.natural, mine)
    V = Z @ D @ Z.T + solution.sigma2 * R
    inverse = np.linalg.inv(V)
    vcov = np.linalg.inv(X.T @ inverse @ X)
    beta = vcov @ X.T @ inverse @ rows.y
    b = D @ Z.T @ inverse @ (rows.y - X @ beta)
    P = inverse - inverse @ X @ vcov @ X.T @ inverse
    spread = D - D @ Z.T @ P @ Z @ D
    assert list(fit.beta.values()) == pytest.approx(beta, rel=1e-8)
    assert fit.vcov == pytest.approx(vcov, rel=1e-7)
    ranef = fit.ranef()
    assert ranef["estimate"].to_numpy() == pytest.approx(b, abs=1e-8)
    assert ranef["std_error"].to_numpy() == pytest.approx(np.sqrt(np.maximum(np.diag(spread), 0)), abs=1e-7)


@needs_shared
def test_school_and_student():
    """lme4 1.1-31: sat ~ sex + (1 | school/student), seed 004 example 3."""
    data = shared("statlab_sat_repeat.csv")
    fit = lmm.fit("sat ~ sex + (1 | school/student)", data)
    assert fit.deviance == pytest.approx(1325.89101234007, abs=1e-6)
    assert fit.varcorr()["covariance"].to_list() == pytest.approx(
        [2153.27087503428, 2660.23025985952, 2085.74528123532], rel=1e-4
    )
    assert fit.tidy()["df"].to_list() == pytest.approx([3.56527005291266, 59.34066421367], rel=1e-3)
    same = lmm.fit("sat ~ sex + (1 | school) + (1 | student)", data)
    assert same.loglik == pytest.approx(fit.loglik, abs=1e-9)


def test_crossed_factors_are_refused():
    frame = pl.DataFrame({"a": [0, 0, 1, 1] * 3, "b": [0, 1] * 6, "y": np.arange(12.0) ** 1.5})
    with pytest.raises(lmm.FormulaError, match="crossed"):
        lmm.fit("y ~ 1 + (1 | a) + (1 | b)", frame)


def test_thousands_of_small_units_in_a_few_large_ones():
    rng = np.random.default_rng(5)
    large, small = 3, 3000
    school = np.repeat(np.arange(large), small * 3)
    student = np.repeat(np.arange(large * small), 3)
    y = 50 + rng.normal(0, 4, large)[school] + rng.normal(0, 3, large * small)[student]
    y += rng.normal(0, 2, len(y))
    fit = lmm.fit(
        "y ~ 1 + (1 | school/student)", pl.DataFrame({"school": school, "student": student, "y": y})
    )
    assert fit.certificate.converged
    assert fit.varcorr()["sd"].to_list()[1:] == pytest.approx([3, 2], abs=0.1)
