"""The deviance of many replicates at once, with exact gradients and Hessians.

The formulas are those of lmmcore.likelihood (objective, level, profile) with an axis of replicates last, so
that each operation is one long vector. With H, M, E of a cell as there, U = M B, e = U (-beta^; 1), Phi the
inverse of G_xx, s^2 = r^2 / nu and C = [REML: U_x Phi U_x'] + e e' / s^2,

    D* = sum E - sum C,       gradient_i = <D*, dPsi_i>
    hessian_ij = -sum tr(E dPsi_i E dPsi_j) + 2 sum tr(C dPsi_i E dPsi_j) + <D*, ddPsi_ij>
                 - [REML: tr(Phi G_i Phi G_j)] - 2 g_i' Phi g_j / s^2 - f_i f_j / nu

with G_i = -sum U_x' dPsi_i U_x, g_i = -sum U_x' dPsi_i e and f_i = -sum e' dPsi_i e / s^2. Sums over cells in
which only X occurs are matrix products of a fixed table with H or with products of M.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from lmmcore.likelihood.profile import LOG_2PI
from lmmcore.resampling.cells import Cells
from lmmcore.resampling.products import product
from lmmcore.system.batched_linalg import cholesky, inverse_lower

# A pivot of G below this part of its diagonal is a zero.
SINGULAR = 1e-13


@dataclass(frozen=True)
class Evaluations:
    """deviance : (R,), inf where V or X is singular; gradient : (m, R); hessian : (m, m, R);
    cone : (q, q, R), D*; beta : (p, R); sigma2 : (R,)."""

    deviance: np.ndarray
    gradient: np.ndarray
    hessian: np.ndarray
    cone: np.ndarray
    beta: np.ndarray
    sigma2: np.ndarray

    def take(self, chosen: np.ndarray) -> Evaluations:
        """Those of some replicates."""
        return Evaluations(*(getattr(self, field.name)[..., chosen] for field in fields(self)))

    def put(self, places: np.ndarray, others: Evaluations, chosen: np.ndarray) -> None:
        """Overwrite the replicates at places by those chosen of others."""
        for field in fields(self):
            getattr(self, field.name)[..., places] = getattr(others, field.name)[..., chosen]


@dataclass(frozen=True)
class _Profiles:
    """beta^, s^2 and Phi of each replicate; valid : (R,)."""

    beta: np.ndarray
    sigma2: np.ndarray
    phi: np.ndarray
    deviance: np.ndarray
    nu: np.ndarray


def evaluate(cells: Cells, theta: np.ndarray, units: np.ndarray, reml: bool) -> Evaluations:
    """The deviance of each replicate at theta : (m, R), Lambda = sum theta_k units_k, units : (m, q, q, R).

    The last axes of theta and units may be 1: the first evaluation, from the same theta, is a cheap one.
    """
    p, q, C = cells.X.shape
    R = cells.replicates
    factor = np.einsum("kr,kabr->abr", theta, units)
    log_det, H, M, E = _levels(cells.A, factor)
    weighted = H if cells.weights is None else cells.weights * H
    best = _profile(cells, weighted, reml)
    deviance = best.deviance + (cells.counts * log_det).sum(axis=0)
    if not q:
        none, square = np.zeros((0, R)), np.zeros((0, 0, R))
        return Evaluations(deviance, none, square, square, best.beta, best.sigma2)
    turn = M if cells.weights is None else np.sqrt(cells.weights) * M
    left = cells.y - (cells.X.reshape(p, q * C).T @ best.beta).reshape(q, C, R)
    e = product(turn, left[None])[:, 0]
    first, second = np.triu_indices(q)
    ee = e[first] * e[second]  # the distinct entries of e e'
    xx, spread_x = _sums_of_x(cells, turn, best.phi) if reml else (None, 0.0)
    xe = _sums_of_x_and_e(cells, turn, e)
    spread = ee / best.sigma2 + spread_x
    counted = cells.counts * E[first, second]
    pairs = np.empty((q, q), dtype=np.intp)
    pairs[first, second] = pairs[second, first] = np.arange(len(first))
    cone = (counted.sum(axis=1) - spread.sum(axis=1))[pairs]
    products = np.einsum("xcr,ycr->xyr", 2 * spread - counted, E[first, second])
    products = products[pairs[:, :, None, None], pairs]

    half = np.einsum("kacr,bcr->kabr", units, factor)
    directions = half + half.transpose(0, 2, 1, 3)
    gradient = np.einsum("abr,kabr->kr", cone, directions)
    inner = np.einsum("abcdr,kbcr->kadr", products, directions)
    hessian = np.einsum("kadr,ldar->klr", inner, directions)
    hessian = (hessian + hessian.transpose(1, 0, 2)) / 2
    bent = np.einsum("abr,lbcr->lacr", cone, units)
    hessian += 2 * np.einsum("kacr,lacr->klr", units, bent)

    g = np.einsum("kabr,xabr->kxr", directions, xe)
    phi_g = np.einsum("xzr,kzr->kxr", best.phi, g)
    felt = np.einsum("kabr,abr->kr", directions, ee.sum(axis=1)[pairs]) / best.sigma2
    hessian -= 2 * np.einsum("kxr,lxr->klr", g, phi_g) / best.sigma2 + felt[:, None] * felt[None] / best.nu
    if xx is not None:
        G = np.einsum("kabr,abxzr->kxzr", directions, xx)
        turned = np.einsum("xyr,kyzr->kxzr", best.phi, G)
        hessian -= np.einsum("kxyr,lyxr->klr", turned, turned)

    def whole(values: np.ndarray) -> np.ndarray:
        return np.array(np.broadcast_to(values, (*values.shape[:-1], R)))

    return Evaluations(*map(whole, (deviance, gradient, hessian, cone, best.beta, best.sigma2)))


def _levels(A: np.ndarray, factor: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """log|I + A Psi| : (C, R), H, M and E : (q, q, C, R), as in lmmcore.system.level."""
    q, _, C = A.shape
    R = factor.shape[2]
    if not q:
        empty = np.zeros((0, 0, C, R))
        return np.zeros((C, R)), empty, empty, empty
    turned = factor.transpose(1, 0, 2)[:, :, None]
    inner = product(turned, product(turned, A[..., None]), symmetric=True)
    place = np.arange(q)
    inner[place, place] += 1
    lower = cholesky(inner.reshape(q, q, C * R))
    log_det = 2 * np.log(np.prod(lower[place, place], axis=0)).reshape(C, R)
    root = product(factor[:, :, None], inverse_lower(lower).reshape(q, q, C, R))
    H = product(root, root, symmetric=True)
    A_root = product(A[..., None], root.transpose(1, 0, 2, 3))
    M = -product(A_root, root)
    M[place, place] += 1
    E = A[..., None] - product(A_root, A_root, symmetric=True)
    return log_det, H, M, E


def _profile(cells: Cells, H: np.ndarray, reml: bool) -> _Profiles:
    """Profile beta and sigma^2 out of G = S - sum B H B'."""
    p, q, C = cells.X.shape
    flat = cells.X.reshape(p, q * C)
    Hy = product(H, cells.y[None])[:, 0] if q else np.zeros((0, C, cells.replicates))
    same = H.shape[3]
    Gxx = cells.XX - (cells.outer @ H.reshape(q * q * C, same)).reshape(p, p, same)
    Gxy = cells.Xy - flat @ Hy.reshape(q * C, cells.replicates)
    Gyy = cells.yy - np.einsum("acr,acr->r", Hy, cells.y)
    lower = cholesky(Gxx)
    pivots = lower[np.arange(p), np.arange(p)]
    regular = (pivots**2 > SINGULAR * np.abs(cells.XX[np.arange(p), np.arange(p)])).all(axis=0)
    root = inverse_lower(np.where(regular, lower, np.eye(p)[:, :, None]))
    phi = np.einsum("zxr,zyr->xyr", root, root)
    beta = np.einsum("xyr,yr->xr", phi, Gxy)
    left = Gyy - (Gxy * beta).sum(axis=0)
    nu = cells.rows - p if reml else cells.rows
    regular = regular & (left > SINGULAR * cells.yy) & (nu > 0)
    nu = np.maximum(nu, 1.0)
    sigma2 = np.where(regular, left, 1.0) / nu
    deviance = nu * (1 + LOG_2PI + np.log(sigma2))
    if reml:
        deviance = deviance + 2 * np.log(np.where(regular, pivots, 1.0)).sum(axis=0)
    return _Profiles(beta, sigma2, phi, np.where(regular, deviance, np.inf), nu)


def _sums_of_x(cells: Cells, turn: np.ndarray, phi: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """sum U_x[a] U_x[b]' : (q, q, p, p, R), and the distinct entries of U_x Phi U_x' : (pairs, C, R)."""
    p, q, C = cells.X.shape
    R = turn.shape[3]
    Q = (cells.outer.T @ phi.reshape(p * p, phi.shape[2])).reshape(q, q, C, phi.shape[2])
    xx = np.empty((q, q, p, p, R))
    spread = []
    for a, b in zip(*np.triu_indices(q), strict=True):
        products = turn[a][:, None] * turn[b][None]
        spread.append(np.einsum("abcr,abcr->cr", products, Q))
        xx[a, b] = (cells.outer @ products.reshape(q * q * C, R)).reshape(p, p, R)
        xx[b, a] = xx[a, b].transpose(1, 0, 2)
    return xx, np.array(spread)


def _sums_of_x_and_e(cells: Cells, turn: np.ndarray, e: np.ndarray) -> np.ndarray:
    """sum U_x[a] e[b] : (p, q, q, R)."""
    p, q, C = cells.X.shape
    flat = cells.X.reshape(p, q * C)
    result = np.empty((p, q, q, e.shape[2]))
    for a in range(q):
        for b in range(q):
            result[:, a, b] = flat @ (turn[a] * e[b]).reshape(q * C, e.shape[2])
    return result
