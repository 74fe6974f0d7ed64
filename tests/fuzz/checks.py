"""What is checked of a case: each number of a fit by the dense formulas at the parameters it reports."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

import lmmcore as lmm
from lmmcore.prediction.uncertainty import LEAST
from tests.fuzz.case import Case
from tests.fuzz.dense import Dense
from tests.fuzz.moments import (
    Point,
    effects,
    face_chart,
    linear_chart,
    prediction_error,
    satterthwaite,
    scaled_inverse,
)
from tests.fuzz.oracle import BOUND, Oracle, Whitened
from tests.fuzz.variants import VARIANTS

LOGLIK = 1e-8  # of the reported parameters, relative to 1 + |loglik|
BELOW = 1e-6  # log-likelihood below the oracle's optimum
CONDITION = 1e7  # of V, beyond which derivatives in double precision prove nothing
VARIED = 0.5  # share of the cases that are fitted once more, in other units or another order
REGULAR = 1e-3  # least eigenvalue of a scaled Hessian at which an optimum is a plain one
FLAT = 1e-9  # curvature of -2 log likelihood, by relative SDs, that is none
# Refusals that the data alone explain.
PLAIN = re.compile(
    "as many unknowns|has one level only|rows cannot estimate|no residual variation|no two rows of a subject"
    "|estimates a correlation for each lag|does not vary within"
)


@dataclass
class Result:
    """outcome : class of what the engine did; faults : kind -> what is wrong; unbounded : whether the
    likelihood has no maximum, or none but at the end of its space."""

    outcome: str
    faults: dict[str, str] = field(default_factory=dict)
    unbounded: bool = False

    def check(self, kind: str, ours: Any, right: Any, scale: Any, tolerance: float) -> None:
        """|ours - right| <= tolerance * scale, element by element."""
        ours, right = np.asarray(ours, dtype=float), np.asarray(right, dtype=float)
        scale = np.broadcast_to(np.asarray(scale, dtype=float), right.shape)
        with np.errstate(invalid="ignore"):
            wrong = ~(np.abs(ours - right) <= tolerance * scale) & ~((ours == right) & np.isinf(right))
            wrong &= ~(np.isnan(ours) & np.isnan(right))
        if np.any(wrong):
            k = int(np.flatnonzero(wrong.ravel())[0])
            told = f"{ours.ravel()[k]:.10g} for {right.ravel()[k]:.10g} ({int(wrong.sum())} of {wrong.size})"
            self.faults.setdefault(kind, told)


def checked(case: Case, seed: int, number: int) -> Result:
    """Fit a case and check everything about it."""
    rng = np.random.default_rng([seed, number, 1])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            fit = case.fit()
    except lmm.LmmError as refusal:
        return _refused(case, rng, refusal)
    except Exception as error:  # noqa: BLE001 - whatever escapes is the fault looked for
        return Result("error", {"error": repr(error)})
    result = Result("converged" if fit.certificate.converged else "not converged")
    if fit.certificate.converged and fit.certificate.boundary:
        result.outcome = "on the boundary"
    try:
        _check_fit(case, fit, rng, result)
        if rng.random() < VARIED:
            VARIANTS[int(rng.integers(len(VARIANTS)))](case, fit, rng, result)
    except lmm.LmmError as refusal:
        result.faults["refused after the fit"] = str(refusal)
    except Exception as error:  # noqa: BLE001
        result.faults["error after the fit"] = f"{type(error).__name__}: {error}"
    return result


def _refused(case: Case, rng: np.random.Generator, refusal: Exception) -> Result:
    words = re.sub(r"'[^']*'|-?\d[\d.e+-]*|\(.*?\)", "_", str(refusal))
    result = Result("refused: " + " ".join(words.split()[:9]))
    if PLAIN.search(str(refusal)):
        return result
    dense = Dense(case)
    X = dense.X(_independent(dense.columns))
    if X.shape[1] >= case.n:
        return result
    deviance, u = Oracle(dense, X).optimum(rng, [])
    if _is_plain(dense, X, u, deviance):
        result.faults["refused though plain"] = f"{refusal} (oracle {-deviance / 2:.6f})"
    return result


def _independent(columns: dict[str, np.ndarray]) -> list[str]:
    """Names of columns that those before do not determine."""
    kept: list[str] = []
    for name, column in columns.items():
        X = np.column_stack([*(columns[other] / np.linalg.norm(columns[other]) for other in kept), column])
        X[:, -1] /= np.linalg.norm(column) or 1
        if np.linalg.svd(X, compute_uv=False)[-1] > 1e-9 and np.any(column):
            kept.append(name)
    return kept


def _is_degenerate(oracle: Oracle, u: np.ndarray) -> bool:
    """Whether the likelihood rises towards a singular R or an infinite variance ratio."""
    R = oracle.dense.V(oracle.dense.inner(np.where(np.arange(oracle.size) < oracle.split, 0.0, u)))
    scale = 1 / np.sqrt(np.diag(R))
    at_end = np.abs(u[oracle.split :]) > BOUND - 0.1
    singular = not np.linalg.eigvalsh(R * np.outer(scale, scale))[0] > 1e-7
    apart = scale.max() / scale.min() > 1e4
    return bool(singular or apart or np.any(at_end) or np.abs(u[: oracle.split]).max(initial=0) > 1e6)


def _is_plain(dense: Dense, X: np.ndarray, u: np.ndarray, deviance: float) -> bool:
    """Whether the oracle's optimum is far from every boundary, with curvature in all directions."""
    oracle = Oracle(dense, X)
    if deviance > 1e11 or _is_degenerate(oracle, u):
        return False
    hessian = oracle.hessian(u)
    return scaled_inverse(hessian)[1] > REGULAR and bool(np.abs(np.diag(hessian)).min(initial=1) > 1e-3)


def _check_fit(case: Case, fit: lmm.Fit, rng: np.random.Generator, result: Result) -> None:
    dense = Dense(case)
    if sorted(_independent(dense.columns)) != sorted(fit.terms):
        result.faults["rank of X"] = f"{fit.terms} of {list(dense.columns)}"
        return
    X = dense.X(fit.terms)
    tau = dense.reported(fit)
    if not np.isfinite(tau.astype(float)).all():
        result.faults["not finite"] = str(tau)
        return
    beta = np.array(list(fit.beta.values()), dtype=np.longdouble)
    oracle = Oracle(dense, X)
    try:
        white = Whitened.of(dense.V(tau), X, dense.y)
        loglik = white.loglik(beta, case.method == "REML")
    except np.linalg.LinAlgError:
        loglik = np.nan
    said = "" if fit.certificate.converged else ", not converged"
    # As many digits as the parameters have once they are written down: a correlation of 1 - 1e-12 has four.
    digits = LOGLIK * (1 + abs(fit.loglik)) + np.finfo(float).eps * case.n * _condition_of_R(dense, tau)
    loglik = loglik if np.isfinite(loglik) else -np.inf
    # Where the likelihood has no maximum the numbers say nothing, and are not said to.
    if "has no maximum" in fit.certificate.sentence:
        result.outcome = "not converged: no maximum, and named"
        loglik = fit.loglik
    result.check(f"loglik of the parameters{said}", fit.loglik, loglik, digits, 1.0)
    deviance, u = oracle.optimum(rng, [dense.outer(tau)])
    gain = _confirmed(dense, X, u, deviance) - fit.loglik
    degenerate = result.unbounded = _is_degenerate(oracle, u)
    if gain > BELOW and degenerate:  # a local maximum is what there is
        result.outcome += ", beside an unbounded likelihood"
    elif gain > BELOW:
        result.faults["below the optimum"] = f"{fit.loglik:.8f}, the oracle has {fit.loglik + gain:.8f}"
    if not fit.certificate.converged:
        if not degenerate and gain > -BELOW and _is_plain(dense, X, u, deviance):
            result.faults["unconverged though plain"] = fit.certificate.sentence
        return
    if result.faults:
        return
    _check_linear(case, fit, dense, X, tau, white, result)
    if np.linalg.cond(_unit(dense.V(tau).astype(float))) < CONDITION:
        _check_df(case, fit, rng, dense, X, tau, result)


def _condition_of_R(dense: Dense, tau: np.ndarray) -> float:
    """Of the correlation matrix of the residuals."""
    _, natural, _ = dense.parts(tau.astype(float))
    R = np.where(dense.same, dense.law.matrix(natural, dense.case), 0)
    if not np.isfinite(R).all() or np.diag(R).min() <= 0:
        return np.inf
    return float(np.linalg.cond(_unit(R)))


def _unit(V: np.ndarray) -> np.ndarray:
    scale = 1 / np.sqrt(np.diag(V))
    return V * np.outer(scale, scale)


def _confirmed(dense: Dense, X: np.ndarray, u: np.ndarray, deviance: float) -> float:
    """Log-likelihood at the oracle's optimum in extended precision."""
    tau = dense.inner(u.astype(np.longdouble))
    n, p = X.shape
    nu = n - p * (dense.case.method == "REML")
    try:
        white = Whitened.of(dense.V(tau), X, dense.y)
        left = white.y - white.X @ white.beta
        tau[:-1] = (
            np.where(np.arange(len(tau) - 1) < (dense.splits or [0])[-1], left @ left / nu, 1) * tau[:-1]
        )
        tau[-1] = left @ left / nu
        white = Whitened.of(dense.V(tau), X, dense.y)
    except np.linalg.LinAlgError:
        return -np.inf
    return white.loglik(white.beta, dense.case.method == "REML")


def _check_linear(
    case: Case, fit: lmm.Fit, dense: Dense, X: np.ndarray, tau: np.ndarray, white: Whitened, result: Result
) -> None:
    """beta, its covariance, random effects, fitted values."""
    vcov = white.vcov
    se = np.sqrt(np.diag(vcov))
    result.check("beta", list(fit.beta.values()), white.beta, se + 1e-3 * np.abs(white.beta), 1e-6)
    result.check("vcov", fit.vcov, vcov, np.outer(se, se), 1e-6)
    right = effects(dense, tau, white)
    for row in fit.ranef().to_dicts():
        estimate, error = right[row["group"], row["level"], row["term"]]
        scale = np.sqrt(_variance_of(dense, tau, row["group"], row["term"]))
        result.check("effect", row["estimate"], estimate, scale, 1e-6)
        result.check("error of an effect", row["std_error"], error, scale, 1e-5)
    used = fit.augment()
    mean = X @ white.beta + (case.columns[case.offset] if case.offset else 0)
    spread = np.std(case.columns["y"]) + float(np.sqrt(tau[-1]))
    result.check("population mean", used["fitted_population"], mean, spread, 1e-6)


def _variance_of(dense: Dense, tau: np.ndarray, group: str, term: str) -> float:
    for block, own in zip(dense.blocks, dense.parts(tau)[0], strict=True):
        if ":".join(block.group) == group and term in block.names:
            k = block.names.index(term)
            return float(block.psi(own)[k, k] / block.scale[k] ** 2) or 1.0
    raise KeyError(term)


def _check_df(
    case: Case,
    fit: lmm.Fit,
    rng: np.random.Generator,
    dense: Dense,
    X: np.ndarray,
    tau: np.ndarray,
    result: Result,
) -> None:
    """Degrees of freedom, and predictions with their errors."""
    each = np.eye(X.shape[1])
    held = [phrase for phrase in fit.certificate.boundary if "within" not in phrase]
    face = Point(dense, X, face_chart(dense, tau))
    hessian = face.hessian()
    W, least = scaled_inverse(hessian)
    if np.abs(np.diag(hessian)).min() < FLAT and not held:
        result.faults["converged though flat"] = fit.certificate.sentence
        return
    if least > REGULAR and not held:
        df = satterthwaite(*face.variances(each), 2 * W)
        result.check("satterthwaite", fit.tidy()["df"], df, np.minimum(df, 1e6) + 1e-3, 1e-3)
    chart = linear_chart(dense, tau)
    point = Point(dense, X, chart)
    W, least = scaled_inverse(point.information)
    # What the data would say if beta were known: the fixed effects may take up all that a parameter does.
    known = np.einsum("rij,rji->r", point.inverse @ point.first, point.inverse @ point.first)
    if least < REGULAR or held or np.any(np.diag(point.information) < 1e-9 * known):
        return
    W = 2 * W
    if case.method == "REML":
        table = fit.tidy(df="kenward-roger")
        se = np.sqrt(np.diag(point.kenward_roger(W)))
        df = satterthwaite(*point.variances(each), W)
        plain = df > 1e-3  # else variance and correction are both mostly rounding
        result.check("kenward-roger error", table["std_error"].to_numpy()[plain], se[plain], se[plain], 1e-5)
        result.check("kenward-roger df", table["df"], df, np.minimum(df, 1e6) + 1e-3, 1e-4)
    _check_predictions(case, fit, rng, dense, X, tau, W, result)


def _check_predictions(
    case: Case,
    fit: lmm.Fit,
    rng: np.random.Generator,
    dense: Dense,
    X: np.ndarray,
    tau: np.ndarray,
    W: np.ndarray,
    result: Result,
) -> None:
    """Rows of known and new subjects, at known and new times."""
    new = _new_rows(case, rng)
    n = case.n
    joined = {
        name: np.concatenate([column.astype(new[name].dtype), new[name]])
        if column.dtype.kind != "U"
        else np.concatenate([column, new[name]])
        for name, column in case.columns.items()
    }
    joint = Dense(replace(case, columns=joined), like=case)
    both = joint.X(fit.terms)
    V = joint.V(tau)
    white = Whitened.of(V[:n, :n], X, dense.y)
    value, error = white.predicted(V[:n, n:], both[n:], np.diag(V)[n:])
    if case.offset:
        value = value + new[case.offset]
    frame = replace(case, columns=new).frame()
    try:
        told = fit.predict(frame, level="subject", interval="observation")
    except lmm.LmmError as refusal:
        if "holds for at most" in str(refusal):  # a negative correlation of so many rows there is not
            return
        raise
    own = np.diag(V)[n:]
    scale = np.sqrt((own + np.var(dense.y)).astype(float))
    known = _determined(joint.X(list(joint.columns)), n)
    result.check("prediction", told["prediction"], np.where(known, value, np.nan), scale, 1e-6)
    se, df = prediction_error(joint, n, both, linear_chart(dense, tau), W)
    sure = (error < 1e-9 * own).astype(bool)
    se, df = np.where(known, np.where(sure, 0, se), np.nan), np.where(known, df, np.nan)
    result.check("error of a prediction", told["std_error"], se, scale, 1e-5)
    some = ~sure & (error > 1e-6 * own).astype(bool)
    df = np.maximum(df, LEAST)
    result.check("df of a prediction", told["df"].to_numpy()[some], df[some], np.minimum(df[some], 1e6), 1e-3)
    told = fit.predict(frame, interval="mean")
    mean = both[n:] @ white.beta + (new[case.offset] if case.offset else 0)
    mean = np.where(known, mean, np.nan)
    result.check("mean of new rows", told["prediction"], mean, scale, 1e-6)
    sd = np.sqrt(np.einsum("ap,pq,aq->a", both[n:], white.vcov, both[n:]))
    result.check("error of a mean", told["std_error"], np.where(known, sd, np.nan), sd, 1e-5)


def _determined(X: np.ndarray, n: int) -> np.ndarray:
    """(a,) whether the rows from n on lie in the space of the first n rows of X : (n + a, p)."""
    scaled = X / np.maximum(np.abs(X[:n]).max(axis=0), 1e-300)
    vectors, values = np.linalg.svd(scaled[:n], full_matrices=True)[2:0:-1]
    space = vectors[: int((values > 1e-9 * values[0]).sum())]
    rest = scaled[n:] - scaled[n:] @ space.T @ space
    return np.abs(rest).max(axis=1) < 1e-7


def _new_rows(case: Case, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Six rows like those of the data, some at other times, some of subjects that are not among them."""
    rows = rng.integers(0, case.n, 6)
    new = {name: column[rows] for name, column in case.columns.items()}
    kind = "" if case.residual is None else case.residual.type
    times = case.columns["t"]
    if kind in ("Toeplitz", "Unstructured"):
        new["t"][:3] = rng.choice(times, 3)
    elif kind == "AR1":
        step = Dense(case).law.unit
        new["t"][:3] += step * rng.integers(1, 4, 3)
    else:
        new["t"][:3] += rng.uniform(0.1, 2, 3) * (np.std(times) or 1.0)
    whom = case.groups[-1][-1] if case.groups and rng.random() < 0.5 else "a"
    values = new[whom].astype(object) if new[whom].dtype.kind == "U" else new[whom]
    values[4:] = "nobody" if new[whom].dtype.kind == "U" else 10_000
    if rng.random() < 0.5 and np.allclose(case.columns["d"], 2 * times + 1):
        new["d"] = 2 * new["t"] + 1  # else the mean is not determined
    new[whom] = values.astype(str) if new[whom].dtype.kind == "U" else values
    return new
