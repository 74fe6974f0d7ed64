"""Find the optimum: starts, Newton, escape from saddles, exact zeros."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from lmmcore.covariance.residual import BoundResidual
from lmmcore.errors import FitError
from lmmcore.likelihood.newton import Optimum, minimise
from lmmcore.likelihood.objective import Objective
from lmmcore.likelihood.start import starting_psi

ESCAPES = 10
# Columns of Lambda below this (in units of one subject's information) are tried at exactly zero.
NEGLIGIBLE = 1e-3
SAME_DEVIANCE = 1e-9


def estimate(
    objective: Objective, structure: BoundResidual | None, correlations: list[np.ndarray]
) -> Optimum:
    """The (restricted) maximum-likelihood estimate.

    structure : the residual structure; correlations : values of its parameters to start from.
    Raises FitError if the likelihood cannot be evaluated at any start.
    """
    optima = []
    for start in _starts(objective, structure, correlations):
        found = minimise(objective, start)
        if found is not None:
            optima.append(_settle(found))
    if not optima:
        raise FitError(
            "The likelihood cannot be evaluated: the covariance of the data is numerically singular at "
            "every starting value; look for duplicated rows or a response without variation."
        )
    best = min(optima, key=lambda optimum: optimum.deviance)
    return replace(best, evaluations=sum(optimum.evaluations for optimum in optima))


def _starts(
    objective: Objective, structure: BoundResidual | None, correlations: list[np.ndarray]
) -> list[np.ndarray]:
    """Values of theta to start from, best first."""
    covariance = objective.covariance
    none = np.empty(0)
    if structure is None:
        cells = objective.subjects(none)
        if not covariance.q:
            return [none]
        return [covariance.parameters(starting_psi(cells, covariance, objective.n, objective.reml))]
    if not covariance.q:
        return _best(objective, correlations)[:1]
    at_independence = np.concatenate([np.zeros(objective.split), structure.independence])
    psi = starting_psi(objective.subjects(at_independence), covariance, objective.n, objective.reml)
    # Serial correlation and random effects explain the same covariance: start from both accounts.
    ample = _best(objective, [_joined(covariance.parameters(psi), z) for z in correlations])[:1]
    scarce = _best(objective, [_joined(covariance.parameters(psi / 25), z) for z in correlations[-2:]])[:1]
    return ample + scarce


def _joined(theta: np.ndarray, z: np.ndarray) -> np.ndarray:
    return np.concatenate([theta, z])


def _best(objective: Objective, candidates: list[np.ndarray]) -> list[np.ndarray]:
    """Candidates whose deviance exists, lowest first."""
    values = [(objective.value(theta), theta) for theta in candidates]
    ordered = sorted((value.deviance, index) for index, (value, _) in enumerate(values) if value)
    return [values[index][1] for _, index in ordered]


def _settle(optimum: Optimum) -> Optimum:
    """Leave singular saddles, and put variances that are zero at exactly zero.

    Lambda's gradient vanishes at every singular Psi, so a stationary Lambda proves nothing: Psi is
    optimal on the cone only if D* has no negative curvature there.  Otherwise a small multiple of that
    direction is added to Psi and the search goes on.
    """
    for _ in range(ESCAPES):
        if not optimum.objective.covariance.q:
            return optimum
        optimum = _with_exact_zeros(optimum)
        escaped = _escape(optimum)
        if escaped is None:
            return optimum
        optimum = escaped
    return optimum


def _escape(optimum: Optimum) -> Optimum | None:
    objective, evaluation = optimum.objective, optimum.evaluation
    split = objective.split
    psi = objective.psi(evaluation.theta)
    for block in objective.covariance.blocks:
        place = np.ix_(block, block)
        values, vectors = np.linalg.eigh(evaluation.cone[place])
        if values[0] > -1e-7 * max(1.0, abs(evaluation.cone[place]).max()):
            continue
        direction = np.outer(vectors[:, 0], vectors[:, 0])
        size = 1.0
        for _ in range(30):
            moved = psi.copy()
            moved[place] += size * direction
            theta = np.concatenate([objective.covariance.parameters(moved), evaluation.theta[split:]])
            value = objective.value(theta)
            if value is not None and value.deviance < optimum.deviance - SAME_DEVIANCE:
                found = minimise(objective, theta)
                assert found is not None  # its start was evaluated just now
                return replace(found, evaluations=optimum.evaluations + found.evaluations)
            size /= 4
    return None


def _with_exact_zeros(optimum: Optimum) -> Optimum:
    """Set negligible columns of Lambda to zero if the deviance does not rise."""
    objective, theta = optimum.objective, optimum.evaluation.theta
    entries = objective.covariance.entries
    columns = np.array([column for _, column in entries])
    lowered = theta.copy()
    for column in set(columns):
        mine = np.flatnonzero(columns == column)
        size = np.linalg.norm(theta[mine])
        if 0 < size < NEGLIGIBLE:
            lowered[mine] = 0
    if np.array_equal(lowered, theta):
        return optimum
    evaluation = objective.evaluate(lowered)
    if evaluation is None or evaluation.deviance > optimum.deviance + SAME_DEVIANCE:
        return optimum
    return replace(optimum, evaluation=evaluation, evaluations=optimum.evaluations + 1)
