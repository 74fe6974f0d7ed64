"""A certificate of convergence: facts about the optimum, and one sentence that says them.

At a singular Psi the gradient by Lambda vanishes whether or not the point is an optimum.  What decides
there is the cone condition D* Psi = 0 and D* >= 0 with D* the derivative of the deviance by Psi.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from lmmcore.likelihood.objective import lambda_columns
from lmmcore.optimise.newton import Optimum
from lmmcore.optimise.step import newton_step, step_from

GAIN = 1e-6  # log-likelihood still to gain that counts as converged
CONE = 1e-4  # most negative curvature by Psi, in deviance, that counts as none
# Smaller values are rounding noise, which differs between machines; they are reported as 0.
NOISE = 1e-8
COLLINEAR = 0.95  # correlation of two estimates beyond which they are hardly told apart
SINGULAR = (
    "the likelihood rises towards parameters at which the covariance matrix of the residuals is numerically "
    "singular, so that it has no maximum that can be computed; add measurement error (nugget=True) or choose "
    "a simpler or rougher correlation."
)
FLAT = 1e-7  # scaled curvature below which a parameter is not determined by the data
INDIFFERENT = 1e-9  # change of the deviance by a zero variance, or that times its largest, that is none


@dataclass(frozen=True)
class Certificate:
    """Whether and how the optimum was reached.

    scaled_gradient : largest |gradient| over the free parameters times their standard errors; 0 below 1e-8.
    smallest_eigenvalue : of the Hessian on the free parameters, scaled to unit diagonal.
    boundary : one phrase a parameter that stands on the boundary of its space.
    weak : one phrase a pair of parameters that the data can hardly tell apart.
    gain_left : log-likelihood that a further Newton step promises; 0 below 1e-8.
    evaluations : of the deviance, in the search that found the optimum; starts : searches made.
    """

    converged: bool
    scaled_gradient: float
    smallest_eigenvalue: float
    boundary: tuple[str, ...]
    weak: tuple[str, ...]
    gain_left: float
    evaluations: int
    starts: int
    sentence: str

    @property
    def singular(self) -> bool:
        """Whether an estimate stands on the boundary of its parameter space."""
        return bool(self.boundary)


def free_parameters(optimum: Optimum) -> np.ndarray:
    """(m,) booleans: entries of Lambda in columns that are not zero, and the parameters of R."""
    theta = optimum.evaluation.theta
    free = np.ones(len(theta), dtype=bool)
    for column in lambda_columns(optimum.objective):
        free[column] = np.any(theta[column] != 0)
    return free


def _size(optimum: Optimum) -> np.ndarray:
    """(m,) what a change of each entry of theta is measured by.

    What a huge lambda adds is a function of its logarithm: curvature by lambda itself says nothing there.
    """
    size = np.maximum(np.abs(optimum.evaluation.theta), 1.0)
    size[optimum.objective.residual] = 1.0
    return size


def is_flat(optimum: Optimum) -> np.ndarray:
    """(m,) booleans: entries of theta on which the deviance does not depend."""
    return np.abs(np.diag(optimum.evaluation.hessian)) * _size(optimum) ** 2 <= FLAT


def flat_at_zero(optimum: Optimum) -> bool:
    """Whether a variance that stands at zero might as well stand elsewhere.

    The deviance rises from an estimate of zero, D* > 0. Where D* = 0 it does not depend on that variance: the
    fixed effects take up all that the random effects could explain (REML with a subject as both). lambda = 0
    hides that, for every derivative by lambda is 0 there.
    """
    objective, evaluation = optimum.objective, optimum.evaluation
    if all(evaluation.theta[column[0]] for column in lambda_columns(objective)):
        return False
    for level, at, cone in zip(objective.levels, objective.places, evaluation.cones, strict=True):
        factor = level.factor(evaluation.theta[at])
        for block in level.blocks:
            rises = block.rises_from_zero(block.part(factor), block.part(cone))
            if np.any(np.abs(rises) < INDIFFERENT * max(1.0, np.abs(cone).max())):
                return True
    return False


def certify(
    optimum: Optimum,
    boundary: tuple[str, ...],
    at_end: bool,
    names: Mapping[int, tuple[str, str]],
    unbounded: Callable[[], str | None] = lambda: None,
) -> Certificate:
    """State the facts of the optimum in the user's terms.

    boundary : phrases; at_end : whether some are about parameters of the residual; names : (part of the
    model, phrase) of parameters of theta that stand for one variance or one residual parameter; unbounded :
    says, where there is no optimum, why there can be none.
    """
    evaluation = optimum.evaluation
    searches = (optimum.evaluations, optimum.starts)
    if not evaluation.derivatives.finite:
        sentence = f"Not converged: {unbounded() or SINGULAR}"
        return Certificate(False, np.inf, np.nan, boundary, (), np.inf, *searches, sentence)
    free = free_parameters(optimum)
    size = _size(optimum)[free]
    gradient = size * evaluation.gradient[free]
    hessian = evaluation.hessian[np.ix_(free, free)] * np.outer(size, size)
    gain, scaled, smallest = 0.0, 0.0, 1.0
    inside = np.zeros(0, dtype=bool)
    if free.any():
        curvature = np.diag(hessian)
        scale = 1 / np.sqrt(np.maximum(np.abs(curvature), FLAT))
        scaled = float(np.max(np.abs(gradient) * scale))
        # A residual parameter that has run to the end of its space has no curvature left there, and may leave
        # others none.
        inside = np.abs(curvature) > FLAT if at_end else np.ones(len(curvature), dtype=bool)
        if inside.any():
            part = (hessian * np.outer(scale, scale))[np.ix_(inside, inside)]
            smallest = float(np.linalg.eigvalsh(part)[0]) if np.abs(curvature[inside]).min() > FLAT else 0.0
            gain = newton_step(gradient[inside], hessian[np.ix_(inside, inside)])[1] / 2
        # There what is left falls off at least as fast as the slope.
        gain += float(np.abs(gradient[~inside]).sum()) / 2
    if flat_at_zero(optimum):
        smallest = 0.0
    cone = _cone_violation(optimum)
    converged = gain < GAIN and smallest > FLAT and cone > -CONE
    weak = _weak(hessian[np.ix_(inside, inside)], np.flatnonzero(free)[inside], names) if converged else ()
    if converged:
        sentence = _told(boundary, weak)
    else:
        cause = unbounded() or (SINGULAR if _at_edge(optimum) else _short(gain, smallest, cone))
        sentence = f"Not converged: {cause}"
    scaled, gain = (0.0 if value < NOISE else value for value in (scaled, gain))
    return Certificate(converged, scaled, smallest, boundary, weak, gain, *searches, sentence)


def _cone_violation(optimum: Optimum) -> float:
    """Most negative curvature of the deviance by a level's Psi within a block (0 if none)."""
    lowest = 0.0
    for level, cone in zip(optimum.objective.levels, optimum.evaluation.cones, strict=True):
        for block in level.blocks:
            lowest = min(lowest, float(block.least(block.part(cone))))
    return lowest


def _weak(hessian: np.ndarray, places: np.ndarray, names: Mapping[int, tuple[str, str]]) -> tuple[str, ...]:
    """Pairs of parameters of different parts of the model whose estimates are almost collinear."""
    if len(places) < 2:
        return ()
    covariance = np.linalg.inv(hessian)
    sd = np.sqrt(np.diag(covariance))
    phrases = []
    for i, second in enumerate(places.tolist()):
        for j, first in enumerate(places[:i].tolist()):
            if first not in names or second not in names or names[first][0] == names[second][0]:
                continue
            correlation = covariance[i, j] / (sd[i] * sd[j])
            if abs(correlation) > COLLINEAR:
                told = f"{names[first][1]} and {names[second][1]}"
                phrases.append(f"{told} (correlation of the estimates {correlation:.2f})")
    return tuple(phrases)


def _at_edge(optimum: Optimum) -> bool:
    """Whether the deviance falls towards points where it cannot be evaluated."""
    step = step_from(optimum.objective, optimum.evaluation)
    return optimum.objective.value(step.at(step.longest)) is None


def _told(boundary: tuple[str, ...], weak: tuple[str, ...]) -> str:
    left = f"less than {GAIN:g} units of log-likelihood are left to gain"
    told = f"; the data hardly tell apart {'; '.join(weak)}" if weak else ""
    if boundary:
        return f"Converged on the boundary: {'; '.join(boundary)}; {left}{told}."
    return f"Converged: {left}, and the curvature is positive in every direction{told}."


def _short(gain: float, smallest: float, cone: float) -> str:
    """What an optimum would have and this point does not."""
    if smallest <= FLAT:
        return (
            "the data do not determine all covariance parameters (the likelihood is flat or "
            f"not concave in some direction, scaled curvature {smallest:.1g}); fit a simpler covariance."
        )
    if gain >= GAIN:
        return f"a further step promises {gain:.2g} units of log-likelihood."
    return f"a zero variance would grow (curvature {cone:.2g} by the variance)."
