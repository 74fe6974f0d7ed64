"""Nested grouping factors: the recursion against V written out, and against lme4."""

import numpy as np
import polars as pl
import pytest

import lmmcore as lmm
from lmmcore.system.moments.subjects import blockwise
from tests.support.dense import bound, check_against_dense, simulated
from tests.support.shared_data import needs_shared, shared

MODELS = {
    "two levels": ("y ~ t + (1 | a/b)", None),
    "slopes on both": ("y ~ t + (t | a) + (t | a:b)", None),
    "uncorrelated inside": ("y ~ t + (1 | a) + (1 + t || a:b)", None),
    "three levels": ("y ~ t + (1 | a/b/c)", None),
    "serial inside": ("y ~ t + (t | a) + (1 | a:b)", lmm.AR1("t")),
    "serial by smaller units": ("y ~ t + (1 | a)", lmm.CAR1("t", subject="b_id")),
    "unstructured inside": ("y ~ t + (1 | a/b)", lmm.Exponential("t", nugget=True)),
}


@pytest.mark.parametrize("method", ["REML", "ML"])
@pytest.mark.parametrize("formula, residual", MODELS.values(), ids=MODELS)
def test_deviance_and_derivatives(formula, residual, method):
    check_against_dense(bound(formula, residual, method, simulated()))


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
