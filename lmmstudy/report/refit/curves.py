"""Where predicted means are evaluated: over time, other covariates held, or averaged where they change
within subjects."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lmmcore.inference.emmeans.reference_grid import is_category
from lmmstudy.config.formulas import columns_of_terms
from lmmstudy.report.refit.rows import ALL, Rows, numbers, values
from lmmstudy.report.refit.series import Curve

WITH_TIME = 0.9
"""R squared, within subjects, of a cubic curve over time above which a covariate moves with time."""


def varying(frame: Any, design: Mapping[str, Any]) -> tuple[str, ...]:
    """Covariates of the fixed effects other than time and group that change within a subject and move with
    time, such as its square or the name of the visit: no one value of them belongs to all times. What changes
    otherwise is averaged over and held like any covariate."""
    subject = values(frame, design["subject"])
    subjects = len(set(subject))
    own = {design.get(key) for key in ("subject", "time", "response", "group")}
    names = [name for name in columns_of_terms(design["fixed"]) if name not in own and name in frame.columns]
    changing = [name for name in names if len(set(zip(subject, values(frame, name), strict=True))) > subjects]
    if not design.get("time"):
        return tuple(changing)
    time = numbers(frame, design["time"])
    codes = np.unique(np.array(subject, dtype=str), return_inverse=True)[1]
    return tuple(name for name in changing if _moves_with(values(frame, name), time, codes))


def _moves_with(covariate: Sequence[Any], time: np.ndarray, subject: np.ndarray) -> bool:
    """Whether time says how the covariate changes within a subject, one of the numbers `subject`: a number
    along a cubic curve, a category by a level for each time."""
    if any(isinstance(v, bool) or not isinstance(v, (int, float)) for v in covariate):
        return len(set(zip(time.tolist(), covariate, strict=True))) == len(set(time.tolist()))
    t = (time - time.mean()) / (np.ptp(time) or 1.0)
    columns = np.column_stack([np.asarray(covariate, dtype=float), t, t**2, t**3])
    rows = np.bincount(subject)
    means = np.column_stack([np.bincount(subject, weights=column) / rows for column in columns.T])
    y, X = np.hsplit(columns - means[subject], [1])
    left = y - X @ np.linalg.lstsq(X, y, rcond=None)[0]
    return float(np.sum(left**2)) <= (1 - WITH_TIME) * float(np.sum(y**2))


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
    """Where a curve is evaluated: evenly spaced over the span of time, and at the times themselves if they
    are few."""
    distinct = np.unique(time)
    if distinct.size == 1:
        return distinct
    return np.union1d(np.linspace(distinct[0], distinct[-1], points), distinct if distinct.size <= 60 else [])


def marginal(
    fit: Any, used: Rows, design: Mapping[str, Any], conf_level: float
) -> tuple[tuple[Curve, ...], str]:
    """Estimated marginal means of each group over its own span of time, and what they are averaged over and
    held at: other categories with equal weights, numbers at their mean, as `Fit.emmeans` has it."""
    time, group = str(design.get("time") or ""), str(design.get("group") or "")
    known = fit.solution.model.fixed.variables
    own = [group] if group in known else []
    if not own and time not in known:
        return _constant(fit, used, conf_level), ""
    curves, note = [], ""
    category = time in known and is_category(fit.solution.model, time)
    for name in used.groups:
        member = np.array([g == name for g in used.group])
        at = np.unique(used.time[member]) if category else grid(used.time[member])
        where: dict[str, Any] = {group: [name]} if own else {}
        specs = own
        if time in known:
            where[time], specs = at.tolist(), [*own, time]
        found = fit.emmeans(specs, at=where, conf_level=conf_level)
        table = found.frame()
        mean, low, high = (numbers(table, key) for key in ("estimate", "conf_low", "conf_high"))
        if time not in known:
            mean, low, high = (np.full(at.size, v[0]) for v in (mean, low, high))
        seen = np.isfinite(mean)
        if seen.any():
            curves.append(Curve(name, at[seen], mean[seen], low[seen], high[seen]))
        note = found.sentence.split(", ", 1)[1] if ", " in found.sentence else ""
    return tuple(curves), note


def _constant(fit: Any, used: Rows, conf_level: float) -> tuple[Curve, ...]:
    """The same mean everywhere, of a model with neither time nor group: its intercept, if it has no more."""
    if fit.terms != ("Intercept",):
        return ()
    row = fit.tidy(conf_level=conf_level).to_dicts()[0]
    at = np.array([used.time.min(), used.time.max()])
    values = (np.full(2, row[key]) for key in ("estimate", "conf_low", "conf_high"))
    return (Curve(ALL, at, *values),) if used.groups == (ALL,) else ()


def reference(frame: Any, design: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[tuple[str, str], ...]]:
    """Where the covariates other than subject, time, response and group are held: numbers at their mean,
    categories at their most frequent level (the first of equals)."""
    fixed = {design.get(key) for key in ("subject", "time", "response", "group")}
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
    in_model = columns_of_terms(design["fixed"])
    return base, tuple((name, value) for name, value in named if name in in_model)


def new_rows(
    frame: Any, base: Mapping[str, Any], design: Mapping[str, Any], group: str, times: np.ndarray
) -> Any:
    """A frame like `frame` with one row a time; group and subject are those of a row of the group."""
    import polars as pl

    m = len(times)
    data: dict[str, Any] = {name: [value] * m for name, value in base.items()}
    if design.get("time"):
        data[design["time"]] = times
    data[design["subject"]] = [values(frame, design["subject"])[0]] * m
    if design.get("group"):
        data[design["group"]] = [next(v for v in values(frame, design["group"]) if str(v) == group)] * m
    return pl.DataFrame(data)
