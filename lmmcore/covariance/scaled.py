"""A variance structure on top of a residual structure, or of independent residuals: R = S C S."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lmmcore.covariance.residual import Law, NewRows, ResidualMoments, WrittenOut
from lmmcore.covariance.variance import BoundVariance
from lmmcore.system.moments.dense import Matrices, dense_moments
from lmmcore.system.moments.diagonal import DiagonalMoments
from lmmcore.system.moments.subjects import SortedRows

# Rows up to which every starting correlation is paired with every starting variance.
FEW_ROWS = 100


@dataclass(frozen=True)
class ScaledResidual:
    """law : of the correlation C, None for independent residuals; marks : (n,) of the variance."""

    law: Law | None
    variance: BoundVariance
    marks: np.ndarray
    rows: SortedRows

    @property
    def _split(self) -> int:
        return 0 if self.law is None else len(self.law.independence)

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """Those of the correlation, then those of the variance."""
        inner = () if self.law is None else self.law.parameter_names
        names = self.variance.parameter_names
        if set(inner) & set(names):  # sd(2)/sd(1) of visits, and of levels of a category
            names = tuple(f"{name} by group" for name in names)
        return (*inner, *names)

    @property
    def independence(self) -> np.ndarray:
        """Independent residuals of equal variance."""
        inner = np.empty(0) if self.law is None else self.law.independence
        return np.concatenate([inner, np.zeros(len(self.variance.parameter_names))])

    def starts(self, residuals: np.ndarray) -> list[np.ndarray]:
        """Those of the correlation with the variance's best guess, in small samples with every guess."""
        guesses = self.variance.starts(self.marks, residuals)
        if self.law is None or len(residuals) > FEW_ROWS:
            guesses = guesses[-1:]
        inner = [np.empty(0)] if self.law is None else self.law.starts(self.rows, residuals)
        return [np.concatenate([start, z]) for z in guesses for start in inner]

    def moments(self, Z: Sequence[np.ndarray], XY: Sequence[np.ndarray]) -> ResidualMoments:
        """Row sums where residuals are independent, else R of each set of times and marks."""
        if self.law is None:
            U = np.column_stack([*Z, *XY])
            return DiagonalMoments(U, len(Z), self.variance.slopes(self.marks), self.rows)
        return dense_moments(Z, XY, self.rows, self.written_out.marks, self._matrices)

    @property
    def written_out(self) -> WrittenOut:
        """R as a matrix."""
        return WrittenOut(self.new_marks(NewRows(self.rows.times, self.marks)), self._matrices)

    def new_marks(self, new: NewRows) -> np.ndarray:
        """(a, 2): times, which matter to a correlation only, and marks of the variance."""
        assert new.marks is not None
        times = np.zeros(len(new.marks)) if self.law is None else new.times
        return np.column_stack([times, new.marks])

    def _matrices(self, z: np.ndarray, marks: np.ndarray) -> Matrices:
        """R : (c, n, n) and its derivatives at marks : (c, n, 2), times and marks of the variance."""
        k, (c, n) = self._split, marks.shape[:2]
        if self.law is None:
            one = np.broadcast_to(np.eye(n), (c, n, n))
            inner = Matrices(one, np.zeros((0, c, n, n)), np.zeros((0, 0, c, n, n)))
        else:
            inner = self.law.matrices(z[:k], marks[..., 0])
        slopes = self.variance.slopes(marks[..., 1])  # (v, c, n)
        sd = np.exp(np.tensordot(z[k:], slopes, axes=1))
        scale = sd[:, :, None] * sd[:, None, :]
        R = scale * inner.value
        both = slopes[:, :, :, None] + slopes[:, :, None, :]  # (v, c, n, n)
        first = np.concatenate([scale * inner.first, both * R])
        mixed = both[None] * (scale * inner.first)[:, None]  # (k, v, c, n, n)
        second = np.concatenate(
            [
                np.concatenate([scale * inner.second, mixed], axis=1),
                np.concatenate([mixed.transpose(1, 0, 2, 3, 4), both[:, None] * both[None] * R], axis=1),
            ]
        )
        return Matrices(R, first, second)

    def natural(self, z: np.ndarray) -> np.ndarray:
        """Natural parameters of the correlation, then of the variance."""
        inner = np.empty(0) if self.law is None else self.law.natural(z[: self._split])
        return np.concatenate([inner, self.variance.natural(z[self._split :])])

    def at_boundary(self, natural: np.ndarray) -> list[str]:
        """Phrases of the correlation."""
        return [] if self.law is None else self.law.at_boundary(natural[: self._split])

    def standard_deviation(self, natural: np.ndarray, marks: np.ndarray) -> np.ndarray:
        """exp(l) at marks : (...)."""
        z = self.variance.internal(natural[self._split :])
        return np.exp(np.tensordot(z, self.variance.slopes(marks), axes=1))

    def covariance(self, natural: np.ndarray, index: np.ndarray) -> np.ndarray:
        """R : (..., n, n) of the rows index : (..., n)."""
        sd = self.standard_deviation(natural, self.marks[index])
        times = self.rows.times[index]
        n = index.shape[-1]
        if self.law is None:
            C = np.broadcast_to(np.eye(n), (*index.shape, n))
        else:
            C = self.law.cross(natural[: self._split], times, times)
            C[..., np.arange(n), np.arange(n)] = self.law.variance(natural[: self._split], times)
        return sd[..., :, None] * C * sd[..., None, :]

    def cross(self, natural: np.ndarray, new: NewRows, index: np.ndarray) -> np.ndarray:
        """Covariance : (a, b) of further measurements with the rows index : (b,)."""
        if self.law is None:
            return np.zeros((len(new.times), len(index)))
        assert new.marks is not None
        C = self.law.cross(natural[: self._split], new.times, self.rows.times[index])
        left = self.standard_deviation(natural, new.marks)
        return left[:, None] * C * self.standard_deviation(natural, self.marks[index])[None, :]
