"""The deviance by what columns leave over of their projections on Z, level by level.

At moderate variances it is the ordinary deviance with its derivatives; where random effects of every level
are huge beside the residuals it keeps the digits that the ordinary one loses.
"""

import numpy as np
import polars as pl
import pytest

import lmmcore as lmm
from lmmcore.likelihood.objective import Objective
from lmmcore.system.deflated import DeflatedObjective, undone
from tests.support.dense import bound, simulated

MODELS = {
    "one level": ("y ~ t + (1 | a)", None, {}),
    "a slope": ("y ~ x + (t | a)", None, {}),
    "two levels": ("y ~ t + (1 | a/b)", None, {}),
    "slopes inside": ("y ~ t + x + (1 | a) + (t | a:b)", None, {}),
    "slopes outside": ("y ~ 0 + x + (1 + t + x | a) + (1 | a:b)", None, {}),
    "three levels": ("y ~ t + (t | a) + (1 | a:b) + (1 | a:b:c)", None, {}),
    "weights": ("y ~ t + (t | a) + (1 | a:b) + (1 | a:b:c)", None, {"weights": "w"}),
    "serial correlation": ("y ~ x + (1 | a/b)", lmm.AR1("t"), {}),
    "two residual parameters": ("y ~ x + (t || a) + (1 | a:b)", lmm.Exponential("t", nugget=True), {}),
}


@pytest.mark.parametrize("method", ["ML", "REML"])
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("known", [False, True])
def test_it_is_the_same_deviance(name, method, known):
    formula, residual, given = MODELS[name]
    model = bound(formula, residual, method, simulated(), **given)
    plain = Objective(model.covariances[0], model.moments, model.n, model.spec.reml)
    made = model.make_deflated(np.linspace(-1, 2, model.p) if known else None)
    deflated = DeflatedObjective(plain.covariance, made.moments, model.n, model.spec.reml, made.shift)
    rng = np.random.default_rng(7)
    size = sum(level.size for level in plain.levels)
    size += 0 if model.structure is None else len(model.structure.independence)
    for _ in range(3):
        theta = rng.normal(0.5, 0.5, size)
        ours, right = undone(deflated.evaluate(theta), made.within), plain.evaluate(theta)
        assert ours.deviance == pytest.approx(right.deviance, abs=1e-9)
        assert np.allclose(ours.gradient, right.gradient, rtol=1e-8, atol=1e-8)
        assert np.allclose(ours.hessian, right.hessian, rtol=1e-8, atol=1e-7)
        assert np.allclose(ours.value.profile.beta, right.value.profile.beta, rtol=0, atol=1e-8)
        for mine, other in zip(ours.cones, right.cones, strict=True):
            assert np.allclose(mine, other, rtol=1e-8, atol=1e-8)


def exact_loglik(fit, V, X, y):
    """The log-likelihood in 80-bit numbers, with V written out."""
    n, p = X.shape
    both, L = np.column_stack([X, y]).astype(np.longdouble), V.astype(np.longdouble).copy()
    for j in range(n):  # Cholesky, and forward substitution beside it
        L[j:, j] = (L[j:, j] - L[j:, :j] @ L[j, :j]) / np.sqrt(L[j, j] - L[j, :j] @ L[j, :j])
        both[j] = (both[j] - L[j, :j] @ both[:j]) / L[j, j]
    left = both[:, -1] - both[:, :-1] @ np.array(list(fit.beta.values()), dtype=np.longdouble)
    gram = (both[:, :-1].T @ both[:, :-1]).astype(float)
    reml = fit.method == "REML"
    total = (n - p * reml) * np.log(2 * np.pi) + 2 * np.log(np.diag(L)).sum() + left @ left
    return -float(total + (np.linalg.slogdet(gram)[1] if reml else 0)) / 2


@pytest.mark.parametrize("method", ["ML", "REML"])
@pytest.mark.parametrize("sizes", [(1e4, 1e3), (1e3, 1e4), (1, 3e4), (3e4, 1), (1e5, 1e5)])
def test_every_level_may_be_huge(sizes, method):
    """Sites and subjects in them that differ by far more than the rows of a subject."""
    rng = np.random.default_rng(4)
    site, subject = np.repeat(np.arange(8), 12), np.repeat(np.arange(32), 3)
    t = np.tile(np.arange(3.0), 32) + rng.uniform(0, 0.3, 96)
    effects = sizes[0] * rng.normal(size=8)[site] + sizes[1] * rng.normal(size=32)[subject]
    frame = pl.DataFrame({"site": site, "subject": subject, "t": t, "y": effects + t + rng.normal(size=96)})
    fit = lmm.fit("y ~ t + (1 | site) + (1 | subject)", frame, method=method)
    assert fit.certificate.converged
    outer, inner = (
        fit.varcorr().filter(pl.col("group") == group)["covariance"].item() for group in ("site", "subject")
    )
    V = np.longdouble(fit.sigma) ** 2 * np.eye(96, dtype=np.longdouble)
    V += outer * (site[:, None] == site) + inner * (subject[:, None] == subject)
    X = np.column_stack([np.ones(96), t])
    assert fit.loglik == pytest.approx(exact_loglik(fit, V, X, frame["y"].to_numpy()), abs=1e-7)
    moved = lmm.fit("y ~ t + (1 | site) + (1 | subject)", frame[rng.permutation(96)], method=method)
    assert moved.loglik == pytest.approx(fit.loglik, abs=1e-7)
