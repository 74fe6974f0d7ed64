"""Generalised least squares: identities, and R's gls with a fixed correlation."""

import numpy as np
import polars as pl
import pytest

import lmmcore as lmm
from tests.support.dense import simulated


@pytest.fixture(scope="module")
def teeth(raw):
    return pl.read_csv(raw / "orthodont.csv")


def scattered():
    """Rows of several units in no order, with two grouping factors."""
    return simulated(11)


def some_covariance(n, seed=2):
    root = np.random.default_rng(seed).normal(size=(n, n + 5))
    return root @ root.T / n


def design(frame):
    return np.column_stack([np.ones(len(frame)), frame["t"], frame["x"]])


def test_r_with_a_fixed_correlation(teeth):
    """g <- gls(distance ~ age*Sex, o, correlation=corAR1(0.6, form=~1|Subject, fixed=TRUE)); coef(g); vcov(g)

    R 4.2.2, nlme 3.1.162; MASS::lm.gls(W = V, inverse = TRUE) gives the same coefficients.
    """
    R = 0.6 ** np.abs(np.subtract.outer(np.arange(4), np.arange(4)))
    fit = lmm.gls("distance ~ age * Sex", teeth, np.kron(np.eye(27), R))
    assert fit.terms == ("Intercept", "age", "Sex[T.Male]", "age:Sex[T.Male]")
    expected = [17.32220496894409, 0.48369565217391353, -0.73311335403726563, 0.28600543478260848]
    assert fit.estimate == pytest.approx(expected, rel=1e-11)
    assert np.sqrt(fit.dispersion) == pytest.approx(2.2423357423368238, rel=1e-11)
    diagonal = [2.66592735002722936, 0.019873792811704507, 4.49875240317093983, 0.033537025369751283]
    assert np.diag(fit.dispersion * fit.vcov) == pytest.approx(diagonal, rel=1e-11)
    assert fit.dispersion * fit.vcov[0, 3] == pytest.approx(0.218611720928749975, rel=1e-11)


def test_independence_is_ordinary_least_squares():
    frame = scattered()
    fit = lmm.gls("y ~ t + x", frame, np.eye(len(frame)))
    X, y = design(frame), frame["y"].to_numpy()
    expected, rss, _, _ = np.linalg.lstsq(X, y)
    assert fit.estimate == pytest.approx(expected, rel=1e-11)
    assert fit.vcov == pytest.approx(np.linalg.inv(X.T @ X), rel=1e-10)
    assert fit.dispersion == pytest.approx(rss[0] / (len(y) - 3), rel=1e-11)


def test_transformed_least_squares():
    """Any V: least squares of L^-1 y on L^-1 X, V = L L', and the normal equations with V^-1."""
    frame = scattered()
    V = some_covariance(len(frame))
    fit = lmm.gls("y ~ t + x", frame, V)
    X, y = design(frame), frame["y"].to_numpy()
    lower = np.linalg.cholesky(V)
    expected = np.linalg.lstsq(np.linalg.solve(lower, X), np.linalg.solve(lower, y))[0]
    assert fit.estimate == pytest.approx(expected, rel=1e-9)
    inverse = np.linalg.inv(V)
    assert fit.vcov == pytest.approx(np.linalg.inv(X.T @ inverse @ X), rel=1e-8)


@pytest.mark.parametrize("method", ["ML", "REML"])
@pytest.mark.parametrize(
    "formula, options",
    [
        ("y ~ t + x", {}),
        ("y ~ t + x + (t | b_id)", {}),
        ("y ~ t + x + (1 | a/b)", {}),
        ("y ~ t + x", {"residual": lmm.AR1("t", subject="b_id")}),
        ("y ~ t + x + (1 | b_id)", {"variance": lmm.ByGroup("c"), "weights": "w"}),
        ("y ~ t", {"residual": lmm.AR1("t", subject="b_id"), "offset": "x", "weights": "w"}),
    ],
)
def test_the_same_mean_gives_the_fit_again(formula, options, method):
    fit = lmm.fit(formula, scattered(), method=method, **options)
    again = lmm.gls(formula.partition(" + (")[0], scattered(), fit)
    assert again.estimate == pytest.approx(fit.solution.beta, rel=1e-10)
    assert again.vcov == pytest.approx(fit.vcov, rel=1e-10, abs=1e-13 * np.abs(fit.vcov).max())
    nu = again.nobs - (len(again.terms) if method == "REML" else 0)
    assert again.dispersion * (again.nobs - len(again.terms)) == pytest.approx(nu, rel=1e-9)


def test_another_mean_under_the_covariance_of_a_fit(tmp_path):
    """The fit's V written out by hand, for the rows that have the new variable; a saved fit serves too."""
    frame = scattered()
    gap = np.arange(len(frame)) % 7 == 3
    frame = frame.with_columns(new=pl.Series(np.where(gap, np.nan, np.cos(np.arange(len(frame))))))
    fit = lmm.fit("y ~ t + (1 | b_id)", frame)
    variance = fit.varcorr()["covariance"].to_list()
    b = frame["b_id"].to_numpy()
    V = variance[0] * (b[:, None] == b[None, :]) + variance[1] * np.eye(len(frame))
    by_matrix = lmm.gls("y ~ t + new", frame, V)
    fit.save(tmp_path / "fit.parquet")
    for covariance in (fit, lmm.load(tmp_path / "fit.parquet")):
        by_fit = lmm.gls("y ~ t + new", frame, covariance)
        assert by_fit.nobs == by_matrix.nobs == int((~gap).sum())
        assert by_fit.estimate == pytest.approx(by_matrix.estimate, rel=1e-9)
        assert by_fit.vcov == pytest.approx(by_matrix.vcov, rel=1e-9)


def test_tidy_and_words():
    from scipy.stats import norm

    frame = scattered()
    fit = lmm.gls("y ~ t + x + I(2 * x)", frame, 2 * np.eye(len(frame)))
    assert fit.dropped == ("I(2 * x)",)
    row = fit.tidy(conf_level=0.9).row(1, named=True)
    assert row["term"] == "t" and row["df"] == np.inf
    assert row["p_value"] == pytest.approx(2 * norm.sf(abs(fit.beta["t"] / fit.se["t"])), rel=1e-10)
    assert row["conf_high"] == pytest.approx(fit.beta["t"] + norm.ppf(0.95) * fit.se["t"], rel=1e-10)
    assert "taken as known" in fit.sentence
    assert "taken as known" in lmm.gls("y ~ t", frame, lmm.fit("y ~ t + (1 | b_id)", frame)).sentence


def test_user_mistakes():
    frame = scattered()
    n = len(frame)
    with pytest.raises(lmm.FormulaError, match="fixed effects only"):
        lmm.gls("y ~ t + (1 | b_id)", frame, np.eye(n))
    with pytest.raises(lmm.DataError, match=f"{n} rows"):
        lmm.gls("y ~ t", frame, np.eye(n - 1))
    with pytest.raises(lmm.DataError, match="symmetric"):
        lmm.gls("y ~ t", frame, np.eye(n) + np.eye(n, k=1))
    with pytest.raises(lmm.DataError, match="positive definite"):
        lmm.gls("y ~ t", frame, np.ones((n, n)))
    fit = lmm.fit("y ~ t + (1 | b_id)", frame)
    with pytest.raises(lmm.FormulaError, match="belongs to its response"):
        lmm.gls("x ~ t", frame, fit)
    with pytest.raises(lmm.DataError, match="another order"):
        lmm.gls("y ~ x", frame.reverse(), fit)
    with pytest.raises(lmm.DataError, match=f"fit used {n} rows"):
        lmm.gls("y ~ x", frame.head(n - 1), fit)
    with pytest.raises(lmm.FitError, match="fewer fixed effects"):
        lmm.gls("y ~ t", frame.head(2), np.eye(2))
