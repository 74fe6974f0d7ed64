"""Newton's method with the exact Hessian, made safe at saddles and at the boundary.

The step (lmmcore.optimise.step) is shortened by quadratic interpolation, on its own way, until the deviance
falls.  The iteration stops on the Newton decrement g'|H|^-1 g / 2, the fall still to be had, never on the
relative change of the deviance: at a million rows a relative change of 1e-9 is half a unit of log-likelihood
squared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lmmcore.likelihood.evaluation import Evaluation
from lmmcore.likelihood.objective import Objective, lambda_columns
from lmmcore.optimise.step import TOLERANCE, Step, step_from

MAX_EVALUATIONS = 200
MAX_SHORTENINGS = 39
GOOD = 1e-8  # below this a step ends the search if the decrements fall quadratically: a square is left
NEAR = 1e-4  # directional derivative below which a step is taken whatever the deviance says
CLOSE = 0.05  # deviance within which a search has come to an optimum that is known
ALIKE = 0.5  # or beyond: the least ratio of what its quadratic approximation makes equal
NOISE = 1e-12  # relative rounding noise of the deviance


@dataclass(frozen=True)
class Optimum:
    """Where the search ended.

    evaluations : of the deviance in this search, those of the line search included; starts : searches made.
    """

    objective: Objective
    evaluation: Evaluation
    evaluations: int
    starts: int = 1

    @property
    def deviance(self) -> float:
        """Deviance reached."""
        return self.evaluation.deviance


def minimise(objective: Objective, start: np.ndarray, known: Sequence[Optimum] = ()) -> Optimum | None:
    """Minimise the deviance from theta = start : (m,); None if it cannot be evaluated there.

    known : optima found from other starts; a search that comes into the valley of one ends with it.
    """
    objective, theta = objective.repivoted(start)
    evaluation = objective.evaluate(theta)
    if evaluation is None or not evaluation.derivatives.finite:
        return None
    evaluations, decrement = 1, np.inf
    while len(theta):
        previous = decrement
        step = step_from(objective, evaluation)
        decrement = step.decrement
        stalls = decrement < GOOD and decrement > previous / 4  # rounding noise is left
        if decrement < TOLERANCE or stalls or evaluations >= MAX_EVALUATIONS:
            break
        turned, theta = objective.repivoted(step.at(step.longest))
        further = turned.evaluate(theta)
        evaluations += 1
        # Near the optimum the step is taken unseen: rounding noise must not stop it.
        unseen = -step.slope < NEAR
        if not unseen and (further is None or not _falls(evaluation, further.deviance, step, step.longest)):
            full = None if further is None else further.deviance
            further, tried = _line_search(objective, evaluation, step, full)
            evaluations += tried
            if further is None:  # the fall that is left is below the rounding noise
                break
            turned, theta = objective.repivoted(further.theta)
            if turned is not objective:
                further = turned.evaluate(theta)
                evaluations += 1
        if further is None:
            break
        ends = decrement < GOOD and decrement < previous**1.5 < np.inf
        if not ends and not further.derivatives.finite:
            break
        objective, evaluation = turned, further
        # Towards a variance of zero the fall can be slower. Nobody may ever ask for the last derivatives.
        if ends:
            break
        for optimum in known:
            if _same_valley(objective, evaluation, optimum):
                return optimum
    return Optimum(objective, evaluation, evaluations)


def _same_valley(objective: Objective, evaluation: Evaluation, optimum: Optimum) -> bool:
    """Whether an optimum's quadratic approximation holds here: nothing can stand between the two."""
    if objective.levels != optimum.objective.levels:  # other pivots
        return False
    there = optimum.evaluation
    if not there.derivatives.finite:
        return False
    away = evaluation.theta - there.theta
    for column in lambda_columns(objective):  # Lambda's columns have no sign
        if evaluation.theta[column] @ there.theta[column] < 0:
            away[column] = evaluation.theta[column] + there.theta[column]
    # Along the way between them: the rise of the deviance, the slope here, the curvature at both ends.
    rise = evaluation.deviance - optimum.deviance
    slope = float(evaluation.gradient @ away)
    ends = float(away @ there.hessian @ away), float(away @ evaluation.hessian @ away)
    if max(abs(rise), *map(abs, ends)) < CLOSE:
        return True
    alike = min(2 * rise, slope, *ends) > ALIKE * max(ends)
    return alike and bool(np.linalg.eigvalsh(evaluation.hessian)[0] > 0)


def _falls(evaluation: Evaluation, deviance: float, step: Step, length: float) -> bool:
    """Whether a deviance is enough lower, for so much of a step."""
    here = evaluation.deviance
    return deviance <= here + 1e-4 * length * step.slope + NOISE * abs(here)


def _line_search(
    objective: Objective, evaluation: Evaluation, step: Step, full: float | None
) -> tuple[Evaluation | None, int]:
    """The evaluation on the way that lowers the deviance, None if there is none; and how many were made.

    full : the deviance after the longest step allowed, None if it has none.
    """
    length, deviance, slope = step.longest, full, step.slope
    for tried in range(1, MAX_SHORTENINGS + 1):
        if deviance is None:
            length /= 2
        else:
            curvature = deviance - evaluation.deviance - length * slope
            length *= min(0.5, max(0.1, -slope * length / (2 * curvature)))
        there = objective.evaluate(step.at(length))
        deviance = None if there is None else there.deviance
        if there is not None and _falls(evaluation, there.deviance, step, length):
            return there, tried
    return None, MAX_SHORTENINGS
