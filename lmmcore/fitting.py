"""Fit a linear mixed model: formula and rows in, `Fit` out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from lmmcore.covariance.residual import Residual, subject_columns
from lmmcore.covariance.variance import Variance
from lmmcore.data.table import Table, read
from lmmcore.errors import FitError
from lmmcore.estimate.effects import blups
from lmmcore.estimate.residuals import fitted_values
from lmmcore.estimate.solution import Solution, solve
from lmmcore.formula.parse import parse
from lmmcore.model.build import build
from lmmcore.model.specification import Specification
from lmmcore.result import Fit
from lmmcore.runtime import arguments
from lmmcore.runtime.allocator import keep_freed_memory
from lmmcore.streaming.choice import streams

# Rounds of fitting with a variance that depends on the fitted values, and when these agree (in SD of y).
ALTERNATIONS = 100
SETTLED = 1e-8


def fit(
    formula: str,
    data: Any,
    *,
    method: Literal["REML", "ML"] = "REML",
    residual: Residual | None = None,
    variance: Variance | None = None,
    weights: str | None = None,
    offset: str | None = None,
    categories: Mapping[str, Sequence[Any]] | None = None,
) -> Fit:
    """Fit a linear mixed model by maximum (restricted) likelihood.

    formula : lme4 notation, e.g. "Reaction ~ Days + (Days | Subject)".
    data : a polars, pandas or pyarrow frame (anything Narwhals reads), or the path of a Parquet or CSV file.
        A Parquet file of more than 100 million values is streamed where the model allows it: its rows are
        read in any order and not kept (lmmcore.streaming.choice).
    method : "REML", or "ML" to compare models that differ in their fixed effects.
    residual : None for independent residuals, or a residual structure such as AR1("time").
    variance : None, or a variance structure: ByGroup("arm"), Power(of="fitted"), Power(of="x").
    weights, offset : columns; prior weights mean variance sigma^2 / weight.
    categories : {column: levels}; the first level is the reference.

    Rows with a missing value in a variable of the model are left out and counted. Raises FormulaError,
    DataError or FitError with one sentence that says what to do.

        >>> import lmmcore as lmm
        >>> lmm.fit("Reaction ~ Days + (Days | Subject)", frame)      # doctest: +SKIP
    """
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
    grouping = {column for term in parsed.random for column in term.group}
    variables = set(parsed.variables)
    if residual is not None:
        if residual.time is not None:
            variables.add(residual.time)
        grouping.update(subject_columns(residual))
    variables |= {name for name in (weights, offset) if name is not None}
    if variance is not None and variance.column is not None:
        variables.add(variance.column)
    spec = Specification(parsed, method, residual, variance, weights, offset, levels)
    if streams(spec, data):
        return fit_streamed(spec, data)
    table = read(data, sorted(variables), sorted(grouping), levels)
    try:
        return fit_table(spec, table)
    except np.linalg.LinAlgError as error:
        raise FitError(
            f"The model cannot be fitted: a matrix is numerically singular ({error}); look for columns or "
            "weights of very different size, times that almost repeat, and effects that repeat each other."
        ) from error


def fit_streamed(spec: Specification, path: str | Path) -> Fit:
    """Fit a specification to a Parquet file without loading its rows."""
    from lmmcore.streaming.build import build_streamed

    return Fit(solve(build_streamed(spec, Path(path))))


def fit_table(spec: Specification, table: Table) -> Fit:
    """Fit a specification to rows that have been read."""
    solution = solve(build(spec, table))
    if spec.variance is not None and spec.variance.column is None:
        solution = _with_fitted_variance(spec, table, solution)
    return Fit(solution)


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
