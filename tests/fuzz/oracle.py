"""The likelihood by its textbook formulas, its optimum from many starts, and what follows from a point.

Numbers that are compared come from extended precision (80 bits where the machine has them), so that a
covariance with a condition of 1e10 still decides who is right.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg.lapack import dpotrf, dpotri
from scipy.optimize import minimize

from tests.fuzz.dense import TINY, Dense

FAR = 1e12  # deviance where V is no covariance
BOUND = 9.0  # of unbounded parameters
STARTS, FOLLOWED = 48, 3


@dataclass(frozen=True)
class Whitened:
    """[X y] times the inverse Cholesky factor L of V, in extended precision."""

    L: np.ndarray
    X: np.ndarray
    y: np.ndarray
    gram: np.ndarray  # (p, p) lower Cholesky factor of X'V^-1X
    beta: np.ndarray

    @staticmethod
    def of(V: np.ndarray, X: np.ndarray, y: np.ndarray) -> Whitened:
        """Raises LinAlgError where V is no covariance."""
        L = cholesky(V)
        both = forward(L, np.column_stack([X, y]))
        X, y = both[:, :-1], both[:, -1]
        scale = np.sqrt((X * X).sum(axis=0))
        gram = scale[:, None] * cholesky((X / scale).T @ (X / scale))
        beta = backward(gram, forward(gram, (X.T @ y)[:, None]))[:, 0]
        # once more for the rounding of the normal equations
        beta = beta + backward(gram, forward(gram, (X.T @ (y - X @ beta))[:, None]))[:, 0]
        return Whitened(L, X, y, gram, beta)

    def loglik(self, beta: np.ndarray, reml: bool) -> float:
        """Log-likelihood with R's constants."""
        n, p = self.X.shape
        left = self.y - self.X @ beta
        total = (n - p * reml) * np.log(2 * np.pi) + 2 * np.log(np.diag(self.L)).sum() + left @ left
        return float(-(total + (2 * np.log(np.diag(self.gram)).sum() if reml else 0)) / 2)

    @property
    def vcov(self) -> np.ndarray:
        """(X'V^-1X)^-1."""
        half = forward(self.gram, np.eye(len(self.gram)))
        return half.T @ half

    def predicted(self, c: np.ndarray, x: np.ndarray, own: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Best linear unbiased predictions of x'beta + u : (a,) and their error variances; c : (n, a)
        covariances of the rows with u, own : (a,) its variances."""
        half = forward(self.L, c)
        value = x @ self.beta + half.T @ (self.y - self.X @ self.beta)
        g = forward(self.gram, (x - half.T @ self.X).T)
        return value, own - (half * half).sum(axis=0) + (g * g).sum(axis=0)


def cholesky(A: np.ndarray) -> np.ndarray:
    """Lower factor in the precision of A."""
    n = len(A)
    L = np.zeros_like(A)
    for j in range(n):
        column = A[j:, j] - L[j:, :j] @ L[j, :j]
        if not column[0] > 0:
            raise np.linalg.LinAlgError("not positive definite")
        L[j:, j] = column / np.sqrt(column[0])
    return L


def forward(L: np.ndarray, B: np.ndarray) -> np.ndarray:
    """L^-1 B."""
    X = np.array(B, dtype=L.dtype)
    for j in range(len(L)):
        X[j] = (X[j] - L[j, :j] @ X[:j]) / L[j, j]
    return X


def backward(L: np.ndarray, B: np.ndarray) -> np.ndarray:
    """L'^-1 B."""
    X = np.array(B, dtype=L.dtype)
    for j in reversed(range(len(L))):
        X[j] = (X[j] - L[j + 1 :, j] @ X[j + 1 :]) / L[j, j]
    return X


class Oracle:
    """The profiled deviance of a case in unbounded parameters u : (m,)."""

    def __init__(self, dense: Dense, X: np.ndarray) -> None:
        self.dense, self.reml = dense, dense.case.method == "REML"
        n, self.p = X.shape
        self.nu = n - self.p * self.reml
        self.n = n
        scaled = X / np.sqrt((X * X).sum(axis=0))
        self.Q, upper = np.linalg.qr(scaled)
        left = dense.y - self.Q @ (self.Q.T @ dense.y)
        left = left - self.Q @ (self.Q.T @ left)
        self.scale = float(np.sqrt(left @ left / n))
        self.y = left / self.scale
        lengths = np.log(np.abs(np.diag(upper))).sum() + np.log((X * X).sum(axis=0)).sum() / 2
        self.constant = 2 * self.nu * np.log(self.scale) + (2 * lengths if self.reml else 0)
        self.size = sum(block.size for block in dense.blocks) + dense.law.size

    def value(self, u: np.ndarray) -> tuple[float, np.ndarray]:
        """Deviance and its gradient."""
        m = self.size
        with np.errstate(all="ignore"):
            if m:
                moved = self.dense.V(self.dense.inner(u + 1j * TINY * np.eye(m)))
                V, first = moved[0].real, moved.imag / TINY
            else:
                V, first = self.dense.V(self.dense.inner(u)), np.zeros((0, self.n, self.n))
            if not np.isfinite(V).all() or not np.isfinite(first).all():
                return FAR, np.zeros(m)
            L, failed = dpotrf(V, lower=1)
        if failed:
            return FAR, np.zeros(m)
        inverse, _ = dpotri(L, lower=1)
        inverse = np.tril(inverse) + np.tril(inverse, -1).T
        half = inverse @ self.Q
        gram = self.Q.T @ half
        try:
            K = np.linalg.cholesky(gram)
        except np.linalg.LinAlgError:
            return FAR, np.zeros(m)
        turned = np.linalg.solve(K, half.T)
        P = inverse - turned.T @ turned
        Py = P @ self.y
        r2 = self.y @ Py
        if not r2 > 0:
            return FAR, np.zeros(m)
        deviance = 2 * np.log(np.diag(L)).sum() + self.nu * (1 + np.log(2 * np.pi * r2 / self.nu))
        if self.reml:
            deviance += 2 * np.log(np.diag(K)).sum()
        weight = (P if self.reml else inverse) - np.outer(Py, Py) * (self.nu / r2)
        gradient = first.reshape(m, self.n**2) @ weight.ravel()
        if not np.isfinite(deviance):
            return FAR, np.zeros(m)
        return float(deviance + self.constant), gradient

    def values(self, many: np.ndarray) -> np.ndarray:
        """Deviances of many points : (k, m), FAR where there is none."""
        with np.errstate(all="ignore"):
            V = self.dense.V(self.dense.inner(many))
            good = np.isfinite(V).all(axis=(1, 2))
            V[~good] = np.eye(self.n)
            try:
                L = np.linalg.cholesky(V)
            except np.linalg.LinAlgError:
                return np.array([self.value(u)[0] for u in many])
            both = np.linalg.solve(
                L, np.broadcast_to(np.column_stack([self.Q, self.y]), (len(V), self.n, self.p + 1))
            )
            gram = np.swapaxes(both, 1, 2) @ both
            full, inner = np.linalg.slogdet(gram)[1], np.linalg.slogdet(gram[:, :-1, :-1])[1]
            log_det = 2 * np.log(np.diagonal(L, axis1=1, axis2=2)).sum(axis=1)
            found = log_det + self.nu * (1 + np.log(2 * np.pi / self.nu) + full - inner) + inner * self.reml
        return np.where(good & np.isfinite(found), found + self.constant, FAR)

    def optimum(self, rng: np.random.Generator, known: list[np.ndarray]) -> tuple[float, np.ndarray]:
        """The lowest deviance found, from the best random starts and from known points, and where."""
        if not self.size:
            return self.value(np.zeros(0))[0], np.zeros(0)
        starts = self._starts(rng)
        values = self.values(starts)
        order = np.argsort(values)
        chosen = [starts[order[0]]]
        for place in order[1:]:  # not all in one valley
            if len(chosen) < FOLLOWED and all(np.abs(starts[place] - u).max() > 1.0 for u in chosen):
                chosen.append(starts[place])
        best = (FAR, chosen[0])
        for start in [*known, *chosen]:
            found = minimize(
                self.value,
                start,
                jac=True,
                method="L-BFGS-B",
                bounds=[(-1e5, 1e5)] * self.split + [(-BOUND, BOUND)] * (self.size - self.split),
                options={"maxfun": 150, "ftol": 1e-12, "gtol": 1e-7, "maxcor": 12},
            )
            if found.fun < best[0]:
                best = (float(found.fun), found.x)
        return best

    @property
    def split(self) -> int:
        """Number of parameters of the random effects."""
        return self.size - self.dense.law.size

    def _starts(self, rng: np.random.Generator) -> np.ndarray:
        spread = np.exp(rng.uniform(-4, 3, (STARTS, self.split)) + rng.uniform(-2, 2, (STARTS, 1)))
        random = spread * rng.choice([-1, 1], (STARTS, self.split))
        random[rng.random((STARTS, self.split)) < 0.1] *= 1e-3
        inner = rng.normal(0, rng.choice([0.4, 1.5], (STARTS, 1)), (STARTS, self.size - self.split))
        starts = np.concatenate([random, inner], axis=1)
        starts[0] = np.where(np.arange(self.size) < self.split, 0.5, 0.0)
        return starts

    def hessian(self, u: np.ndarray) -> np.ndarray:
        """Second derivatives, by differences of the exact gradient."""
        step = 1e-5 * np.maximum(1, np.abs(u))
        rows = [
            (self.value(u + step[k] * unit)[1] - self.value(u - step[k] * unit)[1]) / (2 * step[k])
            for k, unit in enumerate(np.eye(self.size))
        ]
        found = np.array(rows).reshape(self.size, self.size)
        return (found + found.T) / 2
