"""From sorted rows to the moments of the likelihood, in coordinates where the digits survive."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from lmmcore.covariance.random import Block, RandomCovariance
from lmmcore.covariance.residual import ResidualMoments, WrittenOut
from lmmcore.likelihood.coordinates import Centred, Coordinates, centre, rotations
from lmmcore.likelihood.grid import GridObjective
from lmmcore.likelihood.nested import NestedMoments
from lmmcore.likelihood.objective import Objective
from lmmcore.model import Model, RandomBlock, Rows
from lmmcore.moments.dense import dense_moments
from lmmcore.moments.grid import Grid, grid_of
from lmmcore.moments.subjects import Subjects, blockwise, independent

MakeMoments = Callable[[Sequence[np.ndarray], Sequence[np.ndarray]], ResidualMoments]


def centred_columns(rows: Rows, blocks: Sequence[RandomBlock]) -> Centred:
    """The columns of X, Z and y, centred where the model allows it."""
    free = [block.columns for block in blocks if block.kind == "unstructured"]
    return centre(rows.X, rows.Z, rows.y, free)


@dataclass(frozen=True)
class Assembly:
    """Columns and the coordinates of a model, from which its moments are made.

    cells : moments of each level's units for R = I, rotated; outside, inside : rotations of what stands
    above the innermost Z, and of that; columns : Z of the innermost level, and all above it, then X and y.
    """

    rows: Rows
    covariances: Sequence[RandomCovariance]
    cells: tuple[Subjects, ...]
    coordinates: Coordinates
    outside: np.ndarray
    inside: np.ndarray
    columns: tuple[list[np.ndarray], list[np.ndarray]]

    @staticmethod
    def of(
        rows: Rows,
        centred: Centred,
        blocks: Sequence[RandomBlock],
        covariances: Sequence[RandomCovariance],
    ) -> Assembly:
        """Find the coordinates of centred columns."""
        if rows.weights is not None:
            centred = centred.scaled(np.sqrt(rows.weights))
        # Columns below each level: its own Z, then all that stands above it, then X and y.
        above, Z = [*centred.X, centred.y], list[np.ndarray]()
        widths = [covariance.q for covariance in covariances]
        ends = list(accumulate(widths))
        own = [slice(end - width, end) for end, width in zip(ends, widths, strict=True)]
        cells = []
        for place, unit in zip(own, rows.units, strict=True):
            above = [*Z, *above]
            Z = centred.Z[place]
            cells.append(independent(Z, above, unit))
        names = [name for block in blocks for name in block.names]
        mean_A = np.zeros((sum(widths), sum(widths)))
        for place, cell in zip(own, cells, strict=True):
            mean_A[place, place] = cell.A.sum(axis=2) / cell.A.shape[2]
        # S of the outermost level: [X y]'[X y].
        fixed, random = rotations(
            cells[0].S[:, :, 0],
            mean_A,
            [Block(block.columns, block.kind) for block in blocks],
            names,
            len(rows.y),
        )
        parts = [random[place, place] for place in own]
        outsides = [blockwise([*parts[:level][::-1], fixed]) for level in range(len(parts))]
        rotated = zip(cells, outsides, parts, strict=True)
        return Assembly(
            rows,
            covariances,
            tuple(cell.rotated(outside, part) for cell, outside, part in rotated),
            Coordinates(
                centred.kept, centred.fixed @ fixed, centred.fixed @ centred.origin, centred.random @ random
            ),
            outsides[-1],
            parts[-1],
            (Z, above),
        )

    def moments(self, residual: MakeMoments | None) -> Subjects | ResidualMoments:
        """Moments in rotated coordinates; residual : makes those of the innermost level, None if R = I."""
        moments: Subjects | ResidualMoments = self.cells[-1]
        if residual is not None:
            moments = residual(*self.columns).rotated(self.outside, self.inside)
        for level in range(len(self.covariances) - 2, -1, -1):
            unit, inner = self.rows.units[level], self.rows.units[level + 1]
            assert inner.outer is not None
            below = self.covariances[level + 1]
            moments = NestedMoments(below, moments, self.covariances[level].q, inner.outer, unit.outer)
        return moments

    def grid(self, R: WrittenOut) -> Grid | None:
        """The data summed by pattern of visits; None where they make no grid."""
        if len(self.covariances) > 1 or self.rows.weights is not None:
            return None
        grid = grid_of(self.rows.units[-1], R.marks, R.matrices, *self.columns)
        return None if grid is None else grid.rotated(self.outside, self.inside)


def assemble(
    rows: Rows,
    centred: Centred,
    blocks: Sequence[RandomBlock],
    covariances: Sequence[RandomCovariance],
    residual: MakeMoments | None,
) -> tuple[Subjects | ResidualMoments, tuple[Subjects, ...], Coordinates]:
    """Moments in rotated coordinates, those of each level's units for R = I, and the way back."""
    assembly = Assembly.of(rows, centred, blocks, covariances)
    return assembly.moments(residual), assembly.cells, assembly.coordinates


def linear_objective(model: Model) -> Objective:
    """The restricted likelihood as if V were linear in every parameter: V's second derivatives are left out.

    The entries of each Psi are the parameters (in the places of Lambda's), and R is written out.
    """
    linear = [covariance.linear for covariance in model.covariances]
    if model.grid is not None:
        return GridObjective(
            linear[0], model.cells[0], model.n, True, model.grid.linear, lambda: model.moments
        )
    moments = model.moments
    if model.structure is not None:
        R = model.structure.written_out
        moments = assemble(
            model.rows,
            centred_columns(model.rows, model.blocks),
            model.blocks,
            linear,
            lambda Z, XY: dense_moments(
                Z,
                XY,
                model.rows.units[-1],
                R.marks,
                lambda phi, marks: R.matrices(phi, marks).without_second(),
            ),
        )[0]
    if isinstance(moments, NestedMoments):
        moments = moments.with_levels(linear[1:])
    return Objective(linear[0], moments, model.n, True)
