"""Fit a linear mixed model: formula and rows in, `Fit` out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from lmmcore.covariance.residual import Residual
from lmmcore.covariance.variance import Variance
from lmmcore.estimate.fit import estimate
from lmmcore.result import Fit


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
    weights, offset : columns; prior weights mean variance sigma^2 / weight; `+ offset(x)` in the formula is
        the same as offset="x".
    categories : {column: levels}; the first level is the reference.

    Rows with a missing value in a variable of the model are left out and counted. Raises FormulaError,
    DataError or FitError with one sentence that says what to do.

        >>> import lmmcore as lmm
        >>> lmm.fit("Reaction ~ Days + (Days | Subject)", frame)      # doctest: +SKIP
    """
    return Fit(
        estimate(
            formula,
            data,
            method=method,
            residual=residual,
            variance=variance,
            weights=weights,
            offset=offset,
            categories=categories,
        )
    )


def load(path: str | Path) -> Fit:
    """The fit that `Fit.save` wrote to a file.

    Raises DataError for a file that is none or was altered, FitError if the fit cannot be repeated.
    """
    from lmmcore.output.saved import restored  # start-up time

    return Fit(restored(path))
