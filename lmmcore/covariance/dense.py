"""A residual structure whose R is written out for each set of times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from lmmcore.covariance.parameter import StructureParameter
from lmmcore.covariance.residual import Law, NewRows, Part, ResidualMoments, WrittenOut, parameters_of
from lmmcore.system.moments.dense import Matrices, dense_moments
from lmmcore.system.moments.subjects import SortedRows


@dataclass(frozen=True)
class DenseResidual:
    """A law bound to the sorted rows of one data set."""

    law: Law
    rows: SortedRows

    @property
    def parts(self) -> tuple[Part, ...]:
        """The law."""
        return (Part(self.law, slice(0, len(self.law.independence))),)

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """Names of the natural parameters."""
        return self.law.parameter_names

    @property
    def independence(self) -> np.ndarray:
        """z of (nearly) independent residuals."""
        return self.law.independence

    def starts(self, residuals: np.ndarray) -> list[np.ndarray]:
        """Values of z to start from."""
        return self.law.starts(self.rows, residuals)

    def moments(self, Z: Sequence[np.ndarray], XY: Sequence[np.ndarray]) -> ResidualMoments:
        """R of each set of times, inverted at each evaluation."""
        return dense_moments(Z, XY, self.rows, self.rows.times[:, None], self._matrices)

    @property
    def written_out(self) -> WrittenOut:
        """R as a matrix."""
        return WrittenOut(self.rows.times[:, None], self._matrices)

    def new_marks(self, new: NewRows) -> np.ndarray:
        """(a, 1) times."""
        return new.times[:, None]

    def _matrices(self, z: np.ndarray, marks: np.ndarray) -> Matrices:
        """R : (c, n, n) and its derivatives at marks : (c, n, 1)."""
        return self.law.matrices(z, marks[..., 0])

    def natural(self, z: np.ndarray) -> np.ndarray:
        """Parameters on their natural scale."""
        return self.law.natural(z)

    def at_boundary(self, natural: np.ndarray) -> list[str]:
        """A phrase for each parameter on the boundary of its space."""
        return self.law.at_boundary(natural)

    def parameters(self) -> list[StructureParameter]:
        """Each natural parameter as a function of z."""
        return parameters_of(self.law)

    def rebound(self, rows: SortedRows, index: np.ndarray) -> DenseResidual:
        """The same law over other rows."""
        return replace(self, rows=rows)

    def covariance(self, natural: np.ndarray, index: np.ndarray) -> np.ndarray:
        """R : (..., n, n) of the rows index : (..., n)."""
        times = self.rows.times[index]
        R = self.law.cross(natural, times, times)
        place = np.arange(index.shape[-1])
        R[..., place, place] = self.law.variance(natural, times)
        return R

    def cross(self, natural: np.ndarray, new: NewRows, index: np.ndarray) -> np.ndarray:
        """Covariance : (a, b) of further measurements with the rows index : (b,)."""
        return self.law.cross(natural, new.times, self.rows.times[index])
