"""What the data say about the covariance parameters, and what not knowing them does to beta^.

Everything follows from second derivatives of log|V| and of G = X'V^-1X taken as if V were linear in its
parameters, V_rs = 0: then, with W a weight,

    log|V|_rs + <W, G_rs> = -tr(V^-1 V_r V^-1 V_s) + <W, Q_rs + Q_sr>,   Q_rs = X'V^-1 V_r V^-1 V_s V^-1 X

so that one evaluation of the likelihood's second derivatives with W = Phi = (X'V^-1X)^-1 gives the expected
information of REML, and one with each unit matrix for W gives the Q_rs of Kenward & Roger (1997). V is linear
in the entries of each Psi and in an unstructured R; another R is taken by its tangent, which makes the
results independent of how R is parameterised (the "linear" variant of Kenward & Roger's method).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np

from lmmcore.errors import FitError
from lmmcore.estimate.solution import Solution
from lmmcore.likelihood.evaluation import Slopes
from lmmcore.likelihood.objective import Objective
from lmmcore.model.assembly import linear_objective
from lmmcore.runtime.memoise import remembered
from lmmcore.system.grid import GridObjective
from lmmcore.system.level import level_at
from lmmcore.system.moments.patterns import Patterns
from lmmcore.system.moments.subjects import Subjects

# Scaled eigenvalue of the information below which the data do not determine the covariance parameters.
SINGULAR = 1e-12


@dataclass(frozen=True)
class CovarianceInformation:
    """Parameters: m of the covariance relative to sigma^2 (entries of Psi, then those of R), log sigma^2.

    covariance : (m+1, m+1), 2 tr(P V_r P V_s)^-1, of their REML estimates.
    gram : (m+1, p, p), the derivatives of X'V^-1X.
    drift : (m+1, p), the derivatives of beta^.
    unscaled : (p, p), Phi = (X'V^-1X)^-1.
    excess : (p, p), Kenward & Roger's sum_rs W_rs (Q_rs - G_r Phi G_s), relative to sigma^2.
    All in the model's own coordinates of beta.
    """

    covariance: np.ndarray
    gram: np.ndarray
    drift: np.ndarray
    unscaled: np.ndarray
    excess: np.ndarray


@remembered
def covariance_information(solution: Solution) -> CovarianceInformation:
    """Expected information at the estimate, zero variances counted as parameters like any other.

    Raises FitError where the data do not determine the covariance parameters.
    """
    model = solution.model
    p = model.p
    optimum = solution.optimum
    theta = np.concatenate([*_lambda(solution), optimum.evaluation.theta[optimum.objective.residual]])
    objective = linear_objective(model)
    slopes_at = slopes_of(objective, theta)
    phi = optimum.evaluation.value.profile.unscaled

    def slopes(weight: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        W = np.zeros((p + 1, p + 1))
        W[:p, :p] = weight
        found = slopes_at(W)
        return found.first, found.second, found.gram

    first, second, whole = slopes(phi)
    m = len(first)
    gram = whole[:, :p, :p]
    drift = np.zeros((m + 1, p))
    drift[:m] = (whole[:, :p, p] - gram @ optimum.evaluation.value.profile.beta) @ phi
    information = np.empty((m + 1, m + 1))
    turned = phi @ gram
    information[:m, :m] = np.einsum("rab,sba->rs", turned, turned) - second
    information[:m, m] = information[m, :m] = first
    information[m, m] = model.n - p
    # The fixed effects may take up all that a parameter does: then hardly anything is left of what the data
    # would say if beta were known.
    known = np.append(-np.diag(slopes(np.zeros((p, p)))[1]), model.n)
    covariance = 2 * _inverse(information, known)
    W = covariance[:m, :m]

    excess = _second(objective, theta, W, p, lambda weight: slopes(weight)[1])
    excess -= (gram @ phi @ np.tensordot(W, gram, 1)).sum(axis=0)
    gram = np.concatenate([gram, -np.linalg.inv(phi)[None]])
    return CovarianceInformation(covariance, gram, drift, phi, excess)


def _second(
    objective: Objective,
    theta: np.ndarray,
    W: np.ndarray,
    p: int,
    second: Callable[[np.ndarray], np.ndarray],
) -> np.ndarray:
    """sum_rs W_rs Q_rs : (p, p) for W : (m, m); second : weight (p, p) -> log|V|_rs + <weight, G_rs>."""
    cells = objective.moments
    if isinstance(cells, Subjects | Patterns) and not isinstance(objective, GridObjective):
        # With independent rows it is sum_i U_i' F_i U_i, F_i = sum_rs W_rs dPsi_r E_i dPsi_s.
        level = level_at(objective.covariance.factor(theta), cells)
        directions = objective.covariance.first(level.factor)
        both = np.tensordot(directions, np.tensordot(W, directions, axes=1), axes=(0, 0))
        F = np.tensordot(both.transpose(0, 3, 1, 2), level.E, axes=2)
        return cells.project(level.M).forms_of(F)[:-1, :-1]
    plain = float((W * second(np.zeros((p, p)))).sum())
    found = np.empty((p, p))
    for a in range(p):
        for b in range(a + 1):
            unit = np.zeros((p, p))
            unit[a, b] += 0.5
            unit[b, a] += 0.5
            found[a, b] = found[b, a] = (float((W * second(unit)).sum()) - plain) / 2
    return found


def slopes_of(objective: Objective, theta: np.ndarray) -> Callable[[np.ndarray], Slopes]:
    """Derivatives of log|V| + <W, G> as a function of W."""
    if isinstance(objective, GridObjective):
        value = objective.value(theta)
        assert value is not None  # it is the optimum of the same deviance
        return lambda W: objective.grid_slopes(theta, value, W)
    cells = objective.subjects(theta)
    make_level = cache(lambda: level_at(objective.covariance.factor(theta[: objective.split]), cells))
    return lambda W: objective.slopes(theta, cells, make_level, W)


def _lambda(solution: Solution) -> list[np.ndarray]:
    """Lambda's parameters of each level in the model's first pivot order."""
    psis = solution.optimum.objective.psis(solution.optimum.evaluation.theta)
    return [
        covariance.parameters(psi) for covariance, psi in zip(solution.model.covariances, psis, strict=True)
    ]


def _inverse(information: np.ndarray, known: np.ndarray) -> np.ndarray:
    """known : (m + 1,) information about each parameter if beta were known."""
    own = np.diag(information)
    if np.isfinite(information).all() and np.all(own > SINGULAR * known):
        scale = 1 / np.sqrt(own)
        values, vectors = np.linalg.eigh(information * np.outer(scale, scale))
        if values[0] >= SINGULAR:
            turned = vectors * scale[:, None]
            return np.asarray((turned / values) @ turned.T)
    raise FitError(
        "The data do not determine the covariance parameters, so that no small-sample correction can be "
        "computed; fit a simpler covariance, or use df='residual'."
    )
