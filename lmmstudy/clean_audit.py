"""What the clean table looks like: columns, visits, attrition."""

from typing import Any

import polars as pl

from lmmstudy.clean_read import ROW
from lmmstudy.layout import Layout

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
    first.
    """
    per_subject = table.group_by(layout.subject).len(ROW)[ROW]
    summary = {
        "min": per_subject.min(),
        "median": per_subject.median(),
        "max": per_subject.max(),
    }
    times = table[layout.time].unique().sort().to_list()
    if len(times) > MOST_TIMES:
        return {"times": [], "per_subject": summary, "patterns": []}
    seen: dict[Any, set[float]] = {}
    for subject, time in table.select(layout.subject, layout.time).iter_rows():
        seen.setdefault(subject, set()).add(time)
    counts: dict[tuple[int, ...], int] = {}
    for visited in seen.values():
        pattern = tuple(int(time in visited) for time in times)
        counts[pattern] = counts.get(pattern, 0) + 1
    ranked = sorted(counts.items(), key=lambda item: (-item[1], [-v for v in item[0]]))
    patterns = [{"visits": list(p), "subjects": n} for p, n in ranked[:MOST_PATTERNS]]
    return {"times": times, "per_subject": summary, "patterns": patterns}


def attrition(table: pl.DataFrame, layout: Layout) -> list[dict[str, Any]]:
    """Subjects and response at each time, by level of the group (`"all"` without one)."""
    if table[layout.time].n_unique() > MOST_TIMES:
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
