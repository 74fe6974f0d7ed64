"""Certificates tell the truth: maxima, boundaries and gains are checked without the engine's derivatives.

The likelihood is written out here a second time, from the data alone: V as a full matrix in parameters of its
own (a lower triangle L of each Psi = L L', and those of R), maximised by a derivative-free search from starts
around the estimate and away from it.
"""

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import polars as pl
import pytest
from scipy.linalg import cho_factor, solve_triangular
from scipy.optimize import minimize

import lmmcore as lmm
from lmmcore.optimise.certificate import certify
from lmmcore.optimise.search import estimate
from lmmcore.system.moments.subjects import blockwise

CONVERGED = 1e-6  # log-likelihood that a converged fit may leave
FLAT = 1e-4  # relative variance, or distance of a correlation from its end, that a search cannot tell from 0
CALLED = {"1": "Intercept", "t2": "I(t ** 2)"}


@dataclass(frozen=True)
class Case:
    """A model and its data. blocks : (level, columns, kind) of each random term."""

    formula: str
    frame: pl.DataFrame
    blocks: tuple = ()
    residual: object = None

    @property
    def correlation(self):
        """Kind of R."""
        return getattr(self.residual, "type", "") + "+nugget" * getattr(self.residual, "nugget", False)


class Likelihood:
    """The log-likelihood of a case with V written out; theta : entries of each L, then parameters of R."""

    def __init__(self, case, method):
        frame, self.reml, self.case = case.frame, method == "REML", case
        self.y, t = frame["y"].to_numpy(), frame["t"].to_numpy()
        columns = {"1": np.ones(len(t)), "t": t, "t2": t**2}
        self.X = np.column_stack([columns["1"], t])
        self.Z = [np.column_stack([columns[name] for name in names]) for _, names, _ in case.blocks]
        labels = {"id": frame["id"], "a": frame["a"], "a:id": 100 * frame["a"] + frame["id"]}
        self.same = [np.equal.outer(labels[g].to_numpy(), labels[g].to_numpy()) for g, _, _ in case.blocks]
        subject = frame["id"].to_numpy()
        self.within = np.equal.outer(subject, subject)
        self.apart = np.abs(np.subtract.outer(t, t))
        self.lowest = -1 / (self.within.sum(axis=1).max() - 1)  # correlation of the largest subject
        self.power = 2 if "gaussian" in case.correlation else 1

    def psis(self, theta):
        found = []
        for _, names, kind in self.case.blocks:
            q = len(names)
            size = {"us": q * (q + 1) // 2, "cs": 2, "identity": 1}[kind]
            mine, theta = theta[:size], theta[size:]
            if kind == "us":
                L = np.zeros((q, q))
                L[np.tril_indices(q)] = mine
                found.append(L @ L.T)
            else:  # the eigenvalues: of the sum, and of all contrasts
                common = np.full((q, q), 1 / q)
                found.append(mine[0] ** 2 * common + mine[-1] ** 2 * (np.eye(q) - common))
        return found, theta

    def natural(self, phi):
        """Parameters of R as users see them."""
        kind = self.case.correlation
        if not kind:
            return ()
        if kind == "ar1":
            return (np.tanh(phi[0]),)
        if kind == "compound_symmetry":
            return (self.lowest + (1 - self.lowest) / (1 + np.exp(-phi[0])),)
        return (np.exp(phi[0]), *([np.sin(phi[1]) ** 2] if "nugget" in kind else []))

    def internal(self, natural):
        kind = self.case.correlation
        if kind == "ar1":
            return [np.arctanh(natural[0])]
        if kind == "compound_symmetry":
            return [np.log((natural[0] - self.lowest) / (1 - natural[0]))]
        return [np.log(value) if i == 0 else np.arcsin(value**0.5) for i, value in enumerate(natural)]

    def correlation(self, natural):
        kind = self.case.correlation
        if not kind:
            return np.eye(len(self.y))
        if kind == "ar1":
            R = np.sign(natural[0]) ** self.apart * np.abs(natural[0]) ** self.apart
        elif kind == "compound_symmetry":
            R = np.full(self.apart.shape, natural[0])
        else:
            R = np.exp(-((self.apart / natural[0]) ** self.power))
            R = R * (1 - natural[1]) if "nugget" in kind else R
        R = np.where(self.within, R, 0.0)
        np.fill_diagonal(R, 1)
        return R

    def at(self, psis, natural):
        """The profiled log-likelihood at covariance matrices relative to sigma^2; -inf if V is singular."""
        V = self.correlation(natural)
        for Z, same, psi in zip(self.Z, self.same, psis, strict=True):
            V = V + np.where(same, Z @ psi @ Z.T, 0.0)
        try:
            factor = cho_factor(V, lower=True)
        except (np.linalg.LinAlgError, ValueError):
            return -np.inf
        W = solve_triangular(factor[0], np.column_stack([self.X, self.y]), lower=True)
        triangle = np.abs(np.diag(np.linalg.qr(W, mode="r")))
        n, p = self.X.shape
        nu = n - p if self.reml else n
        logs = np.log(np.diag(factor[0])).sum() + (np.log(triangle[:-1]).sum() if self.reml else 0)
        return -logs - nu * (1 + np.log(2 * np.pi * triangle[-1] ** 2 / nu)) / 2

    def __call__(self, theta):
        with np.errstate(all="ignore"):
            psis, phi = self.psis(theta)
            value = self.at(psis, self.natural(phi))
        return value if np.isfinite(value) else -1e10

    def theta(self, psis, natural):
        """A theta of given matrices, or next to it where one is singular: a search starts around it."""
        entries = []
        for (_, _, kind), psi in zip(self.case.blocks, psis, strict=True):
            if kind == "us":
                L = np.linalg.cholesky(psi + 1e-9 * np.eye(len(psi)))
                entries += list(L[np.tril_indices(len(psi))])
            else:
                eigenvalues = [psi[0].sum(), psi[0, 0] - psi[0, 1]]
                entries += list(np.sqrt(np.maximum(eigenvalues, 0)))[: 2 if kind == "cs" else 1]
        return np.array([*entries, *self.internal(natural)])


def reported(case, fit):
    """Relative covariance matrices and parameters of R that the fit reports."""
    rows = fit.varcorr().to_dicts()
    psis = []
    for group, names, _ in case.blocks:
        called = [CALLED.get(name, name) for name in names]
        psi = np.zeros((len(names), len(names)))
        for row in rows:
            if row["group"] == group and row["term1"] in called:
                i, j = called.index(row["term1"]), called.index(row["term2"] or row["term1"])
                psi[i, j] = psi[j, i] = row["covariance"] / fit.sigma**2
        psis.append(psi)
    return psis, tuple(fit.residual_parameters.values())


def search(likelihood, start, seed=0, around=4, away=8):
    """The highest log-likelihood that Nelder and Mead's search finds, and its theta.

    Starts lie around the estimate and away from it, never at the estimate itself, so that what is found owes
    nothing to the engine's search. The two best of a short search go on; a simplex that has collapsed is
    opened again.
    """
    rng = np.random.default_rng(seed)
    m = len(start)
    size = np.maximum(np.abs(start), 0.3)
    starts = [start + 0.5 * size * rng.normal(size=m) for _ in range(around)]
    starts += [rng.normal(size=m) * np.exp(rng.normal(0, 1.5, m)) * size.max() ** 0.5 for _ in range(away)]

    def climbed(theta, xatol, fatol, steps):
        options = {"xatol": xatol, "fatol": fatol, "maxiter": steps * m, "adaptive": m > 3}
        found = minimize(lambda z: -likelihood(z), theta, method="Nelder-Mead", options=options)
        return -found.fun, found.x

    short = sorted((climbed(theta, 1e-2, 1e-3, 40) for theta in starts), key=lambda pair: -pair[0])
    best = short[0]
    for value, theta in short[:2]:
        gained = np.inf
        while gained > 1e-8:
            further, theta = climbed(theta, 1e-6, 1e-10, 200)
            value, gained = further, further - value
        best = max(best, (value, theta), key=lambda pair: pair[0])
    return best


def phrases(likelihood, psis, natural):
    """What stands on the boundary at a point, in the words of a certificate."""
    found = []
    case = likelihood.case
    for (group, names, _), Z, psi in zip(case.blocks, likelihood.Z, psis, strict=True):
        sd = np.sqrt(np.diag(psi))
        some = sd * np.sqrt(np.mean(Z**2, axis=0)) > FLAT**0.5
        called = [CALLED.get(name, name) for name in names]
        found += [f"the variance of {called[i]} within {group} is 0" for i in np.flatnonzero(~some)]
        left = [called[i] for i in np.flatnonzero(some)]
        if len(left) < 2:
            continue
        correlation = (psi / np.outer(sd, sd))[np.ix_(some, some)]
        rank = int((np.linalg.eigvalsh(correlation) > FLAT).sum())
        if rank < len(left) == 2:
            end = f"{correlation[0, 1]:.0f}"
            found.append(f"the correlation of {left[0]} and {left[1]} within {group} is {end}")
        elif rank < len(left):
            all_of = f"{', '.join(left)} within {group}"
            found.append(f"the covariance matrix of {all_of} has rank {rank} of {len(left)}")
    kind = case.correlation
    if "exponential" in kind or "gaussian" in kind:
        gap = np.min(likelihood.apart[likelihood.within & (likelihood.apart > 0)])
        found += ["range is 0"] * bool(np.exp(-((gap / natural[0]) ** likelihood.power)) < FLAT)
    if "nugget" in kind and natural[1] < FLAT:
        found.append("nugget is 0")
    return tuple(found)


def panel(seed, sd=(1.0, 0.5), correlation=0.0, rho=0.0, nugget=0.0, outer=0.0, curved=0.0):
    """12 subjects, in threes in larger units a, with 3 to 6 of the visits 0..5; residuals of SD 1.

    sd, correlation : of intercepts and slopes; rho : serial correlation of the residuals, with a nugget, or
    the same for all rows of a subject if it is negative; outer : SD between larger units; curved : SD of t^2.
    """
    rng = np.random.default_rng(seed)
    rows = []
    between = outer * rng.normal(size=4)
    for subject in range(12):
        t = np.sort(rng.choice(6, rng.integers(3, 7), replace=False)).astype(float)
        first, second = rng.normal(size=2)
        slope = correlation * first + np.sqrt(1 - correlation**2) * second
        apart = np.abs(np.subtract.outer(t, t))
        R = rho**apart * (1 - nugget) if rho >= 0 else np.full(apart.shape, rho)
        np.fill_diagonal(R, 1)
        y = np.linalg.cholesky(R) @ rng.normal(size=len(t)) + curved * rng.normal() * t**2
        y += 1 + sd[0] * first + between[subject // 3] + (1 + sd[1] * slope) * t
        rows += [(subject // 3, subject, *row) for row in zip(t, y, strict=True)]
    return pl.DataFrame(rows, schema=["a", "id", "t", "y"], orient="row")


def terms(*columns, group="id", kind="us"):
    return ((group, columns, kind),)


INTERCEPT, SLOPE, BOTH = terms("1"), terms("t"), terms("1", "t")
EQUAL, QUADRATIC = terms("1", "t", kind="cs"), terms("1", "t", "t2")
NESTED = terms("1", group="a") + terms("1", group="a:id")
AR1, CS = lmm.AR1("t", subject="id"), lmm.CompoundSymmetry(subject="id")
EXPONENTIAL = lmm.Exponential("t", nugget=True, subject="id")
GAUSSIAN = lmm.Gaussian("t", nugget=True, subject="id")
LINES, NOISE = {"sd": (1, 0)}, {"sd": (0, 0)}  # intercepts alone, and no effect of the subject
SERIAL = {"rho": 0.8, "nugget": 0.4, "sd": (0, 0)}

CASES = {
    "intercept": Case("y ~ t + (1 | id)", panel(0, **LINES), INTERCEPT),
    "slope": Case("y ~ t + (t | id)", panel(0), BOTH),
    "zero variance": Case("y ~ t + (1 | id)", panel(1, rho=-0.1, **NOISE), INTERCEPT),
    "correlation 1": Case("y ~ t + (t | id)", panel(1, (1, 0.3), 1), BOTH),
    "correlation -1": Case("y ~ t + (t | id)", panel(2, (1, 0.3), -1), BOTH),
    "slope alone": Case("y ~ t + (0 + t | id)", panel(1, (0, 0.3)), SLOPE),
    "uncorrelated": Case("y ~ t + (t || id)", panel(0), INTERCEPT + SLOPE),
    "uncorrelated, zero slope": Case("y ~ t + (t || id)", panel(1, **LINES), INTERCEPT + SLOPE),
    "quadratic, singular": Case("y ~ t + (t + I(t^2) | id)", panel(1, (1, 0.3), curved=0.1), QUADRATIC),
    "equal correlations": Case("y ~ t + cs(1 + t | id)", panel(0), EQUAL),
    "equal correlations of 1": Case("y ~ t + cs(1 + t | id)", panel(1, (0.5, 0.5), 1), EQUAL),
    "equal variances": Case("y ~ t + identity(1 + t | id)", panel(0), terms("1", "t", kind="identity")),
    "nested": Case("y ~ t + (1 | a/id)", panel(1, outer=1, **LINES), NESTED),
    "nested, inner zero": Case("y ~ t + (1 | a/id)", panel(1, outer=1, **NOISE), NESTED),
    "nested, outer zero": Case("y ~ t + (1 | a/id)", panel(2, **LINES), NESTED),
    "ar1": Case("y ~ t", panel(1, rho=0.6, **NOISE), (), AR1),
    "ar1 and intercept": Case("y ~ t + (1 | id)", panel(1, (1.5, 0), rho=0.4), INTERCEPT, AR1),
    "ar1, zero intercept": Case("y ~ t + (1 | id)", panel(3, rho=0.6, **NOISE), INTERCEPT, AR1),
    "ar1, singular slope": Case("y ~ t + (t | id)", panel(0, rho=0.5), BOTH, AR1),
    "negative compound symmetry": Case("y ~ t", panel(1, rho=-0.1, **NOISE), (), CS),
    "exponential": Case("y ~ t", panel(0, **SERIAL), (), EXPONENTIAL),
    "no nugget": Case("y ~ t", panel(7, **SERIAL), (), EXPONENTIAL),
    "gaussian": Case("y ~ t", panel(0, **SERIAL), (), GAUSSIAN),
    "no range": Case("y ~ t + (1 | id)", panel(4, **LINES), INTERCEPT, lmm.Exponential("t")),
}
# What the data were made to have on the boundary, ML and REML alike.
ON_BOUNDARY = {
    "zero variance": ("the variance of Intercept within id is 0",),
    "correlation 1": ("the correlation of Intercept and t within id is 1",),
    "correlation -1": ("the correlation of Intercept and t within id is -1",),
    "uncorrelated, zero slope": ("the variance of t within id is 0",),
    "quadratic, singular": ("the covariance matrix of Intercept, t, I(t ** 2) within id has rank 2 of 3",),
    "equal correlations of 1": ("the correlation of Intercept and t within id is 1",),
    "nested, inner zero": ("the variance of Intercept within a:id is 0",),
    "nested, outer zero": ("the variance of Intercept within a is 0",),
    "ar1, singular slope": ("the correlation of Intercept and t within id is -1",),
    "ar1, zero intercept": ("the variance of Intercept within id is 0",),
    "no nugget": ("nugget is 0",),
    "no range": ("range is 0",),
}


@cache
def fitted(name, method):
    case = CASES[name]
    fit = lmm.fit(case.formula, case.frame, method=method, residual=case.residual)
    return case, fit, Likelihood(case, method)


# Where a parameter of theta is at 0 or at infinity there is no other to move.
some = pytest.mark.parametrize("name", [name for name in CASES if name not in ("zero variance", "no range")])
methods = pytest.mark.parametrize("method", ["ML", "REML"])


@pytest.mark.parametrize("name", CASES)
@methods
def test_nothing_better_is_found(name, method):
    """The search ends where the fit does: no higher, and on the boundary in the same way."""
    case, fit, likelihood = fitted(name, method)
    assert fit.loglik == pytest.approx(likelihood.at(*reported(case, fit)), abs=1e-8)
    value, theta = search(likelihood, likelihood.theta(*reported(case, fit)))
    assert fit.certificate.converged
    assert value < fit.loglik + CONVERGED
    assert value > fit.loglik - 10 * CONVERGED, "the search itself got nowhere"
    psis, phi = likelihood.psis(theta)
    there = phrases(likelihood, psis, likelihood.natural(phi))
    assert fit.certificate.boundary == there == ON_BOUNDARY.get(name, ())
    assert fit.certificate.singular == bool(there)
    assert fit.certificate.sentence.startswith("Converged on the boundary" if there else "Converged:")


def in_users_terms(fit, theta):
    """Relative covariance matrices of the random terms and parameters of R at a theta of the engine."""
    model, objective = fit.solution.model, fit.solution.optimum.objective
    rotation = model.coordinates.random
    whole = rotation @ blockwise(objective.psis(theta)) @ rotation.T
    psis = [whole[np.ix_(block.columns, block.columns)] for block in model.blocks]
    return psis, model.structure.natural(theta[objective.residual]) if model.structure else ()


def moved(fit, step, seed):
    """The optimum of a fit with theta moved by `step` standard errors in each parameter that is not at 0."""
    optimum = fit.solution.optimum
    theta, hessian = optimum.evaluation.theta, optimum.evaluation.hessian
    curvature = np.diag(hessian)
    signs = np.random.default_rng(seed).choice([-1.0, 1.0], len(theta))
    away = np.where((theta != 0) & (curvature > 1e-3), signs * np.sqrt(2 / np.maximum(curvature, 1e-3)), 0.0)
    return replace(optimum, evaluation=optimum.objective.evaluate(theta + step * away))


@some
@methods
def test_a_point_beside_the_optimum_is_refused(name, method):
    """Its gain is the log-likelihood by which the optimum, evaluated with V written out, is higher."""
    case, fit, likelihood = fitted(name, method)
    top = likelihood.at(*reported(case, fit))
    for step in (0.01, 1.0):
        for seed in range(3):
            beside = moved(fit, step, seed)
            certificate = certify(beside, (), False, {})
            gain = top - likelihood.at(*in_users_terms(fit, beside.evaluation.theta))
            assert gain > CONVERGED and not certificate.converged
            assert certificate.sentence.startswith("Not converged")
            if step == 0.01:
                assert certificate.gain_left == pytest.approx(gain, rel=0.1)
                assert certificate.scaled_gradient > 1e-3
    assert fit.certificate.gain_left < 1e-8 and fit.certificate.scaled_gradient < 1e-4


# A model whose terms are single variances, and the model without one of them.
SADDLES = {
    "an intercept": ("intercept", "y ~ t"),
    "a slope": ("uncorrelated", "y ~ t + (1 | id)"),
    "an inner level": ("nested", "y ~ t + (1 | a)"),
    "an outer level": ("nested", "y ~ t + (1 | a:id)"),
    "an intercept beside ar1": ("ar1 and intercept", "y ~ t"),
}


@pytest.mark.parametrize("name, smaller", SADDLES.values(), ids=SADDLES)
@methods
def test_a_zero_variance_that_would_grow_is_refused(name, smaller, method):
    """At the optimum of the smaller model all derivatives of the larger one vanish; a search leaves it."""
    case, fit, _ = fitted(name, method)
    low = lmm.fit(smaller, case.frame, method=method, residual=case.residual)
    assert fit.loglik > low.loglik + 0.01
    values = [psi[0, 0] for psi in reported(case, low)[0]]
    model, optimum = fit.solution.model, fit.solution.optimum
    there = np.diag(values / np.diag(model.coordinates.random) ** 2)
    levels = [model.columns(level) for level in range(len(model.covariances))]
    phi = low.solution.optimum.evaluation.theta[low.solution.optimum.objective.residual]
    theta = optimum.objective.theta([there[columns, columns] for columns in levels], phi)
    saddle = replace(optimum, evaluation=optimum.objective.evaluate(theta))
    assert np.abs(saddle.evaluation.gradient).max() < 1e-6
    certificate = certify(saddle, (), False, {})
    assert not certificate.converged
    assert "a zero variance would grow" in certificate.sentence
    assert estimate(optimum.objective, [theta]).deviance == pytest.approx(optimum.deviance, abs=CONVERGED)


@pytest.mark.parametrize(
    "residual, seed", [(EXPONENTIAL, 14), (GAUSSIAN, 1)], ids=["exponential", "gaussian"]
)
def test_neither_range_nor_nugget_matters(residual, seed):
    """Without serial correlation the fit is that of independent residuals, and its certificate says why."""
    fit = lmm.fit("y ~ t", panel(seed, **NOISE), residual=residual)
    assert fit.loglik == pytest.approx(lmm.fit("y ~ t", panel(seed, **NOISE)).loglik, abs=CONVERGED)
    assert fit.certificate.boundary == ("range is 0",)
