"""Newton's method with the exact Hessian, made safe at saddles and at the boundary.

The step uses the absolute eigenvalues of the (diagonally scaled) Hessian, so that it always descends, and
is halved by quadratic interpolation until the deviance falls.  The iteration stops on the Newton decrement
g'|H|^-1 g / 2, the fall still to be had, never on the relative change of the deviance: at a million rows a
relative change of 1e-9 is half a unit of log-likelihood squared.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lmmcore.likelihood.objective import Evaluation, Objective

MAX_EVALUATIONS = 200
TOLERANCE = 1e-18  # of the decrement, in units of deviance: nine digits of every estimate
GOOD = 1e-9  # below this the search also ends when rounding stops the decrement from falling
NOISE = 1e-12  # relative rounding noise of the deviance
EIGENVALUE_FLOOR = 1e-6


@dataclass(frozen=True)
class Optimum:
    """Where the search ended.

    decrement : fall of the deviance that a further Newton step promises; evaluations : calls of
    the objective, value-only ones of the line search included.
    """

    objective: Objective
    evaluation: Evaluation
    decrement: float
    evaluations: int

    @property
    def deviance(self) -> float:
        """Deviance reached."""
        return self.evaluation.deviance


def newton_step(gradient: np.ndarray, hessian: np.ndarray) -> tuple[np.ndarray, float]:
    """Descent step and decrement g'|H|^-1 g / 2."""
    scale = 1 / np.sqrt(np.maximum(np.abs(np.diag(hessian)), 1e-12))
    values, vectors = np.linalg.eigh(hessian * np.outer(scale, scale))
    floored = np.maximum(np.abs(values), EIGENVALUE_FLOOR)
    rotated = vectors.T @ (scale * gradient)
    step = -scale * (vectors @ (rotated / floored))
    return step, float(rotated @ (rotated / floored)) / 2


def minimise(objective: Objective, start: np.ndarray) -> Optimum | None:
    """Minimise the deviance from theta = start : (m,); None if it cannot be evaluated there."""
    objective, theta = objective.repivoted(start)
    evaluation = objective.evaluate(theta)
    if evaluation is None:
        return None
    evaluations = 1
    decrement = np.inf if len(theta) else 0.0
    while len(theta):
        previous = decrement
        step, decrement = newton_step(evaluation.gradient, evaluation.hessian)
        if decrement < TOLERANCE or evaluations >= MAX_EVALUATIONS:
            break
        if decrement < GOOD and decrement > previous / 4:
            break
        slope = float(evaluation.gradient @ step)
        length, tried = _line_search(objective, evaluation, step, slope)
        evaluations += tried
        if length == 0.0:  # the fall that is left is below the rounding noise
            break
        objective, theta = objective.repivoted(theta + length * step)
        evaluated = objective.evaluate(theta)
        evaluations += 1
        if evaluated is None:
            break
        evaluation = evaluated
    return Optimum(objective, evaluation, decrement, evaluations)


def _line_search(
    objective: Objective, evaluation: Evaluation, step: np.ndarray, slope: float
) -> tuple[float, int]:
    """Step length that lowers the deviance, and the value-only evaluations spent; 0 if none does.

    Near the optimum the full step is taken unseen: the next evaluation shows the deviance anyway.
    """
    here = evaluation.deviance
    noise = NOISE * abs(here)
    if -slope < 1e-4:
        return 1.0, 0
    length = 1.0
    for tried in range(1, 40):
        there = objective.value(evaluation.theta + length * step)
        if there is None:
            length /= 2
            continue
        if there.deviance <= here + 1e-4 * length * slope + noise:
            return length, tried
        curvature = there.deviance - here - length * slope
        length *= min(0.5, max(0.1, -slope * length / (2 * curvature)))
    return 0.0, 40
