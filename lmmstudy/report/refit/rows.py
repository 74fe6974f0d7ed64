"""The rows behind the report, and columns of frames as plain values."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lmmstudy.base.visits import visit_numbers

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
    """(n,) number of the visit of each row, None where the times make no visits (base.visits)."""
    _, codes = np.unique(np.array(rows.subject), return_inverse=True)
    order = np.lexsort((rows.time, codes))
    found = visit_numbers(codes[order], rows.time[order])
    if found is None:
        return None
    result = np.empty(found.size, dtype=np.intp)
    result[order] = found
    return result


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
