"""The rows behind the report, and columns of frames as plain values."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

NEAR, WIDE = 0.25, 0.5
ALL = "all"
"""Name of the only group where the design names no grouping column."""


@dataclass(frozen=True)
class Rows:
    """The rows used, in the order of the clean file. All (n,); `groups` are the levels of `group` in their
    order: that of the configuration, else sorted. `time` is 0 throughout in data without a time."""

    subject: tuple[str, ...]
    group: tuple[str, ...]
    time: np.ndarray
    response: np.ndarray
    groups: tuple[str, ...]


def visits(rows: Rows) -> np.ndarray | None:
    """(n,) number of the visit that each row belongs to, from 0; None where the times make no visits.

    Times of all subjects that lie near each other are one visit: the next one begins after a gap of more than
    NEAR of the median distance in time between two successive rows of a subject. Where a visit would be wider
    than WIDE of that distance there are no common visits.
    """
    names, codes = np.unique(np.array(rows.subject), return_inverse=True)
    order = np.lexsort((rows.time, codes))
    steps = np.diff(rows.time[order])[np.diff(codes[order]) == 0]
    distinct = np.unique(rows.time)
    if not (steps > 0).any():
        return np.searchsorted(distinct, rows.time)
    step = float(np.median(steps[steps > 0]))
    first = np.concatenate([[True], np.diff(distinct) > NEAR * step])
    number = np.cumsum(first) - 1
    starts = distinct[first]
    ends = distinct[np.append(np.flatnonzero(first)[1:] - 1, distinct.size - 1)]
    if (ends - starts).max() > WIDE * step:
        return None
    return number[np.searchsorted(distinct, rows.time)]


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
    time = numbers(frame, design["time"]) if design.get("time") else np.zeros(len(subject))
    return Rows(subject, group, time, numbers(frame, design["response"]), groups)
