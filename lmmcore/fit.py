"""Fit a linear mixed model: formula and rows in, `Fit` out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from lmmcore.covariance.residual import Residual
from lmmcore.data import read
from lmmcore.errors import FitError
from lmmcore.formula.parse import parse
from lmmcore.model import Specification, build
from lmmcore.result import Fit
from lmmcore.solution import solve


def fit(
    formula: str,
    data: Any,
    *,
    method: Literal["REML", "ML"] = "REML",
    residual: Residual | None = None,
    categories: Mapping[str, Sequence[Any]] | None = None,
) -> Fit:
    """Fit a linear mixed model by maximum (restricted) likelihood.

    formula : lme4 notation, e.g. "Reaction ~ Days + (Days | Subject)".
    data : a polars, pandas or pyarrow frame (anything Narwhals reads), or the path of a Parquet or CSV file.
    method : "REML", or "ML" to compare models that differ in their fixed effects.
    residual : None for independent residuals, or a residual structure such as AR1("time").
    categories : {column: levels}; the first level is the reference.

    Rows with a missing value in a variable of the model are left out and counted. Raises FormulaError,
    DataError or FitError with one sentence that says what to do.

        >>> import lmmcore as lmm
        >>> lmm.fit("Reaction ~ Days + (Days | Subject)", frame)      # doctest: +SKIP
    """
    if method not in ("REML", "ML"):
        raise FitError(f"method is {method!r}, but must be 'REML' or 'ML'.")
    parsed = parse(formula)
    grouping = {column for term in parsed.random for column in term.group}
    variables = set(parsed.variables)
    if residual is not None:
        if residual.time is not None:
            variables.add(residual.time)
        if residual.subject is not None:
            grouping.add(residual.subject)
    table = read(data, sorted(variables), sorted(grouping), categories)
    levels = {name: list(values) for name, values in categories.items()} if categories else None
    model = build(Specification(parsed, method, residual, levels), table)
    return Fit(solve(model))
