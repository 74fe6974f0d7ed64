"""A variance structure on top of a residual structure, or of independent residuals: R = S C S."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from lmmcore.covariance.parameter import StructureParameter
from lmmcore.covariance.residual import BoundResidual, NewRows, Part, ResidualMoments, WrittenOut
from lmmcore.covariance.variance import BoundVariance
from lmmcore.system.moments.dense import Matrices, dense_moments
from lmmcore.system.moments.diagonal import DiagonalMoments
from lmmcore.system.moments.subjects import SortedRows

# Rows up to which every starting correlation is paired with every starting variance.
FEW_ROWS = 100


@dataclass(frozen=True)
class ScaledMatrices(Matrices):
    """R = S C S with C : inner.

    scale : (c, n, n) products of SDs; both : (v, c, n, n) derivatives of their logarithms.
    """

    inner: Matrices
    scale: np.ndarray
    both: np.ndarray

    def bend(self, weight: np.ndarray) -> np.ndarray:
        """sum of second * weight : (m, m), without second derivatives of C that are not written out."""
        if not callable(self.inner.make_second):
            return super().bend(weight)
        of_c = weight * self.scale
        mixed = np.einsum("vcij,kcij->kv", self.both * of_c, self.inner.first)
        scales = np.einsum("vcij,wcij->vw", self.both, self.both * (weight * self.value))
        return np.block([[self.inner.bend(of_c), mixed], [mixed.T, scales]])


@dataclass(frozen=True)
class ScaledResidual:
    """inner : the correlation C, None for independent residuals; marks : (n,) of the variance.

    of_levels : whether the variance is that of levels which have a covariance of their own.
    """

    inner: BoundResidual | None
    variance: BoundVariance
    marks: np.ndarray
    rows: SortedRows
    of_levels: bool = False

    @property
    def parts(self) -> tuple[Part, ...]:
        """Those of the correlation."""
        return () if self.inner is None else self.inner.parts

    @property
    def _split(self) -> int:
        return 0 if self.inner is None else len(self.inner.independence)

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """Those of the correlation, then those of the variance."""
        inner = () if self.inner is None else self.inner.parameter_names
        names = self.variance.parameter_names
        if set(inner) & set(names):  # sd(2)/sd(1) of visits, and of levels of a category
            names = tuple(f"{name} by group" for name in names)
        return (*inner, *names)

    @property
    def independence(self) -> np.ndarray:
        """Independent residuals of equal variance."""
        inner = np.empty(0) if self.inner is None else self.inner.independence
        return np.concatenate([inner, np.zeros(len(self.variance.parameter_names))])

    def starts(self, residuals: np.ndarray) -> list[np.ndarray]:
        """Those of the correlation with the variance's best guess, in small samples with every guess."""
        guesses = self.variance.starts(self.marks, residuals)
        if self.inner is None or len(residuals) > FEW_ROWS:
            guesses = guesses[-1:]
        inner = [np.empty(0)] if self.inner is None else self.inner.starts(residuals)
        return [np.concatenate([start, z]) for z in guesses for start in inner]

    def moments(self, Z: Sequence[np.ndarray], XY: Sequence[np.ndarray]) -> ResidualMoments:
        """Row sums where residuals are independent, else R of each set of times and marks."""
        if self.inner is None:
            U = np.column_stack([*Z, *XY])
            return DiagonalMoments(U, len(Z), self.variance.slopes(self.marks), self.rows)
        return dense_moments(Z, XY, self.rows, self.written_out.marks, self._matrices)

    @property
    def written_out(self) -> WrittenOut:
        """R as a matrix."""
        inner = np.zeros(len(self.marks)) if self.inner is None else self.inner.written_out.marks
        return WrittenOut(np.column_stack([inner, self.marks]), self._matrices)

    def new_marks(self, new: NewRows) -> np.ndarray:
        """(a, d + 1): what the correlation depends on, and marks of the variance."""
        marks = self._marks(new)
        inner = np.zeros(len(marks)) if self.inner is None else self.inner.new_marks(new)
        return np.column_stack([inner, marks])

    def _marks(self, new: NewRows) -> np.ndarray:
        marks = new.levels if self.of_levels else new.marks
        assert marks is not None
        return marks

    def _matrices(self, z: np.ndarray, marks: np.ndarray) -> Matrices:
        """R : (c, n, n) and its derivatives at marks : (c, n, d + 1), the last those of the variance."""
        k, (c, n) = self._split, marks.shape[:2]
        if self.inner is None:
            one = np.broadcast_to(np.eye(n), (c, n, n))
            inner = Matrices(one, np.zeros((0, c, n, n)), np.zeros((0, 0, c, n, n)))
        else:
            inner = self.inner.written_out.matrices(z[:k], marks[..., :-1])
        slopes = self.variance.slopes(marks[..., -1])  # (v, c, n)
        sd = np.exp(np.tensordot(z[k:], slopes, axes=1))
        scale = sd[:, :, None] * sd[:, None, :]
        R = scale * inner.value
        both = slopes[:, :, :, None] + slopes[:, :, None, :]  # (v, c, n, n)
        first = np.concatenate([scale * inner.first, both * R])

        def second() -> np.ndarray:
            mixed = both[None] * (scale * inner.first)[:, None]  # (k, v, c, n, n)
            return np.concatenate(
                [
                    np.concatenate([scale * inner.second, mixed], axis=1),
                    np.concatenate([mixed.transpose(1, 0, 2, 3, 4), both[:, None] * both[None] * R], axis=1),
                ]
            )

        return ScaledMatrices(R, first, second, inner, scale, both)

    def natural(self, z: np.ndarray) -> np.ndarray:
        """Natural parameters of the correlation, then of the variance."""
        inner = np.empty(0) if self.inner is None else self.inner.natural(z[: self._split])
        return np.concatenate([inner, self.variance.natural(z[self._split :])])

    def at_boundary(self, natural: np.ndarray) -> list[str]:
        """Phrases of the correlation."""
        return [] if self.inner is None else self.inner.at_boundary(natural[: self._split])

    def parameters(self) -> list[StructureParameter]:
        """Those of the correlation, then those of the variance."""
        size, split = len(self.independence), self._split
        inner = [] if self.inner is None else self.inner.parameters()
        found = [one.within(slice(0, split), size) for one in inner]
        return found + [one.within(slice(split, size), size) for one in self.variance.parameters()]

    def rebound(self, rows: SortedRows, index: np.ndarray) -> ScaledResidual:
        """Over other rows."""
        inner = None if self.inner is None else self.inner.rebound(rows, index)
        return replace(self, inner=inner, marks=self.marks[index], rows=rows)

    def standard_deviation(self, natural: np.ndarray, marks: np.ndarray) -> np.ndarray:
        """exp(l) at marks : (...)."""
        z = self.variance.internal(natural[self._split :])
        return np.exp(np.tensordot(z, self.variance.slopes(marks), axes=1))

    def covariance(self, natural: np.ndarray, index: np.ndarray) -> np.ndarray:
        """R : (..., n, n) of the rows index : (..., n)."""
        sd = self.standard_deviation(natural, self.marks[index])
        n = index.shape[-1]
        if self.inner is None:
            C = np.broadcast_to(np.eye(n), (*index.shape, n))
        else:
            C = self.inner.covariance(natural[: self._split], index)
        return sd[..., :, None] * C * sd[..., None, :]

    def cross(self, natural: np.ndarray, new: NewRows, index: np.ndarray) -> np.ndarray:
        """Covariance : (a, b) of further measurements with the rows index : (b,)."""
        if self.inner is None:
            return np.zeros((len(new.times), len(index)))
        C = self.inner.cross(natural[: self._split], new, index)
        left = self.standard_deviation(natural, self._marks(new))
        return left[:, None] * C * self.standard_deviation(natural, self.marks[index])[None, :]
