"""Autocorrelation of residuals within subjects, for times on a grid.

Pairs of rows of a subject that lie a lag apart, whatever stands between them: gaps in the visits are no gaps
in the lags. In a true model normalised residuals are independent, and the autocorrelation at a lag of k pairs
has the variance 1/k; the bounds of different lags are widened for their number (Sidak 1967).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lmmcore.data.table import to_frame
from lmmcore.diagnostics.times import Time, sorted_times, steps, subjects
from lmmcore.errors import DataError
from lmmcore.estimate.residuals import normalized_residuals
from lmmcore.estimate.solution import Solution
from lmmcore.estimate.units import marginal_residuals
from lmmcore.inference.covariance.components import normal_quantile

MOST_LAGS = 20
# Lags with fewer pairs are left out.
FEW_PAIRS = 10


@dataclass(frozen=True, eq=False)
class Autocorrelation:
    """All (m,). lag : in units of time; correlation; pairs : of rows; pointwise, simultaneous : limits of the
    absolute value of a correlation of 0, for each lag by itself and for all together."""

    lag: np.ndarray
    correlation: np.ndarray
    pairs: np.ndarray
    pointwise: np.ndarray
    simultaneous: np.ndarray

    @property
    def outside(self) -> int:
        """Lags outside the simultaneous limits."""
        return int(np.sum(np.abs(self.correlation) > self.simultaneous))

    def frame(self, backend: Any = "polars") -> Any:
        """Frame: lag, correlation, pairs, pointwise, simultaneous."""
        return to_frame(vars(self), backend)


def autocorrelation(
    values: np.ndarray, subject: np.ndarray, times: np.ndarray, conf_level: float = 0.95
) -> Autocorrelation | None:
    """Mean product of values of a subject that lie a lag apart, over the mean square of all.

    values : (n,) of mean about 0; subject : (n,) whole numbers; times : (n,), one row a subject and time.
    Lags are multiples of the common step of the times, at most MOST_LAGS, without those of fewer than
    FEW_PAIRS pairs. None if the times have no common step, or no lag is left.
    """
    grid = steps(times)
    if grid is None or not np.any(values):
        return None
    step, place = grid
    width = 2 * int(place.max()) + 2  # so that no lag reaches the next subject
    keys = subject.astype(np.int64) * width + place
    order = np.argsort(keys)
    keys, ordered = keys[order], values[order]
    found = []
    for lag in range(1, min(MOST_LAGS, int(place.max())) + 1):
        at = np.minimum(np.searchsorted(keys, keys + lag), len(keys) - 1)
        both = keys[at] == keys + lag
        if both.sum() >= FEW_PAIRS:
            found.append((lag * step, float(np.mean(ordered[both] * ordered[at[both]])), int(both.sum())))
    if not found:
        return None
    lags, products, pairs = (np.array(part) for part in zip(*found, strict=True))
    sd = 1 / np.sqrt(pairs)
    together = normal_quantile(conf_level ** (1 / len(pairs)))
    return Autocorrelation(
        lags, products / np.mean(values**2), pairs, normal_quantile(conf_level) * sd, together * sd
    )


def residual_autocorrelation(
    solution: Solution, time: Time = None, conf_level: float = 0.95
) -> Autocorrelation:
    """Of the normalised residuals within the units of the innermost grouping factor; time : see sorted_times.

    Raises DataError if the times have no common step, or no lag has FEW_PAIRS pairs.
    """
    residual = normalized_residuals(solution, marginal_residuals(solution))
    found = autocorrelation(residual, subjects(solution), sorted_times(solution, time), conf_level)
    if found is None:
        raise DataError(
            f"The times have no common step with {FEW_PAIRS} pairs of rows at a lag; use the semivariogram, "
            "which takes any times."
        )
    return found
