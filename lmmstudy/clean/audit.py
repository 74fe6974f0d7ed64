"""What the clean table looks like: columns, visits, attrition."""

from typing import Any

import polars as pl

from lmmstudy.clean.layout import Layout
from lmmstudy.clean.read import ROW

MOST_TIMES = 60
MOST_PATTERNS = 20


def column_summaries(table: pl.DataFrame, before: pl.DataFrame, layout: Layout) -> list[dict[str, Any]]:
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
            "missing": before[column].null_count(),
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

    Times and patterns are given for a grid of at most `MOST_TIMES` times; patterns most frequent
    first. There are none in data without a time.
    """
    per_subject = table.group_by(layout.subject).len(ROW)[ROW]
    summary = {
        "min": per_subject.min(),
        "median": per_subject.median(),
        "max": per_subject.max(),
    }
    none: dict[str, Any] = {"times": [], "per_subject": summary, "patterns": []}
    if layout.time is None or table[layout.time].n_unique() > MOST_TIMES:
        return none
    times = table[layout.time].unique().sort()
    # A pattern is a number whose binary digits are the visits, the first one in front.
    digits = pl.DataFrame({"time": times, "digit": [1 << k for k in reversed(range(len(times)))]})
    seen = table.select(pl.col(layout.subject).alias("subject"), pl.col(layout.time).alias("time")).unique()
    patterns = seen.join(digits, on="time").group_by("subject").agg(pl.col("digit").sum())
    ranked = patterns["digit"].value_counts().sort("count", "digit", descending=True).head(MOST_PATTERNS)
    listed = [
        {"visits": [int(digit) for digit in f"{pattern:0{len(times)}b}"], "subjects": subjects}
        for pattern, subjects in ranked.iter_rows()
    ]
    return none | {"times": times.to_list(), "patterns": listed}


def attrition(table: pl.DataFrame, layout: Layout) -> list[dict[str, Any]]:
    """Subjects and response at each time, by level of the group (`"all"` without one)."""
    if layout.time is None or table[layout.time].n_unique() > MOST_TIMES:
        return []
    group = pl.lit("all") if layout.group is None else pl.col(layout.group)
    response = pl.col("value")
    return (
        table.select(
            pl.col(layout.time).alias("time"),
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


def _levels(values: pl.Series, order: list[str] | None) -> dict[str, int]:
    counts = dict(values.value_counts(name=ROW).iter_rows())
    return {str(level): counts.get(level, 0) for level in order or sorted(counts)}
