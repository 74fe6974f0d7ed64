"""Toeplitz residuals: a correlation of its own for each lag of a visit grid.

The parameters are the partial autocorrelations on the scale artanh, from which the Durbin-Levinson
recursion gives the correlations: any values make a positive definite R (Barndorff-Nielsen & Schou 1973).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from lmmcore.covariance.dense import DenseResidual
from lmmcore.covariance.parameter import FISHER, FISHER_ENDS, Jet, StructureParameter, fisher
from lmmcore.covariance.residual import Subject
from lmmcore.errors import DataError
from lmmcore.formula.levels import level_text, told_apart
from lmmcore.system.moments.dense import Matrices
from lmmcore.system.moments.subjects import SortedRows

MOST_LAGS = 40
# R can become singular along a combination of the visits, of which it has one free angle for two lags: where
# there are more angles than subjects some combination is 0 in all of them, and the likelihood has no maximum.
# With twice as many (2 subjects at 9 visits) that happens always, with fewer often not.
LAGS_A_SUBJECT = 4
AT_ONE = 1e-6
START_DECAYS = (0.0, 0.3, 0.6, 0.85)
# Further ones in up to so many rows: small samples have several optima more often.
FEW_DECAYS = (-0.5, 0.97)
FEW_ROWS = 100


@dataclass(frozen=True)
class Toeplitz:
    """A free correlation for each lag over the whole-number visits `time`."""

    time: str
    subject: Subject = None
    by: str | None = None

    type = "toeplitz"
    takes_visits = True

    def check(self, times: np.ndarray) -> None:
        """Raise DataError unless the times are whole numbers on a short grid."""
        if np.any(times != np.round(times)):
            raise DataError(
                f"Toeplitz({self.time!r}) needs whole-number times; number the visits 1, 2, 3, ... or use "
                f"Exponential({self.time!r}) for irregular times."
            )

    def bind(self, rows: SortedRows) -> DenseResidual:
        """The structure for one data set."""
        distinct = np.unique(rows.times)
        step = float(np.gcd.reduce(np.diff(distinct).astype(np.int64))) if len(distinct) > 1 else 1.0
        lags = int((distinct[-1] - distinct[0]) / step)
        if lags > MOST_LAGS:
            raise DataError(
                f"Toeplitz({self.time!r}) would estimate {lags} correlations, one a lag, and allows "
                f"{MOST_LAGS}; use AR1({self.time!r}) or Exponential({self.time!r})."
            )
        N = len(rows.starts)
        if lags >= LAGS_A_SUBJECT * N:
            raise DataError(
                f"Toeplitz({self.time!r}) would estimate {lags} correlations, one a lag, from {N} "
                f"subject{'s' * (N > 1)}, and allows fewer than {LAGS_A_SUBJECT} per subject; use "
                f"AR1({self.time!r}) or Exponential({self.time!r})."
            )
        self._check_lags(rows, step, lags)
        return DenseResidual(ToeplitzLaw(step, lags, float(distinct[0])), rows)

    def _check_lags(self, rows: SortedRows, step: float, lags: int) -> None:
        """Raise DataError for a lag that no pair of rows has: its correlation could be anything."""
        seen: set[int] = set()
        for apart in range(1, len(rows.times)):
            same = rows.subject[apart:] == rows.subject[:-apart]
            if not same.any():
                break
            gaps = (rows.times[apart:] - rows.times[:-apart])[same] / step
            seen.update(np.unique(gaps).astype(int).tolist())
        missing = sorted(set(range(1, lags + 1)) - seen)
        if missing:
            listed = ", ".join(told_apart([lag * step for lag in missing]))
            raise DataError(
                f"Toeplitz({self.time!r}) estimates a correlation for each lag, but no two rows of a subject "
                f"are {listed} apart; number the visits 1, 2, 3, ... or use AR1({self.time!r})."
            )


@dataclass(frozen=True)
class ToeplitzLaw:
    """Correlations of lags 1..lags in steps of `step` units of time; first : the first visit."""

    step: float
    lags: int
    first: float

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """One name a lag, in units of time."""
        lags = [self.step * lag for lag in range(1, self.lags + 1)]
        return tuple(f"rho({lag})" for lag in told_apart(lags))

    @property
    def independence(self) -> np.ndarray:
        """No partial autocorrelation."""
        return np.zeros(self.lags)

    def starts(self, rows: SortedRows, residuals: np.ndarray) -> list[np.ndarray]:
        """AR(1) correlations: only the first partial autocorrelation differs from 0."""
        decays = (*FEW_DECAYS, *START_DECAYS) if rows.n <= FEW_ROWS else START_DECAYS
        return [np.arctanh(decay) * (np.arange(self.lags) == 0) for decay in decays]

    def parameters(self) -> list[StructureParameter]:
        """The correlation of each lag, a function of several partial autocorrelations."""

        def of(lag: int, z: np.ndarray) -> Jet:
            value, first, second = correlations(z)
            return fisher(Jet(float(value[lag]), first[:, lag], second[:, :, lag]))

        return [StructureParameter(FISHER, FISHER_ENDS, partial(of, lag)) for lag in range(self.lags)]

    def natural(self, z: np.ndarray) -> np.ndarray:
        """Correlations by lag."""
        return correlations(z)[0]

    def at_boundary(self, natural: np.ndarray) -> list[str]:
        """A correlation of 1."""
        return [
            f"{name} is {np.sign(value):.0f}"
            for name, value in zip(self.parameter_names, natural, strict=True)
            if 1 - abs(value) < AT_ONE
        ]

    def matrices(self, z: np.ndarray, times: np.ndarray) -> Matrices:
        """R and its derivatives by the partial autocorrelations."""
        value, first, second = correlations(z)
        m = self.lags
        value = np.concatenate([[1.0], value])
        first = np.concatenate([np.zeros((m, 1)), first], axis=1)
        second = np.concatenate([np.zeros((m, m, 1)), second], axis=2)
        lag = self._lag(times, times)
        return Matrices(value[lag], first[:, lag], second[:, :, lag])

    def _lag(self, new: np.ndarray, seen: np.ndarray) -> np.ndarray:
        for times in (new, seen):
            place = (times - self.first) / self.step
            if np.any((place != np.round(place)) | (place < 0) | (place > self.lags)):
                first, last = level_text(self.first), level_text(self.first + self.lags * self.step)
                raise DataError(
                    f"A Toeplitz correlation knows the visits from {first} to {last} in steps of "
                    f"{level_text(self.step)} only; predict at one of these."
                )
        return np.round(np.abs(new[..., :, None] - seen[..., None, :]) / self.step).astype(int)

    def cross(self, natural: np.ndarray, new: np.ndarray, seen: np.ndarray) -> np.ndarray:
        """Correlation by lag : (..., a, b)."""
        return np.concatenate([[1.0], natural])[self._lag(new, seen)]

    def variance(self, natural: np.ndarray, times: np.ndarray) -> np.ndarray:
        """1 at every visit."""
        return np.ones(times.shape)


def correlations(z: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Correlations of lags 1..m with first and second derivatives : (m,), (m, m), (m, m, m).

    Durbin-Levinson: rho_k = pi_k v_{k-1} + sum_j a_{k-1,j} rho_{k-j}, v_k = v_{k-1} (1 - pi_k^2),
    a_{k,j} = a_{k-1,j} - pi_k a_{k-1,k-j}, a_{k,k} = pi_k = tanh z_k; derivatives last index first.
    """
    m = len(z)
    unit = np.eye(m)
    pi = [
        _Jet(np.tanh(z[k]), (1 - np.tanh(z[k]) ** 2) * unit[k], _bend(z[k]) * np.outer(unit[k], unit[k]))
        for k in range(m)
    ]
    left = _Jet(1.0, np.zeros(m), np.zeros((m, m)))
    weights: list[_Jet] = []
    rho: list[_Jet] = []
    for k in range(m):
        value = pi[k] * left
        for j, weight in enumerate(weights):
            value = value + weight * rho[k - 1 - j]
        rho.append(value)
        turned = weights[::-1]
        weights = [weight - pi[k] * other for weight, other in zip(weights, turned, strict=True)]
        weights.append(pi[k])
        left = left - left * pi[k] * pi[k]
    return (
        np.array([jet.value for jet in rho]),
        np.array([jet.first for jet in rho]).reshape(m, m).T,
        np.array([jet.second for jet in rho]).reshape(m, m, m).transpose(1, 2, 0),
    )


def _bend(z: float) -> float:
    """Second derivative of tanh."""
    return float(-2 * np.tanh(z) * (1 - np.tanh(z) ** 2))


@dataclass(frozen=True)
class _Jet:
    """A number with its gradient and Hessian."""

    value: float
    first: np.ndarray
    second: np.ndarray

    def __add__(self, other: _Jet) -> _Jet:
        return _Jet(self.value + other.value, self.first + other.first, self.second + other.second)

    def __sub__(self, other: _Jet) -> _Jet:
        return _Jet(self.value - other.value, self.first - other.first, self.second - other.second)

    def __mul__(self, other: _Jet) -> _Jet:
        cross = np.outer(self.first, other.first)
        return _Jet(
            self.value * other.value,
            self.value * other.first + other.value * self.first,
            self.value * other.second + other.value * self.second + cross + cross.T,
        )
