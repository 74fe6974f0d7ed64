"""Find the optimum: starts, Newton, escape from saddles, exact zeros."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from lmmcore.errors import FitError
from lmmcore.likelihood.evaluation import Value
from lmmcore.likelihood.objective import Objective, lambda_columns
from lmmcore.optimise.newton import Optimum, minimise
from lmmcore.optimise.starts import starting_psis

ESCAPES = 10
SHORTENINGS = 30
# Negative slope by Psi, relative to the root of the number of rows, that is worth leaving the boundary for:
# less promises a fall of the deviance of some 1e-14.
STEEP = 1e-7
# Columns of Lambda below this (in units of one subject's information) are tried at exactly zero.
NEGLIGIBLE = 1e-3
SAME_DEVIANCE = 1e-9
# Small samples have several optima more often, and a search costs little. Up to so many rows every start is
# followed, with the moment estimate of Psi times these; beside a serial correlation, up to twice as many.
FEW_ROWS = 50
SCALES = (1.0, 1 / 25, 50.0)
# Multiples of a start's variances among which a valley of far larger random effects is looked for.
FACTOR = 200.0
LARGER = 6
# Rows up to which starts with small and with large random effects are followed beside a serial correlation;
# beyond, the deviance at the moment estimates of Psi shows which correlations lie in a valley of their own.
SOME_ROWS = 1000


def estimate(objective: Objective, starts: Sequence[np.ndarray], wide: bool = False) -> Optimum:
    """The (restricted) maximum-likelihood estimate: the best optimum found from the starts.

    wide : whether there may be an optimum with random effects far larger than at any start.
    Raises FitError if the likelihood cannot be evaluated at any of them.
    """
    optima = _optima(objective, starts)
    if not optima:
        raise FitError(
            "The likelihood cannot be evaluated: the covariance of the data is numerically singular at "
            "every starting value; look for duplicated rows or a response without variation."
        )
    best = min(optima, key=lambda optimum: optimum.deviance)
    further = list(_larger(objective, starts, best, wide))
    optima = _optima(objective, further, optima)
    best = min(optima, key=lambda optimum: optimum.deviance)
    return replace(best, starts=len(starts) + len(further))


def _larger(
    objective: Objective, starts: Sequence[np.ndarray], best: Optimum, wide: bool
) -> Iterator[np.ndarray]:
    """Starts in a valley of far larger random effects of one level, where there is one.

    Where means of units or slopes within them are explained by no fixed effect, or by one that is another
    between units than within, no random effects at all can be an optimum beside a much better one. So the
    deviance is looked at along multiples of the start's Psi.
    """
    theta = best.evaluation.theta
    psis, large = best.objective.psis(theta), objective.psis(starts[0])
    for place, level in enumerate(best.objective.levels):
        if not level.q or not (wide or not theta[best.objective.places[place]].any()):
            continue
        found = [theta[objective.residual], *(start[objective.residual] for start in starts if wide)]
        for z in {tuple(z): z for z in found}.values():
            given, ray = objective.given(z), list[tuple[np.ndarray, float]]()
            for power in range(LARGER):
                moved = [*psis]
                moved[place] = large[place] * FACTOR**power
                point = objective.theta(moved, z)
                ray.append((point, np.inf if given is None else _height(given.value(point))))
            yield from (ray[minimum][0] for minimum in _local_minima(ray) if minimum)


def _height(value: Value | None) -> float:
    return np.inf if value is None else value.deviance


def _optima(
    objective: Objective, starts: Sequence[np.ndarray], known: Sequence[Optimum] = ()
) -> list[Optimum]:
    """The different optima that searches from the starts end in, beside those known."""
    optima = [*known]
    for start in starts:
        found = minimise(objective, start, optima)
        if found is not None and not any(found is known for known in optima):
            optima.append(_settle(found))
    return optima


def starting_points(objective: Objective, correlations: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Values of theta to start from.

    correlations : values of the residual structure's parameters to start from, those last in the list
    explaining most.
    """
    part = objective.thinned()
    if part is not None and part.n > SOME_ROWS:
        # The optima of a part of the subjects are all but those of the whole; zero variances may grow.
        optima = _optima(part, starting_points(part, correlations))
        if optima:
            optima.sort(key=lambda optimum: optimum.deviance)
            return [_reached(objective, optimum) for optimum in optima]
    random = any(level.q for level in objective.levels)
    scales = SCALES if random else (1.0,)

    def at(z: np.ndarray, shares: Sequence[float]) -> list[tuple[np.ndarray, float]]:
        """theta with these shares of the moment estimate of Psi, and the deviance there, infinite if none."""
        given = objective.given(z)
        psis = None if given is None else _starting_psis(given, z)
        if given is None or psis is None:
            return [(np.empty(0), np.inf)] * len(shares)
        found = []
        for theta in _shares(objective, objective.theta(psis, z), shares):
            found.append((theta, _height(given.value(theta))))
        return found

    if not correlations:
        psis = starting_psis(objective.levels, objective.moments, np.empty(0), objective.n, objective.reml)
        shares = scales if objective.n <= FEW_ROWS else (1.0,)
        return _shares(objective, objective.theta(psis, np.empty(0)), shares)
    if objective.n <= 2 * FEW_ROWS:
        by_share = zip(*(at(z, scales) for z in correlations), strict=True)
        return _lowest([start for starts in by_share for start in starts])
    # Serial correlation and random effects explain the same covariance: each account may have its optimum.
    if random and objective.n > SOME_ROWS and len(correlations[0]) == 1:
        found = [at(z, SCALES[:2]) for z in correlations]
        valleys = [starts[place] for starts in zip(*found, strict=True) for place in _local_minima(starts)]
        return _lowest(valleys)
    starts = _lowest([at(z, (1.0,))[0] for z in correlations])[:1]
    if random:
        starts += _lowest([at(z, SCALES[1:2])[0] for z in correlations[-2:]])[:1]
        if objective.n <= SOME_ROWS:
            starts += _lowest(at(correlations[0], SCALES[2:]))
    return starts


def _starting_psis(objective: Objective, z: np.ndarray) -> list[np.ndarray] | None:
    """Moment estimates of each Psi, given z; None where what stands below a level is numerically singular."""
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        try:
            return starting_psis(objective.levels, objective.moments, z, objective.n, objective.reml)
        except np.linalg.LinAlgError:
            return None


def _shares(objective: Objective, theta: np.ndarray, shares: Sequence[float]) -> list[np.ndarray]:
    """theta with these shares of each Psi: Lambda is linear in its parameters."""
    turned = np.ones(len(theta))
    found = []
    for share in shares:
        turned[: objective.residual.start] = np.sqrt(share)
        found.append(turned * theta)
    return found


def _reached(objective: Objective, optimum: Optimum) -> np.ndarray:
    """theta of an optimum of another objective of the same model, no Psi singular."""
    theta = optimum.evaluation.theta
    psis = [psi + NEGLIGIBLE * np.eye(len(psi)) for psi in optimum.objective.psis(theta)]
    return objective.theta(psis, theta[optimum.objective.residual])


def _lowest(starts: Sequence[tuple[np.ndarray, float]]) -> list[np.ndarray]:
    """The starts whose deviance exists, lowest first."""
    finite = [start for start in starts if np.isfinite(start[1])]
    return [theta for theta, _ in sorted(finite, key=lambda start: start[1])]


def _local_minima(starts: Sequence[tuple[np.ndarray, float]]) -> list[int]:
    """Places of the starts whose deviance is finite and no higher than that of their neighbours."""
    v = np.array([np.inf, *(deviance for _, deviance in starts), np.inf])
    lowest = (v[1:-1] <= v[:-2]) & (v[1:-1] <= v[2:]) & np.isfinite(v[1:-1])
    return [int(place) for place in np.flatnonzero(lowest)]


def _settle(optimum: Optimum) -> Optimum:
    """Leave singular saddles, and put variances that are zero at exactly zero.

    Lambda's gradient vanishes at every singular Psi, so a stationary Lambda proves nothing: Psi is
    optimal on the cone only if D* has no negative curvature there. Otherwise a small multiple of that
    direction is added to Psi and the search goes on.
    """
    for _ in range(ESCAPES):
        optimum = _with_exact_zeros(optimum)
        escaped = _escape(optimum)
        if escaped is None:
            return optimum
        optimum = escaped
    return optimum


def _escape(optimum: Optimum) -> Optimum | None:
    objective, evaluation = optimum.objective, optimum.evaluation
    if all(abs(evaluation.theta[column[0]]) > NEGLIGIBLE for column in lambda_columns(objective)):
        return None  # no Psi is singular
    if not evaluation.derivatives.finite:
        return None
    for place, (level, cone) in enumerate(zip(objective.levels, evaluation.cones, strict=True)):
        for block in level.blocks:
            part = block.part(cone)
            if block.least(part) > -STEEP * max(np.sqrt(objective.n), abs(part).max()):
                continue
            psis = objective.psis(evaluation.theta)
            direction = np.zeros_like(cone)
            direction[block.place] = block.steepest(part)
            size = 1.0
            for _ in range(SHORTENINGS):
                moved = list(psis)
                moved[place] = psis[place] + size * direction
                theta = objective.theta(moved, evaluation.theta[objective.residual])
                value = objective.value(theta)
                if value is not None and value.deviance < optimum.deviance - SAME_DEVIANCE:
                    found = minimise(objective, theta)
                    if found is not None:
                        return replace(found, evaluations=optimum.evaluations + found.evaluations)
                size /= 4
    return None


def _with_exact_zeros(optimum: Optimum) -> Optimum:
    """Set negligible columns of each Lambda to zero if the deviance does not rise."""
    objective, theta = optimum.objective, optimum.evaluation.theta
    lowered = theta.copy()
    for column in lambda_columns(objective):
        if 0 < np.linalg.norm(theta[column]) < NEGLIGIBLE:
            lowered[column] = 0
    if np.array_equal(lowered, theta):
        return optimum
    evaluation = objective.evaluate(lowered)
    if evaluation is None or evaluation.deviance > optimum.deviance + SAME_DEVIANCE:
        return optimum
    return replace(optimum, evaluation=evaluation, evaluations=optimum.evaluations + 1)
