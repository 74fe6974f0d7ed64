"""First-order autoregressive residuals: correlation rho^|t - s| between whole-number times.

Gaps are allowed: the correlation over a gap of d is rho^d, as in nlme's corAR1(form = ~ time | subject).
Let g be the greatest common divisor of all gaps (2 for ages 8, 10, 12, 14). The process is then observed on
a grid of step g, and its correlation phi = rho^g over one step is the parameter, on the unbounded scale
z = artanh(phi). A negative phi is allowed for any g; rho is reported as sign(phi) |phi|^(1/g).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from lmmcore.covariance.dense import DenseResidual
from lmmcore.covariance.parameter import StructureParameter, correlation
from lmmcore.covariance.residual import NewRows, Part, Subject, WrittenOut
from lmmcore.errors import DataError
from lmmcore.system.moments.dense import Matrices
from lmmcore.system.moments.serial import Combination, Gaps, SerialMoments, find_gaps, serial_moments
from lmmcore.system.moments.subjects import SortedRows

# Starting values of phi: the deviance can have a second local optimum near 1.
STARTS = (-0.4, 0.0, 0.3, 0.6, 0.85)
# 1 - |rho|^step below which rho has run to the boundary.
AT_ONE = 1e-6
# Beyond this z the correlation is 1 to thirteen digits and R is singular.
LARGEST_Z = 15.0


@dataclass(frozen=True)
class AR1:
    """AR(1) residuals over the whole-number column `time`.

    subject : grouping column, or columns whose combinations are the subjects; by default the innermost random
    grouping factor.
    """

    time: str
    subject: Subject = None
    by: str | None = None

    type = "ar1"
    takes_visits = True

    def check(self, times: np.ndarray) -> None:
        """Raise DataError unless times : (n,) are whole numbers."""
        fractional = np.flatnonzero(times != np.round(times))
        if len(fractional):
            raise DataError(
                f"AR1 needs whole-number times, but {self.time!r} has {times[fractional[0]]:.15g}: for "
                f"irregular times use CAR1({self.time!r}), whose correlation is a function of any distance "
                "in time, or number the visits 1, 2, 3, ... if they are equally spaced."
            )

    def bind(self, rows: SortedRows) -> BoundAR1:
        """The structure for one data set."""
        gaps = np.diff(rows.times)[rows.subject[1:] == rows.subject[:-1]]
        if not len(gaps) or gaps.min() == 1:
            return BoundAR1(1, rows)
        return BoundAR1(int(np.gcd.reduce(np.unique(gaps).astype(np.int64))), rows)


@dataclass(frozen=True)
class BoundAR1:
    """AR(1) on a grid of `step` units of time."""

    step: int
    rows: SortedRows

    parameter_names = ("rho",)

    @cached_property
    def gaps(self) -> Gaps:
        """Neighbouring rows, needed where the visits make no grid."""
        return find_gaps(self.rows.times, self.rows.subject)

    @property
    def law(self) -> AR1Law:
        """The correlation."""
        return AR1Law(self.step)

    @property
    def parts(self) -> tuple[Part, ...]:
        """The correlation."""
        return (Part(self.law, slice(0, 1)),)

    def parameters(self) -> list[StructureParameter]:
        """The correlation over one unit of time."""
        return self.law.parameters()

    def rebound(self, rows: SortedRows, index: np.ndarray) -> BoundAR1:
        """Over other rows."""
        return BoundAR1(self.step, rows)

    def moments(self, Z: Sequence[np.ndarray], XY: Sequence[np.ndarray]) -> SerialMoments:
        """Three fixed matrices a gap, combined anew at each correlation."""
        return serial_moments(Z, XY, self.rows, self.gaps, self.combination)

    @property
    def written_out(self) -> WrittenOut:
        """R as a matrix."""
        return DenseResidual(self.law, self.rows).written_out

    def new_marks(self, new: NewRows) -> np.ndarray:
        """(a, 1) times."""
        return new.times[:, None]

    def combination(self, z: np.ndarray) -> Combination:
        """Coefficients of F, D_d, K_d + K_d', P_d (moments.serial) as functions of z : (1,).

        Raises LinAlgError where R is numerically singular.
        """
        unit, slope, bend = one_step(z[0])
        counts = self.gaps.counts
        steps = self.gaps.sizes / self.step
        phi, by_unit, by_unit2 = power(unit, steps)
        first = by_unit * slope
        second = by_unit2 * slope**2 + by_unit * bend
        # log|phi| to the last digit, however near to 0 it is; so are 1 - phi^2, and 1 + phi where it is small
        size = np.log1p(-2 / (np.exp(2 * abs(z[0])) + 1)) if z[0] else -np.inf
        log_size = steps * size
        e = -np.expm1(2 * log_size)
        other = np.where(phi < 0, -np.expm1(log_size), 1 + phi)
        none = np.zeros_like(phi)
        value = np.array([1 / e, 1 / other, none - 1])
        by_phi = np.array([2 * phi / e**2, -1 / other**2, none])
        by_phi2 = np.array([(2 + 6 * phi**2) / e**3, 2 / other**3, none])
        log_by_phi = -2 * phi * counts / e
        log_by_phi2 = -2 * (1 + phi**2) * counts / e**2
        return Combination(
            np.concatenate([[1.0], value.ravel()]),
            np.concatenate([[0.0], (by_phi * first).ravel()])[None],
            np.concatenate([[0.0], (by_phi2 * first**2 + by_phi * second).ravel()])[None, None],
            float(counts @ np.log(e)),
            np.array([log_by_phi @ first]),
            np.array([[log_by_phi2 @ first**2 + log_by_phi @ second]]),
        )

    def natural(self, z: np.ndarray) -> np.ndarray:
        """(rho,) from z."""
        return self.law.natural(z)

    @property
    def independence(self) -> np.ndarray:
        """z without any correlation."""
        return self.law.independence

    def starts(self, residuals: np.ndarray) -> list[np.ndarray]:
        """Values of z to try first."""
        return self.law.starts(self.rows, residuals)

    def at_boundary(self, natural: np.ndarray) -> list[str]:
        """Phrases for a correlation of 1 or -1."""
        return self.law.at_boundary(natural)

    def covariance(self, natural: np.ndarray, index: np.ndarray) -> np.ndarray:
        """rho^|t - s| : (..., n, n)."""
        times = self.rows.times[index]
        return self.law.cross(natural, times, times)

    def cross(self, natural: np.ndarray, new: NewRows, index: np.ndarray) -> np.ndarray:
        """rho^|t - s| : (a, b)."""
        return self.law.cross(natural, new.times, self.rows.times[index])


@dataclass(frozen=True)
class AR1Law:
    """The correlation written out, on a grid of `step` units of time."""

    step: int

    parameter_names = ("rho",)

    @property
    def independence(self) -> np.ndarray:
        """z without any correlation."""
        return np.zeros(1)

    def starts(self, rows: SortedRows, residuals: np.ndarray) -> list[np.ndarray]:
        """Values of z to try first."""
        return [np.arctanh([phi]) for phi in STARTS]

    def parameters(self) -> list[StructureParameter]:
        """The correlation over one unit of time."""
        return [correlation(0, self.step)]

    def natural(self, z: np.ndarray) -> np.ndarray:
        """(rho,) from z."""
        phi = np.tanh(z)
        return np.sign(phi) * np.abs(phi) ** (1 / self.step)

    def at_boundary(self, natural: np.ndarray) -> list[str]:
        """Phrases for a correlation of 1 or -1."""
        rho = float(natural[0])
        return [f"rho is {np.sign(rho):.0f}"] if 1 - abs(rho) ** self.step < AT_ONE else []

    def matrices(self, z: np.ndarray, times: np.ndarray) -> Matrices:
        """R and its derivatives by z."""
        unit, slope, bend = one_step(z[0])
        apart = np.abs(times[:, :, None] - times[:, None, :]) / self.step
        off = apart > 0
        value, by_unit, by_unit2 = power(unit, np.where(off, apart, 1.0))
        first = np.where(off, by_unit * slope, 0.0)
        second = np.where(off, by_unit2 * slope**2 + by_unit * bend, 0.0)
        return Matrices(np.where(off, value, 1.0), first[None], second[None, None])

    def cross(self, natural: np.ndarray, new: np.ndarray, seen: np.ndarray) -> np.ndarray:
        """rho^|t - s| : (..., a, b). Off the grid the sign of a negative rho is that of the nearest step."""
        distance = np.abs(new[..., :, None] - seen[..., None, :])
        size = np.abs(natural[0]) ** distance
        return size if natural[0] >= 0 else size * np.where(np.round(distance / self.step) % 2, -1, 1)

    def variance(self, natural: np.ndarray, times: np.ndarray) -> np.ndarray:
        """1 at every time."""
        return np.ones(times.shape)


def one_step(z: float) -> tuple[float, float, float]:
    """tanh z and its first two derivatives; LinAlgError where it is a correlation of 1 or -1."""
    if not abs(z) < LARGEST_Z:
        raise np.linalg.LinAlgError("Numerically singular matrix")
    unit, slope = np.tanh(z), 1 / np.cosh(z) ** 2
    return unit, slope, -2 * unit * slope


def power(base: float, exponents: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """base^d and its first two derivatives by the base, also at 0, for d >= 1 whole.

    Between whole numbers a negative base keeps the sign of the nearest one.
    """
    d = exponents
    size, sign = abs(base), np.where((base < 0) & (np.round(d) % 2 == 1), -1.0, 1.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        first = sign * np.sign(base or 1.0) * d * size ** (d - 1)
        second = np.where(d == 1, 0.0, sign * d * (d - 1) * size ** (d - 2))
    return sign * size**d, first, second
