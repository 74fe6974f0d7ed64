"""Profile likelihood: how the deviance rises when one parameter is held and all others are at their best.

    zeta(t) = sign(t - t^) sqrt(dev(t) - dev(t^))

is compared with a normal quantile (Bates & Watts 1988, section 6.1; lme4's profile()). The deviance is that
of maximum likelihood, as in lme4: a REML fit is refitted by ML, because restricted likelihoods cannot be
compared where a coefficient is held, and one likelihood should serve all rows of a table. A variance that
depends on the fitted values is held at those of the fit. By the envelope theorem the derivative of the
minimum by t is that of the deviance with the other parameters held.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from lmmcore.covariance.parameter import PLAIN, End, Scale
from lmmcore.estimate.solution import Solution
from lmmcore.inference.covariance.constrained import Constraint, Fixed, Free, Minimum, Without, minimise
from lmmcore.inference.covariance.peak import Peak, peak
from lmmcore.inference.covariance.scales import Parameter

# First step from an estimate on the boundary, relative to what one unit's rows tell.
FIRST_STEP = 0.3


@dataclass(frozen=True, eq=False)
class Ordinate:
    """The profile at one coordinate. slope : of zeta, nan where it is not known; rise : of the deviance."""

    coordinate: float
    zeta: float
    slope: float
    rise: float
    minimum: Minimum


class Curve(Protocol):
    """The profile of one parameter by its coordinate t. centre : t^; step : about one standard error of t."""

    @property
    def peak(self) -> Peak:
        """The maximum-likelihood fit."""

    @property
    def label(self) -> str:
        """The parameter in words."""

    @property
    def scale(self) -> Scale:
        """From t to the parameter."""

    @property
    def ends(self) -> tuple[End, End]:
        """Ends of the parameter's space."""

    @property
    def centre(self) -> float:
        """t of the maximum-likelihood estimate."""

    @property
    def step(self) -> float:
        """A first step that may be a standard error."""

    def at(self, coordinate: float, near: Ordinate | None) -> Ordinate | None:
        """The profile at a coordinate, searched from near (None: the estimate); None if the search fails."""


@dataclass(frozen=True, eq=False)
class CoefficientCurve:
    """A fixed effect."""

    peak: Peak
    place: int

    scale = PLAIN
    ends = (End(-np.inf, -np.inf), End(np.inf, np.inf))

    @property
    def label(self) -> str:
        """Its term."""
        return self.peak.solution.model.terms[self.place]

    @property
    def centre(self) -> float:
        """The estimate."""
        return float(self.peak.solution.beta[self.place])

    @property
    def step(self) -> float:
        """The standard error."""
        return float(np.sqrt(self.peak.solution.vcov[self.place, self.place]))

    def at(self, coordinate: float, near: Ordinate | None) -> Ordinate | None:
        """beta = origin + fixed b of the model's coordinates: one direction of b is held."""
        coordinates = self.peak.solution.model.coordinates
        direction = coordinates.fixed[self.place]
        along = direction / (direction @ direction)
        p = len(direction)
        columns = np.zeros((p + 1, p))
        columns[:p, :-1] = np.linalg.qr(direction[:, None], mode="complete")[0][:, 1:]
        columns[:p, -1] = -(coordinate - coordinates.origin[self.place]) * along
        columns[p, -1] = 1
        found = _search(self.peak, Free(), near, columns)
        if found is None:
            return None
        point = found.point
        pull = point.gram @ point.weights
        return _ordinate(self, coordinate, found, -2 * float(np.exp(-point.tau[-1]) * pull[:p] @ along))


@dataclass(frozen=True, eq=False)
class ParameterCurve:
    """A covariance parameter."""

    peak: Peak
    place: int

    @property
    def parameter(self) -> Parameter:
        """What is profiled."""
        return self.peak.parameters[self.place]

    @property
    def label(self) -> str:
        """In words."""
        return self.parameter.label

    @property
    def scale(self) -> Scale:
        """Its own."""
        return self.parameter.scale

    @property
    def ends(self) -> tuple[End, End]:
        """Its own."""
        return self.parameter.low, self.parameter.high

    @property
    def centre(self) -> float:
        """Its coordinate at the estimate, that of the end for an estimate on the boundary."""
        if self.peak.held[self.place]:
            value = self.peak.values[self.place]
            return min(self.ends, key=lambda end: abs(end.value - value)).coordinate
        return self.parameter.jet(self.peak.objective, self.peak.tau).value

    @property
    def step(self) -> float:
        """The standard error of the coordinate where there is one."""
        if self.peak.spread is not None and not self.peak.held[self.place]:
            first = self.parameter.jet(self.peak.objective, self.peak.tau).first
            return float(np.sqrt(first @ self.peak.spread @ first))
        if not self.parameter.term.startswith("sd__"):
            return FIRST_STEP
        length = sum(float(np.linalg.norm(row)) for _, row in self.parameter.effects)
        return FIRST_STEP * length * float(np.exp(self.peak.tau[-1] / 2))

    def at(self, coordinate: float, near: Ordinate | None) -> Ordinate | None:
        """Newton's method at a fixed coordinate; an SD of 0 takes its effect out of the model."""
        if self.parameter.term.startswith("sd__") and self.parameter.effects and coordinate == 0:
            level, row = self.parameter.effects[0]
            found = _search(self.peak, Without(level, row), near, self.peak.columns)
            return None if found is None else _ordinate(self, coordinate, found, np.nan)
        constraint = Fixed(self.parameter, coordinate)
        found = _search(self.peak, constraint, near, self.peak.columns)
        if found is None:
            return None
        return _ordinate(self, coordinate, found, constraint.multiplier(found.point, found.gradient))


def _search(peak: Peak, constraint: Constraint, near: Ordinate | None, columns: np.ndarray) -> Minimum | None:
    objective, tau = peak.objective, peak.tau
    if near is not None:
        objective, tau = near.minimum.point.objective, near.minimum.point.tau
    return minimise(constraint, objective, peak.lifted(objective, tau), columns)


def _ordinate(curve: Curve, coordinate: float, found: Minimum, slope: float) -> Ordinate:
    """slope : of the deviance by t."""
    rise = found.point.deviance - curve.peak.deviance
    sign = 1.0 if coordinate >= curve.centre else -1.0
    zeta = sign * float(np.sqrt(max(rise, 0.0)))
    return Ordinate(coordinate, zeta, slope / (2 * zeta) if zeta else np.nan, rise, found)


def coefficient_curves(solution: Solution) -> list[CoefficientCurve]:
    """One for each fixed effect, in the order of the model's terms."""
    at = peak(solution)
    return [CoefficientCurve(at, place) for place in range(at.solution.model.p)]


def parameter_curves(solution: Solution) -> list[ParameterCurve]:
    """One for each covariance parameter, in the order of components()."""
    at = peak(solution)
    return [ParameterCurve(at, place) for place in range(len(at.parameters))]
