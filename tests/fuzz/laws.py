"""Residual covariances R by their definitions, at natural parameters; any kind of number, complex ones too.

Times are divided by a unit (the step of a grid, the median gap), so that natural parameters are of order 1.
`inner` maps unbounded numbers to natural parameters, `outer` back; both along the last axis.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tests.fuzz.case import Case

Array = np.ndarray


@dataclass(frozen=True)
class Law:
    """kind : of the correlation, "" for independence; unit : of time; visits : of a grid, in units.

    largest : rows of the largest subject; column, levels : of the variance, "" without one.
    """

    kind: str
    nugget: bool
    unit: float
    visits: Array
    largest: int
    variance: str
    levels: tuple[str, ...]

    @staticmethod
    def of(case: Case) -> Law:
        """What the structure learns from the data."""
        residual, unit, visits, largest = case.residual, 1.0, np.zeros(0), 1
        if residual is not None:
            codes = case.codes(residual.subject)
            largest = max(int(np.bincount(codes).max()), 2)
        if residual is not None and residual.time is not None:
            t = case.columns[residual.time]
            order = np.lexsort([t, codes])
            gaps = np.diff(t[order])[np.diff(codes[order]) == 0]
            if residual.type in ("AR1", "Toeplitz"):
                some = gaps if residual.type == "AR1" else np.diff(np.unique(t))
                unit = float(np.gcd.reduce(some.astype(int))) if len(some) else 1.0
            elif residual.type in ("CAR1", "Exponential", "Gaussian"):
                unit = float(np.median(gaps)) if len(gaps) else 1.0
            visits = np.unique(t)
        kind, column = case.variance or ("", "")
        levels = tuple(np.unique(case.columns[column]).tolist()) if kind == "ByGroup" else ()
        nugget = residual is not None and residual.nugget
        return Law("" if residual is None else residual.type, nugget, unit, visits, largest, kind, levels)

    @property
    def correlations(self) -> int:
        """Number of parameters of the correlation."""
        J = len(self.visits)
        lags = 0 if J == 0 else int(round((self.visits[-1] - self.visits[0]) / self.unit))
        counts = {"": 0, "RandomWalk": 0, "Toeplitz": lags, "Unstructured": J - 1 + J * (J - 1) // 2}
        return counts.get(self.kind, 1 + self.nugget)

    @property
    def size(self) -> int:
        """Number of parameters."""
        return self.correlations + (len(self.levels) - 1 if self.levels else bool(self.variance))

    def natural(self, reported: Array) -> Array:
        """Natural parameters of those that a fit reports, in units of time; of CAR1 the range."""
        values = np.array(reported, dtype=np.longdouble)
        if self.kind == "AR1":
            values[0] = np.sign(values[0]) * np.abs(values[0]) ** self.unit
        if self.kind in ("CAR1", "Exponential", "Gaussian"):
            values[0] = values[0] / self.unit
        return values

    def inner(self, u: Array) -> Array:
        """Natural parameters : (..., m) of unbounded ones : (..., m)."""
        k = self.correlations
        if self.kind == "AR1":
            first = [np.tanh(u[..., 0])]
        elif self.kind == "CompoundSymmetry":
            first = [(1 - np.exp(-u[..., 0])) / (1 + (self.largest - 1) * np.exp(-u[..., 0]))]
        elif self.kind == "Toeplitz":
            first = _levinson(np.tanh(u[..., :k]))
        elif self.kind == "Unstructured":
            first = _spherical(u[..., :k], len(self.visits))
        elif k:
            first = [np.exp(u[..., 0])]
            if self.nugget:
                first.append(u[..., 1] ** 2 / (1 + u[..., 1] ** 2))
        else:
            first = []
        rest = u[..., k:] if self.variance == "Power" else np.exp(u[..., k:])
        return np.concatenate([np.stack(first, axis=-1), rest], axis=-1) if first else rest

    def outer(self, natural: Array) -> Array:
        """The inverse : (m,)."""
        natural = np.asarray(natural, dtype=float)
        k = self.correlations
        own = natural[:k]
        with np.errstate(all="ignore"):
            if self.kind == "AR1":
                first = np.arctanh(np.clip(own, -1 + 1e-15, 1 - 1e-15))
            elif self.kind == "CompoundSymmetry":
                first = np.log((1 + (self.largest - 1) * own) / (1 - own))
            elif self.kind == "Toeplitz":
                first = np.arctanh(_partial(own))
            elif self.kind == "Unstructured":
                first = _unbounded(own, len(self.visits))
            else:
                first = np.log(own)
                if self.nugget:
                    first[1] = np.sqrt(own[1] / (1 - own[1]))
            rest = natural[k:] if self.variance == "Power" else np.log(natural[k:])
        return np.clip(np.nan_to_num(np.concatenate([first, rest]), nan=0.0), -30, 30)

    def matrix(self, natural: Array, case: Case) -> Array:
        """R : (..., n, n) of the rows of a case, as if of one subject."""
        n, k = case.n, self.correlations
        own = natural[..., :k, None, None]
        one = np.eye(n)
        if case.residual is not None and case.residual.time is not None:
            t = case.columns[case.residual.time]
            apart = np.abs(t[:, None] - t) / self.unit
        if self.kind == "":
            R = one.astype(natural.dtype)
        elif self.kind == "RandomWalk":
            R = np.minimum(t[:, None], t).astype(natural.dtype)
        elif self.kind == "CompoundSymmetry":
            R = one + (1 - one) * own[..., 0, :, :]
        elif self.kind == "AR1":
            steps = np.round(apart)
            sign = np.sign(own.real + (own.real == 0))[..., 0, :, :]
            size = (sign * own[..., 0, :, :]) ** np.where(apart > 0, apart, 1)
            R = np.where(apart > 0, np.where(steps % 2 == 1, sign, 1) * size, 1)
        elif self.kind == "Toeplitz":
            lag = np.round(apart).astype(int)
            padded = np.concatenate([np.ones((*natural.shape[:-1], 1)), natural[..., :k]], axis=-1)
            R = padded[..., lag]
        elif self.kind == "Unstructured":
            R = self._unstructured(natural[..., :k])
            place = np.searchsorted(self.visits, t)
            R = R[..., place[:, None], place]
        else:
            power = 2 if self.kind == "Gaussian" else 1
            R = np.exp(-((apart / own[..., 0, :, :]) ** power))
            if self.nugget:
                R = R * (1 - own[..., 1, :, :])
            R = one + (1 - one) * R
        sd = self._deviations(natural[..., k:], case)
        return sd[..., :, None] * R * sd[..., None, :]

    def _deviations(self, natural: Array, case: Case) -> Array:
        if not self.variance:
            return np.ones(case.n)
        assert case.variance is not None
        column = case.columns[case.variance[1]]
        if self.variance == "Power":
            return np.exp(natural * np.log(np.abs(column)))
        padded = np.concatenate([np.ones((*natural.shape[:-1], 1)), natural], axis=-1)
        return padded[..., np.searchsorted(self.levels, column)]

    def _unstructured(self, natural: Array) -> Array:
        J = len(self.visits)
        sd = np.concatenate([np.ones((*natural.shape[:-1], 1)), natural[..., : J - 1]], axis=-1)
        C = np.zeros((*natural.shape[:-1], J, J), dtype=natural.dtype) + np.eye(J)
        place = J - 1
        for j in range(J):
            for i in range(j):
                C[..., i, j] = C[..., j, i] = natural[..., place]
                place += 1
        return C * sd[..., :, None] * sd[..., None, :]


def _levinson(pi: Array) -> list[Array]:
    """Autocorrelations of partial ones (Durbin & Levinson)."""
    rho: list[Array] = []
    weights: list[Array] = []
    left = 1.0
    for k in range(pi.shape[-1]):
        new = pi[..., k]
        rho.append(new * left + sum((w * rho[k - 1 - j] for j, w in enumerate(weights)), 0.0))
        weights = [w - new * weights[k - 1 - j] for j, w in enumerate(weights)] + [new]
        left = left * (1 - new**2)
    return rho


def _partial(rho: Array) -> Array:
    """Partial autocorrelations, the ratio of what a lag adds and what is left (Durbin & Levinson)."""
    pi, weights, left = [], np.zeros(0), 1.0
    for k, value in enumerate(rho):
        new = (value - weights @ rho[:k][::-1]) / left
        weights = np.append(weights - new * weights[::-1], new)
        left *= 1 - new**2
        pi.append(np.clip(new, -1 + 1e-15, 1 - 1e-15))
    return np.array(pi)


def _spherical(u: Array, J: int) -> list[Array]:
    """Relative SDs and correlations of L L', L_11 = 1, diagonal entries exp(u)."""
    row, column = np.tril_indices(J)
    L = np.zeros((*u.shape[:-1], J, J), dtype=u.dtype)
    L[..., 0, 0] = 1
    L[..., row[1:], column[1:]] = np.where(row[1:] == column[1:], np.exp(u), u)
    R = L @ np.swapaxes(L, -1, -2)
    sd = [np.sqrt(R[..., j, j]) for j in range(J)]
    return [*sd[1:], *(R[..., i, j] / sd[i] / sd[j] for j in range(J) for i in range(j))]


def _unbounded(natural: Array, J: int) -> Array:
    sd = np.concatenate([[1.0], natural[: J - 1]])
    C, place = np.eye(J), J - 1
    for j in range(J):
        for i in range(j):
            C[i, j] = C[j, i] = natural[place]
            place += 1
    values, vectors = np.linalg.eigh(C)
    lower = np.linalg.cholesky((vectors * np.maximum(values, 1e-12)) @ vectors.T) * sd[:, None]
    row, column = np.tril_indices(J)
    found = lower[row[1:], column[1:]]
    return np.where(row[1:] == column[1:], np.log(np.abs(found) + 1e-300), found)
