"""From sorted rows to the moments of the likelihood, in coordinates where the digits survive."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from lmmcore.covariance.random import Block, RandomCovariance
from lmmcore.covariance.residual import ResidualMoments, WrittenOut
from lmmcore.likelihood.blocks import objective_of
from lmmcore.likelihood.coordinates import Centred, Coordinates, centre, rotations
from lmmcore.likelihood.grid import GridObjective
from lmmcore.likelihood.nested import NestedMoments
from lmmcore.likelihood.objective import Objective
from lmmcore.model import Model, RandomBlock, Rows
from lmmcore.moments.dense import dense_moments
from lmmcore.moments.grid import Grid, grid_of
from lmmcore.moments.subjects import SortedRows, Subjects, blockwise, independent

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
        columns = level_columns(centred.Z, [*centred.X, centred.y], covariances)
        cells = [independent(*pair, unit) for pair, unit in zip(columns, rows.units, strict=True)]
        fixed, random, turns = level_rotations(cells, blocks, covariances, len(rows.y))
        return Assembly(
            rows,
            covariances,
            tuple(cell.rotated(*turn) for cell, turn in zip(cells, turns, strict=True)),
            Coordinates(
                centred.kept, centred.fixed @ fixed, centred.fixed @ centred.origin, centred.random @ random
            ),
            *turns[-1],
            columns[-1],
        )

    def moments(self, residual: MakeMoments | None) -> Subjects | ResidualMoments:
        """Moments in rotated coordinates; residual : makes those of the innermost level, None if R = I."""
        moments: Subjects | ResidualMoments = self.cells[-1]
        if residual is not None:
            moments = residual(*self.columns).rotated(self.outside, self.inside)
        return nested(moments, self.covariances, self.rows.units)

    def grid(self, R: WrittenOut) -> Grid | None:
        """The data summed by pattern of visits; None where they make no grid."""
        if len(self.covariances) > 1 or self.rows.weights is not None:
            return None
        grid = grid_of(self.rows.units[-1], R.marks, R.matrices, *self.columns)
        return None if grid is None else grid.rotated(self.outside, self.inside)


def own_columns(covariances: Sequence[RandomCovariance]) -> list[slice]:
    """Places in Z of the random effects of each level."""
    widths = [covariance.q for covariance in covariances]
    return [slice(end - width, end) for end, width in zip(accumulate(widths), widths, strict=True)]


def level_columns(
    Z: list[np.ndarray], XY: list[np.ndarray], covariances: Sequence[RandomCovariance]
) -> list[tuple[list[np.ndarray], list[np.ndarray]]]:
    """For each level, outermost first, its own columns of Z; and those of the levels above, then X, y."""
    found, above, own = [], XY, list[np.ndarray]()
    for place in own_columns(covariances):
        above, own = [*own, *above], Z[place]
        found.append((own, above))
    return found


def nested(
    innermost: Subjects | ResidualMoments,
    covariances: Sequence[RandomCovariance],
    units: Sequence[SortedRows],
) -> Subjects | ResidualMoments:
    """Moments of the outermost units from those of the innermost ones."""
    moments = innermost
    for level in range(len(covariances) - 2, -1, -1):
        outer = units[level + 1].outer
        assert outer is not None
        moments = NestedMoments(
            covariances[level + 1], moments, covariances[level].q, outer, units[level].outer
        )
    return moments


def level_rotations(
    cells: Sequence[Subjects],
    blocks: Sequence[RandomBlock],
    covariances: Sequence[RandomCovariance],
    n: int,
) -> tuple[np.ndarray, np.ndarray, list[tuple[np.ndarray, np.ndarray]]]:
    """Rotations of X, of all of Z, and for each level those of what stands above its own Z, and of that.

    cells : moments of each level's units for R = I, outermost first; n : rows.
    """
    own = own_columns(covariances)
    mean_A = np.zeros((own[-1].stop, own[-1].stop))
    for place, cell in zip(own, cells, strict=True):
        mean_A[place, place] = cell.A.sum(axis=2) / cell.A.shape[2]
    names = [name for block in blocks for name in block.names]
    # S of the outermost level: [X y]'[X y].
    fixed, random = rotations(
        cells[0].S[:, :, 0], mean_A, [Block(block.columns, block.kind) for block in blocks], names, n
    )
    parts = [random[place, place] for place in own]
    outsides = [blockwise([*parts[:level][::-1], fixed]) for level in range(len(parts))]
    return fixed, random, list(zip(outsides, parts, strict=True))


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
    return objective_of(linear[0], moments, model.n, True)
