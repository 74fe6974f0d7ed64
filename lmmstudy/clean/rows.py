"""Which rows stay: missing values, ranges, duplicates. Every row that goes is counted under its reason."""

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from lmmstudy.clean.layout import Layout
from lmmstudy.clean.read import ROW

LISTED = 500  # entries of a list in the audit; the counts under `rows` are always complete


def drop_missing(frame: pl.DataFrame, columns: Sequence[str], dropped: dict[str, int]) -> pl.DataFrame:
    """Rows with a value in every column; `dropped` gains a reason per column that took rows away."""
    frame = _keep(frame, ~pl.all_horizontal(pl.col(columns).is_null()), "empty row", dropped)
    for column in columns:
        frame = _keep(frame, pl.col(column).is_not_null(), f"missing {column}", dropped)
    return frame


def drop_out_of_range(
    frame: pl.DataFrame, limits: Mapping[str, Sequence[float]], dropped: dict[str, int]
) -> tuple[pl.DataFrame, list[dict[str, Any]]]:
    """Rows within all limits (both ends belong), and the list of the others."""
    listed: list[dict[str, Any]] = []
    for column, (low, high) in sorted(limits.items()):
        inside = pl.col(column).is_between(low, high)
        for row, value in frame.filter(~inside).select(ROW, column).iter_rows():
            listed.append({"column": column, "row": row, "value": value, "allowed": [low, high]})
        frame = _keep(frame, inside, f"{column} out of range", dropped)
    return frame, listed[:LISTED]


def resolve_duplicates(
    frame: pl.DataFrame, layout: Layout, dropped: dict[str, int]
) -> tuple[pl.DataFrame, dict[str, Any]]:
    """One row for each subject, time and occasion, sorted by these, and the audit's `duplicates`; under the
    policy `keep` all rows, which are replicates.

    Of rows that agree in every used column the first stays. Rows that differ are settled by the
    config's policy; when that is to stop, the result holds the sentence under `stop`.
    """
    key, policy = layout.key, layout.design["duplicates"]
    found: dict[str, Any] = {"policy": policy, "identical": [], "conflicting": []}
    if policy == "keep":  # replicates have no order of their own: that of the file must not count
        return frame.sort(list(dict.fromkeys([*key, *layout.columns]))), found
    frame = frame.sort(*key, maintain_order=True)
    same = frame.select(pl.all_horizontal(pl.col(c) == pl.col(c).shift(1) for c in key)).to_series()
    same = same.fill_null(False)
    if not same.any():
        return frame, found
    several = same | same.shift(-1, fill_value=False)
    rest, some = frame.filter(~several), frame.filter(several).sort(ROW)
    repeated = some.filter(pl.struct(layout.columns).is_duplicated())
    found["identical"] = _groups(repeated, layout.columns, layout)
    distinct = some.unique(layout.columns, keep="first", maintain_order=True)
    _count(dropped, "identical duplicate", some.height - distinct.height)
    kept = _settled(distinct, found, layout, dropped)
    return pl.concat([rest, kept]).sort(*key, maintain_order=True), found


def _settled(
    distinct: pl.DataFrame, found: dict[str, Any], layout: Layout, dropped: dict[str, int]
) -> pl.DataFrame:
    """The rows that the policy leaves of those that differ; `found` gains what they are."""
    key, policy = layout.key, layout.design["duplicates"]
    clash = pl.struct(key).is_duplicated()
    conflicting = distinct.filter(clash)
    found["conflicting"] = _groups(conflicting, key, layout, values=True)
    if conflicting.is_empty():
        return distinct
    if policy == "error":
        found["stop"] = (
            f"{_times(conflicting, layout)} contradicting rows ({_first(found, layout)}): correct"
            " the file, or choose `duplicates: first`, `last`, `mean` or `drop`, or `keep` for replicates"
        )
        return distinct
    if policy == "mean":
        others = [c for c in layout.columns if c not in (*key, layout.response)]
        if len(others) and conflicting.select(*key, *others).n_unique() > conflicting.n_unique(key):
            found["stop"] = (
                "`duplicates: mean` averages the response, but other columns differ too "
                f"({_first(found, layout)}): correct the file, or choose another policy"
            )
            return distinct
        average = pl.col(layout.response).mean().over(key)
        kept = distinct.with_columns(average).unique(key, keep="first", maintain_order=True)
        reason = "duplicate averaged into another row"
    elif policy == "drop":
        kept, reason = distinct.filter(~clash), "conflicting duplicate"
    else:
        kept = distinct.unique(key, keep=policy, maintain_order=True)
        reason = "conflicting duplicate"
    _count(dropped, reason, distinct.height - kept.height)
    return kept


def _keep(frame: pl.DataFrame, kept: pl.Expr, reason: str, dropped: dict[str, int]) -> pl.DataFrame:
    stays = frame.select(kept).to_series()
    if stays.all():
        return frame
    _count(dropped, reason, frame.height - int(stays.sum()))
    return frame.filter(stays)


def _count(dropped: dict[str, int], reason: str, rows: int) -> None:
    if rows:
        dropped[reason] = dropped.get(reason, 0) + rows


def _groups(frame: pl.DataFrame, by: list[str], layout: Layout, values: bool = False) -> list[dict[str, Any]]:
    """One entry for each set of duplicates, in the order of the file."""
    if frame.is_empty():
        return []
    wanted = {"rows": ROW} | ({"values": layout.response} if values else {})
    places = _places(layout)
    table = (
        frame.select(
            *(pl.col(c).alias(f"by {i}") for i, c in enumerate(by)),
            *(pl.col(column).alias(name) for name, column in (places | wanted).items()),
        )
        .group_by([f"by {i}" for i in range(len(by))], maintain_order=True)
        .agg(pl.col(list(places)).first(), *(pl.col(name) for name in wanted))
    )
    return table.select(*places, *wanted).head(LISTED).to_dicts()


def _places(layout: Layout) -> dict[str, str]:
    """The columns that tell rows apart, by their part: subject, time, occasion."""
    parts = ("subject", "time", "occasion")
    return dict(zip((part for part in parts if part in layout.design), layout.key, strict=True))


def _times(conflicting: pl.DataFrame, layout: Layout) -> str:
    *first, last = _places(layout)
    words = f"{', '.join(first)} and {last}"
    count = conflicting.n_unique(layout.key)
    if count == 1:
        return f"one {words} has"
    return f"{count} {'pairs' if len(first) == 1 else 'sets'} of {words} have"


def _first(found: Mapping[str, Any], layout: Layout, most: int = 3) -> str:
    entries = found["conflicting"]
    places = _places(layout)

    def place(entry: Mapping[str, Any]) -> str:
        parts = ((column, entry[part]) for part, column in places.items() if part != "subject")
        where = ", ".join(f"{c} {v:.15g}" if isinstance(v, float) else f"{c} {v!r}" for c, v in parts)
        return f"{layout.subject} {entry['subject']!r} at {where}, rows {', '.join(map(str, entry['rows']))}"

    shown = "; ".join(map(place, entries[:most]))
    return shown if len(entries) <= most else f"{shown}; and {len(entries) - most} more"
