"""From sorted rows to the moments of the likelihood, in coordinates where the digits survive."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from lmmcore.covariance.random import Block, RandomCovariance
from lmmcore.covariance.residual import ResidualMoments
from lmmcore.likelihood.coordinates import Centred, Coordinates, centre, rotations
from lmmcore.likelihood.nested import NestedMoments
from lmmcore.model import Model, RandomBlock, Rows
from lmmcore.moments.dense import dense_moments, without_second
from lmmcore.moments.subjects import Subjects, blockwise, independent


def centred_columns(rows: Rows, blocks: Sequence[RandomBlock]) -> Centred:
    """The columns of X, Z and y, centred where the model allows it."""
    free = [block.columns for block in blocks if block.kind == "unstructured"]
    return centre(rows.X, rows.Z, rows.y, free)


def assemble(
    rows: Rows,
    centred: Centred,
    blocks: Sequence[RandomBlock],
    covariances: Sequence[RandomCovariance],
    residual: Callable[[Sequence[np.ndarray], Sequence[np.ndarray]], ResidualMoments] | None,
) -> tuple[Subjects | ResidualMoments, tuple[Subjects, ...], Coordinates]:
    """Moments in rotated coordinates, those of each level's units for R = I, and the way back.

    residual : makes the moments of columns of Z and [X y] under the residual structure; None if R = I.
    """
    if rows.weights is not None:
        centred = centred.scaled(np.sqrt(rows.weights))
    # Columns below each level: its own Z, then all that stands above it, then X and y.
    above = [*centred.X, centred.y]
    widths = [covariance.q for covariance in covariances]
    own = np.split(np.arange(sum(widths)), np.cumsum(widths)[:-1])
    cells = []
    for place, unit in zip(own, rows.units, strict=True):
        Z = [centred.Z[index] for index in place]
        cells.append(independent(Z, above, unit))
        above = [*Z, *above]
    names = [name for block in blocks for name in block.names]
    mean_A = np.zeros((sum(widths), sum(widths)))
    for place, cell in zip(own, cells, strict=True):
        mean_A[np.ix_(place, place)] = cell.A.mean(axis=2)
    # S of the outermost level: [X y]'[X y].
    fixed, random = rotations(
        cells[0].S[:, :, 0],
        mean_A,
        [Block(block.columns, block.kind) for block in blocks],
        names,
        len(rows.y),
    )
    parts = [random[np.ix_(place, place)] for place in own]
    rotated = []
    for level, cell in enumerate(cells):
        outside = blockwise([*parts[:level][::-1], fixed])
        rotated.append(cell.rotated(outside, parts[level]))
    moments: Subjects | ResidualMoments = rotated[-1]
    if residual is not None:
        Z = [centred.Z[index] for index in own[-1]]
        raw = residual(Z, above[len(Z) :])
        moments = raw.rotated(blockwise([*parts[:-1][::-1], fixed]), parts[-1])
    for level in range(len(covariances) - 2, -1, -1):
        unit, inner = rows.units[level], rows.units[level + 1]
        assert inner.outer is not None
        moments = NestedMoments(covariances[level + 1], moments, widths[level], inner.outer, unit.outer)
    back = Coordinates(
        centred.kept, centred.fixed @ fixed, centred.fixed @ centred.origin, centred.random @ random
    )
    return moments, tuple(rotated), back


def linear_moments(model: Model) -> Subjects | ResidualMoments:
    """The model's moments as if V were linear in every parameter: the second derivatives of V are left out.

    The entries of each Psi are then the parameters (in the places of Lambda's), and R is written out.
    """
    moments = model.moments
    linear = [covariance.linear for covariance in model.covariances]
    if model.structure is not None:
        R = model.structure.written_out
        moments = assemble(
            model.rows,
            centred_columns(model.rows, model.blocks),
            model.blocks,
            linear,
            lambda Z, XY: dense_moments(Z, XY, model.rows.units[-1], R.marks, without_second(R.matrices)),
        )[0]
    return moments.with_levels(linear[1:]) if isinstance(moments, NestedMoments) else moments
