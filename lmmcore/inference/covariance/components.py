"""The covariance parameters with standard errors, from the exact curvature of the likelihood.

The covariance of tau = (theta, log sigma^2) is 2 H^-1, H the Hessian of the (restricted) deviance with
sigma^2 free; the delta method carries it to SDs, correlations and the parameters of the residual. Wald limits
are symmetric on the scale on which the estimate is nearest to normal (log SD, Fisher's z), as those of nlme's
intervals(). An estimate on the boundary of its space has no standard error: it is held there, and the others
are those of the model without it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lmmcore.data.table import to_frame
from lmmcore.estimate.solution import ZERO, Solution
from lmmcore.inference.covariance.parameters import covariance_parameters
from lmmcore.inference.covariance.scales import Parameter
from lmmcore.likelihood.unprofiled import derivatives, point_at
from lmmcore.optimise.certificate import FLAT, flat_at_zero, free_parameters
from lmmcore.runtime.arguments import share

# A parameter of the residual this near to an end of its space stands on it.
AT_END = 1e-6


@dataclass(frozen=True, eq=False)
class Components:
    """k covariance parameters. estimate, std_error, conf_low, conf_high : (k,), nan where there is none.

    group, term : broom.mixed's names; scale : on which the limits are symmetric; correlation : (k, k) of the
    estimates; conf_level : of the limits; sentence : what is held on the boundary; backend : of frames.
    """

    group: tuple[str, ...]
    term: tuple[str, ...]
    estimate: np.ndarray
    std_error: np.ndarray
    conf_low: np.ndarray
    conf_high: np.ndarray
    scale: tuple[str, ...]
    correlation: np.ndarray
    conf_level: float
    sentence: str
    backend: Any

    def frame(self) -> Any:
        """Frame: group, term, estimate, std_error, conf_low, conf_high, scale; nan where there is none."""
        columns: dict[str, Any] = {"group": list(self.group), "term": list(self.term)}
        for name in ("estimate", "std_error", "conf_low", "conf_high"):
            columns[name] = getattr(self, name)
        return to_frame(columns | {"scale": list(self.scale)}, self.backend)


def components(solution: Solution, conf_level: float = 0.95) -> Components:
    """Covariance parameters with standard errors and Wald limits (normal quantiles).

    Raises ArgumentError unless 0 < conf_level < 1.
    """
    quantile = normal_quantile(conf_level)
    parameters = covariance_parameters(solution.model)
    objective, tau = solution.optimum.objective, tau_of(solution)
    values = estimates(solution, parameters)
    held = on_boundary(solution, parameters, values)
    spread = covariance_of_tau(solution, parameters, held)
    k = len(parameters)
    first, se, low, high = np.zeros((k, len(tau))), *np.full((3, k), np.nan)
    for index, parameter in enumerate(parameters):
        if held[index] or spread is None:
            continue
        jet = parameter.jet(objective, tau)
        first[index] = jet.first
        sd = float(np.sqrt(max(jet.first @ spread @ jet.first, 0)))
        slope = abs(parameter.scale.slope(jet.value))
        if np.isfinite(slope):  # it is not at rho = 0 of an AR(1) over times that are several units apart
            se[index] = slope * sd
        centre, slope = parameter.scale.straight(jet.value)
        ends = [parameter.scale.back(centre + sign * quantile * abs(slope) * sd) for sign in (-1, 1)]
        low[index], high[index] = min(ends), max(ends)
    correlation = np.full((k, k), np.nan)
    known = ~held if spread is not None else np.zeros(k, dtype=bool)
    if spread is not None and known.any():
        covariance = first[known] @ spread @ first[known].T
        scale = np.sqrt(np.diag(covariance))
        correlation[np.ix_(known, known)] = covariance / np.outer(scale, scale)
    return Components(
        tuple(parameter.group for parameter in parameters),
        tuple(parameter.term for parameter in parameters),
        values,
        se,
        low,
        high,
        tuple(parameter.scale.name for parameter in parameters),
        correlation,
        conf_level,
        _sentence(parameters, held, spread is not None),
        solution.model.table.backend,
    )


def normal_quantile(conf_level: float) -> float:
    """Two-sided quantile of the normal distribution; ArgumentError unless 0 < conf_level < 1."""
    from scipy.special import ndtri

    share(conf_level, "conf_level")
    return float(ndtri((1 + conf_level) / 2))


def tau_of(solution: Solution) -> np.ndarray:
    """(theta, log sigma^2) of the estimate."""
    return np.append(solution.optimum.evaluation.theta, np.log(solution.sigma2))


def estimates(solution: Solution, parameters: Sequence[Parameter]) -> np.ndarray:
    """(k,) on the user's scale; nan for a correlation with an effect whose variance is 0."""
    objective, tau = solution.optimum.objective, tau_of(solution)
    found = []
    for parameter in parameters:
        zero = [_is_zero(objective, tau, level, row) for level, row in parameter.effects]
        if any(zero):
            found.append(np.nan if len(zero) > 1 or parameter.term.startswith("cor__") else 0.0)
            continue
        with np.errstate(divide="ignore", invalid="ignore"):
            found.append(parameter.scale.value(parameter.jet(objective, tau).value))
    return np.array(found)


def _is_zero(objective: Any, tau: np.ndarray, level: int, row: np.ndarray) -> bool:
    psi = objective.psis(tau[:-1])[level]
    return bool(row @ psi @ row < ZERO * (row @ row))


def on_boundary(solution: Solution, parameters: Sequence[Parameter], values: np.ndarray) -> np.ndarray:
    """(k,) booleans: estimates at an end of their space, and correlations of effects without a variance."""
    told = solution.model.structure.at_boundary(solution.natural) if solution.model.structure else []
    held = []
    for parameter, value in zip(parameters, values, strict=True):
        if not parameter.effects:
            held.append(any(phrase.startswith(f"{parameter.term} is ") for phrase in told))
            continue
        ends = [end.value for end in (parameter.low, parameter.high) if np.isfinite(end.value)]
        held.append(bool(np.isnan(value) or any(abs(value - end) < ZERO for end in ends)))
    return np.array(held, dtype=bool)


def covariance_of_tau(
    solution: Solution, parameters: Sequence[Parameter], held: np.ndarray
) -> np.ndarray | None:
    """(m+1, m+1) 2 H^-1 on the face of the boundary that the estimate lies on, 0 elsewhere.

    None where the data do not determine the covariance parameters.
    """
    objective, tau = solution.optimum.objective, tau_of(solution)
    point = point_at(objective, tau, np.eye(solution.model.p + 1))
    assert point is not None  # the estimate was evaluated before
    if flat_at_zero(solution.optimum):
        return None
    hessian = derivatives(point)[1]
    free = np.append(free_parameters(solution.optimum), True)
    for parameter, is_held in zip(parameters, held, strict=True):
        if is_held and not parameter.effects:
            free[np.flatnonzero(parameter.jet(objective, tau).first)] = False
    bent = np.abs(np.diag(hessian)) > FLAT
    if solution.boundary:
        # At an end of its space a parameter of the residual leaves others without influence.
        free[objective.residual.start : -1] &= bent[objective.residual.start : -1]
    if not bent[free].all():
        return None
    scale = 1 / np.sqrt(np.where(bent, np.abs(np.diag(hessian)), 1.0))
    place = np.ix_(free, free)
    values, vectors = np.linalg.eigh((hessian * np.outer(scale, scale))[place])
    if values[0] < FLAT:
        return None
    turned = vectors * scale[free][:, None]
    spread = np.zeros_like(hessian)
    spread[place] = 2 * (turned / values) @ turned.T
    return spread


def _sentence(parameters: Sequence[Parameter], held: np.ndarray, determined: bool) -> str:
    if not determined:
        return (
            "The data do not determine all covariance parameters, so that none has a standard error; fit a "
            "simpler covariance."
        )
    names = [parameter.label for parameter, is_held in zip(parameters, held, strict=True) if is_held]
    if not names:
        return "Every covariance parameter lies inside its space."
    some = f"{', '.join(names[:-1])} and {names[-1]} stand" if len(names) > 1 else f"{names[0]} stands"
    return (
        f"{some[0].upper()}{some[1:]} on the boundary: held there without a standard error, and the other "
        "standard errors are those of the model without it."
    )
