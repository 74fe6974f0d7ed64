"""From sorted rows to the moments of the likelihood, in coordinates where the digits survive."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

import numpy as np

from lmmcore.covariance.random import Block, RandomCovariance
from lmmcore.covariance.residual import ResidualMoments, WrittenOut
from lmmcore.likelihood.objective import Moments, Objective
from lmmcore.model.coordinates import Centred, Coordinates, centre, rotations
from lmmcore.model.identified import check_told_apart
from lmmcore.model.specification import Model, RandomBlock, Rows
from lmmcore.system.chunks import objective_of
from lmmcore.system.deflated import Deflated, least_squares, within_units
from lmmcore.system.grid import GridObjective
from lmmcore.system.moments.dense import dense_moments
from lmmcore.system.moments.gram import gram
from lmmcore.system.moments.grid import Grid, grid_of
from lmmcore.system.moments.patterns import grouped
from lmmcore.system.moments.subjects import SortedRows, Subjects, beside_one, blockwise, independent, turned
from lmmcore.system.nested import NestedMoments

# So few subjects take less time than it takes to see which are alike.
FEW_SUBJECTS = 100

MakeMoments = Callable[[Sequence[np.ndarray], Sequence[np.ndarray]], ResidualMoments]


def centred_columns(rows: Rows, blocks: Sequence[RandomBlock]) -> Centred:
    """The columns of X, Z and y, centred where the model allows it."""
    free = [block.columns for block in blocks if block.kind == "unstructured"]
    return centre(rows.X, rows.Z, rows.y, free)


@dataclass(frozen=True)
class Assembly:
    """Columns and the coordinates of a model, from which its moments are made.

    columns : Z of each level, and all above it, then X and y, outermost first; turns : rotations of what
    stands above the Z of each level, and of that; raw : moments of each level's units for R = I before they
    are rotated, where they are made already; residual : makes the moments of the innermost level, None if
    R = I.
    """

    rows: Rows
    covariances: Sequence[RandomCovariance]
    coordinates: Coordinates
    columns: Sequence[tuple[list[np.ndarray], list[np.ndarray]]]
    turns: Sequence[tuple[np.ndarray, np.ndarray]]
    raw: Sequence[Subjects] | None
    residual: MakeMoments | None

    @staticmethod
    def of(
        rows: Rows,
        centred: Centred,
        blocks: Sequence[RandomBlock],
        covariances: Sequence[RandomCovariance],
        residual: MakeMoments | None,
    ) -> Assembly:
        """Find the coordinates of centred columns."""
        if rows.weights is not None:
            centred = centred.scaled(np.sqrt(rows.weights))
        columns = level_columns(centred.Z, [*centred.X, centred.y], covariances)
        raw = None
        if residual is None:
            raw = [independent(*pair, unit) for pair, unit in zip(columns, rows.units, strict=True)]
            S, ZZ = raw[0].S[:, :, 0], blockwise([cell.A.sum(axis=2) for cell in raw])
        else:
            products, q = gram([*centred.Z, *centred.X, centred.y]), len(centred.Z)
            S, ZZ = products[q:, q:], products[:q, :q]
        units = [len(unit.starts) for unit in rows.units]
        fixed, random, turns = level_rotations(S, ZZ, units, blocks, covariances, len(rows.y))
        coordinates = Coordinates(
            centred.kept,
            centred.fixed @ fixed,
            centred.fixed @ centred.origin,
            centred.random @ random,
            centred.null_space,
        )
        return Assembly(rows, covariances, coordinates, columns, turns, raw, residual)

    @cached_property
    def cells(self) -> tuple[Subjects, ...]:
        """Moments of each level's units for R = I, in the model's coordinates."""
        raw = self.raw or [
            independent(*pair, unit) for pair, unit in zip(self.columns, self.rows.units, strict=True)
        ]
        return tuple(cell.rotated(*turn) for cell, turn in zip(raw, self.turns, strict=True))

    def moments(self) -> Moments:
        """Moments in the model's coordinates."""
        if self.residual is not None:
            innermost = self.residual(*self.columns[-1]).rotated(*self.turns[-1])
            return nested(innermost, self.covariances, self.rows.units)
        assert self.raw is not None
        if len(self.raw) == 1 and self.raw[0].A.shape[2] > FEW_SUBJECTS:
            return grouped(self.raw[0]).rotated(*self.turns[0])
        return nested(self.raw[-1].rotated(*self.turns[-1]), self.covariances, self.rows.units)

    def deflated(self, b: np.ndarray | None = None) -> Deflated:
        """Moments of what the columns of X and y leave over of their projections on Z, level by level.

        b : (p,) coefficients, in the model's coordinates, of the part of y along X that is taken away first.
        """
        fixed = self.turns[0][0]
        XY = np.array([np.broadcast_to(column, (len(self.rows.y),)) for column in self.columns[0][1]])
        b = least_squares(self._left_over(XY)[0][-len(XY) :], XY) if b is None else fixed @ b
        XY[-1] -= b @ XY[:-1]
        left, shifts = self._left_over(XY)
        Z = self.columns[-1][0]
        innermost: Subjects | ResidualMoments
        if self.residual is None:
            innermost = independent(Z, [*left], self.rows.units[-1]).rotated(*self.turns[-1])
        else:
            innermost = self.residual(Z, [*left]).rotated(*self.turns[-1])
        shifts = [
            turned(shift, beside_one(outside), np.linalg.inv(random).T)
            for shift, (outside, random) in zip(shifts, self.turns, strict=True)
        ]
        moments = nested(innermost, self.covariances, self.rows.units, shifts)
        return Deflated(moments, shifts[0], np.linalg.solve(fixed, b))

    def _left_over(self, XY: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
        """What is left : (r, n) of the columns beside the innermost Z: of Z of the levels above, the nearest
        first, then of [X y]; and the projections of each level, outermost first."""
        left, above, shifts = XY, list[np.ndarray](), []
        for (Z, _), unit in zip(self.columns, self.rows.units, strict=True):
            shift, left = within_units(Z, [*above, *left], unit)
            above = Z
            shifts.append(shift)
        return left, shifts

    def grid(self, R: WrittenOut) -> Grid | None:
        """The data summed by pattern of visits; None where they make no grid."""
        if len(self.covariances) > 1 or self.rows.weights is not None:
            return None
        grid = grid_of(self.rows.units[-1], R.marks, R.matrices, *self.columns[-1])
        return None if grid is None else grid.rotated(*self.turns[-1])


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
    shifts: Sequence[np.ndarray] | None = None,
) -> Subjects | ResidualMoments:
    """Moments of the outermost units from those of the innermost ones; shifts : see Assembly.deflated."""
    moments = innermost
    for level in range(len(covariances) - 2, -1, -1):
        outer = units[level + 1].outer
        assert outer is not None
        moments = NestedMoments(
            covariances[level + 1],
            moments,
            covariances[level].q,
            outer,
            units[level].outer,
            None if shifts is None else shifts[level + 1],
        )
    return moments


def level_rotations(
    S: np.ndarray,
    ZZ: np.ndarray,
    units: Sequence[int],
    blocks: Sequence[RandomBlock],
    covariances: Sequence[RandomCovariance],
    n: int,
) -> tuple[np.ndarray, np.ndarray, list[tuple[np.ndarray, np.ndarray]]]:
    """Rotations of X, of all of Z, and for each level those of what stands above its own Z, and of that.

    S : (p+1, p+1), [X y]'[X y]; ZZ : (q, q), Z'Z, of which the blocks of each level matter; units : of each
    level, outermost first; n : rows.
    """
    own = own_columns(covariances)
    mean_A = np.zeros_like(ZZ)
    for place, N in zip(own, units, strict=True):
        mean_A[place, place] = ZZ[place, place] / N
    names = [name for block in blocks for name in block.names]
    fixed, random = rotations(S, mean_A, [Block(block.columns, block.kind) for block in blocks], names, n)
    for level, (place, covariance) in enumerate(zip(own, covariances, strict=True)):
        if covariance.q > 1:
            group = next(block.group for block in blocks if block.level == level)
            check_told_apart(ZZ[place, place], covariance, names[place], group)
    parts = [random[place, place] for place in own]
    outsides = [blockwise([*parts[:level][::-1], fixed]) for level in range(len(parts))]
    return fixed, random, list(zip(outsides, parts, strict=True))


def linear_objective(model: Model) -> Objective:
    """The restricted likelihood as if V were linear in every parameter: V's second derivatives are left out.

    The entries of each Psi are the parameters (in the places of Lambda's), and R is written out.
    """
    linear = [covariance.linear for covariance in model.covariances]
    if model.grid is not None:
        return GridObjective(linear[0], model.grid.linear, model.n, True, lambda: model.moments)
    moments = model.moments
    if model.structure is not None:
        R = model.structure.written_out
        centred = centred_columns(model.rows, model.blocks)
        moments = Assembly.of(
            model.rows,
            centred,
            model.blocks,
            linear,
            lambda Z, XY: dense_moments(
                Z,
                XY,
                model.rows.units[-1],
                R.marks,
                lambda phi, marks: R.matrices(phi, marks).without_second(),
            ),
        ).moments()
    if isinstance(moments, NestedMoments):
        moments = moments.with_levels(linear[1:])
    return objective_of(linear[0], moments, model.n, True)
