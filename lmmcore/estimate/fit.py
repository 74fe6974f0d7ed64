"""From a formula and rows to the estimates: what `lmmcore.fit` does, and functions that take no `Fit`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lmmcore.covariance.residual import Residual, by_column, subject_columns
from lmmcore.covariance.variance import Variance
from lmmcore.data.table import Table, read
from lmmcore.errors import FitError, FormulaError
from lmmcore.estimate.effects import blups
from lmmcore.estimate.residuals import fitted_values
from lmmcore.estimate.solution import Solution, solve
from lmmcore.formula.parse import parse
from lmmcore.model.build import build
from lmmcore.model.specification import Specification
from lmmcore.runtime import arguments
from lmmcore.runtime.allocator import keep_freed_memory
from lmmcore.streaming.choice import streams

# Rounds of fitting with a variance that depends on the fitted values, and when these agree (in SD of y).
ALTERNATIONS = 100
SETTLED = 1e-8


def estimate(
    formula: str,
    data: Any,
    *,
    method: str = "REML",
    residual: Residual | None = None,
    variance: Variance | None = None,
    weights: str | None = None,
    offset: str | None = None,
    categories: Mapping[str, Sequence[Any]] | None = None,
) -> Solution:
    """The estimates of a linear mixed model; arguments and errors are those of lmmcore.fit."""
    keep_freed_memory()
    arguments.one_of(method, "method", ("REML", "ML"))
    arguments.structure(residual, "residual", "lmm.AR1('time')")
    arguments.structure(variance, "variance", "lmm.ByGroup('arm')")
    weights, offset = (
        of if of is None else arguments.name(of, what)
        for of, what in ((weights, "weights"), (offset, "offset"))
    )
    levels = arguments.levels(categories)
    parsed = parse(formula)
    if parsed.offset is not None:
        if offset is not None:
            raise FormulaError(
                f"The formula has offset({parsed.offset}) and the argument offset names {offset!r}: a model "
                "has one offset, so keep one of them, or add them up in a column of the data before."
            )
        offset = parsed.offset
    grouping = {column for term in parsed.random for column in term.group}
    variables = set(parsed.variables)
    if residual is not None:
        if residual.time is not None:
            variables.add(residual.time)
        grouping.update(subject_columns(residual))
        if (by := by_column(residual)) is not None:
            variables.add(by)
    variables |= {name for name in (weights, offset) if name is not None}
    if variance is not None and variance.column is not None:
        variables.add(variance.column)
    spec = Specification(parsed, method, residual, variance, weights, offset, levels)
    if streams(spec, data):
        return estimated_streamed(spec, data)
    table = read(data, sorted(variables), sorted(grouping), levels)
    try:
        return estimated(spec, table)
    except np.linalg.LinAlgError as error:
        raise FitError(
            f"The model cannot be fitted: a matrix is numerically singular ({error}); look for columns or "
            "weights of very different size, times that almost repeat, and effects that repeat each other."
        ) from error


def estimated_streamed(spec: Specification, path: str | Path) -> Solution:
    """Fit a specification to a Parquet file without loading its rows."""
    from lmmcore.streaming.build import build_streamed  # start-up time

    return solve(build_streamed(spec, Path(path)))


def estimated(spec: Specification, table: Table) -> Solution:
    """Fit a specification to rows that have been read."""
    solution = solve(build(spec, table))
    if spec.variance is not None and spec.variance.column is None:
        solution = _with_fitted_variance(spec, table, solution)
    return solution


def _with_fitted_variance(spec: Specification, table: Table, solution: Solution) -> Solution:
    """Alternate between fitted values and a variance that depends on them, until they agree.

    Pinheiro & Bates (2000), section 5.2.1: the variance is held at the last fitted values while the
    likelihood is maximised. Raises FitError if the fitted values do not settle.
    """
    scale = float(np.std(solution.model.rows.y))
    fitted = _fitted(solution)
    for _ in range(ALTERNATIONS):
        solution = solve(build(spec, table, fitted), near=solution)
        last, fitted = fitted, _fitted(solution)
        if np.max(np.abs(fitted - last)) < SETTLED * scale:
            return solution
    raise FitError(
        "The fitted values and the variance that depends on them did not settle; use Power(of=column) of a "
        "covariate instead."
    )


def _fitted(solution: Solution) -> np.ndarray:
    """Fitted values : (n,) in the order of the table."""
    rows = solution.model.rows
    return rows.unsorted(fitted_values(solution, blups(solution))[1] + rows.offset)
