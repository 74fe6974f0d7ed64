"""Newton's method for many replicates at once.

The rules are those of lmmcore.optimise.newton and .estimate: absolute eigenvalues of the exact Hessian,
backtracking, a stop on the Newton decrement, pivots in order, variances put at exactly zero where the cone
condition D* >= 0 allows it. A replicate leaves the batch when it has converged; those that the batch cannot
finish are searched one by one by the engine.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from lmmcore.covariance.random import RandomCovariance
from lmmcore.errors import FitError
from lmmcore.likelihood.objective import Objective
from lmmcore.optimise.certificate import GAIN
from lmmcore.optimise.newton import NOISE
from lmmcore.optimise.search import NEGLIGIBLE, SAME_DEVIANCE, estimate
from lmmcore.optimise.step import EIGENVALUE_FLOOR, newton_step
from lmmcore.resampling.cells import Cells
from lmmcore.resampling.layers import Layers
from lmmcore.resampling.objective import Evaluations, evaluate
from lmmcore.resampling.points import Points
from lmmcore.system.batched_linalg import cholesky, inverse_lower

# Fall of the deviance still to be had at which a replicate is done: estimates to 1e-6 standard errors.
DONE = 1e-12
GOOD = 1e-9
MAX_ROUNDS = 60


@dataclass(frozen=True)
class Optima:
    """Where the searches ended. psi : (q, q, R); converged : (R,)."""

    psi: np.ndarray
    beta: np.ndarray
    sigma2: np.ndarray
    deviance: np.ndarray
    converged: np.ndarray


# A trial step may be far out, where V is singular or numbers overflow: not a value, not an error.
@np.errstate(over="ignore", invalid="ignore", divide="ignore")
def minimise(cells: Cells, layers: Layers, start: np.ndarray, reml: bool) -> Optima:
    """Minimise the deviance of each replicate from theta = start : (m,)."""
    R = cells.replicates
    one = Points([layers], np.zeros(1, dtype=int), start[:, None]).repivoted()
    first = Points([one.orders[one.which[0]]], np.zeros(1, dtype=int), one.theta)
    found = evaluate(cells, first.theta, first.units, reml)
    points = Points(first.orders, np.zeros(R, dtype=int), np.repeat(first.theta, R, axis=1))
    decrement = np.where(np.isfinite(found.deviance), 0.0, np.inf)
    if layers.size:
        _search(cells, points, found, decrement, reml)
        _set_zeros(cells, points, found, reml)
    converged = (decrement < GAIN) & ~layers.leaves_cone(found.cone)
    optima = Optima(points.psi, found.beta, found.sigma2, found.deviance, converged)
    if len(layers.levels) == 1:
        # A replicate whose X has lost its rank has no estimate anywhere.
        for replicate in np.flatnonzero(~converged & np.isfinite(found.deviance)).tolist():
            _one_by_one(cells, layers.levels[0], first.psi[..., 0], reml, optima, replicate)
    return optima


def _search(cells: Cells, points: Points, found: Evaluations, decrement: np.ndarray, reml: bool) -> None:
    """Newton's method; the replicates' states are updated in place."""
    active = np.flatnonzero(np.isfinite(found.deviance))
    cells = cells.take(active)
    step, slope, new = _steps(found.take(active))
    length = np.ones(len(active))
    for _ in range(MAX_ROUNDS):
        stuck = (new < GOOD) & (new > decrement[active] / 4)
        decrement[active] = new
        going = ~(stuck | (new < DONE) | (length < 1e-10))
        if not going.any():
            return
        if not going.all():
            active, slope, length, new = active[going], slope[going], length[going], new[going]
            step, cells = step[:, going], cells.take(going)
        trial = points.take(active)
        trial = replace(trial, theta=trial.theta + length * step).repivoted()
        tried = evaluate(cells, trial.theta, trial.units, reml)
        here = found.deviance[active]
        rise = tried.deviance - here
        better = rise <= 1e-4 * length * slope + NOISE * np.abs(here)
        shorter = np.clip(-slope * length / (2 * (rise - length * slope)), 0.1, 0.5)
        points.put(active[better], trial, better)
        found.put(active[better], tried, better)
        length = np.where(better, 1.0, length * np.where(np.isfinite(shorter), shorter, 0.5))
        if better.any():
            step[:, better], slope[better], new[better] = _steps(tried.take(better))
        decrement[active[~better]] = np.inf


def _steps(found: Evaluations) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Newton steps : (m, R), slopes along them and decrements : (R,)."""
    m = len(found.gradient)
    place = np.arange(m)
    scale = 1 / np.sqrt(np.maximum(np.abs(found.hessian[place, place]), 1e-12))
    scaled = found.hessian * scale[:, None] * scale[None]
    g = scale * found.gradient
    lower = cholesky(scaled)
    convex = (lower[place, place] ** 2 > 10 * EIGENVALUE_FLOOR).all(axis=0)
    inverse = inverse_lower(np.where(convex, lower, np.eye(m)[:, :, None]))
    half = np.einsum("abr,br->ar", inverse, g)
    step = -scale * np.einsum("bar,br->ar", inverse, half)
    decrement = (half**2).sum(axis=0) / 2
    for replicate in np.flatnonzero(~convex):
        step[:, replicate], decrement[replicate] = newton_step(
            found.gradient[:, replicate], found.hessian[..., replicate]
        )
    return step, (found.gradient * step).sum(axis=0), decrement


def _set_zeros(cells: Cells, points: Points, found: Evaluations, reml: bool) -> None:
    """Set negligible columns of Lambda to zero where the deviance does not rise."""
    lowered = points.theta.copy()
    for number, layers in enumerate(points.orders):
        for column in layers.ranks:
            small = (points.which == number) & (np.linalg.norm(lowered[column], axis=0) < NEGLIGIBLE)
            lowered[np.ix_(np.array(column), np.flatnonzero(small))] = 0
    chosen = np.flatnonzero((lowered != points.theta).any(axis=0))
    if not len(chosen):
        return
    trial = Points(points.orders, points.which[chosen], lowered[:, chosen])
    tried = evaluate(cells.take(chosen), trial.theta, trial.units, reml)
    flat = tried.deviance <= found.deviance[chosen] + SAME_DEVIANCE
    points.put(chosen[flat], trial, flat)
    found.put(chosen[flat], tried, flat)


def _one_by_one(
    cells: Cells, covariance: RandomCovariance, start: np.ndarray, reml: bool, optima: Optima, replicate: int
) -> None:
    """Let the engine search for one replicate, and write what it finds into optima."""
    moments, rows = cells.one(replicate)
    objective = Objective(covariance, moments, rows, reml)
    starts = [covariance.parameters(psi) for psi in (optima.psi[..., replicate], start)]
    try:
        found = estimate(objective, starts)
    except FitError:
        return
    evaluation = found.evaluation
    optima.psi[..., replicate] = found.objective.psis(evaluation.theta)[0]
    optima.beta[:, replicate] = evaluation.value.profile.beta
    optima.sigma2[replicate] = evaluation.value.profile.sigma2
    optima.deviance[replicate] = evaluation.deviance
    decrement = newton_step(evaluation.gradient, evaluation.hessian)[1] if covariance.size else 0.0
    leaves = Layers((covariance,), (1,)).leaves_cone(evaluation.cones[0][..., None])
    optima.converged[replicate] = decrement < GAIN and not leaves[0]
