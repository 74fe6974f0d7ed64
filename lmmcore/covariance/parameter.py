"""Scales on which a covariance parameter behaves, and its first two derivatives.

A parameter is a function of others through a coordinate t that is regular up to the ends of the parameter's
space: an SD itself (0 is an ordinary end), the angle arcsin(rho) of a correlation, log sigma. Wald limits are
symmetric on a second scale, the one on which estimates are nearest to normal: log SD, Fisher's z of a
correlation (Pinheiro & Bates 2000, section 2.4.3).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Jet:
    """A function of m parameters at one point. first : (m,); second : (m, m)."""

    value: float
    first: np.ndarray
    second: np.ndarray

    def through(self, value: float, slope: float, bend: float) -> Jet:
        """f of this function, from f and its first two derivatives here."""
        outer = np.outer(self.first, self.first)
        return Jet(value, slope * self.first, bend * outer + slope * self.second)

    def __mul__(self, other: Jet) -> Jet:
        cross = np.outer(self.first, other.first)
        return Jet(
            self.value * other.value,
            self.value * other.first + other.value * self.first,
            self.value * other.second + other.value * self.second + cross + cross.T,
        )


@dataclass(frozen=True)
class Scale:
    """From the coordinate t to the parameter: value(t) and its derivative slope(t).

    name : of the scale of Wald limits; straight(t) : that scale and its derivative by t; back : from it to
    the parameter.
    """

    name: str
    value: Callable[[float], float]
    slope: Callable[[float], float]
    straight: Callable[[float], tuple[float, float]]
    back: Callable[[float], float]


def on_own_scale(name: str, value: Callable[[float], float], slope: Callable[[float], float]) -> Scale:
    """A scale whose Wald limits are symmetric in t itself."""
    return Scale(name, value, slope, lambda t: (t, 1.0), value)


def _logistic(u: float) -> float:
    return float(1 / (1 + np.exp(-u)))


FISHER = on_own_scale("Fisher's z", lambda t: float(np.tanh(t)), lambda t: float(1 - np.tanh(t) ** 2))
LOG = on_own_scale("log", lambda t: float(np.exp(t)), lambda t: float(np.exp(t)))
PLAIN = on_own_scale("identity", lambda t: t, lambda t: 1.0)
SD = Scale("log", lambda t: t, lambda t: 1.0, lambda t: (float(np.log(t)), 1 / t), lambda u: float(np.exp(u)))
ANGLE = Scale(
    "Fisher's z",
    lambda t: float(np.sin(t)),
    lambda t: float(np.cos(t)),
    lambda t: (float(np.arctanh(np.sin(t))), float(1 / np.cos(t))),
    lambda u: float(np.tanh(u)),
)
# t = w with share = w^2 / (1 + w^2)
SHARE = Scale(
    "logit",
    lambda t: t**2 / (1 + t**2),
    lambda t: 2 * t / (1 + t**2) ** 2,
    lambda t: (float(2 * np.log(abs(t))), 2 / t),
    _logistic,
)


@dataclass(frozen=True)
class End:
    """An end of a parameter's space: the parameter's value, and the coordinate that stands for it."""

    coordinate: float
    value: float


# Coordinates at which a correlation is 1 to seven digits, and a ratio 0 or infinite to eight.
FAR_Z, FAR_LOG = 8.0, 18.0
FISHER_ENDS = (End(-FAR_Z, -1.0), End(FAR_Z, 1.0))
RATIO_ENDS = (End(-FAR_LOG, 0.0), End(FAR_LOG, np.inf))
FREE_ENDS = (End(-np.inf, -np.inf), End(np.inf, np.inf))


@dataclass(frozen=True, eq=False)
class StructureParameter:
    """A natural parameter of a structure. jet : its coordinate on `scale` as a function of z : (m,)."""

    scale: Scale
    ends: tuple[End, End]
    jet: Callable[[np.ndarray], Jet]

    def within(self, place: slice, size: int) -> StructureParameter:
        """The same where z is the part `place` of `size` parameters."""

        def jet(z: np.ndarray) -> Jet:
            inner = self.jet(z[place])
            first, second = np.zeros(size), np.zeros((size, size))
            first[place], second[place, place] = inner.first, inner.second
            return Jet(inner.value, first, second)

        return StructureParameter(self.scale, self.ends, jet)


def entry(place: int) -> Callable[[np.ndarray], Jet]:
    """The coordinate that is z[place] itself."""
    return lambda z: Jet(float(z[place]), np.eye(len(z))[place], np.zeros((len(z), len(z))))


def ratio(place: int) -> StructureParameter:
    """A ratio of SDs, exp(z[place])."""
    return StructureParameter(LOG, RATIO_ENDS, entry(place))


def correlation(place: int, step: int = 1) -> StructureParameter:
    """sign(phi) |phi|^(1/step), phi = tanh(z[place]) the correlation over one of `step` units of time."""

    def value(t: float) -> float:
        phi = np.tanh(t)
        return float(np.sign(phi) * np.abs(phi) ** (1 / step))

    def slope(t: float) -> float:
        phi = np.tanh(t)
        with np.errstate(divide="ignore"):
            return float(np.abs(phi) ** (1 / step - 1) / step * (1 - phi**2))

    return StructureParameter(on_own_scale("Fisher's z", value, slope), FISHER_ENDS, entry(place))


def fisher(jet: Jet) -> Jet:
    """artanh of a correlation."""
    left = 1 - jet.value**2
    return jet.through(float(np.arctanh(jet.value)), 1 / left, 2 * jet.value / left**2)


def as_it_is(natural: Callable[[np.ndarray], np.ndarray], base: np.ndarray, place: int) -> StructureParameter:
    """A parameter of a structure that states no scale: z, right if natural(z) works entrywise."""

    def value(t: float) -> float:
        z = np.array(base, dtype=float)
        z[place] = t
        return float(natural(z)[place])

    scale = on_own_scale("its own", value, lambda t: float("nan"))
    ends = End(-FAR_LOG, value(-FAR_LOG)), End(FAR_LOG, value(FAR_LOG))
    return StructureParameter(scale, ends, entry(place))
