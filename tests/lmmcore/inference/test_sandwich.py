"""Cluster-robust inference against clubSandwich, and against the definitions with n x n matrices."""

import json

import numpy as np
import polars as pl
import pytest

import lmmcore as lmm
from lmmcore.inference.fixed.sandwich import robust
from tests.support.dense import dense_covariance, simulated

SLOPE = "distance ~ age * Sex + (age | Subject)"
DIETS = {"Diet": ["1", "2", "3"]}
MODELS = {
    "sleepstudy_unbalanced": ("Reaction ~ Days + I(Days**2) + (Days | Subject)", "sleepstudy", {}),
    "orthodont_slope": (SLOPE, "orthodont", {}),
    "bodyweight_slope": ("weight ~ Time * Diet + (Time | Rat)", "bodyweight", {"categories": DIETS}),
    "orthodont_intercept_ar1": (
        "distance ~ age * Sex + (1 | Subject)",
        "orthodont",
        {"residual": lmm.AR1("visit")},
    ),
    "sleepstudy_ar1": ("Reaction ~ Days", "sleepstudy", {"residual": lmm.AR1("Days", subject="Subject")}),
}


@pytest.fixture(scope="module")
def expected(root):
    return json.loads((root / "tests/reference/diagnostics_reference.json").read_text())


def fitted(name, raw, expected):
    formula, data, options = MODELS[name]
    frame = pl.read_csv(raw / f"{data}.csv")
    if data == "orthodont":
        frame = frame.with_columns(visit=pl.col("age") / 2 - 3)
    if name in ("sleepstudy_unbalanced", "sleepstudy_ar1"):
        frame = frame.with_row_index().filter(~pl.col("index").is_in(expected["holes"]))
    return lmm.fit(formula, frame, **options)


@pytest.mark.filterwarnings("ignore:Robust standard errors")
@pytest.mark.parametrize("kind", ["CR0", "CR2"])
@pytest.mark.parametrize("name", MODELS)
def test_clubsandwich(name, kind, raw, expected):
    """Covariance, Satterthwaite df and the AHT test, as far as R's optimisers carry (relative 1e-5)."""
    found = robust(fitted(name, raw, expected).solution, kind)
    theirs = expected["robust"][name][kind]
    vcov = np.array(theirs["vcov"])
    scale = np.sqrt(np.diag(vcov))
    assert found.vcov / np.outer(scale, scale) == pytest.approx(vcov / np.outer(scale, scale), abs=1e-5)
    tidy = found.tidy()
    assert tidy["df"].to_numpy() == pytest.approx(theirs["df"], rel=1e-5)
    assert tidy["p_value"].to_numpy() == pytest.approx(theirs["p_value"], rel=1e-4)
    joint = theirs["joint"]
    test = found.contrast(np.eye(len(vcov))[joint["terms"]]).row(0, named=True)
    assert test["statistic"] == pytest.approx(joint["statistic"], rel=1e-5)
    assert (test["num_df"], test["den_df"]) == pytest.approx((joint["num_df"], joint["den_df"]), rel=1e-5)


def written_out(solution, corrected, L):
    """vcov and df of the contrasts L by the formulas of Pustejovsky & Tipton, every matrix n x n."""
    model = solution.model
    V = dense_covariance(model, solution.psi, solution.natural)
    X = np.column_stack([model.rows.X[index] for index in model.coordinates.kept])
    inverse = np.linalg.inv(V)
    M = np.linalg.inv(X.T @ inverse @ X)
    hat = X @ M @ X.T @ inverse
    residual = model.rows.y - X @ solution.beta
    unit = model.rows.units[0].subject
    G = []  # columns: what each unit's score is of y
    for number in range(unit[-1] + 1):
        mine = np.flatnonzero(unit == number)
        D = np.linalg.cholesky(V[np.ix_(mine, mine)]).T
        E = (np.eye(len(V)) - hat)[mine] @ V @ (np.eye(len(V)) - hat)[mine].T
        values, vectors = np.linalg.eigh(D @ E @ D.T)
        inside = values > 1e-9 * values[-1]
        root = vectors[:, inside] / np.sqrt(values[inside]) @ vectors[:, inside].T
        A = D.T @ root @ D if corrected else np.eye(len(mine))
        G.append((np.eye(len(V)) - hat)[mine].T @ A @ inverse[np.ix_(mine, mine)] @ X[mine] @ M @ L.T)
    scores = np.array([g.T @ model.rows.y for g in G])
    assert np.allclose([g.T @ residual for g in G], scores)
    k = len(L)
    P = np.array([[a.T @ V @ b for b in G] for a in G])
    total = np.einsum("iiab->ab", P)
    scale = np.linalg.inv(np.linalg.cholesky(total))
    P = scale @ P @ scale.T
    df = k * (k + 1) / (np.einsum("ijaa->ij", P) ** 2 + np.einsum("ijab,ijba->ij", P, P)).sum()
    return scores.T @ scores, df


DENSE = [
    ("y ~ t + x + (t | b_id)", {}),
    ("y ~ t + x + (t | a) + (1 | b_id)", {}),
    ("y ~ t + (1 | b_id)", {"weights": "w"}),
    ("y ~ t + x", {}),
    ("y ~ t + x + (1 | b_id)", {"residual": lmm.CAR1("t")}),
    ("y ~ t + (1 | b_id)", {"residual": lmm.Exponential("t", nugget=True), "variance": lmm.ByGroup("c")}),
]


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("kind", ["CR0", "CR2"])
@pytest.mark.parametrize("formula, options", DENSE)
def test_definition(formula, options, kind):
    """Irregular units of any structure; nested factors cluster by the outermost, no factor by rows (HC)."""
    solution = lmm.fit(formula, simulated(), **options).solution
    found = robust(solution, kind)
    for L in (np.eye(len(found.vcov)), np.eye(len(found.vcov))[1:2], np.array([[1.0, -2.0, 0.3]])):
        L = L[:, : len(found.vcov)]
        vcov, df = written_out(solution, kind == "CR2", L)
        assert L @ found.vcov @ L.T == pytest.approx(vcov, rel=1e-8, abs=1e-12)
        if len(L) == 1:
            assert found.estimates(L).df == pytest.approx([df], rel=1e-8)
        elif df > len(L):
            assert found.joint_test(L).den_df == pytest.approx(df - len(L) + 1, rel=1e-8)


def test_heteroscedasticity_consistent():
    """Without a grouping factor CR2 is HC2: squared residuals over 1 - leverage (MacKinnon & White 1985)."""
    frame = simulated()
    found = robust(lmm.fit("y ~ t + x", frame).solution)
    X = np.column_stack([np.ones(len(frame)), frame["t"], frame["x"]])
    M = np.linalg.inv(X.T @ X)
    leverage = np.einsum("ia,ab,ib->i", X, M, X)
    squares = (frame["y"].to_numpy() - X @ M @ X.T @ frame["y"].to_numpy()) ** 2 / (1 - leverage)
    assert found.vcov == pytest.approx(M @ (X.T * squares) @ X @ M, rel=1e-10)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_unit_that_alone_determines_a_coefficient():
    """Its residuals say nothing about that coefficient, whose robust variance is 0 and has no df."""
    frame = simulated().with_columns(only=(pl.col("b_id") == "a1.b0").cast(pl.Float64))
    solution = lmm.fit("y ~ t + only + (1 | b_id)", frame).solution
    found = robust(solution)
    assert "a1.b0" in found.caution and "only" in found.caution
    vcov, _ = written_out(solution, True, np.eye(3)[:2])
    assert found.vcov[:2, :2] == pytest.approx(vcov, rel=1e-7)
    assert found.vcov[2, 2] < 0.5 * solution.vcov[2, 2]


def test_units(raw):
    """A balanced design and the same rows in another order and other units of y, and calendar years."""
    frame = pl.read_csv(raw / "sleepstudy.csv")
    plain = robust(lmm.fit("Reaction ~ Days + (Days | Subject)", frame).solution)
    assert plain.caution == "" and len(plain.cells.counts) == 1
    moved = frame.sample(fraction=1, shuffle=True, seed=2).with_columns(
        Days=pl.col("Days") + 2000, Reaction=pl.col("Reaction") * 1e6
    )
    other = robust(lmm.fit("Reaction ~ Days + (Days | Subject)", moved).solution)
    assert other.vcov[1, 1] == pytest.approx(1e12 * plain.vcov[1, 1], rel=1e-8)
    assert other.tidy()["df"][1] == pytest.approx(plain.tidy()["df"][1], rel=1e-8)


def test_cautions_and_refusals():
    with pytest.warns(UserWarning, match="there are 4 of a, and t tests with fewer than 4 df are unreliable"):
        found = robust(lmm.fit("y ~ t + x + (1 | a)", simulated()).solution)
    assert found.caution.startswith("Robust standard errors need many units")
    with pytest.raises(ValueError, match="'CR2' or 'CR0'"):
        robust(found.solution, "CR1")
    with pytest.raises(ValueError, match="nothing to test"):
        found.contrast({"t": 0.0})
    few = simulated().filter(pl.col("a").is_in(["a0", "a1", "a2"]))
    with pytest.warns(UserWarning, match="'a2' of a carries 52% of the information on t"):
        found = robust(lmm.fit("y ~ t + x + (1 | a)", few).solution)
    assert np.isnan(found.joint_test(np.eye(3)).p_value)  # 3 units cannot carry 3 contrasts
