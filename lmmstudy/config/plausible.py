"""Choices of a dataset's columns that can be analysed and are hardly what was meant: warnings of `lmm
check`."""

from collections.abc import Iterator

import polars as pl

from lmmstudy.clean.layout import Layout
from lmmstudy.config.draft_names import is_subject, is_time

SCATTERED = 3
"""A time without a time's name has at most this many times as many values as a subject has rows."""


def doubts(dataset: str, table: pl.DataFrame, layout: Layout) -> Iterator[str]:
    """A question, without its mark, for each doubtful choice; `table` is the clean table."""
    subject, time, response = layout.subject, layout.time, layout.response
    rows, subjects = table.height, table[subject].n_unique()
    if subjects == 1:
        yield f"{dataset}: all {rows} rows are of one {subject}: does it say who was measured"
    elif subjects == 2 and rows > 4:
        yield f"{dataset}: {subject!r} has 2 levels in {rows} rows: does it say who was measured"
    elif subjects == rows:
        yield f"{dataset}: no {subject} has more than one row: is it the right column"
    elif subjects > 0.95 * rows:
        yield f"{dataset}: {subjects} of {rows} rows have a {subject} of their own: is it the right column"
    if time is not None and 1 < subjects < rows:
        yield from _doubts_of_time(dataset, table, layout, time)
    if table[response].n_unique() == 1:
        yield f"{dataset}: the response {response!r} has the same value in all rows: is it what was measured"
    elif rows > 4 and table[response].sort().to_list() == [float(k) for k in range(1, rows + 1)]:
        yield f"{dataset}: the response {response!r} numbers the rows: is it what was measured"
    elif is_subject(response) == 3.0:
        yield f"{dataset}: the response {response!r} is called like an id: is it what was measured"


def _doubts_of_time(dataset: str, table: pl.DataFrame, layout: Layout, time: str) -> Iterator[str]:
    people = table.group_by(layout.subject).agg(
        pl.col(time).n_unique().alias("times"), pl.len().alias("rows")
    )
    several = people.filter(pl.col("rows") > 1)
    if several.height and (several["times"] == 1).all():
        yield f"{dataset}: {time!r} does not change within any {layout.subject}: is it the time"
        return
    distinct, most = table[time].n_unique(), max(people["rows"].to_list())
    whole = bool((table[time] % 1 == 0).all())
    dated = "time_unit" in layout.design or bool(layout.wide)
    if whole and not dated and not is_time(time) and distinct > SCATTERED * most:
        yield (
            f"{dataset}: {time!r} has {distinct} values, and a {layout.subject} at most {most} rows: is it a "
            "time, and not the number of a person or thing"
        )
