"""Estimates without a unit, from what the unit adds to the likelihood: no row is fitted again.

At the estimated theta the profile without a unit is that of G - G_i, [X y]'V^-1[X y] less the unit's part:
beta and sigma^2 are those of generalised least squares without the unit, exactly. Gradient and Hessian of the
reduced (restricted) deviance at that theta are exact too, and give theta by one Newton step from the full
estimate (Pregibon 1981). Along the step, G and what follows from it are expanded to second order. Parameters
on the boundary are held there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lmmcore.diagnostics.contributions import Contributions
from lmmcore.estimate.solution import Solution
from lmmcore.optimise.certificate import free_parameters
from lmmcore.system.moments.subjects import blockwise

# Least eigenvalue of X'V^-1X without a unit, relative to that with it, below which beta needs the unit.
NEEDED = 1e-9
# Floor of scaled eigenvalues in a Newton step, as in lmmcore.optimise.newton.
FLOOR = 1e-6


@dataclass(frozen=True, eq=False)
class LeftOut:
    """Estimates without each of c units, in the user's units; missing where beta cannot do without the unit.

    beta_at_theta : (c, p) and sigma2_at_theta : (c,) with the covariance parameters held, exact; beta : (c,
    p), sigma2 : (c,), psi : (c, q, q) relative to sigma2 and natural : (c, s) with them estimated again;
    covratio : (c,) |cov(beta)| over that of the full fit; displacement : (c,) twice the log-likelihood that
    the full data lose at the estimates without the unit; refitted : (c,) whether the latter come from a fit
    of their own.
    """

    beta_at_theta: np.ndarray
    sigma2_at_theta: np.ndarray
    beta: np.ndarray
    sigma2: np.ndarray
    psi: np.ndarray
    natural: np.ndarray
    covratio: np.ndarray
    displacement: np.ndarray
    refitted: np.ndarray


def left_out(solution: Solution, total: Contributions, units: Contributions, rows: np.ndarray) -> LeftOut:
    """Estimates by one step from the full ones, without each of c units of rows : (c,) rows each.

    total : of all units together; units : of these.
    """
    model, evaluation = solution.model, solution.optimum.evaluation
    p, reml = model.p, model.spec.reml
    rest = total.without(units)
    nu = solution.nu - rows
    root_of_full = np.linalg.cholesky(evaluation.value.profile.unscaled)
    weight = root_of_full.T @ units.gram[:, :p, :p] @ root_of_full
    lost = np.linalg.eigvalsh(weight)[:, -1] > 1 - NEEDED if p else np.zeros(len(rows), dtype=bool)
    lost |= nu < 1
    rest.gram[lost] = np.eye(p + 1)  # any number; missing in the end
    nu = np.maximum(nu, 1)
    gradient, hessian = _derivatives(rest, nu, reml)
    free = free_parameters(solution.optimum)
    step = np.zeros_like(gradient)
    step[:, free] = _newton(gradient[:, free], hessian[:, free][:, :, free])
    reduced = _moved(rest, step)
    whole = _moved(total, step)
    sigma2 = np.exp(reduced.log_rss) / nu
    # Full data at (theta, sigma2[, beta]) without the unit, less their best.
    full = solution.nu * (np.log(sigma2) - whole.log_rss + np.log(solution.nu))
    misfit = np.exp(whole.log_rss)
    if not reml:
        change = reduced.beta - whole.beta
        misfit = misfit + np.einsum("na,nab,nb->n", change, whole.gram, change)
    displacement = np.einsum("na,ab,nb->n", step, evaluation.hessian, step) / 2
    displacement += full + misfit / sigma2 - solution.nu
    best = evaluation.value.profile
    log_ratio = p * np.log(sigma2 / best.sigma2) - reduced.log_det - np.linalg.slogdet(best.unscaled)[1]
    here = _moved(rest, np.zeros_like(step))
    fixed, origin = model.coordinates.fixed, model.coordinates.origin
    psi, natural = _natural(solution, evaluation.theta + step)
    found = LeftOut(
        origin + here.beta @ fixed.T,
        np.exp(here.log_rss) / nu,
        origin + reduced.beta @ fixed.T,
        sigma2,
        psi,
        natural,
        np.exp(log_ratio),
        displacement,
        np.zeros(len(rows), dtype=bool),
    )
    for name, values in vars(found).items():
        if name != "refitted":
            values[lost] = np.nan
    return found


def _natural(solution: Solution, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """psi : (c, q, q) and natural : (c, s) of theta : (c, m)."""
    rotation, objective = solution.model.coordinates.random, solution.optimum.objective
    structure = solution.model.structure
    psi = np.array([rotation @ blockwise(objective.psis(each)) @ rotation.T for each in theta])
    if structure is None:
        return psi, np.zeros((len(theta), 0))
    return psi, np.array([structure.natural(each[objective.residual]) for each in theta])


def _derivatives(rest: Contributions, nu: np.ndarray, reml: bool) -> tuple[np.ndarray, np.ndarray]:
    """Gradient : (c, m) and Hessian : (c, m, m) of the deviance, as in lmmcore.likelihood.profile."""
    r = rest.gram.shape[1]
    root = np.linalg.inv(np.linalg.cholesky(rest.gram)).mT
    root[:, :, -1] *= np.sqrt(nu)[:, None]
    weight = root @ root.mT if reml else root[:, :, -1:] @ root[:, :, -1:].mT
    omega = np.ones((len(nu), r, r))
    if not reml:
        omega[:, :-1, :-1] = 0
    omega[:, -1, -1] = 1 / nu
    N = root.mT[:, None] @ rest.gram_first @ root[:, None]
    gradient = rest.log_first + np.einsum("cab,crab->cr", weight, rest.gram_first)
    hessian = rest.log_second + rest.weighted(weight)
    return gradient, hessian - np.einsum("cab,crab,csab->crs", omega, N, N)


def _newton(gradient: np.ndarray, hessian: np.ndarray) -> np.ndarray:
    """One descent step of each of c problems : (c, m)."""
    scale = 1 / np.sqrt(np.maximum(np.abs(np.einsum("cii->ci", hessian)), 1e-12))
    values, vectors = np.linalg.eigh(hessian * scale[:, :, None] * scale[:, None, :])
    rotated = np.einsum("cij,ci->cj", vectors, scale * gradient) / np.maximum(np.abs(values), FLOOR)
    return -scale * np.einsum("cij,cj->ci", vectors, rotated)


@dataclass(frozen=True, eq=False)
class Moved:
    """beta : (c, p); log_rss : (c,) log of the residual sum of squares; log_det : (c,) and gram : (c, p, p)
    of X'V^-1X, after a step of theta."""

    beta: np.ndarray
    log_rss: np.ndarray
    log_det: np.ndarray
    gram: np.ndarray


def _moved(rest: Contributions, step: np.ndarray) -> Moved:
    """Expansion to second order along steps : (c, m)."""
    p = rest.gram.shape[1] - 1
    first = np.einsum("cr,crab->cab", step, rest.gram_first)
    second = rest.along(step)
    X, y = rest.gram[:, :p, :p], rest.gram[:, :p, p]
    inverse = np.linalg.inv(X)
    beta = np.einsum("cab,cb->ca", inverse, y)
    v = np.concatenate([-beta, np.ones((len(beta), 1))], axis=1)
    by = np.einsum("cab,cb->ca", first, v)
    by2 = np.einsum("cab,cb->ca", second, v)
    slope = np.einsum("cab,cb->ca", inverse, by[:, :p])
    bend = by2[:, :p] - 2 * np.einsum("cab,cb->ca", first[:, :p, :p], slope)
    rss = np.einsum("ca,cab,cb->c", v, rest.gram, v)
    rise = np.einsum("ca,ca->c", v, by) / rss
    curve = (np.einsum("ca,ca->c", v, by2) - 2 * np.einsum("ca,cab,cb->c", slope, X, slope)) / rss
    P, Q = inverse @ first[:, :p, :p], inverse @ second[:, :p, :p]
    log_det = np.linalg.slogdet(X)[1] + np.einsum("cii->c", P)
    log_det += (np.einsum("cii->c", Q) - np.einsum("cij,cji->c", P, P)) / 2
    return Moved(
        beta + slope + np.einsum("cab,cb->ca", inverse, bend) / 2,
        np.log(rss) + rise + (curve - rise**2) / 2,
        log_det,
        (rest.gram + first + second / 2)[:, :p, :p],
    )
