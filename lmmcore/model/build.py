"""From formula and rows to what the likelihood needs: sorted columns, coordinates, moments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from lmmcore.covariance.by_level import bound_by_level, category_of
from lmmcore.covariance.random import Block, RandomCovariance
from lmmcore.covariance.residual import BoundResidual, Residual, by_column, subject_columns
from lmmcore.covariance.scaled import ScaledResidual
from lmmcore.covariance.variance import Variance
from lmmcore.covariance.visits import Visits, visits_of
from lmmcore.data.table import Factor, Table
from lmmcore.errors import DataError, FitError, FormulaError
from lmmcore.formula.design import Design, Parts
from lmmcore.formula.expressions import response
from lmmcore.formula.parse import Formula, RandomTerm
from lmmcore.model.assembly import Assembly, centred_columns
from lmmcore.model.grouping import Group, check_one_row_a_time, outermost_first, sort_order
from lmmcore.model.specification import Model, RandomBlock, Rows, Specification
from lmmcore.system.moments.products import inner
from lmmcore.system.moments.subjects import SortedRows

# Nothing varies if this share of the squared response or less is left over by the fixed effects.
PERFECT = 1e-22


def build(spec: Specification, table: Table, fitted: np.ndarray | None = None) -> Model:
    """Bind a specification to the rows read for it.

    fitted : (n,) fitted values of the rows of the table, for a variance that depends on them; until they
    are known that variance is taken as constant. Raises DataError, FormulaError or FitError.
    """
    formula = spec.formula
    groups = outermost_first(table, _group_columns(spec), subject_columns(spec.residual))
    place = {group.name: level for level, group in enumerate(groups)}
    fixed = Design.learn(formula.fixed, table)
    terms = sorted(formula.random, key=lambda term: place[":".join(term.group)])
    random = tuple((term, Design.learn(term.terms, table)) for term in terms)
    blocks = random_blocks(random, place)
    covariances = covariances_of(blocks, len(groups) or 1)
    rows = _rows(spec, table, groups, fixed, random)
    for level, group in enumerate(groups):
        check_identified(rows, level, covariances[level].q, group.name)
    centred = centred_columns(rows, blocks)
    left = inner(centred.y, centred.y)
    check_variation(len(rows.y), len(centred.X), left, centred.total, formula)
    structure = _structure(spec, table, rows, groups, fitted)
    if structure is not None:
        check_parameters(len(rows.y), len(centred.X), len(structure.independence), spec)
    tries = [] if structure is None else structure.starts(centred.y)
    make = None if structure is None else structure.moments
    assembly = Assembly.of(rows, centred, blocks, covariances, make)
    return Model(
        spec,
        table,
        fixed,
        random,
        groups,
        blocks,
        covariances,
        rows,
        assembly.coordinates,
        structure,
        tries,
        None if structure is None else assembly.grid(structure.written_out),
        lambda: assembly.cells,
        assembly.moments,
        assembly.deflated,
        left,
    )


def _group_columns(spec: Specification) -> list[tuple[str, ...]]:
    """Columns of each grouping factor, of the random terms and of the residual structure."""
    groups = list(dict.fromkeys(term.group for term in spec.formula.random))
    subject = subject_columns(spec.residual)
    if subject and not any(set(subject) == set(group) for group in groups):
        return [*groups, subject]
    if spec.residual is not None and not groups:
        raise FormulaError(
            "The residual correlation needs to know whose rows are correlated: name the grouping column, "
            f"e.g. {type(spec.residual).__name__}(..., subject='id')."
        )
    return groups


def random_blocks(
    random: Sequence[tuple[RandomTerm, Design]], place: Mapping[str, int]
) -> tuple[RandomBlock, ...]:
    """Blocks of the covariance matrices of the random effects."""
    blocks: list[RandomBlock] = []
    seen: set[tuple[str, str]] = set()
    start = 0
    for term, design in random:
        group = ":".join(term.group)
        for name in design.names:
            if (group, name) in seen:
                raise FormulaError(
                    f"The random effect {name!r} of {group!r} stands in two terms; name it once, e.g. "
                    "(1 | id) + (0 + time | id) for an uncorrelated slope."
                )
            seen.add((group, name))
        places = tuple(range(start, start + len(design.names)))
        start += len(design.names)
        if term.covariance != "diagonal":
            kind = term.covariance if len(places) > 1 else "unstructured"
            blocks.append(RandomBlock(place[group], group, design.names, design.atoms, places, kind))
            continue
        for name, index in zip(design.names, places, strict=True):
            one = RandomBlock(place[group], group, (name,), frozenset([name]), (index,), "unstructured")
            blocks.append(one)
    return tuple(blocks)


def covariances_of(blocks: Sequence[RandomBlock], levels: int) -> tuple[RandomCovariance, ...]:
    """Structure of Psi of each level, columns numbered within the level."""
    result = []
    start = 0
    for level in range(levels):
        mine = [block for block in blocks if block.level == level]
        parts = [Block(tuple(index - start for index in block.columns), block.kind) for block in mine]
        result.append(RandomCovariance(tuple(parts)))
        start += result[-1].q
    return tuple(result)


def _rows(
    spec: Specification,
    table: Table,
    groups: tuple[Group, ...],
    fixed: Design,
    random: Sequence[tuple[RandomTerm, Design]],
) -> Rows:
    """Sort the rows and make the columns."""
    times, visits = _times(spec, table)
    order = sort_order(groups, times) if groups else None
    memory: dict[int, np.ndarray] = {}
    shared: dict[Parts, np.ndarray] = {}
    one = np.broadcast_to(1.0, (table.n,))

    def taken(column: np.ndarray) -> np.ndarray:
        if order is None:
            return column
        if id(column) not in memory:
            memory[id(column)] = column[order]
        return memory[id(column)]

    def columns(design: Design) -> list[np.ndarray]:
        made = design.columns(table, shared)
        return [
            one if name == "Intercept" else taken(column)
            for name, column in zip(design.names, made, strict=True)
        ]

    X = columns(fixed)
    Z = [column for _, design in random for column in columns(design)]
    y = taken(response(spec.formula.response, table.columns))
    offset = np.broadcast_to(0.0, (table.n,))
    if spec.offset is not None:
        offset = taken(_number(table, spec.offset, "offset"))
        y = y - offset
    weights = None if spec.weights is None else taken(_weights(table, spec.weights))
    sorted_times = None if times is None else taken(times)
    # Without a grouping factor every row is a unit of its own.
    codes = [taken(group.factor.codes) for group in groups] or [np.arange(table.n)]
    if times is not None and spec.residual is not None and spec.residual.time is not None:
        check_one_row_a_time(groups[-1], codes[-1], spec.residual.time, taken(times), visits)
    return Rows(order, X, Z, y, offset, weights, _units(codes, sorted_times, visits), visits)


def _number(table: Table, name: str, role: str) -> np.ndarray:
    column = table.columns[name]
    if isinstance(column, Factor):
        raise DataError(f"The {role} {name!r} must be a number, but it is a category.")
    return column


def _weights(table: Table, name: str) -> np.ndarray:
    weights = _number(table, name, "prior weights")
    if weights.min() <= 0:
        raise DataError(
            f"The prior weights {name!r} must be positive (variance sigma^2 / weight), but {name!r} has "
            f"{weights.min():g}; leave rows without information out of the data."
        )
    return weights


def _structure(
    spec: Specification, table: Table, rows: Rows, groups: tuple[Group, ...], fitted: np.ndarray | None
) -> BoundResidual | None:
    """The residual structure and the variance structure, bound to the rows.

    Raises FitError for a correlation within subjects who have one row each: it could be anything.
    """
    unit = rows.units[-1]
    inner = None if spec.residual is None else _bound(spec.residual, table, rows, groups)
    if inner is not None and inner.parameter_names and len(unit.starts) == len(rows.y):
        raise FitError(
            f"No level of {groups[-1].name!r} has two rows, so that the data say nothing of a residual "
            "correlation within it; name a coarser column by subject=, or leave the residual structure out."
        )
    variance = spec.variance
    if variance is None or (variance.column is None and fitted is None):
        return inner
    column = fitted if variance.column is None else table.columns[variance.column]
    assert column is not None
    bound, marks = variance.bind(column)
    marks = marks if rows.order is None else marks[rows.order]
    by = by_column(spec.residual)
    if isinstance(inner, ScaledResidual) and by is not None:
        inner = inner.inner if _holds_levels(bound.slopes(marks), inner.marks, by, variance) else inner
    return ScaledResidual(inner, bound, marks, unit)


def _bound(residual: Residual, table: Table, rows: Rows, groups: tuple[Group, ...]) -> BoundResidual:
    """The residual structure bound to the rows, or to those of each level of its column `by`."""
    by, unit = by_column(residual), rows.units[-1]
    if by is None:
        return residual.bind(unit)
    column = category_of(by, table.columns[by])
    codes, names = column.codes, groups[-1].factor
    first = unit.starts
    if rows.order is not None:
        codes, first = codes[rows.order], rows.order[first]
    return bound_by_level(residual, by, column, codes, unit, [names.levels[k] for k in names.codes[first]])


def _holds_levels(slopes: np.ndarray, codes: np.ndarray, by: str, variance: Variance) -> bool:
    """Whether a variance gives each level an SD of its own: by level and visit, as TYPE=ARH(1) GROUP= in SAS.

    slopes : (v, n) of the logarithm of the variance's SDs; codes : (n,) levels. Raises FormulaError for one
    that is partly a function of the level.
    """
    different = np.unique(np.vstack([codes, slopes]), axis=1)
    codes, slopes = different[0], np.vstack([np.ones(different.shape[1]), different[1:]])
    levels = (codes == np.unique(codes)[1:, None]).astype(float)
    alone, both = (int(np.linalg.matrix_rank(of)) for of in (slopes, np.vstack([slopes, levels])))
    if alone < both < alone + len(levels):
        raise FormulaError(
            f"by={by!r} gives each level a residual SD of its own, from which the variance "
            f"{type(variance).__name__} cannot be told apart; leave the variance out, or let it depend on a "
            f"column that changes within each level of {by!r}."
        )
    return alone == both


def _times(spec: Specification, table: Table) -> tuple[np.ndarray | None, Visits | None]:
    """The checked times of the residual structure, and what they stand for if they are visits by name."""
    residual = spec.residual
    if residual is None or residual.time is None:
        return None, None
    times, visits = table.columns[residual.time], None
    if isinstance(times, Factor):
        if not getattr(residual, "takes_visits", False):
            raise DataError(
                f"{type(residual).__name__} needs times as numbers, but {residual.time!r} is a category; "
                "name a column of times, or use Unstructured, Toeplitz, AR1 or RandomWalk, which take visits."
            )
        visits = visits_of(residual.time, times)
        times = visits.times(times)
    residual.check(times)
    return times, visits


def _units(
    codes: Sequence[np.ndarray], times: np.ndarray | None, visits: Visits | None = None
) -> tuple[SortedRows, ...]:
    """The rows as the moments of each level see them."""
    n = len(codes[0])
    result: list[SortedRows] = []
    for values in codes:
        # A unit ends where its own code changes or that of the unit it lies in.
        change = values[1:] != values[:-1]
        if result:
            change = change | (np.diff(result[-1].subject) > 0)
        starts = np.concatenate([[0], np.flatnonzero(change) + 1])
        outer = result[-1].subject[starts] if result else None
        labels = None if visits is None else visits.labels
        result.append(SortedRows(times, None, starts, outer, n, labels))
    return tuple(result)


def check_identified(rows: Rows, level: int, effects: int, group: str) -> None:
    """One level has no variance between levels; as many random effects as rows are like residuals."""
    N, n = len(rows.units[level].starts), len(rows.y)
    if effects and N == 1:
        raise FitError(
            f"The grouping factor {group!r} has one level only, so that a variance between its levels cannot "
            "be estimated; leave its random effects out."
        )
    if effects and N * effects >= n:
        raise FitError(
            f"{N} levels of {group!r} with {effects} random effect{'s' * (effects > 1)} each are as many "
            f"unknowns as the {n} rows: the random effects cannot be told from the residuals; use fewer."
        )


def check_parameters(n: int, p: int, own: int, spec: Specification) -> None:
    """n rows, p fixed effects; own : parameters of the residual structure and the variance, sigma apart."""
    if own + 1 > n - p:
        kinds = [type(part).__name__ for part in (spec.residual, spec.variance) if part is not None]
        raise FitError(
            f"{' with '.join(kinds)} has {own + 1} parameters here and the {n} rows have {n - p} left beside "
            f"the {p} fixed effects: a structure of fewer parameters is needed, e.g. AR1 or CAR1."
        )


def check_variation(n: int, p: int, left: float, total: float, formula: Formula) -> None:
    """n rows, p fixed effects; left, total : sums of squares of the residuals and of the response."""
    if n <= p:
        raise FitError(f"{n} rows cannot estimate {p} fixed effects and a variance; use fewer fixed effects.")
    if left <= PERFECT * total:
        raise FitError(
            f"The response {formula.response!r} has no residual variation: it is constant or an exact "
            "function of the fixed effects."
        )
