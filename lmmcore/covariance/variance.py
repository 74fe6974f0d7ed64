"""Residual standard deviations that differ between rows.

    ByGroup(column)   a standard deviation for each level, relative to the first     (nlme varIdent)
    Power(of)         proportional to |v|^power, v a column or the fitted values      (nlme varPower)

A variance structure multiplies whatever residual structure there is: R = S C S with S = diag(exp(l)), where
l is linear in the parameters.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from lmmcore.covariance.parameter import FREE_ENDS, PLAIN, StructureParameter, entry, ratio
from lmmcore.data.table import Factor
from lmmcore.errors import DataError

FITTED = "fitted"
RAISED = 3.0  # factor of a starting standard deviation


class BoundVariance(Protocol):
    """l = log standard deviation of the rows of one data set, linear in z : (v,)."""

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """Names of the natural parameters."""

    def slopes(self, marks: np.ndarray) -> np.ndarray:
        """d l / d z : (v, ...) at marks : (...), the values that the variance depends on."""

    def starts(self, marks: np.ndarray, residuals: np.ndarray) -> list[np.ndarray]:
        """Values of z to start from, given least-squares residuals : (n,); the best guess last."""

    def natural(self, z: np.ndarray) -> np.ndarray:
        """Parameters on their natural scale."""

    def internal(self, natural: np.ndarray) -> np.ndarray:
        """z of natural parameters."""

    def parameters(self) -> list[StructureParameter]:
        """Each natural parameter as a function of z."""


class Variance(Protocol):
    """A variance structure as the user names it."""

    @property
    def column(self) -> str | None:
        """Column that the variance depends on; None for the fitted values."""

    def bind(self, column: np.ndarray | Factor) -> tuple[BoundVariance, np.ndarray]:
        """The structure and the marks : (n,) of the rows. Raises DataError for unusable values."""


@dataclass(frozen=True)
class ByGroup:
    """A residual standard deviation for each level of a category."""

    column: str

    def bind(self, column: np.ndarray | Factor) -> tuple[GroupVariance, np.ndarray]:
        """Marks are the numbers of the levels."""
        if not isinstance(column, Factor):
            raise DataError(
                f"ByGroup({self.column!r}) needs a category, but {self.column!r} is a number; name its "
                f"levels by categories={{{self.column!r}: [...]}}."
            )
        return GroupVariance(column.levels), column.codes.astype(float)


@dataclass(frozen=True)
class GroupVariance:
    """Relative standard deviations of all levels but the first."""

    levels: tuple[str, ...]

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """sd(level)/sd(first level)."""
        return tuple(f"sd({level})/sd({self.levels[0]})" for level in self.levels[1:])

    def slopes(self, marks: np.ndarray) -> np.ndarray:
        """Indicators of the levels."""
        return np.stack([(marks == number).astype(float) for number in range(1, len(self.levels))])

    def starts(self, marks: np.ndarray, residuals: np.ndarray) -> list[np.ndarray]:
        """Standard deviations of least-squares residuals by level, before them these with one of them RAISED:
        beside a correlation each level's rows may be the ones that it explains least."""
        sd = [residuals[marks == number].std() for number in range(len(self.levels))]
        smallest = max(max(sd) * 1e-2, 1e-300)
        z = np.log(np.maximum(sd[1:], smallest) / max(sd[0], smallest))
        return [z - np.log(RAISED), *(z + np.log(RAISED) * np.eye(len(z))), z]

    def parameters(self) -> list[StructureParameter]:
        """Ratios."""
        return [ratio(place) for place in range(len(self.levels) - 1)]

    def natural(self, z: np.ndarray) -> np.ndarray:
        """Ratios."""
        return np.exp(z)

    def internal(self, natural: np.ndarray) -> np.ndarray:
        """Logarithms."""
        return np.log(natural)


@dataclass(frozen=True)
class Power:
    """Standard deviation proportional to |v|^power; of : a column, or "fitted" for the fitted values."""

    of: str

    @property
    def column(self) -> str | None:
        """The column v, None for the fitted values."""
        return None if self.of == FITTED else self.of

    def bind(self, column: np.ndarray | Factor) -> tuple[PowerVariance, np.ndarray]:
        """Marks are log|v|."""
        if isinstance(column, Factor):
            raise DataError(
                f"Power(of={self.of!r}) needs a number, but {self.of!r} is a category; use ByGroup."
            )
        if np.any(column == 0):
            raise DataError(
                f"Power(of={self.of!r}) needs values other than 0, but {self.of!r} is 0 in "
                f"{int(np.sum(column == 0))} rows, where the variance would be 0; shift it or use ByGroup."
            )
        return PowerVariance(), np.log(np.abs(column))


@dataclass(frozen=True)
class PowerVariance:
    """The exponent."""

    parameter_names = ("power",)

    def slopes(self, marks: np.ndarray) -> np.ndarray:
        """log|v|."""
        return marks[None]

    def starts(self, marks: np.ndarray, residuals: np.ndarray) -> list[np.ndarray]:
        """0, and the slope of log|residual| on log|v|."""
        centred = marks - marks.mean()
        spread = centred @ centred
        logs = np.log(np.maximum(np.abs(residuals), 1e-3 * np.abs(residuals).max()))
        return [np.zeros(1), np.array([centred @ logs / spread if spread > 0 else 0.0])]

    def parameters(self) -> list[StructureParameter]:
        """The exponent."""
        return [StructureParameter(PLAIN, FREE_ENDS, entry(0))]

    def natural(self, z: np.ndarray) -> np.ndarray:
        """The exponent itself."""
        return z

    def internal(self, natural: np.ndarray) -> np.ndarray:
        """The exponent itself."""
        return natural
