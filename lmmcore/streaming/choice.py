"""Which files are streamed.

A Parquet file is streamed when the values of the columns that the model needs are more than VALUES (0.8 GB as
numbers) and the model is one whose moments are plain sums over rows: independent residuals without prior
weights, grouping factors written nested (1 | school / student), no function that learns from all rows (scale,
center, poly, bs, cr). The rule knows nothing of the machine, so that the same call gives the same digits on
all of them. Everything else is loaded.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmmcore.formula.calls import read_call
from lmmcore.formula.tokens import unquote
from lmmcore.formula.transforms import BASES, SCALARS
from lmmcore.model.specification import Specification

if TYPE_CHECKING:
    import polars as pl

VALUES = 100_000_000


def streams(spec: Specification, data: Any) -> bool:
    """Whether the data are a file that is streamed under this model."""
    if not isinstance(data, (str, Path)) or Path(data).suffix.lower() != ".parquet":
        return False
    if not (streamable(spec) and Path(data).is_file()):
        return False
    import polars as pl

    lazy = pl.scan_parquet(data, glob=False)
    try:
        schema = lazy.collect_schema()
        rows = lazy.select(pl.len()).collect().item()
    except (OSError, pl.exceptions.PolarsError):  # the error is told by who reads the file
        return False
    needed = {*needed_columns(spec), *grouping_columns(spec)}
    listed = spec.categories or {}
    if not {*needed, *listed} <= set(schema) or rows * len(needed) <= VALUES:
        return False
    return all(_usable(schema[name]) for name in needed_columns(spec))


def streamable(spec: Specification) -> bool:
    """Whether the moments of the model are sums over rows that can be formed in one pass."""
    if spec.residual is not None or spec.variance is not None or spec.weights is not None:
        return False
    groups = group_columns(spec)
    if not groups or any(
        inner[: len(outer)] != outer for outer, inner in zip(groups, groups[1:], strict=False)
    ):
        return False
    calls = [name for factor in _factors(spec) if unquote(factor) is None for name in _functions(factor)]
    if any(name in SCALARS or name in BASES for name in calls):
        return False
    return not categories_by_formula(spec) & _numbers_by_formula(spec)


def group_columns(spec: Specification) -> list[tuple[str, ...]]:
    """Columns of each grouping factor, outermost first."""
    return sorted({term.group for term in spec.formula.random}, key=lambda columns: (len(columns), columns))


def grouping_columns(spec: Specification) -> list[str]:
    """Grouping columns, outermost first."""
    return list(group_columns(spec)[-1])


def needed_columns(spec: Specification) -> list[str]:
    """Columns of the fixed and random effects, the response and the offset."""
    return sorted({*spec.formula.variables, *([] if spec.offset is None else [spec.offset])})


def categories_by_formula(spec: Specification) -> set[str]:
    """Columns that stand in C()."""
    return {
        name
        for factor in _factors(spec)
        if unquote(factor) is None and "C" in _functions(factor)
        for name in read_call(factor).columns
    }


def _numbers_by_formula(spec: Specification) -> set[str]:
    """Columns that stand elsewhere than in C()."""
    found = set() if spec.offset is None else {spec.offset}
    for factor in (*_factors(spec), spec.formula.response):
        name = unquote(factor)
        if name is not None:
            found.add(name)
        elif "C" not in _functions(factor):
            found.update(read_call(factor).columns)
    return found


def _factors(spec: Specification) -> Iterator[str]:
    for terms in (spec.formula.fixed, *(term.terms for term in spec.formula.random)):
        for term in terms:
            yield from term


def _functions(factor: str) -> list[str]:
    """Names of the functions that a call holds."""
    nodes = ast.walk(read_call(factor).tree)
    return [node.func.id for node in nodes if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]


def _usable(kind: pl.DataType) -> bool:
    import polars as pl

    return kind.is_numeric() or kind in (pl.String, pl.Boolean, pl.Categorical, pl.Enum)
