"""Residuals that are sums of independent draws, one a unit of time: cov(s, t) = min(s, t).

Seed 004, example 4: a tree's height deviates from its line by the sum of its yearly deviations. sigma is the
SD of the sum after one unit of time; there is no further parameter.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lmmcore.covariance.dense import DenseResidual
from lmmcore.covariance.parameter import StructureParameter
from lmmcore.covariance.residual import Subject
from lmmcore.errors import DataError
from lmmcore.system.moments.dense import Matrices
from lmmcore.system.moments.subjects import SortedRows


@dataclass(frozen=True)
class RandomWalk:
    """Random-walk residuals that start from 0 at time 0."""

    time: str
    subject: Subject = None
    by: str | None = None

    type = "random_walk"
    takes_visits = True

    def check(self, times: np.ndarray) -> None:
        """Raise DataError for times that are not positive."""
        if times.min(initial=1.0) <= 0:
            raise DataError(
                f"RandomWalk({self.time!r}) starts from 0 at time 0, so that all times must be positive, but "
                f"{self.time!r} has {times.min():.15g}; count time from just before the first measurement."
            )

    def bind(self, rows: SortedRows) -> DenseResidual:
        """The structure for one data set."""
        return DenseResidual(RandomWalkLaw(), rows)


@dataclass(frozen=True)
class RandomWalkLaw:
    """min(s, t)."""

    parameter_names = ()

    @property
    def independence(self) -> np.ndarray:
        """There is no parameter."""
        return np.empty(0)

    def starts(self, rows: SortedRows, residuals: np.ndarray) -> list[np.ndarray]:
        """The only point there is."""
        return [np.empty(0)]

    def parameters(self) -> list[StructureParameter]:
        """None."""
        return []

    def natural(self, z: np.ndarray) -> np.ndarray:
        """Nothing."""
        return np.empty(0)

    def at_boundary(self, natural: np.ndarray) -> list[str]:
        """Nothing."""
        return []

    def matrices(self, z: np.ndarray, times: np.ndarray) -> Matrices:
        """R, without derivatives."""
        R = self.cross(z, times, times)
        return Matrices(R, np.empty((0, *R.shape)), np.empty((0, 0, *R.shape)))

    def cross(self, natural: np.ndarray, new: np.ndarray, seen: np.ndarray) -> np.ndarray:
        """min(s, t) : (..., a, b)."""
        return np.minimum(new[..., :, None], seen[..., None, :])

    def variance(self, natural: np.ndarray, times: np.ndarray) -> np.ndarray:
        """The time itself."""
        return times.astype(float)
