"""Every covariance structure keeps the laws that hold for all of them, on random data.

V is written out here from the definitions in the documentation (nlme's for residual correlations) and from
what a fit reports: variances, correlations and sigma in the user's units. The same V makes the data.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.stats import chi2

import lmmcore as lmm

NAMES = {"Intercept": "one", "t": "t"}  # random effects and their columns of Z
few = settings(max_examples=4, derandomize=True, deadline=None, database=None)
seeds = st.integers(0, 10**6)
methods = st.sampled_from(["ML", "REML"])


def lag(rows, time="t"):
    return np.abs(rows[time][..., :, None] - rows[time][..., None, :])


def independent(natural, rows):
    return np.where(lag(rows) == 0, 1.0, 0.0)


def ar1(natural, rows):
    return natural["rho"] ** lag(rows)


def car1(natural, rows):
    return natural["rho"] ** lag(rows, "u")


def exponential(natural, rows, power=1):
    apart = lag(rows, "u")
    R = np.exp(-((apart / natural["range"]) ** power)) * (1 - natural.get("nugget", 0))
    return np.where(apart == 0, 1.0, R)


def gaussian(natural, rows):
    return exponential(natural, rows, 2)


def compound_symmetry(natural, rows):
    return np.where(lag(rows) == 0, 1.0, natural["rho"])


def toeplitz(natural, rows):
    return np.array([1.0, *natural.values()])[lag(rows).astype(int)]


def unstructured(natural, rows):
    visits = 1 + sum(name.startswith("sd") for name in natural)
    sd = np.array([1.0, *(natural[f"sd({v})/sd(1)"] for v in range(2, visits + 1))])
    C = np.eye(visits)
    for b in range(visits):
        for a in range(b):
            C[a, b] = C[b, a] = natural[f"cor({a + 1},{b + 1})"]
    place = rows["t"].astype(int) - 1
    return (sd[:, None] * C * sd)[place[..., :, None], place[..., None, :]]


def random_walk(natural, rows):
    return np.minimum(rows["t"][..., :, None], rows["t"][..., None, :])


def by_arm(natural, rows):
    sd = np.where(rows["arm"] == "b", natural["sd(b)/sd(a)"], 1.0)
    return sd[..., :, None] * sd[..., None, :]


def by_power(natural, rows):
    sd = rows["x"] ** natural["power"]
    return sd[..., :, None] * sd[..., None, :]


@dataclass(frozen=True)
class Structure:
    """A model and its true parameters. psis : (level, names of effects, covariance) of each random term;
    natural : parameters of R = C times S, reported by these names, as a function of the number of visits."""

    formula: str
    psis: tuple[tuple[str, tuple[str, ...], Any], ...] = ()
    natural: Callable[[int], Mapping[str, float]] = lambda visits: {}
    C: Callable[..., np.ndarray] = independent
    S: Callable[..., np.ndarray] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    def fit(self, frame, method="REML"):
        return lmm.fit(self.formula, frame, method=method, **self.options)

    def V(self, psis, natural, sigma2, rows):
        """(..., k, k) covariance of the rows of subjects, each entry of rows : (..., k)."""
        V = sigma2 * self.C(natural, rows)
        if self.S is not None:
            V = V * self.S(natural, rows)
        if "weights" in self.options:
            V = V / np.sqrt(rows["w"][..., :, None] * rows["w"][..., None, :])
        for level, names, psi in psis:
            Z = np.stack([rows[NAMES[name]] for name in names], axis=-1)
            same = True if level == "id" else rows["part"][..., :, None] == rows["part"][..., None, :]
            V = V + np.where(same, Z @ np.asarray(psi) @ np.swapaxes(Z, -1, -2), 0.0)
        return V


def marginal(residual, C, **natural):
    return Structure("y ~ t + arm", (), lambda visits: natural, C, None, {"residual": residual})


def correlations(visits):
    return {f"rho({k})": 0.8 * 0.6**k for k in range(1, visits)}


def covariances(visits):
    sd = {f"sd({v})/sd(1)": 1 + 0.15 * (v - 1) for v in range(2, visits + 1)}
    return sd | {f"cor({a},{b})": 0.7 ** (b - a) for b in range(2, visits + 1) for a in range(1, b)}


ONE, SLOPE, BOTH = ("Intercept",), ("t",), ("Intercept", "t")
PSI = [[1.0, 0.2], [0.2, 0.3]]
INTERCEPT, LINE = (("id", ONE, [[1.5]]),), (("id", BOTH, PSI),)
APART = (("id", ONE, [[1.0]]), ("id", SLOPE, [[0.3]]))
STRUCTURES = {
    "intercept": Structure("y ~ t + arm + (1 | id)", INTERCEPT),
    "intercept and slope": Structure("y ~ t + arm + (t | id)", LINE),
    "slope alone": Structure("y ~ t + arm + (0 + t | id)", (("id", SLOPE, [[0.3]]),)),
    "uncorrelated": Structure("y ~ t + arm + (t || id)", APART),
    "diag": Structure("y ~ t + arm + diag(t | id)", APART),
    "cs": Structure("y ~ t + arm + cs(t | id)", (("id", BOTH, [[0.5, 0.2], [0.2, 0.5]]),)),
    "identity": Structure("y ~ t + arm + identity(t | id)", (("id", BOTH, [[0.5, 0.0], [0.0, 0.5]]),)),
    "nested": Structure("y ~ t + arm + (1 | id/part)", (*INTERCEPT, ("id:part", ONE, [[0.8]]))),
    "nested slope": Structure("y ~ t + arm + (t | id) + (1 | id:part)", (*LINE, ("id:part", ONE, [[0.8]]))),
    "ar1": marginal(lmm.AR1("t", subject="id"), ar1, rho=0.5),
    "negative ar1": marginal(lmm.AR1("t", subject="id"), ar1, rho=-0.4),
    "car1": marginal(lmm.CAR1("u", subject="id"), car1, rho=0.5),
    "exponential": marginal(lmm.Exponential("u", subject="id"), exponential, range=2.0),
    "exponential, nugget": marginal(
        lmm.Exponential("u", nugget=True, subject="id"), exponential, range=3.0, nugget=0.3
    ),
    "gaussian": marginal(lmm.Gaussian("u", subject="id"), gaussian, range=1.5),
    "gaussian, nugget": marginal(
        lmm.Gaussian("u", nugget=True, subject="id"), gaussian, range=2.0, nugget=0.3
    ),
    "compound symmetry": marginal(lmm.CompoundSymmetry(subject="id"), compound_symmetry, rho=0.4),
    "negative symmetry": marginal(lmm.CompoundSymmetry(subject="id"), compound_symmetry, rho=-0.15),
    "toeplitz": Structure(
        "y ~ t + arm", (), correlations, toeplitz, None, {"residual": lmm.Toeplitz("t", subject="id")}
    ),
    "unstructured": Structure(
        "y ~ t + arm", (), covariances, unstructured, None, {"residual": lmm.Unstructured("t", subject="id")}
    ),
    "random walk": marginal(lmm.RandomWalk("t", subject="id"), random_walk),
    "intercept, ar1": Structure(
        "y ~ t + arm + (1 | id)", INTERCEPT, lambda _: {"rho": 0.5}, ar1, None, {"residual": lmm.AR1("t")}
    ),
    "slope, car1": Structure(
        "y ~ t + arm + (0 + t | id)",
        (("id", SLOPE, [[0.3]]),),
        lambda _: {"rho": 0.4},
        car1,
        None,
        {"residual": lmm.CAR1("u")},
    ),
    "by group": Structure(
        "y ~ t + arm + (1 | id)",
        INTERCEPT,
        lambda _: {"sd(b)/sd(a)": 1.6},
        S=by_arm,
        options={"variance": lmm.ByGroup("arm")},
    ),
    "power": Structure(
        "y ~ t + arm + (t | id)",
        LINE,
        lambda _: {"power": 0.7},
        S=by_power,
        options={"variance": lmm.Power(of="x")},
    ),
    "ar1, by group": Structure(
        "y ~ t + arm",
        (),
        lambda _: {"rho": 0.5, "sd(b)/sd(a)": 1.6},
        ar1,
        by_arm,
        {"residual": lmm.AR1("t", subject="id"), "variance": lmm.ByGroup("arm")},
    ),
    "weights": Structure("y ~ t + arm + (t | id)", LINE, options={"weights": "w"}),
    "offset": Structure("y ~ t + arm + (1 | id)", INTERCEPT, options={"offset": "o"}),
}
every = pytest.mark.parametrize("name", STRUCTURES)
BETA = {"Intercept": 2.0, "t": 0.5, "arm[T.b]": 1.0}


def simulated(structure, seed, subjects, visits, missing):
    """Whole-number times t = 1..visits and irregular times u near them; rows are missing at random.

    Returns the frame, and the rows and y of the complete data : (subjects, visits).
    """
    rng = np.random.default_rng(seed)
    shape = (subjects, visits)
    t = np.broadcast_to(np.arange(1.0, visits + 1), shape)
    rows = {
        "one": np.ones(shape),
        "t": t,
        "u": t + rng.uniform(-0.4, 0.4, shape).round(2),
        "arm": np.broadcast_to(np.array(["a", "b"])[np.arange(subjects) % 2][:, None], shape),
        "part": np.where(t <= visits / 2, "early", "late"),
        "x": rng.uniform(1, 3, shape),
        "w": rng.uniform(0.5, 2, shape),
        "o": rng.normal(size=shape),
    }
    root = np.linalg.cholesky(structure.V(structure.psis, structure.natural(visits), 1.0, rows))
    mean = BETA["Intercept"] + BETA["t"] * t + BETA["arm[T.b]"] * (rows["arm"] == "b")
    y = mean + (root @ rng.normal(size=shape)[..., None])[..., 0]
    if "offset" in structure.options:
        y = y + rows["o"]
    labels = np.broadcast_to(np.array([f"s{i:04d}" for i in range(subjects)])[:, None], shape)
    kept = (rng.random(shape) >= missing).ravel()
    columns = {"id": labels, **rows, "y": y}
    return pl.DataFrame({name: values.ravel()[kept] for name, values in columns.items()}), rows, y


@cache
def fitted(name, seed, method):
    """A random small data set and its fit."""
    structure = STRUCTURES[name]
    frame = simulated(structure, seed, 24 + seed % 9, 4, 0.15)[0]
    return structure, frame, structure.fit(frame, method)


def reported(structure, fit):
    """Covariance of the random effects, parameters of R and sigma^2, as the fit reports them."""
    rows = fit.varcorr().to_dicts()
    psis = []
    for level, names, _ in structure.psis:
        psi = np.zeros((len(names), len(names)))
        for row in rows:
            if row["group"] == level and row["term1"] in names:
                i, j = names.index(row["term1"]), names.index(row["term2"] or row["term1"])
                psi[i, j] = psi[j, i] = row["covariance"]
        psis.append((level, names, psi))
    return psis, fit.residual_parameters, fit.sigma**2


def sums(structure, frame, psis, natural, sigma2):
    """log|V| and [X y]'V^-1[X y], added up over the subjects."""
    log_det, gram = 0.0, 0.0
    for _, mine in frame.group_by("id", maintain_order=True):
        rows = {column: mine[column].to_numpy() for column in mine.columns}
        V = structure.V(psis, natural, sigma2, rows)
        y = rows["y"] - rows["o"] if "offset" in structure.options else rows["y"]
        Xy = np.column_stack([rows["one"], rows["t"], rows["arm"] == "b", y])
        log_det += np.linalg.slogdet(V)[1]
        gram = gram + Xy.T @ np.linalg.solve(V, Xy)
    return log_det, gram


@every
@given(seed=seeds, method=methods)
@few
def test_likelihood_and_generalised_least_squares(name, seed, method):
    """At the estimates the log-likelihood, beta and its covariance are those of V written out."""
    structure, frame, fit = fitted(name, seed, method)
    log_det, gram = sums(structure, frame, *reported(structure, fit))
    beta = np.linalg.solve(gram[:3, :3], gram[:3, 3])
    n, rss = len(frame), gram[3, 3] - gram[:3, 3] @ beta
    deviance = log_det + rss + n * np.log(2 * np.pi)
    if method == "REML":
        deviance += np.linalg.slogdet(gram[:3, :3])[1] - 3 * np.log(2 * np.pi)
    assert fit.loglik == pytest.approx(-deviance / 2, rel=1e-8)
    assert rss == pytest.approx(n - 3 * (method == "REML"), rel=1e-8)  # sigma^2 is at its best
    assert list(fit.beta.values()) == pytest.approx(beta, rel=1e-8, abs=1e-8 * max(fit.se.values()))
    assert fit.vcov == pytest.approx(np.linalg.inv(gram[:3, :3]), rel=1e-8)


def numbers(fit, shift=0.0, scale=1.0):
    """Estimates that a fit reports, each with the size that an error is compared with.

    shift, scale : what becomes of them if the response y becomes shift + scale * y.
    """
    beta, largest = np.array(list(fit.beta.values())) * scale, fit.varcorr()["covariance"].abs().max()
    beta[0] += shift
    se = np.array(list(fit.se.values())) * abs(scale)
    variances = fit.varcorr()["covariance"].to_numpy() * scale**2
    natural = np.array(list(fit.residual_parameters.values()))
    values = np.concatenate([beta, se, variances, natural])
    sizes = [se, se, np.full(len(variances), largest * scale**2), np.maximum(np.abs(natural), 1)]
    return values, np.concatenate(sizes)


def assert_equal(ours, theirs, tolerance=1e-8, **change):
    """The estimates agree; those of a fit that is not determined by the data need not."""
    assert ours.certificate.converged == theirs.certificate.converged
    assume(theirs.certificate.converged)
    assert ours.certificate.boundary == theirs.certificate.boundary
    (found, sizes), (expected, _) = numbers(ours), numbers(theirs, **change)
    assert np.max(np.abs(found - expected) / sizes) < tolerance


@every
@given(seed=seeds, method=methods)
@few
def test_order_and_labels(name, seed, method):
    """Rows in any order and subjects under other names, sorted otherwise, give the same estimates."""
    structure, frame, fit = fitted(name, seed, method)
    labels = frame["id"].unique().sort()
    renamed = dict(zip(labels, labels.shuffle(seed), strict=True))
    moved = frame.sample(fraction=1, shuffle=True, seed=seed).with_columns(id=pl.col("id").replace(renamed))
    other = structure.fit(moved, method)
    assert other.loglik == pytest.approx(fit.loglik, rel=1e-8)
    assert_equal(other, fit)


@every
@given(
    seed=seeds,
    method=methods,
    shift=st.sampled_from([0.0, -3.0, 1e4]),
    scale=st.sampled_from([-1.0, 1e-3, 7.0]),
)
@few
def test_response_in_other_units(name, seed, method, shift, scale):
    structure, frame, fit = fitted(name, seed, method)
    moved = frame.with_columns(y=shift + scale * pl.col("y"), o=scale * pl.col("o"))
    other = structure.fit(moved, method)
    rows = fit.nobs - len(fit.beta) * (method == "REML")
    assert other.loglik + rows * np.log(abs(scale)) == pytest.approx(fit.loglik, rel=1e-8)
    assert_equal(other, fit, shift=shift, scale=scale)


@every
@given(seed=seeds, method=methods)
@few
def test_a_subject_without_a_response_changes_nothing(name, seed, method):
    """Nor does its visit or its arm, which nobody else has."""
    structure, frame, fit = fitted(name, seed, method)
    stranger = frame.head(3).with_columns(
        id=pl.lit("nobody"), t=pl.lit(99.0), u=pl.lit(99.0), arm=pl.lit("c"), y=pl.lit(None, pl.Float64)
    )
    other = structure.fit(pl.concat([stranger, frame]), method)
    assert other.rows_dropped == {"missing y": 3}
    assert (other.loglik, other.nobs, other.beta) == (fit.loglik, fit.nobs, fit.beta)
    assert other.residual_parameters == fit.residual_parameters
    assert other.varcorr().equals(fit.varcorr(), null_equal=True)


@every
@given(seed=seeds, method=methods, share=st.sampled_from([0.1, 0.4, 0.7]))
@few
def test_missing_rows_are_fitted_or_refused_in_words(name, seed, method, share):
    structure, frame, _ = fitted(name, seed, method)
    kept = frame.filter(pl.Series(np.random.default_rng(seed).random(len(frame)) >= share))
    try:
        fit = structure.fit(kept, method)
    except lmm.LmmError as error:
        assert str(error).endswith(".") and "\n" not in str(error)
        return
    assert fit.nobs == len(kept)
    assert np.isfinite([fit.loglik, *fit.beta.values(), *fit.se.values()]).all()
    assert str(fit) and fit.certificate.sentence.startswith(("Converged", "Not converged"))


@every
def test_parameters_are_recovered(name):
    """A large sample gives the parameters it was made with.

    All of them at once by the likelihood ratio against the truth, whose chance to exceed the limit is that of
    a normal variable to lie more than 4 standard errors away; those of R also within 15 % or 0.05.
    """
    structure = STRUCTURES[name]
    subjects, visits = 2000, 6
    frame, rows, y = simulated(structure, 5, subjects, visits, 0.0)
    fit = structure.fit(frame, "ML")
    assert fit.certificate.converged and not fit.certificate.boundary

    truth = structure.natural(visits)
    V = structure.V(structure.psis, truth, 1.0, rows)
    left = y - BETA["Intercept"] - BETA["t"] * rows["t"] - BETA["arm[T.b]"] * (rows["arm"] == "b")
    left = left - (rows["o"] if "offset" in structure.options else 0)
    white = np.linalg.solve(np.linalg.cholesky(V), left[..., None])
    at_truth = -(np.linalg.slogdet(V)[1].sum() + (white**2).sum() + y.size * np.log(2 * np.pi)) / 2
    assert 0 < 2 * (fit.loglik - at_truth) < chi2.isf(6.3e-5, fit.npar)

    for term, value in BETA.items():
        assert fit.beta[term] == pytest.approx(value, abs=4 * fit.se[term])
    assert fit.residual_parameters == pytest.approx(truth, rel=0.15, abs=0.05)
