"""Diagnostics of a fit as data: frames and arrays, no drawing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from lmmcore.diagnostics.homogeneity import homogeneity
from lmmcore.diagnostics.influence import Influence, influence
from lmmcore.diagnostics.qq import Quantiles, effect_quantiles, residual_quantiles
from lmmcore.diagnostics.semivariogram import ResidualKind, Semivariogram, semivariogram
from lmmcore.diagnostics.serial import Autocorrelation, residual_autocorrelation
from lmmcore.diagnostics.spread import VarianceOverTime, VisitMoments, variance_over_time, visit_moments
from lmmcore.diagnostics.times import Time
from lmmcore.estimate.effects import blups
from lmmcore.estimate.solution import Solution
from lmmcore.runtime import arguments

__all__ = ["Diagnostics"]


@dataclass(frozen=True)
class Diagnostics:
    """What to look at before believing a fit. time : a column, (n,) values of the rows used, or None for the
    time of the residual structure."""

    solution: Solution

    def influence(self) -> Influence:
        """What leaving out each outermost unit does to the estimates; .frame() has one row a unit."""
        return influence(self.solution)

    def qq(
        self, of: Literal["residuals", "random"] = "residuals", conf_level: float = 0.95
    ) -> tuple[Quantiles, ...]:
        """Normal quantiles of the normalised residuals, or of each random effect, with a simultaneous band;
        each has .qq, .detrended, .pp, .outside, .sentence."""
        arguments.one_of(of, "of", ("residuals", "random"))
        arguments.share(conf_level, "conf_level")
        if of == "random":
            return effect_quantiles(self.solution, blups(self.solution), conf_level)
        found = residual_quantiles(self.solution, conf_level)
        return () if found is None else (found,)

    def acf(self, time: Time = None, conf_level: float = 0.95) -> Autocorrelation:
        """Autocorrelation of normalised residuals within subjects, with simultaneous limits."""
        arguments.share(conf_level, "conf_level")
        return residual_autocorrelation(self.solution, time, conf_level)

    def semivariogram(
        self, time: Time = None, residual: ResidualKind = "raw", conf_level: float = 0.95
    ) -> Semivariogram:
        """Semivariogram of the rows and implied by the model, with simultaneous limits."""
        arguments.share(conf_level, "conf_level")
        return semivariogram(self.solution, time, residual, conf_level)

    def variance_over_time(self, time: Time = None, conf_level: float = 0.95) -> VarianceOverTime:
        """Marginal variances of the rows beside the model's."""
        arguments.share(conf_level, "conf_level")
        return variance_over_time(self.solution, time, conf_level)

    def visits(self, time: Time = None) -> VisitMoments:
        """Marginal variances and correlations between visits, of the rows and implied by the model."""
        return visit_moments(self.solution, time)

    def homogeneity(self, by: Sequence[str] | None = None) -> Any:
        """Frame of tests of constant variance on normalised residuals, by groups and by fitted values."""
        return homogeneity(self.solution, by)
