"""Tests of linear hypotheses L beta = d: t tests of single contrasts, F tests of several at once.

Denominator degrees of freedom:

    satterthwaite   Fai & Cornelius (1996): contrasts are made independent, their t tests' df are combined
    kenward-roger   Kenward & Roger (1997), which adjusts the standard errors as well; REML only
    residual        n - p
    asymptotic      infinite: normal and chi-square distributions
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from lmmcore.errors import ArgumentError
from lmmcore.estimate.solution import Solution
from lmmcore.inference.fixed.information import CovarianceInformation
from lmmcore.inference.fixed.kenward_roger import adjusted_vcov, kenward_roger, scaled_f
from lmmcore.inference.fixed.satterthwaite import combined_df, satterthwaite
from lmmcore.runtime.arguments import one_of, share

DfMethod = Literal["satterthwaite", "kenward-roger", "residual", "asymptotic"]
DF_METHODS = ("satterthwaite", "kenward-roger", "residual", "asymptotic")
# Share of the largest eigenvalue of L vcov L' below which a row of L repeats the others.
REPEATED = 1e-10


@dataclass(frozen=True)
class Estimates:
    """k linear combinations of beta^. estimate, se, df : (k,); vcov : (k, k)."""

    estimate: np.ndarray
    se: np.ndarray
    df: np.ndarray
    vcov: np.ndarray

    def statistics(self, rhs: np.ndarray | float = 0.0) -> tuple[np.ndarray, np.ndarray]:
        """t statistics and two-sided p values : (k,) each, of the hypotheses estimate = rhs."""
        from scipy.special import stdtr

        with np.errstate(divide="ignore", invalid="ignore"):
            t = (self.estimate - rhs) / self.se
        return t, 2 * stdtr(np.minimum(self.df, 1e300), -np.abs(t))

    def interval(self, conf_level: float) -> tuple[np.ndarray, np.ndarray]:
        """Limits estimate -/+ t se : (k,) each; ArgumentError unless 0 < conf_level < 1."""
        return t_interval(self.estimate, self.se, self.df, conf_level)


@dataclass(frozen=True)
class JointTest:
    """An F test. num_df : rank of the hypothesis; den_df may be infinite (a chi-square test over num_df)."""

    statistic: float
    num_df: int
    den_df: float
    p_value: float


def t_interval(
    estimate: np.ndarray, se: np.ndarray, df: np.ndarray, conf_level: float
) -> tuple[np.ndarray, np.ndarray]:
    """Limits estimate -/+ t se; ArgumentError unless 0 < conf_level < 1."""
    from scipy.special import stdtrit

    share(conf_level, "conf_level")
    half = stdtrit(np.minimum(df, 1e300), (1 + conf_level) / 2) * se
    return estimate - half, estimate + half


def linear_estimates(solution: Solution, L: np.ndarray, df: DfMethod = "satterthwaite") -> Estimates:
    """Estimates of L beta for L : (k, p) in the user's coordinates, each row with a t test of its own.

    Raises ArgumentError for an unknown method, FitError for Kenward and Roger's method after ML.
    """
    one_of(df, "df", DF_METHODS)
    L = np.atleast_2d(np.asarray(L, dtype=float))
    estimate = L @ solution.beta
    vcov = L @ solution.vcov @ L.T
    if df == "kenward-roger":
        information = kenward_roger(solution)
        vcov = L @ adjusted_vcov(solution, information) @ L.T
        degrees = np.array([_single_df(solution, information, row) for row in L])
    elif df == "satterthwaite":
        degrees = satterthwaite(solution.optimum, L @ solution.model.coordinates.fixed, solution.nu)
    elif df == "residual":
        degrees = np.full(len(L), float(solution.model.n - solution.model.p))
    else:
        degrees = np.full(len(L), np.inf)
    return Estimates(estimate, np.sqrt(np.diag(vcov)), degrees, vcov)


def _single_df(solution: Solution, information: CovarianceInformation, row: np.ndarray) -> float:
    """Kenward and Roger's df of one contrast : (p,); nan if there is nothing to test."""
    return scaled_f(solution, information, row[None])[1] if row.any() else float("nan")


def orthonormal_rows(L: np.ndarray, rhs: np.ndarray | float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """The hypothesis L beta = rhs by orthonormal rows : (l, p) in the user's coordinates, l its rank, and
    their right sides : (l,).

    Every way to write a hypothesis has these rows, up to a rotation that no joint test depends on. Where a
    hypothesis leaves terms out they are the unit vectors. Raises ArgumentError if rows contradict each other.
    """
    sizes = np.linalg.norm(L, axis=1)
    chosen = sizes > 0
    unit, d = L[chosen] / sizes[chosen, None], np.broadcast_to(rhs, len(L))[chosen] / sizes[chosen]
    left, values, rows = np.linalg.svd(unit, full_matrices=False)
    rank = int((values > REPEATED * values.max(initial=0.0)).sum())
    right = left[:, :rank].T @ d / values[:rank]
    if np.abs(unit @ (right @ rows[:rank]) - d).max(initial=0.0) > REPEATED**0.5 * np.abs(d).max(initial=0.0):
        raise ArgumentError(
            "The hypotheses contradict each other: rows of L that depend on each other have other values in "
            "rhs; leave one of them out."
        )
    return rows[:rank], right


def joint_test(
    solution: Solution, L: np.ndarray, rhs: np.ndarray | float = 0.0, df: DfMethod = "satterthwaite"
) -> JointTest:
    """F test of L beta = rhs for L : (k, p) in the user's coordinates; rows that repeat others are merged.

    Satterthwaite's df depend on the basis of the rows, as lmerTest's do: those of independent combinations of
    the rows as they stand are combined. See orthonormal_rows for the one that a hypothesis has by itself.
    Raises ArgumentError for an unknown method or if nothing is tested, FitError for Kenward and Roger's
    method after ML.
    """
    from scipy.special import fdtrc

    one_of(df, "df", DF_METHODS)
    L = np.atleast_2d(np.asarray(L, dtype=float))
    values, vectors = np.linalg.eigh(L @ solution.vcov @ L.T)
    tested = values > REPEATED * max(values[-1], 0.0)
    size = int(tested.sum())
    if not size or values[-1] <= 0:
        raise ArgumentError("Every row of L is 0, so that there is nothing to test.")
    turn = vectors[:, tested].T
    independent, left = turn @ L, turn @ (L @ solution.beta - rhs)
    if df == "kenward-roger":
        information = kenward_roger(solution)
        vcov = independent @ adjusted_vcov(solution, information) @ independent.T
        scale, den = scaled_f(solution, information, independent)
        statistic = scale * float(left @ np.linalg.solve(vcov, left)) / size
    else:
        statistic = float((left**2 / values[tested]).sum()) / size
        den = combined_df(linear_estimates(solution, independent, df).df)
    return JointTest(statistic, size, den, float(fdtrc(size, min(den, 1e300), statistic)))


def coefficients(terms: Sequence[str], found: Estimates, conf_level: float) -> dict[str, Any]:
    """broom's columns of a table of coefficients, each with a t test of its own."""
    statistic, p_value = found.statistics()
    low, high = found.interval(conf_level)
    return {
        "term": list(terms),
        "estimate": found.estimate,
        "std_error": found.se,
        "statistic": statistic,
        "df": found.df,
        "p_value": p_value,
        "conf_low": low,
        "conf_high": high,
    }
