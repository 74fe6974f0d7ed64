"""The design of a fit made outside a study: who was measured, when and what, read off the fit itself.

subject : the innermost grouping factor. time : that of the residual structure, else the first number with a
random slope, else the first number of the fixed effects that changes within subjects, else the number of the
row within its subject. group : the first category of the fixed effects, of few levels, that does not change
within subjects.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

import lmmcore as lmm
from lmmcore.covariance.residual import by_column, subject_columns
from lmmcore.data.table import Factor, Table
from lmmcore.formula.calls import variables
from lmmcore.formula.expressions import response
from lmmcore.formula.parse import Term
from lmmcore.formula.tokens import unquote
from lmmcore.model.specification import Specification
from lmmstudy.fitting.structures import RESIDUALS

MOST_GROUPS = 6
"""Most levels of a category that is drawn as groups."""


@dataclass(frozen=True)
class Source:
    """The rows used, text and float64, with the parts of a study's configuration that describe them."""

    frame: pl.DataFrame
    stanza: Mapping[str, Any]
    residual: Mapping[str, Any] | None
    variance: Mapping[str, Any] | None


def source(fit: lmm.Fit) -> Source:
    """The rows and the design of a fit. Raises FitError for what a study cannot describe."""
    model = fit.solution.model
    spec, table = model.spec, model.table
    _check(spec)
    columns = {name: _plain(column) for name, column in {**table.groups, **table.columns}.items()}
    subject, codes = _subject(fit, columns)
    name = unquote(spec.formula.response) or spec.formula.response
    columns[name] = response(spec.formula.response, table.columns)
    fixed = _columns(spec.formula.fixed)
    slopes = _columns(term for random in spec.formula.random for term in random.terms)
    time = _time(spec, table, codes, slopes, fixed)
    residual, visits = _residual(spec, subject), model.rows.visits
    by_name = None if visits is None else table.columns[visits.time]
    if isinstance(by_name, Factor) and visits is not None:
        time = _unused(f"{visits.time} (number)", columns)
        columns[time] = visits.times(by_name)
    if time is None:
        time = _unused("Row", columns)
        columns[time] = _within(codes)
    stanza: dict[str, Any] = {"path": "the rows of the fit"}
    stanza |= {"subject": subject, "time": time, "response": name}
    stanza |= {"fixed": " + ".join(f"`{column}`" for column in fixed) or "1", "candidates": ["fit"]}
    group = _group(table, codes, [column for column in fixed if column != subject])
    if group is not None:
        stanza["group"] = group
    factors = {n: list(c.levels) for n, c in table.columns.items() if isinstance(c, Factor)}
    stanza["categories"] = {n: levels for n, levels in factors.items() if n not in table.groups}
    if isinstance(by_name, Factor) and visits is not None and residual is not None:
        # The fit is repeated: its visits must be found in the same order, without a change of the coding.
        if by_name.declared is None:
            del stanza["categories"][visits.time]
        elif [label for label in by_name.declared if label in by_name.levels] == list(by_name.levels):
            stanza["categories"][visits.time] = list(by_name.declared)
        else:
            residual["time"] = time
    return Source(pl.DataFrame(columns), stanza, residual, _variance(spec))


def _check(spec: Specification) -> None:
    for what, column in (("prior weights", spec.weights), ("an offset", spec.offset)):
        if column is not None:
            raise lmm.FitError(
                f"A fit with {what} ({column!r}) has no report: its pages cannot show {what} yet; print the "
                "fit, or use its tables."
            )
    residual, variance = spec.residual, spec.variance
    own = residual is not None and residual.type not in RESIDUALS
    if own or not (variance is None or isinstance(variance, (lmm.ByGroup, lmm.Power))):
        named = type(residual if own else variance).__name__
        raise lmm.FitError(f"{named} is not a structure of lmmcore, so that its fit has no report.")


def _plain(column: np.ndarray | Factor) -> Any:
    if isinstance(column, Factor):
        return np.array(column.levels, dtype=object)[column.codes].astype(str)
    return column


def _columns(terms: Iterable[Term]) -> list[str]:
    """Columns in terms, in order of appearance."""
    return list(dict.fromkeys(name for term in terms for factor in term for name in variables(factor)))


def _subject(fit: lmm.Fit, columns: dict[str, Any]) -> tuple[str, np.ndarray]:
    """Name of the subject's column and the subject of each row as a number; adds the column if need be."""
    groups = fit.solution.model.groups
    if not groups:
        name, codes = _unused("Row", columns), np.arange(fit.nobs)
        columns[name] = (codes + 1).astype(str)
        return name, codes
    inner = groups[-1]
    if len(inner.columns) > 1:
        columns[inner.name] = _plain(inner.factor)
    return inner.name, inner.factor.codes


def _time(
    spec: Specification, table: Table, codes: np.ndarray, slopes: list[str], fixed: list[str]
) -> str | None:
    if spec.residual is not None and spec.residual.time is not None:
        return spec.residual.time
    numbers = [n for n in [*slopes, *fixed] if not isinstance(table.columns[n], Factor)]
    moving = (n for n in numbers if not _constant(np.asarray(table.columns[n]), codes))
    return next(moving, None)


def _group(table: Table, codes: np.ndarray, names: list[str]) -> str | None:
    for name in names:
        column = table.columns[name]
        if isinstance(column, Factor) and 2 <= column.size <= MOST_GROUPS and _constant(column.codes, codes):
            return name
    return None


def _constant(values: np.ndarray, codes: np.ndarray) -> bool:
    """Whether the values do not change within a subject."""
    order = np.argsort(codes, kind="stable")
    same = np.diff(codes[order]) == 0
    return bool(np.all(values[order][1:][same] == values[order][:-1][same]))


def _within(codes: np.ndarray) -> np.ndarray:
    """1, 2, ... : (n,) along the rows of each subject, in the order of the data."""
    order = np.argsort(codes, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(codes[order]) != 0])
    numbers = np.arange(codes.size) - np.repeat(starts, np.diff(np.r_[starts, codes.size])) + 1.0
    result = np.empty(codes.size)
    result[order] = numbers
    return result


def _unused(name: str, columns: Mapping[str, Any]) -> str:
    while name in columns:
        name += "_"
    return name


def _residual(spec: Specification, subject: str) -> dict[str, Any] | None:
    residual = spec.residual
    if residual is None:
        return None
    columns = list(subject_columns(residual)) or [subject]
    within = columns if len(columns) > 1 else columns[0]
    named: dict[str, Any] = {"type": residual.type, "time": residual.time, "subject": within}
    named["nugget"] = bool(getattr(residual, "nugget", False))
    if isinstance(residual, lmm.AnteDependence):
        named["heterogeneous"] = residual.heterogeneous
    if (by := by_column(residual)) is not None:
        named["by"] = by
    return named


def _variance(spec: Specification) -> dict[str, str] | None:
    variance = spec.variance
    if isinstance(variance, lmm.ByGroup):
        return {"type": "by_group", "column": variance.column}
    return {"type": "power", "of": variance.of} if isinstance(variance, lmm.Power) else None
