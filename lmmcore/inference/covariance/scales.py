"""Covariance parameters as the user knows them, and the scales on which they behave.

Each parameter is a function of tau = (theta, log sigma^2), known with its first two derivatives, through a
coordinate t that is regular up to the ends of the parameter's space: an SD itself (0 is an ordinary end), the
angle arcsin(rho) of a correlation, log sigma. Wald limits are symmetric on a second scale, the one on which
estimates are nearest to normal: log SD, Fisher's z of a correlation (Pinheiro & Bates 2000, section 2.4.3).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lmmcore.likelihood.objective import Objective


@dataclass(frozen=True)
class Jet:
    """A function of tau : (m,) at one point. first : (m,); second : (m, m)."""

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


@dataclass(frozen=True, eq=False)
class Parameter:
    """One covariance parameter. group, term : in broom.mixed's names; label : in words.

    jet(objective, tau) : its coordinate. effects : (level, row of the model's coordinates) of the random
    effects whose covariance it describes, none for sigma and parameters of the residual.
    """

    group: str
    term: str
    label: str
    scale: Scale
    low: End
    high: End
    jet: Callable[[Objective, np.ndarray], Jet]
    effects: tuple[tuple[int, np.ndarray], ...] = ()
