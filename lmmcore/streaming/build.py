"""From a formula and a file to a model whose rows were not kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import narwhals as nw
import numpy as np

from lmmcore.data.table import Table
from lmmcore.formula.design import Design
from lmmcore.formula.levels import Factor, Labels, level_text
from lmmcore.kernel.blocks import BLOCK
from lmmcore.model.assembly import level_rotations, nested
from lmmcore.model.build import check_identified, check_variation, covariances_of, random_blocks
from lmmcore.model.coordinates import Coordinates
from lmmcore.model.grouping import Group
from lmmcore.model.specification import Model, Rows, Specification
from lmmcore.streaming.accumulate import Accumulated, Columns, Level, accumulate
from lmmcore.streaming.choice import group_columns
from lmmcore.streaming.rows import Absent, Runs
from lmmcore.streaming.shift import Shift, null_space_of, settle
from lmmcore.streaming.source import open_source
from lmmcore.streaming.sums import changes
from lmmcore.system.moments.patterns import grouped
from lmmcore.system.moments.subjects import SortedRows, Subjects, blockwise, turned


def build_streamed(spec: Specification, path: Path) -> Model:
    """The model of a file that lmmcore.streaming.choice.streams; the file is read once, and once more where
    there are categories, whose levels come first. Memory: the moments, q^2 + (p+1) q numbers a unit.

    Raises what build raises.
    """
    source = open_source(spec, path)
    sample = source.sample()
    names = group_columns(spec)
    place = {":".join(columns): level for level, columns in enumerate(names)}
    fixed = Design.learn(spec.formula.fixed, sample.table)
    terms = sorted(spec.formula.random, key=lambda term: place[":".join(term.group)])
    random = tuple((term, Design.learn(term.terms, sample.table)) for term in terms)
    blocks = random_blocks(random, place)
    covariances = covariances_of(blocks, len(names))
    columns = Columns(spec, fixed, [design for _, design in random])
    free = [block.columns for block in blocks if block.kind == "unstructured"]
    shift = Shift.learn(*columns.of(sample), free)
    found = accumulate(source, columns, shift, names, covariances)
    levels, n = found.levels, int(found.levels[0].rows.sum())

    q = sum(covariance.q for covariance in covariances)
    absent = Absent(n, path.name)
    rows = Rows(None, [absent] * len(fixed.names), [absent] * q, absent, absent, None, _units(levels, absent))  # type: ignore[list-item, arg-type]
    for level, own in enumerate(names):
        check_identified(rows, level, covariances[level].q, ":".join(own))
    settled = settle(levels[0].cells.S[:, :, 0], shift)
    S = turned(levels[0].cells.S, settled.turn, settled.turn)
    check_variation(n, len(settled.kept), float(S[-1, -1, 0]), settled.total, spec.formula)
    ZZ = blockwise([level.cells.A.sum(axis=2) for level in levels])
    units = [len(level.rows) for level in levels]
    fixed_turn, random_turn, turns = level_rotations(S[:, :, 0], ZZ, units, blocks, covariances, n)
    cells = tuple(
        _turned(level.cells, settled.turn, *turn) for level, turn in zip(levels, turns, strict=True)
    )
    shifted = shift.fixed[np.ix_(settled.kept, settled.kept)]
    return Model(
        spec,
        _table(source.rows, found, sample.table, absent),
        fixed,
        random,
        tuple(_group(*of, absent) for of in zip(names, levels, rows.units, strict=True)),
        blocks,
        covariances,
        rows,
        Coordinates(
            settled.kept,
            shifted @ fixed_turn,
            shifted @ settled.origin,
            shift.random @ random_turn,
            null_space_of(levels[0].cells.S[:-1, :-1, 0], shift.fixed, settled.kept, n),
        ),
        None,
        [],
        None,
        lambda: cells,
        lambda: grouped(cells[0]) if len(cells) == 1 else nested(cells[-1], covariances, rows.units),
        None,
        float(S[-1, -1, 0]),
    )


def _turned(cells: Subjects, turn: np.ndarray, outside: np.ndarray, inside: np.ndarray) -> Subjects:
    """Moments in the model's coordinates, in the memory of the old ones.

    turn : of the shifted [X y]; outside, inside : rotations of what stands above Z then, and of Z.
    """
    above = len(cells.B) - len(turn)
    left = np.eye(len(cells.B), above + turn.shape[1])
    left[above:, above:] = turn
    left = left @ blockwise([outside, np.eye(1)])
    A, B = _in_place(cells.A, inside, inside), _in_place(cells.B, left, inside)
    return Subjects(A, B, turned(cells.S, left, left), 0.0)


def _in_place(matrices: np.ndarray, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """left' M_n right in the memory of M : (a, b, N); left has at most a columns, right is square."""
    (_, b, N), a = matrices.shape, left.shape[1]
    result = matrices.reshape(-1, N)[: a * b].reshape(a, b, N)
    for start in range(0, N, BLOCK):
        block = slice(start, start + BLOCK)
        result[:, :, block] = turned(matrices[:, :, block], left, right)
    return result


def _units(levels: Sequence[Level], absent: Absent) -> tuple[SortedRows, ...]:
    """The units of each level, whose rows would follow one another."""
    found: list[SortedRows] = []
    for level, outer in zip(levels, [None, *levels], strict=False):
        starts = np.cumsum(level.rows) - level.rows
        within = None if outer is None else np.cumsum(changes(level.keys, outer.keys.columns)) - 1
        found.append(SortedRows(absent, Runs(starts, absent), starts, within))  # type: ignore[arg-type]
    return tuple(found)


def _group(columns: tuple[str, ...], level: Level, unit: SortedRows, absent: Absent) -> Group:
    keys = level.keys
    numbers = all(dtype.is_integer() for dtype in keys.dtypes)

    def write() -> Iterator[str]:
        texts = [map(level_text, keys[name].to_list()) for name in columns]
        return texts[0] if len(texts) == 1 else map(":".join, zip(*texts, strict=True))

    codes = Runs(unit.starts, absent)
    return Group(columns, Factor(codes, Labels(len(keys), write, numbers)))  # type: ignore[arg-type]


def _table(read: int, found: Accumulated, sample: Table, absent: Absent) -> Table:
    """The table of a file, with the levels of its categories and without its rows."""
    gone: Any = absent
    columns = {
        name: Factor(gone, column.labels) if isinstance(column, Factor) else gone
        for name, column in sample.columns.items()
    }
    return Table(columns, len(absent), read, found.dropped, None, nw.Implementation.POLARS)
