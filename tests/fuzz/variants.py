"""What must not change a fit: the order of rows, labels, units, and whether compiled loops are in use."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING
from unittest.mock import patch

import numpy as np

import lmmcore as lmm
from lmmcore import kernel
from tests.fuzz.case import Case
from tests.fuzz.dense import Dense

if TYPE_CHECKING:
    from tests.fuzz.checks import Result

WHOLE = ("AR1", "Toeplitz", "Unstructured")


def order(case: Case, fit: lmm.Fit, rng: np.random.Generator, result: Result) -> None:
    """Rows in another order."""
    place = rng.permutation(case.n)
    _compare("order of rows", case, fit, lambda: case.fit(place), case, result, place)


def labels(case: Case, fit: lmm.Fit, rng: np.random.Generator, result: Result) -> None:
    """Other names of subjects, that sort in another order."""
    columns = {}
    for name in ("a", "b", "c"):
        levels, codes = np.unique(case.columns[name], return_inverse=True)
        names = np.array([f"s{k}" for k in rng.permutation(len(levels) + 90)[: len(levels)]])
        columns[name] = names[codes]
    other = case.with_columns(**columns)
    _compare("labels", case, fit, other.fit, other, result)


def units(case: Case, fit: lmm.Fit, rng: np.random.Generator, result: Result) -> None:
    """Another unit of time, of a covariate and of the response."""
    whole = case.residual is not None and case.residual.type in WHOLE
    by = {
        "t": float(rng.choice([2, 7]) if whole else rng.choice([1e-4, 0.01, 7, 86400])),
        "x": float(rng.choice([1e-5, 30, 1e6])),
        "y": float(rng.choice([1e-6, 3, 1e5])),
    }
    by["o"] = by["y"]
    other = case.with_columns(**{name: factor * case.columns[name] for name, factor in by.items()})
    _compare("units", case, fit, other.fit, other, result, scale=by["y"])


def loops(case: Case, fit: lmm.Fit, rng: np.random.Generator, result: Result) -> None:
    """NumPy in place of the compiled loops."""

    def without() -> lmm.Fit:
        with patch.object(kernel, "loops", None):
            return case.fit()

    _compare("loops or NumPy", case, fit, without, case, result)


VARIANTS = (order, labels, units, loops)


def _compare(
    kind: str,
    case: Case,
    fit: lmm.Fit,
    refit: Callable[[], lmm.Fit],
    other: Case,
    result: Result,
    place: np.ndarray | None = None,
    scale: float = 1.0,
) -> None:
    """Log-likelihood, convergence, population means and their standard errors."""
    try:
        moved = refit()
    except lmm.LmmError as refusal:
        if fit.certificate.converged and not result.unbounded:
            result.faults[kind] = f"refused: {refusal}"
        return
    except Exception as error:  # noqa: BLE001 - whatever escapes is the fault looked for
        result.faults[kind] = f"error: {error!r}"
        return
    named = any("has no maximum" in one.certificate.sentence for one in (fit, moved))
    if result.unbounded or named:  # where the search ends is a matter of rounding
        return
    if fit.certificate.converged != moved.certificate.converged:
        result.faults[kind] = f"{fit.certificate.sentence} / {moved.certificate.sentence}"
        return
    if not fit.certificate.converged:
        return
    if len(fit.terms) != len(moved.terms):
        result.faults[kind] = f"terms {fit.terms} / {moved.terms}"
        return
    here, there = Dense(case).X(fit.terms), Dense(other).X(moved.terms)
    nu = case.n - len(fit.terms) * (case.method == "REML")
    right = fit.loglik - nu * np.log(scale)
    if case.method == "REML":
        right += _log_volume(here) - _log_volume(there)
    result.check(kind, moved.loglik, right, 1 + abs(right), 3e-8)
    mean, error = _means(fit, here), _errors(fit, here)
    result.check(kind, _means(moved, there) / scale, mean, error + 0.01 * np.std(case.columns["y"]), 1e-4)
    result.check(kind, _errors(moved, there) / scale, error, error, 1e-4)


def _log_volume(X: np.ndarray) -> float:
    """log|X'X| / 2."""
    lengths = np.sqrt((X * X).sum(axis=0))
    return float(np.log(np.abs(np.diag(np.linalg.qr(X / lengths)[1]))).sum() + np.log(lengths).sum())


def _means(fit: lmm.Fit, X: np.ndarray) -> np.ndarray:
    return X @ np.array(list(fit.beta.values()))


def _errors(fit: lmm.Fit, X: np.ndarray) -> np.ndarray:
    return np.sqrt(np.einsum("np,pq,nq->n", X, fit.vcov, X))
