"""Structures of the random effects' covariance: the map, its derivatives, the fits."""

import numpy as np
import polars as pl
import pytest

import lmmcore as lmm
from lmmcore.covariance.random import Block, RandomCovariance
from tests.support.dense import bound, check_against_dense, simulated

KINDS = ("unstructured", "compound_symmetry", "identity")


@pytest.mark.parametrize("kind", KINDS)
def test_map(kind):
    rng = np.random.default_rng(1)
    covariance = RandomCovariance((Block((1,)), Block((0, 3, 2), kind)))
    theta = rng.normal(size=covariance.size)
    factor = covariance.factor(theta)
    psi = factor @ factor.T
    assert np.all(psi[1, [0, 2, 3]] == 0)
    part = psi[np.ix_((0, 3, 2), (0, 3, 2))]
    if kind != "unstructured":
        assert np.diag(part) == pytest.approx(np.full(3, part[0, 0]))
        assert part[0, 1] == pytest.approx(part[1, 2])
    if kind == "identity":
        assert part[0, 1] == 0
    again = covariance.factor(covariance.parameters(psi))
    assert again @ again.T == pytest.approx(psi)
    for i, step in enumerate(1e-6 * np.eye(covariance.size)):
        up, down = covariance.factor(theta + step), covariance.factor(theta - step)
        assert covariance.first(factor)[i] == pytest.approx((up @ up.T - down @ down.T) / 2e-6, abs=1e-8)
        assert covariance.second[i] == pytest.approx(
            (covariance.first(up) - covariance.first(down)) / 2e-6, abs=1e-8
        )


@pytest.mark.parametrize("method", ["REML", "ML"])
@pytest.mark.parametrize(
    "formula", ["y ~ t + cs(1 + t | a)", "y ~ t + identity(0 + c | b_id)", "y ~ t + diag(1 + t | a)"]
)
def test_deviance_and_derivatives(formula, method):
    check_against_dense(bound(formula, None, method, simulated()))


def test_spellings():
    data = simulated()
    assert lmm.fit("y ~ t + diag(1 + t | a)", data).loglik == lmm.fit("y ~ t + (1 + t || a)", data).loglik
    assert lmm.fit("y ~ t + us(1 + t | a)", data).loglik == lmm.fit("y ~ t + (1 + t | a)", data).loglik
    with pytest.raises(lmm.FormulaError, match="takes a random term"):
        lmm.fit("y ~ cs(t)", data)
    with pytest.raises(lmm.FormulaError, match="uncorrelated"):
        lmm.fit("y ~ t + cs(1 + t || a)", data)


def test_compound_symmetry_is_two_nested_intercepts():
    """cs(0 + c | a) with a positive correlation is (1 | a/c), an identity of the variances."""
    rng = np.random.default_rng(3)
    a, c = np.repeat(np.arange(40), 6), np.tile(np.repeat(["u", "v", "w"], 2), 40)
    y = (
        rng.normal(0, 2, 40)[a]
        + rng.normal(0, 1, (40, 3))[a, (c == "v") + 2 * (c == "w")]
        + rng.normal(size=240)
    )
    data = pl.DataFrame({"a": a, "c": c, "y": y})
    together = lmm.fit("y ~ 1 + cs(0 + c | a)", data)
    nested = lmm.fit("y ~ 1 + (1 | a/c)", data)
    assert together.npar == nested.npar == 4
    assert together.loglik == pytest.approx(nested.loglik, abs=1e-9)
    between, within, _ = nested.varcorr()["covariance"]
    rows = {(r["term1"], r["term2"]): r["covariance"] for r in together.varcorr().iter_rows(named=True)}
    assert rows["c[u]", None] == pytest.approx(between + within, rel=1e-7)
    assert rows["c[u]", "c[w]"] == pytest.approx(between, rel=1e-7)


def test_ladder_of_structures():
    rng = np.random.default_rng(5)
    a, c = np.repeat(np.arange(30), 6), np.tile(np.repeat(["u", "v", "w"], 2), 30)
    y = (
        rng.normal(0, 1, 30)[a]
        + rng.normal(0, 1, (30, 3))[a, (c == "v") + 2 * (c == "w")]
        + rng.normal(size=180)
    )
    data = pl.DataFrame({"a": a, "c": c, "y": y})

    def ml(term):
        return lmm.fit(f"y ~ 1 + {term}", data, method="ML")

    found = lmm.compare(
        {
            "none": lmm.fit("y ~ 1", data, method="ML"),
            "identity": ml("identity(0 + c | a)"),
            "cs": ml("cs(0 + c | a)"),
            "us": ml("(0 + c | a)"),
        }
    )
    distribution = {(test["null"], test["alternative"]): test["distribution"] for test in found.tests}
    assert distribution["identity", "cs"] == "chi2(1)"
    assert distribution["cs", "us"] == "chi2(4)"
    assert distribution["identity", "us"] == "chi2(5)"
    assert distribution["none", "identity"] == "1/2 chi2(0) + 1/2 chi2(1)"
    assert ("none", "cs") in distribution
