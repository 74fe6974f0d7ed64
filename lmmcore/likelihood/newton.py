"""Newton's method with the exact Hessian, made safe at saddles and at the boundary.

The step uses the absolute eigenvalues of the (diagonally scaled) Hessian, so that it always descends, and
is halved by quadratic interpolation until the deviance falls. With independent residuals it is made in
u = log(1 + lambda^2) of the diagonal of each Lambda, in which the deviance is closer to a quadratic: the
coordinates are such that u is about what a unit adds to log|V|.  The iteration stops on the Newton decrement
g'|H|^-1 g / 2, the fall still to be had, never on the relative change of the deviance: at a million rows a
relative change of 1e-9 is half a unit of log-likelihood squared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lmmcore.likelihood.evaluation import Evaluation
from lmmcore.likelihood.objective import Objective, lambda_columns

MAX_EVALUATIONS = 200
TOLERANCE = 1e-16  # of the decrement, in units of deviance: 1e-8 standard errors of every estimate
GOOD = 1e-8  # below this a step ends the search if the decrements fall quadratically: a square is left
NEAR = 1e-4  # directional derivative below which a step is taken whatever the deviance says
CLOSE = 0.05  # deviance within which a search has come to an optimum that is known
ALIKE = 0.5  # or beyond: the least ratio of what its quadratic approximation makes equal
NOISE = 1e-12  # relative rounding noise of the deviance
EIGENVALUE_FLOOR = 1e-6
# Nearer to zero, and for steps that leave less of u, lambda itself is the better coordinate: there the
# deviance is smooth in lambda alone. So it is farther from the optimum (decrement).
LARGE = 0.2
LEAVES = 0.25
FAR = 100.0
FARTHEST = 100.0  # of u, a variance of 1e43


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


def newton_step(gradient: np.ndarray, hessian: np.ndarray) -> tuple[np.ndarray, float]:
    """Descent step and decrement g'|H|^-1 g / 2."""
    scale = 1 / np.sqrt(np.maximum(np.abs(np.diag(hessian)), 1e-12))
    values, vectors = np.linalg.eigh(hessian * np.outer(scale, scale))
    floored = np.maximum(np.abs(values), EIGENVALUE_FLOOR)
    rotated = vectors.T @ (scale * gradient)
    step = -scale * (vectors @ (rotated / floored))
    return step, float(rotated @ (rotated / floored)) / 2


def _bent_step(objective: Objective, evaluation: Evaluation) -> tuple[np.ndarray, float]:
    """Step : (m,) of theta that is Newton's in u, and its decrement."""
    theta, gradient, hessian = evaluation.theta, evaluation.gradient, evaluation.hessian
    plain = newton_step(gradient, hessian)
    serial = len(theta) > objective.residual.start  # then u is not what a unit adds
    if serial or not TOLERANCE < plain[1] < FAR:
        return plain
    diagonal = np.array([column[0] for column in lambda_columns(objective)], dtype=np.intp)
    diagonal = diagonal[np.abs(theta[diagonal]) > LARGE]
    if not len(diagonal):
        return plain
    size = theta[diagonal]
    whole = 1 + size**2
    slope = np.ones(len(theta))
    slope[diagonal] = whole / (2 * size)  # d lambda / du
    bent = hessian * np.outer(slope, slope)
    bent[diagonal, diagonal] += gradient[diagonal] * (slope[diagonal] - whole**2 / (4 * size**3))
    step, decrement = newton_step(slope * gradient, bent)
    u = np.log1p(size**2)
    further = u + step[diagonal]
    if np.any(further < LEAVES * u) or further.max() > FARTHEST:
        return plain
    step[diagonal] = np.sign(size) * np.sqrt(np.expm1(further)) - size
    return (step, decrement) if gradient @ step < 0 else plain


def minimise(objective: Objective, start: np.ndarray, known: Sequence[Optimum] = ()) -> Optimum | None:
    """Minimise the deviance from theta = start : (m,); None if it cannot be evaluated there.

    known : optima found from other starts; a search that comes into the valley of one ends with it.
    """
    objective, theta = objective.repivoted(start)
    evaluation = objective.evaluate(theta)
    if evaluation is None:
        return None
    evaluations, decrement = 1, np.inf
    while len(theta):
        previous = decrement
        step, decrement = _bent_step(objective, evaluation)
        stalls = decrement < GOOD and decrement > previous / 4  # rounding noise is left
        if decrement < TOLERANCE or stalls or evaluations >= MAX_EVALUATIONS:
            break
        slope = float(evaluation.gradient @ step)
        turned, theta = objective.repivoted(evaluation.theta + step)
        further = turned.evaluate(theta)
        evaluations += 1
        # Near the optimum the step is taken unseen: rounding noise must not stop it.
        if -slope >= NEAR and (further is None or not _falls(evaluation, further.deviance, slope)):
            full = None if further is None else further.deviance
            further, tried = _line_search(objective, evaluation, step, slope, full)
            evaluations += tried
            if further is None:  # the fall that is left is below the rounding noise
                break
            turned, theta = objective.repivoted(further.theta)
            if turned is not objective:
                further = turned.evaluate(theta)
                evaluations += 1
        if further is None:
            break
        objective, evaluation = turned, further
        # Towards a variance of zero the fall can be slower. Nobody may ever ask for the last derivatives.
        if decrement < GOOD and decrement < previous**1.5 < np.inf:
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


def _falls(evaluation: Evaluation, deviance: float, slope: float) -> bool:
    """Whether a deviance is enough lower, for a step with this directional derivative."""
    here = evaluation.deviance
    return deviance <= here + 1e-4 * slope + NOISE * abs(here)


def _line_search(
    objective: Objective, evaluation: Evaluation, step: np.ndarray, slope: float, full: float | None
) -> tuple[Evaluation | None, int]:
    """The evaluation on the way that lowers the deviance, None if there is none; and how many were made.

    full : the deviance after the whole step, None if it has none.
    """
    length, deviance = 1.0, full
    for tried in range(1, 40):
        if deviance is None:
            length /= 2
        else:
            curvature = deviance - evaluation.deviance - length * slope
            length *= min(0.5, max(0.1, -slope * length / (2 * curvature)))
        there = objective.evaluate(evaluation.theta + length * step)
        deviance = None if there is None else there.deviance
        if deviance is not None and _falls(evaluation, deviance, length * slope):
            return there, tried
    return None, 39
