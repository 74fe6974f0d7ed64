"""Variances and correlations of marginal residuals over time: of the rows, beside those of the model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lmmcore.data.table import to_frame
from lmmcore.diagnostics.moments import chi_square_limits, intervals, unit_moments
from lmmcore.diagnostics.times import Time, sorted_times, subjects
from lmmcore.errors import DataError
from lmmcore.estimate.solution import Solution

# Times are classes of their own up to MOST of them, else CLASSES of equal counts.
MOST, CLASSES = 40, 20
# Share of the variance left by the estimation of beta below which the rows of a time have no limits.
FREE = 1e-9
# Most visits that are compared with one another.
MOST_VISITS = 12


@dataclass(frozen=True, eq=False)
class VarianceOverTime:
    """All (b,), by time or class of times. time : mean; rows; empirical : mean square of the residuals, freed
    of the bias from estimating beta, with its confidence limits conf_low, conf_high; implied : by the
    model."""

    time: np.ndarray
    rows: np.ndarray
    empirical: np.ndarray
    conf_low: np.ndarray
    conf_high: np.ndarray
    implied: np.ndarray

    def frame(self, backend: Any = "polars") -> Any:
        """Frame: time, rows, empirical, conf_low, conf_high, implied."""
        return to_frame(vars(self), backend)


def variance_over_time(solution: Solution, time: Time = None, conf_level: float = 0.95) -> VarianceOverTime:
    """Marginal variance at each time; time : see lmmcore.diagnostics.times.sorted_times.

    The limits are those of a variance estimated with the degrees of freedom that the model's correlations
    leave to the rows of a time; they take residuals as normal and each time by itself.
    """
    times = sorted_times(solution, time)
    edges = intervals(times, MOST, CLASSES)
    place, b = np.searchsorted(edges, times), len(edges) + 1
    p = solution.model.p
    sums, shared = np.zeros((4, b)), np.zeros((b, p, p))  # observed, implied, expected, variance
    for unit in unit_moments(solution):
        at, V, lost = place[unit.index], unit.implied, unit.lost
        for row, matrix in enumerate((unit.observed, V, V - lost)):
            sums[row] += np.bincount(at.ravel(), np.einsum("cii->ci", matrix).ravel(), b)
        together = np.where(at[:, :, None] == at[:, None, :], V * (V - 2 * lost), 0.0).sum(axis=2)
        sums[3] += 2 * np.bincount(at.ravel(), together.ravel(), b)
        for number in np.unique(at).tolist():
            mine = unit.half[at == number]
            shared[number] += mine.T @ mine
    sums[3] += 2 * np.einsum("bij,bij->b", shared, shared)
    rows = np.bincount(place, minlength=b)
    kept = rows > 0
    observed, implied, expected, variance = sums[:, kept]
    free = np.where(expected > FREE * implied, 2 * expected**2, np.nan)  # else the mean fits its rows exactly
    low, high = chi_square_limits(free / np.where(variance > 0, variance, np.nan), conf_level)
    empirical = observed / rows[kept]
    mean = np.bincount(place, weights=times, minlength=b)[kept] / rows[kept]
    return VarianceOverTime(
        mean, rows[kept], empirical, empirical / high, empirical / low, implied / rows[kept]
    )


@dataclass(frozen=True, eq=False)
class VisitMoments:
    """Of T visits. times : (T,); correlation, implied_correlation, subjects : (T, T), subjects seen at both
    visits; sd, implied_sd : (T,). Missing where no subject was seen at both."""

    times: np.ndarray
    correlation: np.ndarray
    implied_correlation: np.ndarray
    sd: np.ndarray
    implied_sd: np.ndarray
    subjects: np.ndarray

    def frame(self, backend: Any = "polars") -> Any:
        """Frame of one row a pair of visits: time1, time2, correlation, implied_correlation, subjects."""
        second, first = np.tril_indices(len(self.times), -1)
        columns = {"time1": self.times[first], "time2": self.times[second]}
        for name in ("correlation", "implied_correlation", "subjects"):
            columns[name] = getattr(self, name)[first, second]
        return to_frame(columns, backend)


def visit_moments(solution: Solution, time: Time = None) -> VisitMoments:
    """Marginal correlations and SDs of the visits, of the rows and implied by the model.

    Products, and V in the same way (it may depend on covariates), are averaged over the subjects (units of
    the innermost grouping factor) seen at both visits; so are the squares that scale them, for those who drop
    out differ in spread. Raises DataError unless there are 2 to MOST_VISITS visits.
    """
    times, subject = sorted_times(solution, time), subjects(solution)
    visits, place = np.unique(times, return_inverse=True)
    T = len(visits)
    if not 2 <= T <= MOST_VISITS:
        raise DataError(
            f"Visits are compared where there are 2 to {MOST_VISITS} of them, but the rows have {T} "
            "different times; use the semivariogram."
        )
    products, squares = np.zeros((2, 2, T * T))  # each for observed and implied
    seen = np.zeros(T * T)
    for unit in unit_moments(solution):
        at, who = place[unit.index], subject[unit.index]
        pair = at[:, :, None] * T + at[:, None, :]
        mine = who[:, :, None] == who[:, None, :]
        seen += np.bincount(pair[mine], minlength=T * T)
        for row, matrix in enumerate((unit.observed, unit.implied)):
            own = np.broadcast_to(np.einsum("cii->ci", matrix)[:, :, None], matrix.shape)
            products[row] += np.bincount(pair[mine], matrix[mine], T * T)
            squares[row] += np.bincount(pair[mine], own[mine], T * T)
    products, squares = products.reshape(2, T, T), squares.reshape(2, T, T)
    count = seen.reshape(T, T)
    with np.errstate(invalid="ignore", divide="ignore"):
        correlation = products / np.sqrt(squares * squares.transpose(0, 2, 1))
        sd = np.sqrt(np.einsum("rtt->rt", products) / np.diag(count))
    return VisitMoments(visits, correlation[0], correlation[1], sd[0], sd[1], count.astype(int))
