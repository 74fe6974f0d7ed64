"""Semivariogram of residuals within subjects, beside that of the model, for any times.

The semivariogram at a distance d is half the mean squared difference of residuals of a subject that lie d
apart: the variance less the covariance at d (Diggle 1988). Half a sum of squared differences is r'L r / 2
with L the Laplacian matrix of the pairs; its variance under the model (lmmcore.diagnostics.moments) knows
that pairs share rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from lmmcore.data.table import to_frame
from lmmcore.diagnostics.moments import UnitMoments, chi_square_limits, intervals, unit_moments
from lmmcore.diagnostics.times import Time, sorted_times, subjects
from lmmcore.errors import DataError
from lmmcore.estimate.solution import Solution
from lmmcore.runtime.arguments import one_of

ResidualKind = Literal["raw", "normalized"]
# Distances are classes of their own up to MOST of them, else CLASSES of equal counts.
MOST, CLASSES = 20, 15
# Classes with fewer pairs are left out.
FEW_PAIRS = 10
# Pairs among which the classes are looked for.
LOOKED_AT = 1_000_000


@dataclass(frozen=True, eq=False)
class Semivariogram:
    """All (b,), by class of distance. distance : mean, in units of time; pairs : of rows; empirical : freed
    of the bias from estimating beta; implied : by the model, 1 for normalised residuals; low, high :
    simultaneous limits of `empirical` if the model holds. variance : mean implied variance, which
    uncorrelated rows reach."""

    distance: np.ndarray
    pairs: np.ndarray
    empirical: np.ndarray
    implied: np.ndarray
    low: np.ndarray
    high: np.ndarray
    variance: float

    @property
    def outside(self) -> int:
        """Classes outside the limits."""
        return int(np.sum((self.empirical < self.low) | (self.empirical > self.high)))

    def frame(self, backend: Any = "polars") -> Any:
        """Frame: distance, pairs, empirical, implied, low, high."""
        return to_frame({k: v for k, v in vars(self).items() if k != "variance"}, backend)


def semivariogram(
    solution: Solution, time: Time = None, residual: ResidualKind = "raw", conf_level: float = 0.95
) -> Semivariogram:
    """Of marginal residuals ("raw") or of these normalised, within units of the innermost grouping factor.

    time : see lmmcore.diagnostics.times.sorted_times. The limits take residuals as normal and correlated as
    the model says; they are widened for the number of classes (Sidak 1967). Raises DataError if fewer than
    FEW_PAIRS pairs of rows are of one subject.
    """
    one_of(residual, "residual", ("raw", "normalized"))
    times, subject = sorted_times(solution, time), subjects(solution)
    edges = _edges(times, subject, solution.model.rows.units[-1].starts)
    b, p = len(edges) + 1, solution.model.p
    sums = np.zeros((6, b))  # pairs, distances, observed, implied, expected, variance
    shared = np.zeros((b, p, p))
    total = 0.0
    for unit in unit_moments(solution, residual == "normalized"):
        total += float(np.einsum("cii->", unit.implied))
        found = _sums(unit, times, subject, edges)
        sums += found[0]
        shared += found[1]
    sums[5] += np.einsum("bij,bij->b", shared, shared) / 2
    kept = sums[0] >= FEW_PAIRS
    if not kept.any():
        raise DataError(f"No distance in time has {FEW_PAIRS} pairs of rows of one subject.")
    pairs, distance, observed, implied, expected, variance = sums[:, kept]
    low, high = chi_square_limits(2 * expected**2 / variance, conf_level ** (1 / kept.sum()))
    # The limits hold for what the residuals show; the correction for beta is added on either side.
    shift = implied - expected
    return Semivariogram(
        distance / pairs,
        pairs.astype(int),
        observed / pairs,
        implied / pairs,
        (low * expected + shift) / pairs,
        (high * expected + shift) / pairs,
        total / solution.model.n,
    )


def _edges(times: np.ndarray, subject: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Inner edges of the classes, from the pairs of evenly spread subjects."""
    sizes = np.diff(np.append(starts, len(times)))
    every = int(np.ceil((sizes * (sizes - 1) / 2).sum() / LOOKED_AT)) or 1
    found = [np.zeros(0)]
    for start, size in zip(starts[::every].tolist(), sizes[::every].tolist(), strict=True):
        own = times[start : start + size]
        i, j = np.triu_indices(size, 1)
        found.append(np.abs(own[i] - own[j]))
    return intervals(np.concatenate(found), MOST, CLASSES)


def _sums(
    unit: UnitMoments, times: np.ndarray, subject: np.ndarray, edges: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Sums over the pairs of each class : (6, b), as in `semivariogram`, and of G'L G : (b, p, p)."""
    t, who = times[unit.index], subject[unit.index]
    n, b = t.shape[1], len(edges) + 1
    apart = np.abs(t[:, :, None] - t[:, None, :])
    place = np.searchsorted(edges, apart)
    place[(who[:, :, None] != who[:, None, :]) | np.eye(n, dtype=bool)] = b  # no pair
    result = np.zeros((6, b))

    def halved(values: np.ndarray) -> np.ndarray:
        """Sums over unordered pairs."""
        return np.bincount(place.ravel(), weights=values.ravel(), minlength=b + 1)[:b] / 2

    def differences(C: np.ndarray) -> np.ndarray:
        """Half the variance of the difference of each pair."""
        own = np.einsum("cii->ci", C)
        return (own[:, :, None] + own[:, None, :]) / 2 - C

    V, half = unit.implied, unit.half
    shared = np.zeros((b, half.shape[2], half.shape[2]))
    result[0] = halved(np.ones(place.shape))
    result[1] = halved(apart)
    for row, matrix in ((2, unit.observed), (3, V), (4, V - unit.lost)):
        result[row] = halved(differences(matrix))
    for number in np.flatnonzero(result[0]).tolist():
        pairs = (place == number).astype(float)
        degree = pairs.sum(axis=2)[:, :, None]
        LV, LG = degree * V - pairs @ V, degree * half - pairs @ half
        result[5, number] = np.einsum("cij,cji->", LV, LV) / 2 - np.einsum(
            "cia,cij,cja->", LG, V, LG, optimize=True
        )
        shared[number] = np.einsum("cia,cib->ab", half, LG)
    return result, shared
