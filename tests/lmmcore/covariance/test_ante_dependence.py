"""Ante-dependence of first order: least squares by visit, dense likelihoods, special cases."""

import numpy as np
import polars as pl
import pytest
from scipy import optimize

import lmmcore as lmm


def rows(missing=0.0, subjects=30, visits=5, seed=1):
    """A Markov chain whose steps differ in correlation and SD."""
    rng = np.random.default_rng(seed)
    rho, sd = np.array([0.9, 0.3, -0.4, 0.7]), np.array([1.0, 1.5, 0.8, 2.0, 1.2])
    noise = rng.normal(size=(subjects, visits))
    for j in range(1, visits):
        noise[:, j] = rho[j - 1] * noise[:, j - 1] + np.sqrt(1 - rho[j - 1] ** 2) * noise[:, j]
    frame = pl.DataFrame(
        {
            "id": np.repeat(np.arange(subjects), visits),
            "t": np.tile(np.arange(1.0, visits + 1), subjects),
            "x": rng.normal(size=subjects * visits),
            "y": (sd[:visits] * noise).ravel(),
        }
    )
    kept = rng.random(len(frame)) >= missing
    return frame.filter(kept).sample(fraction=1, shuffle=True, seed=seed)


def test_complete_data_are_regressions_on_the_visit_before():
    """With a mean of its own at each visit the likelihood is that of y_j given y_{j-1}, each by least squares
    (Zimmerman & Nunez-Anton 2010, section 5.1)."""
    frame = rows()
    fit = lmm.fit("y ~ C(t)", frame, method="ML", residual=lmm.AnteDependence("t", subject="id"))
    Y = frame.sort("id", "t")["y"].to_numpy().reshape(30, 5)
    expected = 0.0
    for j in range(5):
        X = np.column_stack([np.ones(30), *([Y[:, j - 1]] if j else [])])
        left = Y[:, j] - X @ np.linalg.lstsq(X, Y[:, j])[0]
        expected -= 15 * (1 + np.log(2 * np.pi * (left @ left) / 30))
    assert fit.certificate.converged and fit.npar == 5 + 9
    assert fit.loglik == pytest.approx(expected, abs=1e-8)
    correlation = np.corrcoef(Y.T)
    for j in range(1, 5):
        assert fit.residual_parameters[f"cor({j},{j + 1})"] == pytest.approx(correlation[j - 1, j], abs=1e-6)
        ratio = Y[:, j].std() / Y[:, 0].std()
        assert fit.residual_parameters[f"sd({j + 1})/sd(1)"] == pytest.approx(ratio, abs=1e-6)


def dense_loglik(frame, parameters, sigma, heterogeneous, reml):
    """From the definition: every subject's covariance entry by entry, beta profiled out."""
    J = 5
    ratios = [1.0, *parameters[: J - 1]] if heterogeneous else [1.0] * J
    rho = parameters[-(J - 1) :]
    X, y = np.column_stack([np.ones(len(frame)), frame["x"]]), frame["y"].to_numpy()
    t, who = frame["t"].to_numpy().astype(int) - 1, frame["id"].to_numpy()
    V = np.zeros((len(y), len(y)))
    for a in range(len(y)):
        for b in range(len(y)):
            if who[a] == who[b]:
                between = rho[min(t[a], t[b]) : max(t[a], t[b])]
                V[a, b] = sigma**2 * ratios[t[a]] * ratios[t[b]] * np.prod(between)
    inverse = np.linalg.inv(V)
    gram = X.T @ inverse @ X
    left = y - X @ np.linalg.solve(gram, X.T @ inverse @ y)
    deviance = np.linalg.slogdet(V)[1] + left @ inverse @ left
    n = len(y) - 2 * reml
    return -(deviance + n * np.log(2 * np.pi) + (np.linalg.slogdet(gram)[1] if reml else 0)) / 2


@pytest.mark.parametrize("reml", [False, True])
@pytest.mark.parametrize("heterogeneous", [True, False])
def test_missing_visits_against_the_definition(heterogeneous, reml):
    frame = rows(missing=0.25, subjects=20)
    structure = lmm.AnteDependence("t", heterogeneous, subject="id")
    fit = lmm.fit("y ~ x", frame, method="REML" if reml else "ML", residual=structure)
    found = np.array([*fit.residual_parameters.values()])
    assert len(found) == (8 if heterogeneous else 4)
    at = dense_loglik(frame, found, fit.sigma, heterogeneous, reml)
    assert fit.loglik == pytest.approx(at, abs=1e-8)

    def value(theta):
        k = 4 if heterogeneous else 0
        natural = np.concatenate([np.exp(theta[1 : k + 1]), np.tanh(theta[k + 1 :])])
        return -dense_loglik(frame, natural, np.exp(theta[0]), heterogeneous, reml)

    k = 4 if heterogeneous else 0
    start = np.concatenate([[np.log(fit.sigma)], np.log(found[:k]), np.arctanh(found[k:])])
    slope = optimize.approx_fprime(start, value, 1e-6)
    assert np.max(np.abs(slope)) < 2e-3
    assert fit.certificate.converged


def test_special_cases():
    frame = rows(missing=0.2)

    def loglik(structure):
        return lmm.fit("y ~ x", frame, method="ML", residual=structure).loglik

    ar1, equal = loglik(lmm.AR1("t", subject="id")), loglik(lmm.AnteDependence("t", False, subject="id"))
    unequal, any_ = loglik(lmm.AnteDependence("t", subject="id")), loglik(lmm.Unstructured("t", subject="id"))
    assert ar1 < equal < unequal < any_
    two = frame.filter(pl.col("t") < 3)
    pair = [
        lmm.fit("y ~ x", two, residual=structure("t", subject="id"))
        for structure in (lmm.AnteDependence, lmm.Unstructured)
    ]
    assert pair[0].loglik == pytest.approx(pair[1].loglik, abs=1e-8)
    assert pair[0].residual_parameters == pytest.approx(pair[1].residual_parameters, abs=1e-6)
    intervals = [each.confint() for each in pair]
    assert intervals[0]["term"].to_list() == intervals[1]["term"].to_list()
    for name in ("conf_low", "conf_high"):
        assert intervals[0][name].to_numpy() == pytest.approx(intervals[1][name].to_numpy(), rel=1e-4)


def test_what_a_fit_gives():
    frame = rows(missing=0.1)
    fit = lmm.fit("y ~ x + (1 | id)", frame, residual=lmm.AnteDependence("t", False))
    assert "AnteDependence over t" in str(fit)
    profile = fit.confint("profile")
    assert {"cor(1,2)", "cor(4,5)"} <= set(profile["term"])
    assert fit.augment()["residual_normalized"].std() == pytest.approx(1, abs=0.1)
    # Given the visit before, those further back say nothing.
    alone = lmm.fit("y ~ x", rows(), residual=lmm.AnteDependence("t", subject="id"))
    precision = np.linalg.inv(
        alone.marginal_covariance(pl.DataFrame({"id": [0] * 5, "t": [1.0, 2, 3, 4, 5]})).covariance
    )
    assert np.abs(precision[np.triu_indices(5, 2)]).max() < 1e-10 * np.abs(precision).max()


def test_steps_that_nobody_took_are_refused():
    frame = rows(subjects=12)
    structure = lmm.AnteDependence("t", subject="id")
    halves = frame.filter((pl.col("id") % 2 == 0) == (pl.col("t") < 3))
    with pytest.raises(lmm.DataError, match="correlation of the visits 2 and 3"):
        lmm.fit("y ~ x", halves, residual=structure)
    skipped = frame.filter((pl.col("t") != 3) | (pl.col("id") < 6)).filter(
        ~((pl.col("id") < 6) & pl.col("t").is_in([1.0, 2.0, 4.0, 5.0]))
    )
    with pytest.raises(lmm.DataError, match="too few subjects have rows at both"):
        lmm.fit("y ~ x", skipped, residual=structure)
    with pytest.raises(lmm.DataError, match="at most 40 visits"):
        lmm.fit("y ~ 1", frame.with_columns(t=pl.Series(np.arange(float(len(frame))))), residual=structure)


def test_a_saved_fit(tmp_path):
    fit = lmm.fit("y ~ x", rows(), residual=lmm.AnteDependence("t", False, subject="id"))
    fit.save(tmp_path / "fit.parquet")
    assert lmm.load(tmp_path / "fit.parquet").residual_parameters == fit.residual_parameters
