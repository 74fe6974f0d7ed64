"""The parameters of a residual structure on the user's scale.

In most structures each natural parameter is a function of one unbounded z, which is then its coordinate.
The correlations of a Toeplitz and an unstructured R depend on several z; their jets follow from R's own exact
derivatives.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from lmmcore.covariance.ante_dependence import AnteDependenceLaw
from lmmcore.covariance.ar1 import AR1Law
from lmmcore.covariance.compound import CompoundSymmetryLaw
from lmmcore.covariance.exponential import PowerExponential
from lmmcore.covariance.residual import BoundResidual, Law
from lmmcore.covariance.toeplitz import ToeplitzLaw, correlations
from lmmcore.covariance.unstructured import UnstructuredLaw
from lmmcore.covariance.variance import BoundVariance, GroupVariance, PowerVariance
from lmmcore.errors import ArgumentError
from lmmcore.inference.covariance.scales import (
    FISHER,
    LOG,
    PLAIN,
    SHARE,
    End,
    Jet,
    Parameter,
    Scale,
    on_own_scale,
)
from lmmcore.likelihood.objective import Objective

# Coordinates at which a correlation is 1 to seven digits, and a ratio 0 or infinite to eight.
FAR_Z, FAR_LOG = 8.0, 18.0
FISHER_ENDS = (End(-FAR_Z, -1.0), End(FAR_Z, 1.0))
RATIO_ENDS = (End(-FAR_LOG, 0.0), End(FAR_LOG, np.inf))

JetOfZ = Callable[[np.ndarray], Jet]


def residual_parameters(structure: BoundResidual) -> list[Parameter]:
    """Those of the correlation, then those of the variance, in the order of parameter_names."""
    law = structure.law
    size = 0 if law is None else len(law.independence)
    found = [] if law is None else [(slice(0, size), *each) for each in _of_law(law)]
    variance: BoundVariance | None = getattr(structure, "variance", None)
    if variance is not None:
        count = len(variance.parameter_names)
        found += [(slice(size, size + count), *each) for each in _of_variance(variance)]
    return [
        Parameter("Residual", name, name, scale, low, high, partial(_in_tau, part, jet))
        for name, (part, scale, (low, high), jet) in zip(structure.parameter_names, found, strict=True)
    ]


Description = tuple[Scale, tuple[End, End], JetOfZ]


def _of_law(law: Law) -> list[Description]:
    if isinstance(law, AR1Law):
        return [(_one_step(law.step), FISHER_ENDS, partial(_entry, 0))]
    if isinstance(law, AnteDependenceLaw):
        steps = range(law.ratios, len(law.independence))
        ratios: list[Description] = [(LOG, RATIO_ENDS, partial(_entry, k)) for k in range(law.ratios)]
        return ratios + [(_one_step(1), FISHER_ENDS, partial(_entry, k)) for k in steps]
    if isinstance(law, CompoundSymmetryLaw):
        low = -1 / (law.largest - 1)
        return [(_between(low), (End(-FAR_LOG, low), End(FAR_LOG, 1.0)), partial(_entry, 0))]
    if isinstance(law, PowerExponential):
        return _of_distance(law)
    if isinstance(law, ToeplitzLaw):
        return [(FISHER, FISHER_ENDS, partial(_lag, lag)) for lag in range(law.lags)]
    if isinstance(law, UnstructuredLaw):
        return _of_visits(law)
    return [_unknown(law, place) for place in range(len(law.parameter_names))]


def _of_variance(variance: BoundVariance) -> list[Description]:
    if isinstance(variance, GroupVariance):
        return [(LOG, RATIO_ENDS, partial(_entry, k)) for k in range(len(variance.parameter_names))]
    if isinstance(variance, PowerVariance):
        return [(PLAIN, (End(-np.inf, -np.inf), End(np.inf, np.inf)), partial(_entry, 0))]
    raise ArgumentError(f"{type(variance).__name__} has no scale for its parameters.")


def _one_step(step: int) -> Scale:
    """AR(1): t = artanh(phi), phi the correlation over one step; rho = sign(phi) |phi|^(1/step)."""

    def value(t: float) -> float:
        phi = np.tanh(t)
        return float(np.sign(phi) * np.abs(phi) ** (1 / step))

    def slope(t: float) -> float:
        phi = np.tanh(t)
        with np.errstate(divide="ignore"):
            return float(np.abs(phi) ** (1 / step - 1) / step * (1 - phi**2))

    return on_own_scale("Fisher's z", value, slope)


def _between(low: float) -> Scale:
    """Compound symmetry: logit of rho's place between low and 1, shifted so that rho = 0 at t = 0."""

    def share(t: float) -> float:
        return float(1 / (1 - np.exp(-t) / low))

    return on_own_scale(
        "logit",
        lambda t: low + (1 - low) * share(t),
        lambda t: (1 - low) * share(t) * (1 - share(t)),
    )


def _of_distance(law: PowerExponential) -> list[Description]:
    shortest = float(np.log(law.shortest_gap)) - np.log(40) / law.power
    longest = float(np.log(law.median_gap)) + FAR_LOG / law.power
    ends = (End(shortest, 0.0), End(longest, 1.0 if law.as_rho else np.inf))
    scale = LOG
    if law.as_rho:
        scale = on_own_scale(
            "log range", lambda t: float(np.exp(-np.exp(-t))), lambda t: float(np.exp(-np.exp(-t) - t))
        )
    found: list[Description] = [(scale, ends, partial(_entry, 0))]
    if law.nugget:
        found.append((SHARE, (End(0.0, 0.0), End(1e4, 1.0)), partial(_magnitude, 1)))
    return found


def _of_visits(law: UnstructuredLaw) -> list[Description]:
    J = len(law.visits)
    ratios: list[Description] = [(LOG, RATIO_ENDS, partial(_log_sd, law, j)) for j in range(1, J)]
    pairs = [(i, j) for j in range(J) for i in range(j)]
    return ratios + [(FISHER, FISHER_ENDS, partial(_visit_correlation, law, i, j)) for i, j in pairs]


def _unknown(law: Law, place: int) -> Description:
    """A structure from outside the package: its z as it is, which is right if natural(z) works entrywise."""
    base = np.array(law.independence, dtype=float)

    def value(t: float) -> float:
        z = base.copy()
        z[place] = t
        return float(law.natural(z)[place])

    scale = on_own_scale("its own", value, lambda t: float("nan"))
    ends = End(-FAR_LOG, value(-FAR_LOG)), End(FAR_LOG, value(FAR_LOG))
    return scale, ends, partial(_entry, place)


def _in_tau(part: slice, jet: JetOfZ, objective: Objective, tau: np.ndarray) -> Jet:
    """A function of a part of z as one of tau."""
    start = objective.residual.start
    at = slice(start + part.start, start + part.stop)
    inner = jet(tau[at])
    first, second = np.zeros(len(tau)), np.zeros((len(tau), len(tau)))
    first[at], second[at, at] = inner.first, inner.second
    return Jet(inner.value, first, second)


def _entry(place: int, z: np.ndarray) -> Jet:
    return Jet(float(z[place]), np.eye(len(z))[place], np.zeros((len(z), len(z))))


def _magnitude(place: int, z: np.ndarray) -> Jet:
    """|z|, for a parameter that is even in z; 0 has the derivative of its positive side."""
    sign = -1.0 if z[place] < 0 else 1.0
    return Jet(sign * float(z[place]), sign * np.eye(len(z))[place], np.zeros((len(z), len(z))))


def _lag(lag: int, z: np.ndarray) -> Jet:
    value, first, second = correlations(z)
    return _fisher(Jet(float(value[lag]), first[:, lag], second[:, :, lag]))


def _log_sd(law: UnstructuredLaw, visit: int, z: np.ndarray) -> Jet:
    jet = _covariance(law, visit, visit, z)
    return jet.through(0.5 * float(np.log(jet.value)), 0.5 / jet.value, -0.5 / jet.value**2)


def _visit_correlation(law: UnstructuredLaw, i: int, j: int, z: np.ndarray) -> Jet:
    correlation = _covariance(law, i, j, z)
    for visit in (i, j):
        log = _log_sd(law, visit, z)
        inverse = float(np.exp(-log.value))
        correlation = correlation * log.through(inverse, -inverse, inverse)
    return _fisher(correlation)


def _covariance(law: UnstructuredLaw, i: int, j: int, z: np.ndarray) -> Jet:
    R = law.matrices(z, np.array([[law.visits[i], law.visits[j]]]))
    return Jet(float(R.value[0, 0, 1]), R.first[:, 0, 0, 1], R.second[:, :, 0, 0, 1])


def _fisher(jet: Jet) -> Jet:
    left = 1 - jet.value**2
    return jet.through(float(np.arctanh(jet.value)), 1 / left, 2 * jet.value / left**2)
