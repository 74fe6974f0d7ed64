"""What the clean table looks like: columns, visits, attrition."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from lmmstudy.base.visits import visit_numbers
from lmmstudy.clean.layout import Layout
from lmmstudy.clean.read import ROW

MOST_TIMES = 60
MOST_PATTERNS = 20


def column_summaries(table: pl.DataFrame, missing: Mapping[str, int], layout: Layout) -> list[dict[str, Any]]:
    """Role, type and distribution of each column; `missing` counts rows read, the rest describes
    rows used.
    """
    entries = []
    for column in layout.columns:
        values = table[column]
        entry: dict[str, Any] = {
            "name": column,
            "role": layout.role(column),
            "type": "number" if values.dtype == pl.Float64 else "category",
            "missing": missing[column],
        }
        if values.dtype == pl.Float64:
            entry |= {
                "min": values.min(),
                "max": values.max(),
                "mean": values.mean(),
                "sd": values.std(),
            }
        elif column != layout.subject:
            entry["levels"] = _levels(values, layout.categories.get(column))
        entries.append(entry)
    return entries


def visits(table: pl.DataFrame, layout: Layout) -> dict[str, Any]:
    """Distinct times, visits per subject, and which subjects were seen at which times.

    table : sorted by subject and time. Times and patterns are given for at most `MOST_TIMES` visits, patterns
    most frequent first. There are none in data whose times make no visits (base.visits).
    """
    person = table[layout.subject].rle_id().to_numpy()
    starts = np.flatnonzero(np.diff(person, prepend=-1.0))
    rows = pl.Series(np.diff(starts, append=person.size))
    summary = {"min": rows.min(), "median": rows.median(), "max": rows.max()}
    none: dict[str, Any] = {"times": [], "per_subject": summary, "patterns": []}
    found = _binned(table, layout)
    if found is None:
        return none
    times, place = found
    # A pattern is a number whose binary digits are the visits, the first one in front.
    digit = np.left_shift(1, times.size - 1 - place)
    again = (np.diff(person, prepend=-1.0) == 0) & (np.diff(place, prepend=-1) == 0)
    digit[again] = 0  # several rows at one time are one visit
    made, subjects = np.unique(np.add.reduceat(digit, starts), return_counts=True)
    order = np.lexsort((-made, -subjects))[:MOST_PATTERNS]
    patterns = [
        {"visits": [int(d) for d in f"{made[k]:0{times.size}b}"], "subjects": int(subjects[k])} for k in order
    ]
    return none | {"times": times.tolist(), "patterns": patterns}


def attrition(table: pl.DataFrame, layout: Layout) -> list[dict[str, Any]]:
    """Subjects and response at each visit, by level of the group (`"all"` without one)."""
    found = _binned(table, layout)
    if found is None:
        return []
    times, place = found
    group = pl.lit("all") if layout.group is None else pl.col(layout.group)
    response = pl.col("value")
    return (
        table.select(
            pl.Series("time", times[place]),
            group.alias("group"),
            pl.col(layout.subject).alias("subject"),
            pl.col(layout.response).alias("value"),
        )
        .group_by("time", "group")
        .agg(
            subjects=pl.col("subject").n_unique(),
            mean=response.mean(),
            sd=response.std(),
            min=response.min(),
            max=response.max(),
        )
        .sort("time", "group")
        .to_dicts()
    )


def _binned(table: pl.DataFrame, layout: Layout) -> tuple[np.ndarray, np.ndarray] | None:
    """The time of each visit, to four digits where its rows have several, and the visit of each row; None
    where there are none, or more than MOST_TIMES."""
    if layout.time is None or not table.height:
        return None
    time = table[layout.time].to_numpy()
    place = visit_numbers(table[layout.subject].rle_id().to_numpy().astype(np.int64), time)
    if place is None or place.max() >= MOST_TIMES:
        return None
    rows = np.bincount(place)
    low, high = np.full(rows.size, np.inf), np.full(rows.size, -np.inf)
    np.minimum.at(low, place, time)
    np.maximum.at(high, place, time)
    mean = [float(f"{total:.4g}") for total in np.bincount(place, weights=time) / rows]
    return np.where(low == high, low, mean), place


def _levels(values: pl.Series, order: list[str] | None) -> dict[str, int]:
    counts = dict(values.value_counts(name=ROW).iter_rows())
    return {str(level): counts.get(level, 0) for level in order or sorted(counts)}
