"""Inference at a point by the textbook: effects, Satterthwaite, Kenward & Roger, errors of predictions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tests.fuzz.dense import Dense, derivatives, semidefinite
from tests.fuzz.oracle import Whitened

STEP = 1e-5


def effects(
    dense: Dense, tau: np.ndarray, white: Whitened
) -> dict[tuple[str, str, str], tuple[float, float]]:
    """(estimate, standard error of b^ - b) by group, level and term, in the units of the data.

    b^ = C'V^-1(y - X beta^) and var(b^ - b) = G - C'P C, C the covariance of y and b (Harville 1976).
    """
    found = {}
    for block, own in zip(dense.blocks, dense.parts(tau)[0], strict=True):
        psi = block.psi(own)
        for number, label in enumerate(dense.case.labels(block.group)):
            c = np.where(block.codes == number, 1, 0)[:, None] * (block.Z @ psi)
            value, variance = white.predicted(c, np.zeros((len(psi), white.X.shape[1])), np.diag(psi))
            for k, name in enumerate(block.names):
                sd = np.sqrt(max(variance[k], 0)) / block.scale[k]
                found[":".join(block.group), label, name] = float(value[k] / block.scale[k]), float(sd)
    return found


@dataclass(frozen=True)
class Chart:
    """tau as a function of v : (..., m), and the v of a point."""

    tau: Callable[[np.ndarray], np.ndarray]
    at: np.ndarray


def linear_chart(dense: Dense, tau: np.ndarray) -> Chart:
    """Entries of each Psi, unbounded parameters of R, sigma^2: V is linear in the first and the last."""
    split = dense.splits[-1] if dense.blocks else 0
    at = np.concatenate([tau[:split], dense.law.outer(tau[split:-1]), tau[-1:]]).astype(float)

    def function(v: np.ndarray) -> np.ndarray:
        return np.concatenate([v[..., :split], dense.law.inner(v[..., split:-1]), v[..., -1:]], axis=-1)

    return Chart(function, at)


def face_chart(dense: Dense, tau: np.ndarray) -> Chart:
    """Factors of each Psi without the columns that are zero, unbounded parameters of R, log sigma^2."""
    split = dense.splits[-1] if dense.blocks else 0
    random, natural, sigma2 = dense.parts(tau.astype(float))
    start, free = [], []
    for block, own in zip(dense.blocks, random, strict=True):
        u = block.outer(own / sigma2)
        start.append(u)
        if block.kind == "cs":
            free.append(u > 1e-7 * np.abs(u).max())
            continue
        i, j = np.tril_indices(len(block.names))
        L = semidefinite(block.psi(own / sigma2))
        free.append((np.diag(L) > 0)[j])
    u = np.concatenate([*start, dense.law.outer(natural)])
    place = np.flatnonzero(np.concatenate([*free, np.ones(len(natural), dtype=bool)]))
    assert len(u) - len(natural) == split

    def function(v: np.ndarray) -> np.ndarray:
        whole = np.zeros((*v.shape[:-1], len(u)), dtype=v.dtype)
        whole[..., place] = v[..., :-1]
        inner = dense.inner(whole)
        scale = np.exp(v[..., -1:])
        return np.concatenate([inner[..., :split] * scale, inner[..., split:-1], scale], axis=-1)

    return Chart(function, np.append(u[place], np.log(float(sigma2[0]))))


class Point:
    """V at a point of a chart, with its derivatives."""

    def __init__(self, dense: Dense, X: np.ndarray, chart: Chart) -> None:
        self.dense, self.X, self.chart = dense, X, chart
        self.reml = dense.case.method == "REML"
        # P X = 0: without what X explains, a large mean does not swamp the digits.
        self.y = dense.y - X @ np.linalg.lstsq(X, dense.y, rcond=None)[0]
        self.V, self.first = self._at(chart.at)
        self.inverse = np.linalg.inv(self.V)
        self.phi, self.P = _projection(self.inverse, X)

    def _at(self, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        V = lambda v: self.dense.V(self.chart.tau(v))  # noqa: E731
        return V(v), derivatives(V, v)

    def _gradient(self, v: np.ndarray) -> np.ndarray:
        V, first = self._at(v)
        inverse = np.linalg.inv(V)
        _, P = _projection(inverse, self.X)
        Py = P @ self.y
        weight = (P if self.reml else inverse) - np.outer(Py, Py)
        return np.einsum("rij,ij->r", first, weight)

    def hessian(self) -> np.ndarray:
        """Of -2 log likelihood."""
        at = self.chart.at
        step = STEP * np.maximum(1, np.abs(at))
        rows = [
            (self._gradient(at + h * unit) - self._gradient(at - h * unit)) / (2 * h)
            for h, unit in zip(step, np.eye(len(at)), strict=True)
        ]
        return (np.array(rows) + np.array(rows).T) / 2

    @property
    def information(self) -> np.ndarray:
        """tr(P V_r P V_s)."""
        turned = self.P @ self.first
        return np.einsum("rij,sji->rs", turned, turned)

    def gram_first(self) -> np.ndarray:
        """Derivatives of X'V^-1X : (m, p, p)."""
        half = self.inverse @ self.X
        return -(half.T @ self.first @ half)

    def variances(self, L: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Variances of L beta^ : (k,) and their derivatives : (m, k)."""
        half = L @ self.phi
        return (half * L).sum(axis=1), -np.einsum("ka,rab,kb->rk", half, self.gram_first(), half)

    def kenward_roger(self, W: np.ndarray) -> np.ndarray:
        """Adjusted covariance of beta^ (Kenward & Roger 1997, with V taken as linear)."""
        half = self.inverse @ self.X
        left = self.first @ half
        Q = np.einsum("ria,ij,sjb->rsab", left, self.inverse, left)
        G = self.gram_first()
        inner = np.einsum("rs,rsab->ab", W, Q - np.einsum("rab,bc,scd->rsad", G, self.phi, G))
        return self.phi + 2 * self.phi @ inner @ self.phi


def _projection(inverse: np.ndarray, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    half = inverse @ X
    scale = 1 / np.sqrt((X * half).sum(axis=0))
    phi = np.linalg.inv((X * scale).T @ half * scale) * np.outer(scale, scale)
    return phi, inverse - half @ phi @ half.T


def scaled_inverse(A: np.ndarray) -> tuple[np.ndarray, float]:
    """The inverse of a symmetric matrix and its smallest eigenvalue once scaled to unit diagonal."""
    if not len(A):
        return A, 1.0
    scale = 1 / np.sqrt(np.maximum(np.abs(np.diag(A)), 1e-300))
    values, vectors = np.linalg.eigh(A * np.outer(scale, scale))
    turned = vectors * scale[:, None]
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):  # the caller looks at the eigenvalue
        return (turned / values) @ turned.T, float(values[0])


def satterthwaite(variance: np.ndarray, slope: np.ndarray, W: np.ndarray) -> np.ndarray:
    """2 v^2 / (v.'W v.) : (k,); slope : (m, k)."""
    spread = np.einsum("rk,rs,sk->k", slope, W, slope)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(spread > 0, 2 * variance**2 / spread, np.inf)


def prediction_error(
    joint: Dense, n: int, X: np.ndarray, chart: Chart, W: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Standard errors and df of the responses of the rows from n on, X : (n + a, p) of all.

    var(u - u^) given the covariance parameters, and twice the delta method's variance of the prediction by
    them (Prasad & Rao 1990).
    """
    y = joint.y[:n]

    def both(v: np.ndarray) -> np.ndarray:
        V = joint.V(chart.tau(v))
        c, own = V[..., :n, n:], np.diagonal(V, axis1=-2, axis2=-1)[..., n:]
        p = X.shape[1]
        right = np.concatenate(
            [np.broadcast_to(np.column_stack([X[:n], y]), (*c.shape[:-1], p + 1)), c], axis=-1
        )
        solved = np.linalg.solve(V[..., :n, :n], right)
        gram = X[:n].T @ solved[..., :p]
        beta = np.linalg.solve(gram, X[:n].T @ solved[..., p : p + 1])
        ct = np.swapaxes(c, -1, -2)
        g = X[n:] - ct @ solved[..., :p]
        value = (g @ beta + ct @ solved[..., p : p + 1])[..., 0]
        left = np.linalg.solve(gram, np.swapaxes(g, -1, -2))
        error = own - (c * solved[..., p + 1 :]).sum(axis=-2) + (np.swapaxes(g, -1, -2) * left).sum(axis=-2)
        return np.concatenate([value, error], axis=-1)

    a = len(X) - n
    error = both(chart.at)[a:]
    first = derivatives(both, chart.at)
    moved, slope = first[:, :a], first[:, a:]
    total = error + 2 * np.einsum("ra,rs,sa->a", moved, W, moved)
    return np.sqrt(np.maximum(total, 0)), satterthwaite(error, slope, W)
