"""A Newton step: the way it goes, and how far.

The step uses the absolute eigenvalues of the (diagonally scaled) Hessian, so that it always descends. With
independent residuals it is made in u = log(1 + lambda^2) of the diagonal of each Lambda, in which the
deviance is closer to a quadratic: the coordinates are such that u is about what a unit adds to log|V|. A huge
lambda is searched for in u whatever the residuals, and the entries below it as multiples of it. The way is
straight in those coordinates, and a line search stays on it: where the deviance is flat in u, a step in u is
a factor of lambda that no fraction of a step in lambda can make up for. No step is longer than RADIUS in u.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lmmcore.likelihood.evaluation import Evaluation
from lmmcore.likelihood.objective import Objective, lambda_columns

TOLERANCE = 1e-16  # of the decrement, in units of deviance: 1e-8 standard errors of every estimate
EIGENVALUE_FLOOR = 1e-6
# Nearer to zero, and for steps that leave less of u, lambda itself is the better coordinate: there the
# deviance is smooth in lambda alone. So it is farther from the optimum (decrement), unless lambda is huge.
SMALL = 0.2
LEAVES = 0.25
FAR = 100.0
HUGE = 30.0
RADIUS = 4.0  # of u: a factor of 50 of a variance
FARTHEST = 100.0  # of u, a variance of 1e43


@dataclass(frozen=True)
class Step:
    """The way theta(length), length 1 for the whole step.

    theta, whole : (m,), where it starts and the step; bent : places of the entries of Lambda that move in u;
    tied : (place, place of the entry above it) of those whose ratio moves; decrement : g'|H|^-1 g / 2, half
    of what the whole step lowers the deviance by at its first slope; longest : length at which u has moved by
    RADIUS, 1 at most.
    """

    theta: np.ndarray
    whole: np.ndarray
    decrement: float
    bent: np.ndarray | None = None
    tied: tuple[tuple[int, int], ...] = ()
    longest: float = 1.0

    @property
    def slope(self) -> float:
        """Derivative of the deviance by the length, at the start."""
        return -2 * self.decrement

    def at(self, length: float) -> np.ndarray:
        """theta : (m,) on the way."""
        theta, moved = self.theta, self.theta + length * self.whole
        if self.bent is not None:
            size = theta[self.bent]
            u = np.log1p(size**2) + length * self.whole[self.bent]
            moved[self.bent] = np.sign(size) * np.sqrt(np.expm1(u))
        for place, above in self.tied:
            moved[place] = moved[above] * (theta[place] / theta[above] + length * self.whole[place])
        return moved


def newton_step(gradient: np.ndarray, hessian: np.ndarray) -> tuple[np.ndarray, float]:
    """Descent step and decrement g'|H|^-1 g / 2."""
    scale = 1 / np.sqrt(np.maximum(np.abs(np.diag(hessian)), 1e-12))
    values, vectors = np.linalg.eigh(hessian * np.outer(scale, scale))
    floored = np.maximum(np.abs(values), EIGENVALUE_FLOOR)
    rotated = vectors.T @ (scale * gradient)
    step = -scale * (vectors @ (rotated / floored))
    return step, float(rotated @ (rotated / floored)) / 2


def step_from(objective: Objective, evaluation: Evaluation) -> Step:
    """Newton's step from a point whose derivatives are finite."""
    theta, gradient, hessian = evaluation.theta, evaluation.gradient, evaluation.hessian
    plain = Step(theta, *newton_step(gradient, hessian))
    if plain.decrement <= TOLERANCE:
        return plain
    serial = len(theta) > objective.residual.start  # then u is not what a unit adds
    least = HUGE if serial or plain.decrement >= FAR else SMALL
    columns = [column for column in lambda_columns(objective) if abs(theta[column[0]]) > least]
    if not columns:
        return plain
    bent = np.array([column[0] for column in columns], dtype=np.intp)
    tied = tuple(
        (place, column[0]) for column in columns if abs(theta[column[0]]) > HUGE for place in column[1:]
    )
    size = theta[bent]
    whole = 1 + size**2
    slope = whole / (2 * size)  # d lambda / du
    bend = slope - whole**2 / (4 * size**3)
    turn, further = np.eye(len(theta)), np.zeros((len(theta), len(theta)))
    turn[bent, bent] = slope
    further[bent, bent] = gradient[bent] * bend
    for place, above in tied:
        ratio, number = theta[place] / theta[above], int(np.flatnonzero(bent == above)[0])
        turn[place, place], turn[place, above] = theta[above], ratio * slope[number]
        further[above, above] += gradient[place] * ratio * bend[number]
        further[place, above] = further[above, place] = gradient[place] * slope[number]
    step, decrement = newton_step(turn.T @ gradient, turn.T @ hessian @ turn + further)
    u = np.log1p(size**2)
    longest = min(1.0, RADIUS / max(float(np.abs(step[bent]).max()), 1e-300))
    reached = u + longest * step[bent]
    if np.any(reached < LEAVES * u) or reached.max() > FARTHEST:
        return plain
    return Step(theta, step, decrement, bent, tied, longest)
