"""Correlations that fall with the distance in time, for any times.

    CAR1          rho^|t - s|                                 (= Exponential with rho = exp(-1/range))
    Exponential   (1 - nugget) exp(-|t - s| / range)
    Gaussian      (1 - nugget) exp(-(|t - s| / range)^2)

The nugget is the share of the variance that is measurement error; the definitions are nlme's (corCAR1,
corExp, corGaus; Pinheiro & Bates 2000, section 5.3.2). The parameters are log range and w with
nugget = w^2 / (1 + w^2), so that a nugget of 0 is an ordinary stationary point.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lmmcore.covariance.dense import DenseResidual
from lmmcore.covariance.parameter import (
    FAR_LOG,
    LOG,
    SHARE,
    End,
    Jet,
    StructureParameter,
    entry,
    on_own_scale,
)
from lmmcore.covariance.residual import Subject
from lmmcore.system.moments.dense import Matrices
from lmmcore.system.moments.markov import MarkovMoments, markov_moments
from lmmcore.system.moments.subjects import SortedRows

# Starting values: the correlation one median gap apart, and w of the nugget.
CORRELATIONS = (0.05, 0.6, 0.85)
START_W = 0.5
# A nugget or a correlation over the shortest gap below this is a zero, one that leaves this to 1 over the
# longest time of a subject is a one.
ZERO = 1e-6


@dataclass(frozen=True)
class CAR1:
    """Continuous-time AR(1): correlation rho^|t - s| for any times, 0 < rho < 1 per unit of time."""

    time: str
    subject: Subject = None
    by: str | None = None

    type = "car1"

    def check(self, times: np.ndarray) -> None:
        """Any times will do."""

    def bind(self, rows: SortedRows) -> DenseResidual:
        """The structure for one data set."""
        return MarkovResidual(_law(1, False, rows, as_rho=True), rows)


@dataclass(frozen=True)
class Exponential:
    """Correlation (1 - nugget) exp(-|t - s| / range); nugget=True adds measurement error."""

    time: str
    nugget: bool = False
    subject: Subject = None
    by: str | None = None

    type = "exponential"

    def check(self, times: np.ndarray) -> None:
        """Any times will do."""

    def bind(self, rows: SortedRows) -> DenseResidual:
        """The structure for one data set."""
        kind = DenseResidual if self.nugget else MarkovResidual
        return kind(_law(1, self.nugget, rows), rows)


@dataclass(frozen=True)
class Gaussian:
    """Correlation (1 - nugget) exp(-(|t - s| / range)^2); nugget=True adds measurement error."""

    time: str
    nugget: bool = False
    subject: Subject = None
    by: str | None = None

    type = "gaussian"

    def check(self, times: np.ndarray) -> None:
        """Any times will do."""

    def bind(self, rows: SortedRows) -> DenseResidual:
        """The structure for one data set."""
        return DenseResidual(_law(2, self.nugget, rows), rows)


class MarkovResidual(DenseResidual):
    """Exponential correlation without a nugget: the gaps between neighbouring rows are all it depends on."""

    def moments(self, Z: Sequence[np.ndarray], XY: Sequence[np.ndarray]) -> MarkovMoments:
        """R^-1 is tridiagonal: no matrix is inverted."""
        return markov_moments(Z, XY, self.rows)


def _law(power: int, nugget: bool, rows: SortedRows, as_rho: bool = False) -> PowerExponential:
    ends = np.append(rows.starts[1:], len(rows.times))
    pairs = rows.n - len(rows.starts)
    middle = pairs // 2  # the gaps before first rows are infinite and come last
    return PowerExponential(
        power,
        nugget,
        float(np.partition(rows.gaps, middle)[middle]) if pairs else 1.0,
        float(rows.gaps.min()) if pairs else 1.0,
        float((rows.times[ends - 1] - rows.times[rows.starts]).max()),
        as_rho,
    )


@dataclass(frozen=True)
class PowerExponential:
    """(1 - nugget) exp(-(d / range)^power).

    median_gap, shortest_gap : of neighbouring rows; longest : time between a subject's first and last row.
    """

    power: int
    nugget: bool
    median_gap: float
    shortest_gap: float
    longest: float
    as_rho: bool

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """rho, or range, and nugget."""
        return ("rho" if self.as_rho else "range", *(("nugget",) if self.nugget else ()))

    @property
    def independence(self) -> np.ndarray:
        """A range of a twentieth of the shortest gap."""
        return np.array([np.log(self.shortest_gap / 20), *([0.0] if self.nugget else [])])

    def starts(self, rows: SortedRows, residuals: np.ndarray) -> list[np.ndarray]:
        """Correlations one median gap apart, with and without a share of measurement error."""
        ranges = [
            np.log(self.median_gap / (-np.log(correlation)) ** (1 / self.power))
            for correlation in CORRELATIONS
        ]
        return [np.array([value, *([START_W] if self.nugget else [])]) for value in ranges]

    def natural(self, z: np.ndarray) -> np.ndarray:
        """(range[, nugget]): of CAR1 too, whose rho per unit of time is 0 or 1 to the last digit where that
        unit is a large or a small one."""
        with np.errstate(over="ignore"):
            return np.array([np.exp(z[0]), *([z[1] ** 2 / (1 + z[1] ** 2)] if self.nugget else [])])

    def parameters(self) -> list[StructureParameter]:
        """The range or rho, by the log range; the nugget, by w, in which the deviance is even."""
        shortest = float(np.log(self.shortest_gap)) - np.log(40) / self.power
        longest = float(np.log(self.median_gap)) + FAR_LOG / self.power
        ends = (End(shortest, 0.0), End(longest, 1.0 if self.as_rho else np.inf))
        scale = LOG
        if self.as_rho:
            scale = on_own_scale(
                "log range", lambda t: float(np.exp(-np.exp(-t))), lambda t: float(np.exp(-np.exp(-t) - t))
            )
        found = [StructureParameter(scale, ends, entry(0))]
        if self.nugget:
            found.append(StructureParameter(SHARE, (End(0.0, 0.0), End(1e4, 1.0)), _magnitude))
        return found

    def as_named(self, natural: np.ndarray) -> np.ndarray:
        """(..., m), as they are named: rho instead of the range."""
        if not self.as_rho:
            return natural
        with np.errstate(divide="ignore"):
            return np.concatenate([np.exp(-1 / natural[..., :1]), natural[..., 1:]], axis=-1)

    def further(self, natural: np.ndarray) -> dict[str, float]:
        """What says more than rho does: the range, and the time in which the correlation halves."""
        reach = float(natural[0])
        return {"range": reach, "half-life": reach * float(np.log(2))} if self.as_rho else {}

    def at_boundary(self, natural: np.ndarray) -> list[str]:
        """No correlation even over the shortest gap, or no nugget."""
        phrases = []
        if self._decay(natural, np.array(self.longest)) > 1 - ZERO:
            phrases.append("rho is 1" if self.as_rho else "range is infinite")
        if self._correlation(natural, np.array(self.shortest_gap)) < ZERO:
            phrases.append("rho is 0" if self.as_rho else "range is 0")
        if self.nugget and natural[1] < ZERO:
            phrases.append("nugget is 0")
        return phrases

    def matrices(self, z: np.ndarray, times: np.ndarray) -> Matrices:
        """R and its derivatives by (log range[, w])."""
        c, n = times.shape
        distance = np.abs(times[:, :, None] - times[:, None, :])
        u = (distance * np.exp(-z[0])) ** self.power
        f = np.exp(-u)
        f1 = self.power * u * f
        f2 = self.power**2 * u * (u - 1) * f
        off = 1 - np.eye(n)
        one = np.eye(n)
        if not self.nugget:
            return Matrices(one + off * f, (off * f1)[None], (off * f2)[None, None])
        w = z[1]
        share = 1 / (1 + w**2)
        share1 = -2 * w * share**2
        share2 = (6 * w**2 - 2) * share**3
        first = np.stack([off * share * f1, off * share1 * f])
        mixed = off * share1 * f1
        second = np.stack([np.stack([off * share * f2, mixed]), np.stack([mixed, off * share2 * f])])
        return Matrices(one + off * share * f, first, second)

    def _correlation(self, natural: np.ndarray, distance: np.ndarray) -> np.ndarray:
        size = self._decay(natural, distance)
        return size * (1 - natural[1]) if self.nugget else size

    def _decay(self, natural: np.ndarray, distance: np.ndarray) -> np.ndarray:
        """Correlation but for the nugget."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(distance > 0, np.exp(-((distance / natural[0]) ** self.power)), 1.0)

    def cross(self, natural: np.ndarray, new: np.ndarray, seen: np.ndarray) -> np.ndarray:
        """Correlation of different measurements : (..., a, b)."""
        return self._correlation(natural, np.abs(new[..., :, None] - seen[..., None, :]))

    def variance(self, natural: np.ndarray, times: np.ndarray) -> np.ndarray:
        """1 at every time."""
        return np.ones(times.shape)


def _magnitude(z: np.ndarray) -> Jet:
    """|w|; 0 has the derivative of its positive side."""
    sign = -1.0 if z[1] < 0 else 1.0
    return Jet(sign * float(z[1]), sign * np.eye(2)[1], np.zeros((2, 2)))
