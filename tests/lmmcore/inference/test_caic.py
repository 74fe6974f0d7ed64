"""Conditional AIC against refits with every response moved, dense matrices, and cAIC4.

The results of cAIC4, their script and versions are in tests/reference.
"""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy import stats

import lmmcore as lmm
from lmmcore.estimate.precision import row_inverse, weighted
from lmmcore.estimate.residuals import marginal_covariance
from lmmcore.inference.models.caic import caic, df_known

ROOT = Path(__file__).resolve().parents[3]
REFERENCE = json.loads((ROOT / "tests/reference/random_effects_reference.json").read_text("utf-8"))["caic"]


def orthodont(subjects):
    data = pl.read_csv(ROOT / "data/raw/orthodont.csv")
    rng = np.random.default_rng(0)
    data = data.with_columns(w=pl.Series(rng.uniform(0.5, 2, len(data))))
    return data.filter(pl.col("Subject").is_in(data["Subject"].unique().sort()[-subjects:].to_list()))


def machines():
    data = pl.read_csv(ROOT / "tests/reference/data/machines.csv")
    return data.with_columns(row=pl.int_range(pl.len()).over("Worker", "Machine"))[
        [*range(2, 25), *range(29, 54)]
    ]


MODELS = {
    "slope": ("distance ~ age + (age | Subject)", {}, orthodont(9)),
    "slope_ml": ("distance ~ age + (age | Subject)", {"method": "ML"}, orthodont(9)),
    "weights": ("distance ~ age + (age || Subject)", {"weights": "w"}, orthodont(12)),
    "nested": ("score ~ Machine + (1 | Worker/Machine)", {}, machines()),
    "compound": ("score ~ Machine + cs(0 + Machine | Worker)", {}, machines()),
    "ar1": ("distance ~ age + (1 | Subject)", {"residual": lmm.AR1("age")}, orthodont(10)),
    "by_group": ("score ~ Machine + (1 | Worker)", {"variance": lmm.ByGroup("Machine")}, machines()),
    "nested_ar1": ("score ~ Machine + (1 | Worker/Machine)", {"residual": lmm.AR1("row")}, machines()),
}


def fitted(name, moved=None):
    formula, keywords, data = MODELS[name]
    response = formula.split(" ")[0]
    if moved is not None:
        data = data.with_columns(pl.Series(response, data[response].to_numpy() + moved))
    return lmm.fit(formula, data, **keywords)


@pytest.mark.parametrize("name", [name for name in MODELS if name != "nested_ar1"])
def test_df_is_the_derivative_of_refitted_values(name):
    """Greven & Kneib's degrees of freedom by definition: d fitted_i / d y_i, everything estimated anew."""
    n = len(MODELS[name][2])
    fit = fitted(name)
    assert fit.certificate.converged
    step = 1e-3
    trace = 0.0
    for row in range(n):
        up, down = (
            fitted(name, sign * step * (np.arange(n) == row)).augment()["fitted"][row] for sign in (1, -1)
        )
        trace += (up - down) / (2 * step)
    assert caic(fit.solution).df == pytest.approx(trace, abs=2e-5)


def dense(solution):
    """V, X of the sorted rows times the root of their weights."""
    rows = solution.model.rows
    n = len(rows.y)
    starts = np.append(rows.units[0].starts, n)
    V = np.zeros((n, n))
    for first, last in zip(starts, starts[1:], strict=False):
        index = np.arange(first, last)
        V[np.ix_(index, index)] = marginal_covariance(solution, index[None])[0]
    root = weighted(solution, np.ones(n))
    return V * np.outer(root, root), weighted(solution, np.column_stack(rows.X))


@pytest.mark.parametrize("name", MODELS)
def test_known_covariance_against_dense(name):
    """tr(H1), and V^-1 itself, with every matrix written out."""
    solution = fitted(name).solution
    V, X = dense(solution)
    n = len(V)
    inverse = np.linalg.inv(V)
    np.testing.assert_allclose(
        row_inverse(solution)(np.eye(n)), inverse, rtol=0, atol=1e-10 * abs(inverse).max()
    )
    model = solution.model
    R = np.eye(n)
    if model.structure is not None:
        who = model.rows.units[-1].subject
        R = np.where(who[:, None] == who, model.structure.covariance(solution.natural, np.arange(n)), 0.0)
    P = inverse - inverse @ X @ np.linalg.solve(X.T @ inverse @ X, X.T @ inverse)
    assert df_known(solution) == pytest.approx(n - np.trace(R @ P), abs=1e-8)
    r = P @ weighted(solution, model.rows.y)
    error = R @ r
    expected = stats.multivariate_normal(cov=solution.sigma2 * R).logpdf(error)
    if model.rows.weights is not None:
        expected += np.log(model.rows.weights).sum() / 2
    found = caic(fitted(name).solution)
    assert found.loglik == pytest.approx(expected, abs=1e-7)
    assert found.residual_parameters == 1 + len(solution.natural)
    assert found.caic == pytest.approx(-2 * expected + 2 * (found.df + found.residual_parameters))
    assert found.caic_known == pytest.approx(-2 * expected + 2 * (found.df_known + found.residual_parameters))


@pytest.mark.parametrize("entry", REFERENCE, ids=lambda entry: f"{entry['formula']}, {entry['method']}")
def test_caic4(entry):
    """cAIC4 with its derivative of y'P y by y put right; as it is, its df is a little too large."""
    fit = lmm.fit(entry["formula"], pl.read_csv(ROOT / entry["data"]), method=entry["method"])
    found = caic(fit.solution)
    assert found.loglik == pytest.approx(entry["loglik"], abs=2e-4)
    # It counts sigma among the degrees of freedom.
    assert found.df + 1 == pytest.approx(entry["df_corrected"], abs=2e-4)
    assert found.df + 1 < entry["df"]


def test_without_random_effects(raw):
    """The marginal AIC of the linear model, sigma by REML."""
    data = pl.read_csv(raw / "sleepstudy.csv")
    fit = lmm.fit("Reaction ~ Days", data)
    found = caic(fit.solution)
    residual = fit.augment()["residual"].to_numpy()
    assert found.df == found.df_known == 2
    assert found.caic == pytest.approx(-2 * stats.norm(scale=fit.sigma).logpdf(residual).sum() + 2 * 3)
    mmrm = caic(lmm.fit("Reaction ~ Days", data, residual=lmm.AR1("Days", subject="Subject")).solution)
    assert mmrm.df_known == pytest.approx(2, abs=1e-12) and mmrm.residual_parameters == 2


def test_zero_variance():
    """Dyestuff2: a small change of a response leaves the variance between batches at 0."""
    data = pl.read_csv(ROOT / "tests/reference/data/dyestuff2.csv")
    found = caic(lmm.fit("Yield ~ 1 + (1 | Batch)", data).solution)
    assert found.df == found.df_known == pytest.approx(1, abs=1e-12)
    assert found.caic == pytest.approx(caic(lmm.fit("Yield ~ 1", data).solution).caic)
    assert "1.00 effective degrees of freedom" in str(found)


def test_units_of_the_response_shift_it_by_a_constant(raw):
    data = pl.read_csv(raw / "sleepstudy.csv")
    ours = caic(lmm.fit("Reaction ~ Days + (Days | Subject)", data).solution)
    data = data.with_columns(pl.col("Reaction") / 1000 + 5, Days=pl.col("Days") * 7 + 2000)
    other = caic(lmm.fit("Reaction ~ Days + (Days | Subject)", data).solution)
    assert other.df == pytest.approx(ours.df, rel=1e-7)
    assert other.caic - ours.caic == pytest.approx(-2 * 180 * np.log(1000), abs=1e-5)
