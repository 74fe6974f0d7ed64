"""A model of the study fitted to a clean table: where the study asks the engine for estimates."""

from collections.abc import Mapping
from typing import Any, Literal

from lmmcore.estimate.fit import estimate
from lmmcore.estimate.solution import Solution
from lmmstudy.config.formulas import check_formula
from lmmstudy.fitting.structures import residual_of, variance_of


def fit_table(
    parquet: str,
    model: Mapping[str, Any],
    method: Literal["ML", "REML"],
    categories: Mapping[str, list[Any]] | None,
) -> Solution:
    """The engine's estimates of a model to a clean table. Raises `LmmError`.

    model : a record, or anything else with its keys `formula`, `residual_structure` and `variance`.
    """
    check_formula(model["formula"])
    levels = {c: [str(level) for level in levels] for c, levels in (categories or {}).items()}
    return estimate(
        model["formula"],
        parquet,
        method=method,
        residual=residual_of(model["residual_structure"]),
        variance=variance_of(model["variance"]),
        categories=levels or None,
    )
