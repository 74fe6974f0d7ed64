"""From formula and rows to what the likelihood needs: sorted columns, coordinates, moments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from lmmcore.covariance.random import RandomCovariance
from lmmcore.covariance.residual import BoundResidual, Residual, ResidualMoments
from lmmcore.data import Factor, Table, interaction
from lmmcore.errors import DataError, FitError, FormulaError
from lmmcore.formula.design import Design, Parts
from lmmcore.formula.expressions import response
from lmmcore.formula.parse import Formula, RandomTerm
from lmmcore.likelihood.coordinates import Centred, Coordinates, centre, rotations
from lmmcore.moments.subjects import SortedRows, Subjects, independent

# Nothing varies if this share of the squared response or less is left over by the fixed effects.
PERFECT = 1e-22


@dataclass(frozen=True)
class Specification:
    """What the user asked for."""

    formula: Formula
    method: str
    residual: Residual | None
    categories: Mapping[str, list[Any]] | None

    @property
    def reml(self) -> bool:
        """Whether the restricted likelihood is maximised."""
        return self.method == "REML"


@dataclass(frozen=True)
class RandomBlock:
    """Columns of Z that share a covariance matrix: a correlated term, or one effect of an uncorrelated one.

    names : effects; atoms : their column space (see Design.atoms); columns : their places in Z.
    """

    group: str
    names: tuple[str, ...]
    atoms: frozenset[Any]
    columns: tuple[int, ...]


@dataclass(frozen=True)
class Rows:
    """The rows sorted by subject (and time, under a serial correlation).

    order : (n,) places of the sorted rows in the table; None if they were sorted already.
    X, Z : columns (n,) in the user's units, an intercept as a broadcast 1; y, times : (n,).
    subject : (n,) codes; starts : (N,) first row of each subject.
    """

    order: np.ndarray | None
    X: list[np.ndarray]
    Z: list[np.ndarray]
    y: np.ndarray
    subject: np.ndarray
    starts: np.ndarray
    times: np.ndarray | None

    @cached_property
    def index(self) -> np.ndarray:
        """(n,) index 0..N-1 of each row's subject."""
        return np.repeat(np.arange(len(self.starts)), np.diff(np.append(self.starts, len(self.y))))

    @cached_property
    def sorted_rows(self) -> SortedRows:
        """The rows as a residual structure sees them; without times, rows are numbered."""
        times = np.arange(len(self.y)) - self.starts[self.index] if self.times is None else self.times
        return SortedRows(times, self.index, self.starts)

    def unsorted(self, values: np.ndarray) -> np.ndarray:
        """Values of sorted rows, back in the order of the table."""
        if self.order is None:
            return values
        result = np.empty_like(values)
        result[self.order] = values
        return result


@dataclass(frozen=True)
class Model:
    """A specification bound to data, ready for the likelihood.

    structure : the residual structure, bound; tries : values of its parameters to start from.
    """

    spec: Specification
    table: Table
    fixed: Design
    random: tuple[tuple[RandomTerm, Design], ...]
    blocks: tuple[RandomBlock, ...]
    grouping: Factor
    rows: Rows
    coordinates: Coordinates
    moments: Subjects | ResidualMoments
    structure: BoundResidual | None
    tries: list[np.ndarray]

    @property
    def n(self) -> int:
        """Rows used."""
        return len(self.rows.y)

    @property
    def p(self) -> int:
        """Fixed effects estimated."""
        return len(self.coordinates.kept)

    @cached_property
    def terms(self) -> tuple[str, ...]:
        """Names of the fixed effects estimated."""
        return tuple(self.fixed.names[index] for index in self.coordinates.kept)

    @cached_property
    def dropped(self) -> tuple[str, ...]:
        """Fixed effects left out because earlier ones determine them."""
        kept = set(self.coordinates.kept)
        return tuple(name for index, name in enumerate(self.fixed.names) if index not in kept)

    @property
    def levels(self) -> dict[str, tuple[str, ...]]:
        """Levels of the categories among the variables; the first is the reference."""
        return {
            name: column.levels for name, column in self.table.columns.items() if isinstance(column, Factor)
        }

    @property
    def effects(self) -> tuple[str, ...]:
        """Names of the columns of Z."""
        return tuple(name for block in self.blocks for name in block.names)

    @property
    def covariance(self) -> RandomCovariance:
        """Structure of Psi before any pivot."""
        return RandomCovariance(tuple(block.columns for block in self.blocks))


def build(spec: Specification, table: Table) -> Model:
    """Bind a specification to the rows read for it.

    Raises DataError, FormulaError or FitError with one sentence.
    """
    formula = spec.formula
    fixed = Design.learn(formula.fixed, table)
    random = tuple((term, Design.learn(term.terms, table)) for term in formula.random)
    subject_columns, subject_name = _subject(spec)
    grouping = _grouping(table, subject_columns)
    blocks = _blocks(random, subject_name)
    order, codes, times = _sorted(spec, table, grouping)
    one = np.broadcast_to(1.0, (table.n,))
    memory: dict[int, np.ndarray] = {}
    shared: dict[Parts, np.ndarray] = {}

    def columns(design: Design) -> list[np.ndarray]:
        made = design.columns(table, shared)
        return [
            one if name == "Intercept" else _take(column, order, memory)
            for name, column in zip(design.names, made, strict=True)
        ]

    X = columns(fixed)
    Z = [column for _, design in random for column in columns(design)]
    y = _take(response(formula.response, table.columns), order, memory)
    starts = np.flatnonzero(np.concatenate([[True], codes[1:] != codes[:-1]]))
    rows = Rows(order, X, Z, y, codes, starts, times)
    _check_identified(rows, [block.names for block in blocks], subject_name)

    centred = centre(X, Z, y, [block.columns for block in blocks])
    _check_variation(centred, y, formula)
    structure = None if spec.residual is None else spec.residual.bind(rows.sorted_rows)
    moments, coordinates = _moments(rows, centred, blocks, structure)
    tries = [] if structure is None else structure.starts(rows.sorted_rows, centred.y)
    return Model(spec, table, fixed, random, blocks, grouping, rows, coordinates, moments, structure, tries)


def _moments(
    rows: Rows, centred: Centred, blocks: tuple[RandomBlock, ...], structure: BoundResidual | None
) -> tuple[Subjects | ResidualMoments, Coordinates]:
    """Moments in rotated coordinates, and the way back."""
    XY = [*centred.X, centred.y]
    moments: Subjects | ResidualMoments
    if structure is None:
        plain = moments = independent(centred.Z, XY, rows.sorted_rows)
    else:
        moments = structure.moments(centred.Z, XY, rows.sorted_rows)
        plain = moments.at(structure.independence)
    places = [block.columns for block in blocks]
    names = [name for block in blocks for name in block.names]
    mean_A = plain.A.sum(axis=2) / len(rows.starts)
    fixed, random = rotations(plain.S[:, :, 0], mean_A, places, names, len(rows.y))
    back = Coordinates(
        centred.kept, centred.fixed @ fixed, centred.fixed @ centred.origin, centred.random @ random
    )
    return moments.rotated(fixed, random), back


def _subject(spec: Specification) -> tuple[tuple[str, ...] | None, str]:
    """Columns of the grouping factor that makes rows dependent, and its name."""
    groups = list(dict.fromkeys(term.group for term in spec.formula.random))
    if len(groups) > 1:
        listed = ", ".join(":".join(group) for group in groups)
        raise FormulaError(
            f"The random terms use several grouping factors ({listed}); for now all random terms of a "
            "model must have the same one."
        )
    if spec.residual is None:
        return (groups[0], ":".join(groups[0])) if groups else (None, "")
    if spec.residual.subject is None and not groups:
        raise FormulaError(
            f"The residual correlation over {spec.residual.time!r} needs to know whose rows are correlated: "
            f"name the grouping column, e.g. {type(spec.residual).__name__}(..., subject='id')."
        )
    subject = (spec.residual.subject,) if spec.residual.subject is not None else groups[0]
    if groups and groups[0] != subject:
        raise FormulaError(
            f"The serial correlation is within {':'.join(subject)!r} and the random effects are by "
            f"{':'.join(groups[0])!r}; for now both must be the same factor."
        )
    return subject, ":".join(subject)


def _grouping(table: Table, columns: tuple[str, ...] | None) -> Factor:
    if columns is None:  # no dependence at all: every row is its own subject
        return Factor(np.arange(table.n), ())
    factors = [table.groups[name] for name in columns]
    return factors[0] if len(factors) == 1 else interaction(factors)


def _blocks(random: tuple[tuple[RandomTerm, Design], ...], group: str) -> tuple[RandomBlock, ...]:
    """Blocks of the covariance matrix of the random effects, in the order of the formula."""
    blocks: list[RandomBlock] = []
    seen: set[str] = set()
    place = 0
    for term, design in random:
        repeated = seen.intersection(design.names)
        if repeated:
            raise FormulaError(
                f"The random effect {sorted(repeated)[0]!r} of {group!r} stands in two terms; name it once, "
                "e.g. (1 | id) + (0 + time | id) for an uncorrelated slope."
            )
        seen.update(design.names)
        places = tuple(range(place, place + len(design.names)))
        place += len(design.names)
        if term.correlated:
            blocks.append(RandomBlock(group, design.names, design.atoms, places))
        else:
            for name, index in zip(design.names, places, strict=True):
                blocks.append(RandomBlock(group, (name,), frozenset([name]), (index,)))
    return tuple(blocks)


def _sorted(
    spec: Specification, table: Table, grouping: Factor
) -> tuple[np.ndarray | None, np.ndarray, np.ndarray | None]:
    """Order by subject and time, the sorted codes, and the sorted times."""
    codes = grouping.codes
    if spec.residual is None or spec.residual.time is None:
        if np.all(codes[1:] >= codes[:-1]):
            return None, codes, None
        order = np.argsort(codes, kind="stable")
        return order, codes[order], None
    times = table.columns[spec.residual.time]
    if isinstance(times, Factor):
        raise DataError(f"The time {spec.residual.time!r} of the residual correlation must be a number.")
    spec.residual.check(times)
    order = np.lexsort((times, codes))
    codes, times = codes[order], times[order]
    twice = np.flatnonzero((codes[1:] == codes[:-1]) & (times[1:] == times[:-1]))
    if len(twice):
        raise DataError(
            f"Subject {grouping.levels[codes[twice[0]]]!r} has two rows at {spec.residual.time} = "
            f"{times[twice[0]]:g}; a serial correlation needs one row a subject and time."
        )
    return order, codes, times


def _take(column: np.ndarray, order: np.ndarray | None, memory: dict[int, np.ndarray]) -> np.ndarray:
    """column[order], the same object again for the same column."""
    if order is None:
        return column
    if id(column) not in memory:
        memory[id(column)] = column[order]
    return memory[id(column)]


def _check_identified(rows: Rows, terms: list[tuple[str, ...]], group: str) -> None:
    """As many random effects as rows cannot be told from the residuals."""
    effects, N, n = sum(len(names) for names in terms), len(rows.starts), len(rows.y)
    if effects and N * effects >= n:
        raise FitError(
            f"{N} levels of {group!r} with {effects} random effect{'s' * (effects > 1)} each are as many "
            f"unknowns as the {n} rows: the random effects cannot be told from the residuals; use fewer."
        )


def _check_variation(centred: Centred, y: np.ndarray, formula: Formula) -> None:
    n, p = len(y), len(centred.X)
    if n <= p:
        raise FitError(f"{n} rows cannot estimate {p} fixed effects and a variance; use fewer fixed effects.")
    if centred.y @ centred.y <= PERFECT * (y @ y):
        raise FitError(
            f"The response {formula.response!r} has no residual variation: it is constant or an exact "
            "function of the fixed effects."
        )
