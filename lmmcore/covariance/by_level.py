"""A covariance of its own for each level of a category, `by=` of any residual structure.

    R_i = s_l^2 C_l(phi_l)    for a subject i of level l, s = 1 in the first level

Every parameter of the structure and the residual SD are those of the level: GROUP= of REPEATED in SAS,
us(visit | arm / id) in the R package mmrm. With a mean that has its own coefficients in each level, the
likelihood is the product of those of separate fits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np

from lmmcore.covariance.parameter import StructureParameter
from lmmcore.covariance.residual import (
    NewRows,
    Part,
    Residual,
    ResidualMoments,
    WrittenOut,
    parameters_of,
)
from lmmcore.covariance.scaled import ScaledResidual
from lmmcore.covariance.variance import GroupVariance
from lmmcore.data.table import Factor
from lmmcore.errors import DataError, LmmError
from lmmcore.system.moments.dense import Matrices, dense_moments
from lmmcore.system.moments.subjects import SortedRows

# Most combinations of the levels' own starts; beyond them every level takes the same one of its starts.
MOST_STARTS = 32


def category_of(by: str, column: Any) -> Factor:
    """The category of `by`. Raises DataError for a number."""
    if not isinstance(column, Factor):
        raise DataError(
            f"by={by!r} needs a category, but {by!r} is a number; name its levels by "
            f"categories={{{by!r}: [...]}}."
        )
    return column


def bound_by_level(
    residual: Residual, by: str, column: Factor, codes: np.ndarray, rows: SortedRows, subjects: Sequence[str]
) -> ScaledResidual:
    """The structure bound in each level of the column `by` by itself; with one SD for each.

    codes : (n,) levels of the sorted rows; subjects : (N,) names of the subjects. Raises DataError for a
    subject in two levels, and what the structure raises for the rows of a level.
    """
    first = codes[rows.starts][rows.subject]
    if (mixed := np.flatnonzero(codes != first)).size:
        row = mixed[0]
        raise DataError(
            f"by={by!r} gives each level a covariance of its own, so that all rows of a subject must have "
            f"the same level, but {subjects[rows.subject[row]]} has {column.levels[int(first[row])]!r} and "
            f"{column.levels[int(codes[row])]!r}; use a column that does not change within subjects."
        )
    alone: Residual = replace(residual, by=None)  # type: ignore[type-var]
    parts: list[Part] = []
    start = 0
    for number, level in enumerate(column.levels):
        own = rows_where(rows, codes == number)
        try:
            bound = alone.bind(own)
        except LmmError as error:
            raise type(error)(f"{by} = {level}: {error}") from None
        (part,) = bound.parts
        size = len(part.law.independence)
        if size and len(own.starts) == own.n:
            raise DataError(
                f"No subject of {by} = {level} has two rows, so that the data say nothing of its residual "
                "correlation; leave this level out, join it to another, or leave by= out."
            )
        parts.append(Part(part.law, slice(start, start + size), level))
        start += size
    inner = LevelsResidual(tuple(parts), by, codes.astype(float), rows)
    return ScaledResidual(inner, GroupVariance(column.levels), inner.codes, rows, of_levels=True)


def rows_where(rows: SortedRows, mine: np.ndarray) -> SortedRows:
    """Whole subjects, those of the rows mine : (n,) booleans."""
    sizes = rows.sizes[mine[rows.starts]]
    starts = np.cumsum(sizes) - sizes
    return SortedRows(rows.times[mine], None, starts, None, int(sizes.sum()), rows.labels)


@dataclass(frozen=True)
class LevelsResidual:
    """The laws of the levels of a column `by`; codes : (n,) number of the level of each sorted row."""

    parts: tuple[Part, ...]
    by: str
    codes: np.ndarray
    rows: SortedRows

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """Those of each level after its name: "B: rho"."""
        return tuple(part.named(name) for part in self.parts for name in part.law.parameter_names)

    @property
    def independence(self) -> np.ndarray:
        """Independent residuals in every level."""
        return np.concatenate([part.law.independence for part in self.parts])

    def starts(self, residuals: np.ndarray) -> list[np.ndarray]:
        """Those of each level with those of every other, or, if these are too many, each with its like."""
        found = []
        for number, part in enumerate(self.parts):
            mine = self.codes == number
            found.append(part.law.starts(rows_where(self.rows, mine), residuals[mine]))
        if np.prod([float(len(of)) for of in found]) <= MOST_STARTS:
            return [np.concatenate(chosen) for chosen in product(*found)]
        most = max(map(len, found))
        return [np.concatenate([of[min(k, len(of) - 1)] for of in found]) for k in range(most)]

    def moments(self, Z: Sequence[np.ndarray], XY: Sequence[np.ndarray]) -> ResidualMoments:
        """R of each set of times and level."""
        return dense_moments(Z, XY, self.rows, self.written_out.marks, self._matrices)

    @property
    def written_out(self) -> WrittenOut:
        """R as a matrix."""
        return WrittenOut(np.column_stack([self.rows.times, self.codes]), self._matrices)

    def new_marks(self, new: NewRows) -> np.ndarray:
        """(a, 2): times and numbers of levels."""
        assert new.levels is not None
        return np.column_stack([new.times, new.levels])

    def _matrices(self, z: np.ndarray, marks: np.ndarray) -> Matrices:
        """R : (c, n, n) and its derivatives at marks : (c, n, 2); 0 between rows of different levels."""
        times, codes = marks[..., 0], marks[..., 1]
        c, n = times.shape
        value, first = np.zeros((c, n, n)), np.zeros((len(z), c, n, n))
        pieces: list[Piece] = []
        for number, part in enumerate(self.parts):
            for place in _places(codes == number):
                own = part.law.matrices(z[part.place], times[place[0][..., 0], place[1][..., 0]])
                value[place] = own.value
                first[part.place, *place] = own.first
                pieces.append((part.place, place, own))

        def second() -> np.ndarray:
            made = np.zeros((len(z), len(z), c, n, n))
            for at, place, own in pieces:
                made[at, at, *place] = own.second
            return made

        return LevelMatrices(value, first, second, tuple(pieces))

    def natural(self, z: np.ndarray) -> np.ndarray:
        """Natural parameters, level by level."""
        return np.concatenate([part.law.natural(z[part.place]) for part in self.parts])

    def at_boundary(self, natural: np.ndarray) -> list[str]:
        """The phrases of each level after its name."""
        return [
            part.named(phrase) for part in self.parts for phrase in part.law.at_boundary(natural[part.place])
        ]

    def parameters(self) -> list[StructureParameter]:
        """Each natural parameter as a function of z."""
        size = len(self.independence)
        return [one.within(part.place, size) for part in self.parts for one in parameters_of(part.law)]

    def rebound(self, rows: SortedRows, index: np.ndarray) -> LevelsResidual:
        """Over other rows."""
        return replace(self, codes=self.codes[index], rows=rows)

    def covariance(self, natural: np.ndarray, index: np.ndarray) -> np.ndarray:
        """R : (..., n, n) of the rows index : (..., n), which are of one level each."""
        n = index.shape[-1]
        flat = index.reshape(-1, n)
        result, diagonal = np.zeros((len(flat), n, n)), np.arange(n)
        for number, part in enumerate(self.parts):
            mine = np.flatnonzero(self.codes[flat[:, 0]] == number)
            times = self.rows.times[flat[mine]]
            own = np.array(part.law.cross(natural[part.place], times, times))
            own[:, diagonal, diagonal] = part.law.variance(natural[part.place], times)
            result[mine] = own
        return result.reshape(*index.shape, n)

    def cross(self, natural: np.ndarray, new: NewRows, index: np.ndarray) -> np.ndarray:
        """Covariance : (a, b) of further measurements of the same level with the rows index : (b,)."""
        part = self.parts[int(self.codes[index[0]])]
        return part.law.cross(natural[part.place], new.times, self.rows.times[index])


Place = tuple[np.ndarray, np.ndarray, np.ndarray]
Piece = tuple[slice, Place, Matrices]


def _places(mine: np.ndarray) -> list[Place]:
    """Indices (c, 1, 1), (c, k, 1), (c, 1, k) of the rows mine : (c, n) booleans, cells with equally many
    together."""
    found: list[Place] = []
    counts = mine.sum(axis=1)
    for k in np.unique(counts[counts > 0]):
        cells = np.flatnonzero(counts == k)
        at = np.nonzero(mine[cells])[1].reshape(len(cells), k)
        found.append((cells[:, None, None], at[:, :, None], at[:, None, :]))
    return found


@dataclass(frozen=True)
class LevelMatrices(Matrices):
    """R of cells that are of one level each, or fall into pieces that are: (parameters, place, R of it)."""

    pieces: tuple[Piece, ...]

    def bend(self, weight: np.ndarray) -> np.ndarray:
        """sum of second * weight : (m, m), in blocks of the levels."""
        m = len(self.first)
        total = np.zeros((m, m))
        for at, place, own in self.pieces:
            total[at, at] += own.bend(weight[place])
        return total
