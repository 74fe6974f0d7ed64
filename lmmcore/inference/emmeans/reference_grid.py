"""The reference grid: combinations of the user's variables at which the mean is estimated.

Categories stand at all their levels, those of a nested factor within their outer level only; numbers at their
mean over the rows used, unless told otherwise. The
grid is made of the user's columns and goes through the fitted design, so that log(t) stands at the logarithm
of the mean of t, and poly(t, 2) keeps the basis of the fit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any

import numpy as np

from lmmcore.data.table import Factor, Table
from lmmcore.errors import ArgumentError
from lmmcore.formula.calls import variables
from lmmcore.formula.levels import level_text
from lmmcore.inference.emmeans.nesting import Nesting, nesting_of
from lmmcore.inference.emmeans.weights import WORDS, Weighting, level_numbers, shares_of
from lmmcore.inference.words import listed
from lmmcore.model.specification import Model
from lmmcore.runtime import arguments

Level = str | float
At = Mapping[str, Level | Sequence[Level]]


@dataclass(frozen=True, eq=False)
class Grid:
    """cells : values of the variables asked for, one row a cell; averaged : columns whose levels are averaged
    over; held : {variable: its one value}, defaulted those of them at their mean; table : the grid's
    points, those of a cell together, each cell with the same number of points; shares : (cells, points of
    each) weights of the points, which sum to 1; weighting : how they were made; nesting : of the factors.
    """

    model: Model
    cells: Mapping[str, list[Level]]
    averaged: tuple[str, ...]
    held: Mapping[str, Level]
    defaulted: frozenset[str]
    table: Table
    shares: np.ndarray
    weighting: Weighting
    nesting: Nesting

    @property
    def size(self) -> int:
        """Number of cells."""
        return len(next(iter(self.cells.values())))

    def moved(self, covariate: str, values: np.ndarray) -> Grid:
        """The same grid with other values (n,) of a covariate at its points."""
        return replace(self, table=replace(self.table, columns={**self.table.columns, covariate: values}))

    def rows(self) -> np.ndarray:
        """(points, columns of the whole design) X at the points."""
        return np.column_stack(self.model.fixed.columns(self.table))

    def means(self, values: np.ndarray) -> np.ndarray:
        """(cells, ...) means of values (points, ...) in each cell."""
        return np.einsum("cp,cp...->c...", self.shares, values.reshape(*self.shares.shape, *values.shape[1:]))

    def offsets(self) -> np.ndarray:
        """(cells,) mean of the offset, 0 without one."""
        name = self.model.spec.offset
        return self.means(np.zeros(self.table.n) if name is None else np.asarray(self.table.columns[name]))

    def sentence(self) -> str:
        """What was averaged and where covariates were held: "averaged ..., at x = 3 (its mean)", or ""."""
        parts = []
        if self.averaged:
            parts.append(WORDS[self.weighting].format(listed(self.averaged)))
        within = [f"{name} within {listed(outer)}" for name, outer in self.nesting.items()]
        if within:
            parts.append(f"{listed(within)} (nested)")
        places = [
            f"{name} = {value}" if isinstance(value, str) else f"{name} = {value:.6g}{own}"
            for name, value in self.held.items()
            for own in [" (its mean)" if name in self.defaulted else ""]
        ]
        if places:
            parts.append(f"at {listed(places)}")
        return ", ".join(parts)


def reference_grid(
    model: Model,
    names: Sequence[str],
    at: At | None,
    weights: Weighting = "equal",
    nesting: Mapping[str, Any] | None = None,
) -> Grid:
    """The grid for the variables `names`, the last varying fastest, without cells that a nested factor leaves
    out.

    at : {variable: value or values} to use instead of all levels, or of the mean. weights : of the levels
    that are averaged over: "equal", "proportional" to the rows of their combinations in the data, or "flat",
    equal but 0 for combinations without rows in the cell. nesting : {factor: the factors it is nested in},
    found if None.
    Raises ArgumentError for variables that the fixed effects do not use, or values that they cannot take.
    """
    at = arguments.mapping(at, "at")
    known = list(model.fixed.variables)
    if model.spec.offset is not None and model.spec.offset not in known:
        known.append(model.spec.offset)
    for name in [*names, *at]:
        if name not in known:
            near = get_close_matches(str(name), known, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"they use {', '.join(known) or 'no column'}."
            raise ArgumentError(f"The fixed effects do not use a column {name!r}; {hint}")
    if len(set(names)) < len(names) or not names:
        raise ArgumentError(
            "Name the columns to estimate means for, each once, e.g. specs='arm', by='visit'."
        )
    arguments.one_of(weights, "weights", tuple(WORDS))
    categories = [name for name in known if is_category(model, name)]
    nested = nesting_of(model, categories, nesting)
    order = [*names, *(name for name in known if name not in names)]
    values = {name: _values(model, name, at.get(name)) for name in order}
    sizes = [len(values[name]) for name in order]
    places = np.indices(sizes).reshape(len(order), -1)
    n = places.shape[1]
    columns: dict[str, np.ndarray | Factor] = {}
    for name, place in zip(order, places, strict=True):
        column = model.table.columns[name]
        if isinstance(column, Factor):
            codes = np.array([column.levels.index(str(level)) for level in values[name]], dtype=np.intp)
            columns[name] = Factor(codes[place], column.levels)
        else:
            columns[name] = np.array(values[name], dtype=float)[place]
    points = n // int(np.prod(sizes[: len(names)]))
    numbers = {name: level_numbers(model, name, columns[name]) for name in categories}
    shares, present = shares_of(
        model, numbers, [name for name in categories if name in names], nested, weights, n, points
    )
    if not present.all():
        rows = np.repeat(present, points)
        columns = {
            name: Factor(column.codes[rows], column.levels) if isinstance(column, Factor) else column[rows]
            for name, column in columns.items()
        }
        places, n = places[:, rows], int(rows.sum())
    cells = {
        name: [values[name][index] for index in place[::points].tolist()]
        for name, place in zip(names, places, strict=False)
    }
    rest = order[len(names) :]
    held = {name: values[name][0] for name in rest if len(values[name]) == 1}
    averaged = tuple(name for name in rest if name not in held)
    defaulted = frozenset(name for name in held if name not in at)
    table = Table(columns, n, n, {}, None, model.table.backend)
    used = {name: outer for name, outer in nested.items() if {name, *outer} & {*names, *averaged}}
    return Grid(model, cells, averaged, held, defaulted, table, shares, weights, used)


def _values(model: Model, name: str, given: Level | Sequence[Level] | None) -> list[Level]:
    """Values of a variable in the grid."""
    column = model.table.columns[name]
    several = isinstance(given, Sequence | np.ndarray) and not isinstance(given, str)
    asked: list[Any] = [] if given is None else list(given) if several else [given]  # type: ignore[arg-type]
    if given is not None and not asked:
        raise ArgumentError(f"at holds no value for {name!r}; give one, or leave it out.")
    if isinstance(column, Factor):
        levels = [level_text(value) for value in asked]
        for level in levels:
            if level not in column.levels:
                shown = ", ".join(map(repr, column.levels[:20]))
                raise ArgumentError(f"{name!r} has no level {level!r}; its levels are {shown}.")
        return [*(levels or column.levels)]
    try:
        numbers = np.array(asked, dtype=float)
    except (TypeError, ValueError):
        numbers = np.array([np.nan])
    if not np.isfinite(numbers).all():
        raise ArgumentError(f"{name!r} is a number in the fit, so `at` must give it numbers, not {given!r}.")
    if len(numbers):
        return numbers.tolist()
    return np.unique(column).tolist() if is_category(model, name) else [float(column.mean())]


def is_category(model: Model, name: str) -> bool:
    """Whether the formula uses the levels of a column, as it is text or stands in C()."""
    return any(variables(factor) == (name,) for factor in model.fixed.levels)
