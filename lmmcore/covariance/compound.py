"""Compound symmetry: the same correlation rho between any two rows of a subject, which may be negative.

R = (1 - rho) I + rho J is positive definite for rho > -1/(n - 1), n the rows of the largest subject; the
parameter is z with rho = (e^z - 1) / (e^z + n - 1), which covers exactly that interval.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lmmcore.covariance.dense import DenseResidual
from lmmcore.covariance.parameter import FAR_LOG, End, StructureParameter, entry, on_own_scale
from lmmcore.covariance.residual import Subject
from lmmcore.system.moments.dense import Matrices
from lmmcore.system.moments.subjects import SortedRows

AT_END = 1e-6
START_SHARES = (0.1, 0.3, 0.6, 0.85)


@dataclass(frozen=True)
class CompoundSymmetry:
    """Equal correlation, possibly negative, between all rows of a subject."""

    subject: Subject = None
    by: str | None = None

    type = "compound_symmetry"
    time = None

    def check(self, times: np.ndarray) -> None:
        """No times are used."""

    def bind(self, rows: SortedRows) -> DenseResidual:
        """The structure for one data set."""
        sizes = np.diff(np.append(rows.starts, len(rows.times)))
        return DenseResidual(CompoundSymmetryLaw(int(max(sizes.max(), 2))), rows)


@dataclass(frozen=True)
class CompoundSymmetryLaw:
    """Equal correlation; largest : rows of the largest subject."""

    largest: int

    parameter_names = ("rho",)

    @property
    def independence(self) -> np.ndarray:
        """rho = 0."""
        return np.zeros(1)

    def starts(self, rows: SortedRows, residuals: np.ndarray) -> list[np.ndarray]:
        """Values across the interval."""
        low = -1 / (self.largest - 1)
        return [self._z(low + share * (1 - low)) for share in START_SHARES]

    def _z(self, rho: float) -> np.ndarray:
        return np.log([(1 + (self.largest - 1) * rho) / (1 - rho)])

    def parameters(self) -> list[StructureParameter]:
        """rho; the coordinate is the logit of its place between its lowest value and 1, shifted so that
        rho = 0 at 0."""
        low = -1 / (self.largest - 1)

        def share(t: float) -> float:
            return float(1 / (1 - np.exp(-t) / low))

        scale = on_own_scale(
            "logit",
            lambda t: low + (1 - low) * share(t),
            lambda t: (1 - low) * share(t) * (1 - share(t)),
        )
        return [StructureParameter(scale, (End(-FAR_LOG, low), End(FAR_LOG, 1.0)), entry(0))]

    def natural(self, z: np.ndarray) -> np.ndarray:
        """(rho,)."""
        return (1 - np.exp(-z)) / (1 + (self.largest - 1) * np.exp(-z))

    def at_boundary(self, natural: np.ndarray) -> list[str]:
        """rho at an end of its interval."""
        low = -1 / (self.largest - 1)
        rho = float(natural[0])
        if 1 - rho < AT_END:
            return ["rho is 1"]
        return [f"rho is {low:.4g}, its lowest value"] if rho - low < AT_END else []

    def most_rows(self, natural: np.ndarray) -> float:
        """Rows that a subject can have: so many numbers have no lower correlation among all their pairs."""
        rho = float(natural[0])
        return np.inf if rho >= 0 else np.floor(1 - 1 / rho + AT_END)

    def matrices(self, z: np.ndarray, times: np.ndarray) -> Matrices:
        """R and its derivatives by z."""
        c, n = times.shape
        rho = float(self.natural(z)[0])
        low = -1 / (self.largest - 1)
        width = 1 - low
        share = (rho - low) / width  # a logistic curve in z
        first = width * share * (1 - share)
        second = first * (1 - 2 * share)
        off = np.broadcast_to(1 - np.eye(n), (c, n, n))
        return Matrices(np.eye(n) + rho * off, (first * off)[None], (second * off)[None, None])

    def cross(self, natural: np.ndarray, new: np.ndarray, seen: np.ndarray) -> np.ndarray:
        """rho everywhere."""
        shape = np.broadcast_shapes(new[..., :, None].shape, seen[..., None, :].shape)
        return np.full(shape, natural[0])

    def variance(self, natural: np.ndarray, times: np.ndarray) -> np.ndarray:
        """1 for every row."""
        return np.ones(times.shape)
