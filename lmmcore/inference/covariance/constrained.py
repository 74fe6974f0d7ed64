"""Minimise the deviance under a constraint on the covariance parameters, with exact derivatives.

Newton's method within the tangent space of the constraint, each trial carried back to it along the
constraint's gradient. With g the constraint's gradient and lambda = g'dev' / g'g, the Hessian within the
constraint is that of dev - lambda g (Absil, Mahony & Sepulchre 2008, chapter 6); at the minimum lambda is the
derivative of the minimum by the constraint's value.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from lmmcore.inference.covariance.scales import Parameter
from lmmcore.likelihood.objective import Objective
from lmmcore.likelihood.unprofiled import Point, derivatives, point_at
from lmmcore.optimise.newton import NOISE
from lmmcore.optimise.step import newton_step

TOLERANCE = 1e-14  # of the decrement, in units of deviance
# Below this a decrement that falls slowly is the way to a minimum at infinity, e.g. of a correlation of 1.
SLOW = 1e-6
MOST_STEPS = 60
# Length of the last step back to the constraint, in the model's own units; rounding may stop the way there.
RESTORED, ROUNDING = 1e-13, 1e-9
# A step is short also where the coordinate is singular, at a correlation of 1; there it is not restored.
MISSED = 1e-7


class Constraint(Protocol):
    """A smooth set of values of tau."""

    def tangent(self, point: Point, gradient: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Basis : (m, d) of the tangent space, and lambda g'' : (m, m)."""

    def restored(self, objective: Objective, tau: np.ndarray) -> np.ndarray | None:
        """A point of the set near tau; None if none was found."""


@dataclass(frozen=True)
class Free:
    """No constraint."""

    def tangent(self, point: Point, gradient: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Every direction."""
        m = len(gradient)
        return np.eye(m), np.zeros((m, m))

    def restored(self, objective: Objective, tau: np.ndarray) -> np.ndarray | None:
        """tau itself."""
        return tau


@dataclass(frozen=True)
class Fixed:
    """A parameter at one value of its coordinate."""

    parameter: Parameter
    coordinate: float

    def tangent(self, point: Point, gradient: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What is orthogonal to the parameter's gradient."""
        jet = self.parameter.jet(point.objective, point.tau)
        basis = np.linalg.qr(jet.first[:, None], mode="complete")[0][:, 1:]
        return basis, self.multiplier(point, gradient) * jet.second

    def multiplier(self, point: Point, gradient: np.ndarray) -> float:
        """lambda."""
        first = self.parameter.jet(point.objective, point.tau).first
        return float(first @ gradient / (first @ first))

    def restored(self, objective: Objective, tau: np.ndarray) -> np.ndarray | None:
        """Along the parameter's gradient."""
        last = np.inf
        for _ in range(30):
            with np.errstate(all="ignore"):
                jet = self.parameter.jet(objective, tau)
                missing = self.coordinate - jet.value
                step = missing * jet.first / (jet.first @ jet.first)
            length = float(np.linalg.norm(step))
            if not length < 1e3:
                return None
            tau = tau + step
            short = length <= RESTORED or (length < ROUNDING and length > last / 4)
            if short and abs(missing) < MISSED:
                return tau
            last = length
        return None


@dataclass(frozen=True, eq=False)
class Without:
    """A random effect with variance 0: row'Lambda = 0, which is linear in theta."""

    level: int
    row: np.ndarray

    def _basis(self, objective: Objective, size: int) -> np.ndarray:
        at, structure = objective.places[self.level], objective.levels[self.level]
        linear = np.array([self.row @ structure.factor(unit) for unit in np.eye(structure.size)]).T
        conditions = np.zeros((len(linear), size))
        conditions[:, at] = linear
        _, values, vectors = np.linalg.svd(conditions)
        rank = int((values > 1e-10 * values[0]).sum())
        return vectors[rank:].T

    def tangent(self, point: Point, gradient: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The subspace of row'Lambda = 0."""
        m = len(gradient)
        return self._basis(point.objective, m), np.zeros((m, m))

    def restored(self, objective: Objective, tau: np.ndarray) -> np.ndarray | None:
        """The nearest point of the subspace."""
        basis = self._basis(objective, len(tau))
        return basis @ (basis.T @ tau)


@dataclass(frozen=True)
class Minimum:
    """Where the search ended, and the gradient : (m+1,) there."""

    point: Point
    gradient: np.ndarray


def minimise(
    constraint: Constraint, objective: Objective, tau: np.ndarray, columns: np.ndarray
) -> Minimum | None:
    """Minimise the deviance from near tau : (m+1,); columns : see unprofiled. None if the search fails."""
    here = _at(constraint, objective, tau, columns)
    previous = np.inf
    for _ in range(MOST_STEPS):
        if here is None:
            return None
        gradient, hessian = derivatives(here)
        basis, bend = constraint.tangent(here, gradient)
        if not basis.shape[1]:
            return Minimum(here, gradient)
        step, decrement = newton_step(basis.T @ gradient, basis.T @ (hessian - bend) @ basis)
        if decrement < TOLERANCE or (decrement < SLOW and decrement > previous / 4):
            return Minimum(here, gradient)
        previous = decrement
        there = _line_search(constraint, here, basis @ step, float(gradient @ basis @ step))
        if there is None:
            return Minimum(here, gradient) if decrement < SLOW else None
        here = _repivoted(there)
    return None


def _at(constraint: Constraint, objective: Objective, tau: np.ndarray, columns: np.ndarray) -> Point | None:
    objective, theta = objective.repivoted(tau[:-1])
    found = constraint.restored(objective, np.append(theta, tau[-1]))
    return None if found is None else point_at(objective, found, columns)


def _repivoted(point: Point) -> Point | None:
    objective, theta = point.objective.repivoted(point.tau[:-1])
    if objective is point.objective:
        return point
    return point_at(objective, np.append(theta, point.tau[-1]), point.columns)


def _line_search(constraint: Constraint, here: Point, step: np.ndarray, slope: float) -> Point | None:
    noise = NOISE * abs(here.deviance)
    length = 1.0
    for _ in range(30):
        tau = constraint.restored(here.objective, here.tau + length * step)
        there = None if tau is None else point_at(here.objective, tau, here.columns)
        if there is not None and there.deviance <= here.deviance + 1e-4 * length * slope + noise:
            return there
        length /= 3
    return None
