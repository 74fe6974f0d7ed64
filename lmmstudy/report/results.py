"""The only place where the report asks the engine: the selected model is fitted again to the clean rows.

The refit gives what the JSON files leave out because it is as long as the data: fitted values, residuals, predicted
random effects and the predicted mean. The numbers in tables always come from the JSON files.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lmmstudy.formulas import columns_of
from lmmstudy.report.series import Curve, Effect, Profile

ALL = "all"
"""Name of the only group where the design names no grouping column."""


@dataclass(frozen=True)
class Rows:
    """The rows used, in the order of the clean file. All (n,); `groups` are the levels of `group` in their order:
    that of the configuration, else sorted."""

    subject: tuple[str, ...]
    group: tuple[str, ...]
    time: np.ndarray
    response: np.ndarray
    groups: tuple[str, ...]


@dataclass(frozen=True)
class Fitted:
    """What the refit adds. Arrays are (n,) in the order of `rows`. `held` says at which values other covariates stand
    in the curves (column, value); `averaged` names covariates that change within subjects: the curves are then means
    of the rows' predictions."""

    rows: Rows
    fitted: np.ndarray
    population: np.ndarray
    normalized: np.ndarray
    effects: tuple[Effect, ...]
    curves: tuple[Curve, ...]
    held: tuple[tuple[str, str], ...]
    averaged: tuple[str, ...]


def values(frame: Any, name: str) -> list[Any]:
    """A column of any frame the engine or the reader returns."""
    return frame[name].to_list()


def numbers(frame: Any, name: str) -> np.ndarray:
    """A numeric column as float64, (n,)."""
    return np.asarray(values(frame, name), dtype=float)


def rows(frame: Any, design: Mapping[str, Any]) -> Rows:
    """The rows of a frame with the columns of the design."""
    subject = tuple(str(v) for v in values(frame, design["subject"]))
    group = (ALL,) * len(subject)
    if design.get("group"):
        group = tuple(str(v) for v in values(frame, design["group"]))
    named = [str(v) for v in (design.get("categories") or {}).get(design.get("group"), ())]
    groups = tuple(sorted(set(group), key=lambda g: (named.index(g) if g in named else len(named), g)))
    return Rows(subject, group, numbers(frame, design["time"]), numbers(frame, design["response"]), groups)


def refit(
    parquet: str, frame: Any, model: Mapping[str, Any], design: Mapping[str, Any], conf_level: float
) -> Fitted:
    """Fit the selected model by REML and take out what the charts need; raises lmmcore.errors.LmmError.

    frame : the rows of the file `parquet`, which hold no missing value, so that none is left out by the fit.
    """
    from lmmstudy.fitting import fit_table

    fit = fit_table(parquet, model["formula"], model["residual_structure"], "REML", design.get("categories"))
    table, used = fit.augment(), rows(frame, design)
    fitted, population, normalized = (
        numbers(table, name) for name in ("fitted", "fitted_population", "residual_normalized")
    )
    held: tuple[tuple[str, str], ...] = ()
    averaged = varying(frame, design)
    if averaged:
        curves = averages(used, population)
    else:
        curves, held = _curves(fit, frame, design, used, conf_level)
    effects = _effects(fit.ranef())
    return Fitted(used, fitted, population, normalized, effects, curves, held, averaged)


def _effects(table: Any) -> tuple[Effect, ...]:
    columns = (values(table, name) for name in ("group", "level", "term", "estimate", "std_error"))
    return tuple(
        Effect(str(g), str(v), str(t), float(e), float(s)) for g, v, t, e, s in zip(*columns, strict=True)
    )


def _curves(
    fit: Any, frame: Any, design: Mapping[str, Any], used: Rows, conf_level: float
) -> tuple[tuple[Curve, ...], tuple[tuple[str, str], ...]]:
    """Predicted means of each group over its own span of time, other covariates held at their mean or commonest level."""
    base, held = reference(frame, design)
    curves = []
    for group in used.groups:
        member = np.array([g == group for g in used.group])
        at = grid(used.time[member])
        new = _new_rows(frame, base, design, group, at)
        table = fit.predict(new, level="population", interval="mean", conf_level=conf_level)
        mean, low, high = (numbers(table, name) for name in ("prediction", "conf_low", "conf_high"))
        curves.append(Curve(group, at, mean, low, high))
    return tuple(curves), held


def varying(frame: Any, design: Mapping[str, Any]) -> tuple[str, ...]:
    """Covariates of the fixed effects other than time and group that change within a subject."""
    subject = values(frame, design["subject"])
    subjects = len(set(subject))
    own = {design["subject"], design["time"], design["response"], design.get("group")}
    names = [name for name in columns_of(design["fixed"]) if name not in own and name in frame.columns]
    return tuple(
        name for name in names if len(set(zip(subject, values(frame, name), strict=True))) > subjects
    )


def averages(used: Rows, population: np.ndarray, most: int = 60) -> tuple[Curve, ...]:
    """Means of the rows' predictions at each time of each group, or in `most` equal intervals of time."""
    group, curves = np.array(used.group), []
    for name in used.groups:
        time, value = used.time[group == name], population[group == name]
        if np.unique(time).size > most:
            edges = np.linspace(time.min(), time.max(), most + 1)
            place = np.clip(np.searchsorted(edges, time, side="right") - 1, 0, most - 1)
            time = (edges[place] + edges[place + 1]) / 2
        at, place = np.unique(time, return_inverse=True)
        curves.append(Curve(name, at, np.bincount(place, weights=value) / np.bincount(place)))
    return tuple(curves)


def grid(time: np.ndarray, points: int = 41) -> np.ndarray:
    """Where a curve is evaluated: evenly spaced over the span of time, and at the times themselves if they are few."""
    distinct = np.unique(time)
    if distinct.size == 1:
        return distinct
    return np.union1d(np.linspace(distinct[0], distinct[-1], points), distinct if distinct.size <= 60 else [])


def reference(frame: Any, design: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[tuple[str, str], ...]]:
    """Where the covariates other than subject, time, response and group are held: numbers at their mean, categories
    at their most frequent level (the first of equals)."""
    fixed = {design["subject"], design["time"], design["response"], design.get("group")}
    base: dict[str, Any] = {}
    for name in frame.columns:
        if name in fixed:
            continue
        column = [v for v in values(frame, name) if v is not None]
        if column and all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in column):
            base[name] = float(np.mean(column))
        elif column:
            common = Counter(column)
            base[name] = min(common, key=lambda v: (-common[v], str(v)))
    named = tuple((name, f"{v:.4g}" if isinstance(v, float) else str(v)) for name, v in base.items())
    in_model = columns_of(design["fixed"])
    return base, tuple((name, value) for name, value in named if name in in_model)


def _new_rows(
    frame: Any, base: Mapping[str, Any], design: Mapping[str, Any], group: str, times: np.ndarray
) -> Any:
    """A frame like `frame` with one row a time; group and subject are those of a row of the group."""
    import polars as pl

    m = len(times)
    data: dict[str, Any] = {name: [value] * m for name, value in base.items()}
    data[design["time"]] = times
    data[design["subject"]] = [values(frame, design["subject"])[0]] * m
    if design.get("group"):
        data[design["group"]] = [next(v for v in values(frame, design["group"]) if str(v) == group)] * m
    return pl.DataFrame(data)


def profiles(used: Rows, fit: Fitted | None) -> tuple[Profile, ...]:
    """The rows of each subject in order of time; the pen is lifted where a planned visit is missing."""
    order = np.lexsort((used.time, np.array(used.subject)))
    names = np.array(used.subject)[order]
    starts = np.flatnonzero(np.r_[True, names[1:] != names[:-1]]) if names.size else np.array([], dtype=int)
    planned = np.unique(used.time)
    visit = np.searchsorted(planned, used.time)
    pieces = np.split(order, starts[1:])
    gaps = [np.diff(visit[piece]) for piece in pieces]
    steps = np.concatenate(gaps) if gaps else np.array([])
    scheduled = steps.size and np.mean(steps <= 1) >= 0.5
    result = []
    for piece, gap in zip(pieces, gaps, strict=True):
        joined = np.r_[True, gap <= 1] if scheduled else np.ones(piece.size, dtype=bool)
        lines = (fit.fitted[piece], fit.population[piece]) if fit is not None else (None, None)
        first = piece[0]
        named = used.subject[first], used.group[first]
        result.append(Profile(*named, used.time[piece], used.response[piece], joined, *lines))
    first_seen = {name: k for k, name in enumerate(dict.fromkeys(used.subject))}
    return tuple(sorted(result, key=lambda p: (used.groups.index(p.group), first_seen[p.subject])))
