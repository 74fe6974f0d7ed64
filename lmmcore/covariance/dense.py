"""A bound residual structure whose R is written out: what all such structures share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from lmmcore.moments.dense import DenseMoments, Matrices, dense_moments
from lmmcore.moments.subjects import SortedRows


class Law(Protocol):
    """The covariance itself: R as a function of times and unbounded parameters z : (m,)."""

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """Names of the natural parameters."""

    @property
    def independence(self) -> np.ndarray:
        """z of (nearly) independent residuals."""

    def starts(self, rows: SortedRows, residuals: np.ndarray) -> list[np.ndarray]:
        """Values of z to start from, given least-squares residuals : (n,)."""

    def natural(self, z: np.ndarray) -> np.ndarray:
        """Parameters on their natural scale."""

    def at_boundary(self, natural: np.ndarray) -> list[str]:
        """A phrase for each parameter on the boundary of its space."""

    def matrices(self, z: np.ndarray, times: np.ndarray) -> Matrices:
        """R : (c, n, n) at times : (c, n), with exact derivatives."""

    def cross(self, natural: np.ndarray, new: np.ndarray, seen: np.ndarray) -> np.ndarray:
        """Covariance : (..., a, b) of different measurements at times (..., a) and (..., b)."""

    def variance(self, natural: np.ndarray, times: np.ndarray) -> np.ndarray:
        """Variance of a measurement at each time, relative to sigma^2."""


@dataclass(frozen=True)
class DenseResidual:
    """A law bound to the rows of one data set."""

    law: Law

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """Names of the natural parameters."""
        return self.law.parameter_names

    @property
    def independence(self) -> np.ndarray:
        """z of (nearly) independent residuals."""
        return self.law.independence

    def starts(self, rows: SortedRows, residuals: np.ndarray) -> list[np.ndarray]:
        """Values of z to start from."""
        return self.law.starts(rows, residuals)

    def moments(self, Z: Sequence[np.ndarray], XY: Sequence[np.ndarray], rows: SortedRows) -> DenseMoments:
        """R of each set of times, inverted at each evaluation."""
        return dense_moments(Z, XY, rows, self.law.matrices)

    def natural(self, z: np.ndarray) -> np.ndarray:
        """Parameters on their natural scale."""
        return self.law.natural(z)

    def at_boundary(self, natural: np.ndarray) -> list[str]:
        """A phrase for each parameter on the boundary of its space."""
        return self.law.at_boundary(natural)

    def covariance(self, natural: np.ndarray, times: np.ndarray) -> np.ndarray:
        """R : (..., n, n) at times : (..., n)."""
        R = self.law.cross(natural, times, times)
        place = np.arange(times.shape[-1])
        R[..., place, place] = self.law.variance(natural, times)
        return R

    def cross(self, natural: np.ndarray, new: np.ndarray, seen: np.ndarray) -> np.ndarray:
        """Covariance : (a, b) of further measurements at new : (a,) with those at seen : (b,)."""
        return self.law.cross(natural, new, seen)
