"""What a residual structure is: a map from unbounded parameters to R, in two steps.

A user names a `Residual` (AR1("time")); bound to the rows of one data set it becomes a `BoundResidual`, which
makes the moments of the likelihood and knows its parameters. A structure is one small file; it is used
wherever it is passed as `residual=`, nothing has to be registered.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from lmmcore.moments.subjects import SortedRows, Subjects, Weights


class ResidualMoments(Protocol):
    """Moments of every subject as a function of the structure's parameters phi : (m,)."""

    def rotated(self, fixed: np.ndarray, random: np.ndarray) -> ResidualMoments:
        """Moments of [Z random, X fixed, y] for fixed : (r-1, r-1), random : (q, q)."""

    def at(self, phi: np.ndarray) -> Subjects:
        """The moments."""

    def first(self, phi: np.ndarray) -> list[Subjects]:
        """Their derivative by each parameter."""

    def curvature(self, phi: np.ndarray, weights: Weights) -> np.ndarray:
        """The part of the Hessian linear in second derivatives of R^-1 and log|R| : (m, m)."""


class BoundResidual(Protocol):
    """A residual structure for the rows of one data set; z : (m,) are its unbounded parameters."""

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """Names of the natural parameters."""

    @property
    def independence(self) -> np.ndarray:
        """z of (nearly) independent residuals."""

    def starts(self, rows: SortedRows, residuals: np.ndarray) -> list[np.ndarray]:
        """Values of z to start from, given least-squares residuals : (n,) of the sorted rows; those near the
        end of the list explain most by the correlation."""

    def moments(self, Z: Sequence[np.ndarray], XY: Sequence[np.ndarray], rows: SortedRows) -> ResidualMoments:
        """Moments of columns (n,) of Z and [X y]."""

    def natural(self, z: np.ndarray) -> np.ndarray:
        """Parameters on their natural scale."""

    def at_boundary(self, natural: np.ndarray) -> list[str]:
        """A phrase for each parameter on the boundary of its space."""

    def covariance(self, natural: np.ndarray, times: np.ndarray) -> np.ndarray:
        """R : (..., n, n) at times : (..., n), relative to sigma^2."""

    def cross(self, natural: np.ndarray, new: np.ndarray, seen: np.ndarray) -> np.ndarray:
        """Covariance : (a, b) of further measurements at times new : (a,) with those at seen : (b,)."""


class Residual(Protocol):
    """A residual structure as the user names it."""

    @property
    def type(self) -> str:
        """Its name in a configuration."""

    @property
    def time(self) -> str | None:
        """Column of times; None if the structure needs none."""

    @property
    def subject(self) -> str | None:
        """Column of subjects; None for the innermost random grouping factor."""

    def check(self, times: np.ndarray) -> None:
        """Raise DataError for times : (n,) that the structure cannot use."""

    def bind(self, rows: SortedRows) -> BoundResidual:
        """The structure for one data set."""
