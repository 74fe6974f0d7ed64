"""A model bound to data: what the user asked for, the sorted rows, and the moments of the likelihood."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from lmmcore.covariance.random import RandomCovariance
from lmmcore.covariance.residual import BoundResidual, Residual, ResidualMoments
from lmmcore.covariance.variance import Variance
from lmmcore.covariance.visits import Visits
from lmmcore.data.table import Factor, Table
from lmmcore.formula.design import Design
from lmmcore.formula.parse import Formula, RandomTerm
from lmmcore.model.coordinates import Coordinates
from lmmcore.model.grouping import Group
from lmmcore.system.deflated import Deflated
from lmmcore.system.moments.grid import Grid
from lmmcore.system.moments.patterns import Patterns
from lmmcore.system.moments.subjects import SortedRows, Subjects


@dataclass(frozen=True)
class Specification:
    """What the user asked for."""

    formula: Formula
    method: str
    residual: Residual | None
    variance: Variance | None
    weights: str | None
    offset: str | None
    categories: Mapping[str, list[Any]] | None

    @property
    def reml(self) -> bool:
        """Whether the restricted likelihood is maximised."""
        return self.method == "REML"


@dataclass(frozen=True)
class RandomBlock:
    """Columns of Z that share a covariance matrix: a term, or one effect of an uncorrelated one.

    level : number of the grouping factor, 0 is the outermost; names : effects; atoms : their column space
    (see Design.atoms); columns : their places in Z; kind : of the covariance (lmmcore.covariance.random).
    """

    level: int
    group: str
    names: tuple[str, ...]
    atoms: frozenset[Any]
    columns: tuple[int, ...]
    kind: str


@dataclass(frozen=True)
class Rows:
    """The rows sorted by the grouping factors (and time, under a residual structure that has one).

    order : (n,) places of the sorted rows in the table; None if they were sorted already.
    X, Z : columns (n,) in the user's units, an intercept as a broadcast 1; y : (n,) the response less the
    offset; offset : (n,), 0 without one; weights : (n,) prior weights, None without.
    units : for each level the rows as its moments see them. visits : what the times stand for, if they are
    visits by name.
    """

    order: np.ndarray | None
    X: list[np.ndarray]
    Z: list[np.ndarray]
    y: np.ndarray
    offset: np.ndarray
    weights: np.ndarray | None
    units: tuple[SortedRows, ...]
    visits: Visits | None = None

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

    groups : grouping factors, outermost first; random : the random terms, in that order; covariances :
    structure of Psi of each level; structure : the residual structure, bound; tries : values of its
    parameters to start from; grid : the data summed by pattern of visits, where there is a residual structure
    and a grid; make_cells, make_moments : see cells and moments; make_deflated : gives the moments of
    lmmcore.system.deflated, None where the rows are not at hand; variation : sum of squares of the
    response less its least-squares fit.
    """

    spec: Specification
    table: Table
    fixed: Design
    random: tuple[tuple[RandomTerm, Design], ...]
    groups: tuple[Group, ...]
    blocks: tuple[RandomBlock, ...]
    covariances: tuple[RandomCovariance, ...]
    rows: Rows
    coordinates: Coordinates
    structure: BoundResidual | None
    tries: list[np.ndarray]
    grid: Grid | None
    make_cells: Callable[[], tuple[Subjects, ...]]
    make_moments: Callable[[], Subjects | Patterns | ResidualMoments]
    make_deflated: Callable[[np.ndarray | None], Deflated] | None
    variation: float

    @cached_property
    def cells(self) -> tuple[Subjects, ...]:
        """Moments of each level's units as if rows were independent, made when they are needed."""
        return self.make_cells()

    @cached_property
    def moments(self) -> Subjects | Patterns | ResidualMoments:
        """The moments of the likelihood, made when they are needed: on a grid they seldom are."""
        return self.make_moments()

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

    def columns(self, level: int) -> slice:
        """Places in Z of the random effects of a level."""
        start = sum(covariance.q for covariance in self.covariances[:level])
        return slice(start, start + self.covariances[level].q)

    def effects(self, level: int) -> list[str]:
        """Names of the random effects of a level."""
        return [name for block in self.blocks if block.level == level for name in block.names]
