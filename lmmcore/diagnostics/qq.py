"""Normal quantile and probability plots with a simultaneous band.

The band is that of lmmcore.diagnostics.bands: all values of a normal sample lie in it with one probability.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lmmcore.data.table import to_frame
from lmmcore.diagnostics.bands import limits, local_level, middle, ranks
from lmmcore.estimate.effects import Blups
from lmmcore.estimate.residuals import normalized_residuals
from lmmcore.estimate.solution import Solution
from lmmcore.estimate.units import marginal_residuals

# Values fewer than these are shown, but not judged.
FEW = 8
# Share of a random effect's variance below which its prediction says nothing.
UNINFORMED = 1e-8


@dataclass(frozen=True, eq=False)
class Band:
    """Points x, y with the limits low, high of y; all (k,)."""

    x: np.ndarray
    y: np.ndarray
    low: np.ndarray
    high: np.ndarray


@dataclass(frozen=True, eq=False)
class Quantiles:
    """Sorted values against normal quantiles. name : of the values; n : their number.

    rank : (k,) the ranks looked at, all unless there are many; theoretical : (k,) quantiles of the standard
    normal; observed : (k,); low, high : (k,) the simultaneous band about mean + sd * theoretical.
    """

    name: str
    n: int
    rank: np.ndarray
    theoretical: np.ndarray
    observed: np.ndarray
    low: np.ndarray
    high: np.ndarray
    mean: float
    sd: float
    conf_level: float

    @property
    def outside(self) -> int:
        """Points outside the band; in a normal sample there is none with probability conf_level."""
        return int(np.sum((self.observed < self.low) | (self.observed > self.high)))

    @property
    def sentence(self) -> str:
        """What the band says."""
        if self.n < FEW:
            return f"{self.n} values are too few to judge whether they are normal."
        where = f"the simultaneous {self.conf_level:.0%} band of a normal sample"
        k = len(self.rank)
        told = f"{k:,} values" if k == self.n else f"{k} ranks looked at, of {self.n:,} values,"
        if not self.outside:
            return f"All {told} lie within {where}."
        verb = "lies" if self.outside == 1 else "lie"
        return f"{self.outside} of the {told} {verb} outside {where}."

    @property
    def qq(self) -> Band:
        """Values against normal quantiles."""
        return Band(self.theoretical, self.observed, self.low, self.high)

    @property
    def detrended(self) -> Band:
        """The same less the line mean + sd * theoretical."""
        line = self.mean + self.sd * self.theoretical
        return Band(self.theoretical, self.observed - line, self.low - line, self.high - line)

    @property
    def pp(self) -> Band:
        """Normal probabilities of the values against those of the ranks."""
        from scipy.special import ndtr

        shown = [ndtr((values - self.mean) / self.sd) for values in (self.observed, self.low, self.high)]
        return Band(ndtr(self.theoretical), *shown)


def quantiles(values: np.ndarray, name: str, conf_level: float = 0.95) -> Quantiles | None:
    """Sorted values : (n,) with their band; None for fewer than 3, or if all are equal.

    Raises ArgumentError unless 0 < conf_level < 1.
    """
    n = len(values)
    if n < 3 or np.ptp(values) <= 1e-12 * np.max(np.abs(values)):
        return None
    rank = ranks(n)
    mean, sd = float(np.mean(values)), float(np.std(values, ddof=1))
    low, high = (mean + sd * limit for limit in limits(n, rank, local_level(n, conf_level)))
    observed = np.sort(values)[rank - 1]
    return Quantiles(name, n, rank, middle(n, rank), observed, low, high, mean, sd, conf_level)


def residual_quantiles(solution: Solution, conf_level: float = 0.95) -> Quantiles | None:
    """Normalised residuals, independent N(0, 1) if the model holds; None where they do not vary."""
    residual = normalized_residuals(solution, marginal_residuals(solution))
    return quantiles(residual, "normalised residuals", conf_level)


def effect_quantiles(
    solution: Solution, predicted: Sequence[Blups], conf_level: float = 0.95
) -> tuple[Quantiles, ...]:
    """Predicted random effects of each level and term, those of variance 0 left out.

    They are divided by their own standard deviation, var(b^) = var(b) - var(b^ - b), with which they are N(0,
    1) whatever a unit's number of rows. The standard error of prediction, the root of var(b^ - b), would not
    do: it is small where a unit has many rows, and would make outliers of the units best known.
    """
    model = solution.model
    found = []
    for level, blups in enumerate(predicted):
        columns = model.columns(level)
        variance = solution.sigma2 * np.diag(solution.psi[columns, columns])
        for place, term in enumerate(model.effects(level)):
            own = variance[place] - blups.spread[place, place]
            known = own > UNINFORMED * variance[place]
            standard = blups.effects[place, known] / np.sqrt(own[known])
            name = f"{term} | {model.groups[level].name}"
            shown = quantiles(standard, name, conf_level) if known.any() else None
            found += [shown] if shown is not None else []
    return tuple(found)


def frame(found: Sequence[Quantiles], solution: Solution) -> Any:
    """Frame: name, rank, theoretical, observed, low, high of each point."""
    columns: dict[str, Any] = {"name": [each.name for each in found for _ in each.rank]}
    for key in ("rank", "theoretical", "observed", "low", "high"):
        columns[key] = np.concatenate([getattr(each, key) for each in found] or [np.zeros(0)])
    return to_frame(columns, solution.model.table.backend)
