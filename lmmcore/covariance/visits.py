"""Visits as text: a category whose levels have an order takes the place of whole-number times.

The order is the one declared, by categories= or by the type of the column (Enum, ordered category), else that
of the numbers in the labels, so that "Week 2" comes before "Week 10". A visit's time is its place 1, 2, ...:
visits count as equally spaced, as levels do in SAS and in the R package mmrm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lmmcore.errors import DataError
from lmmcore.formula.levels import Factor, by_numbers, level_text, told_apart

# Most labels in a sentence.
SHOWN = 12


@dataclass(frozen=True)
class Visits:
    """labels : the levels in order, those that do not occur in the rows too; reason : how it is known."""

    time: str
    labels: tuple[str, ...]
    reason: str

    @property
    def sentence(self) -> str:
        """What the times are."""
        return (
            f"The visits of {self.time} are in the order {_listed(self.labels)} ({self.reason}) and count as "
            f"the times 1 to {len(self.labels)}."
        )

    def times(self, column: Factor) -> np.ndarray:
        """(n,) places 1, 2, ... of the rows of a column. Raises DataError for a level that is no visit."""
        place = {label: index + 1.0 for index, label in enumerate(self.labels)}
        for level in column.levels:
            if level not in place:
                raise DataError(
                    f"The column {self.time!r} has the level {level!r}, but the visits of the fit are "
                    f"{_listed(self.labels)}; use one of these."
                )
        return np.array([place[level] for level in column.levels])[column.codes]


def visits_of(time: str, column: Factor) -> Visits:
    """The visits of a category. Raises DataError where their order is not known."""
    if column.declared is not None:
        return Visits(time, column.declared, "the order of its categories")
    labels = by_numbers(column.levels)
    if labels is None:
        raise DataError(
            f"The order of the visits {_listed(column.levels)} in {time!r} is not known, since they do not "
            f"differ in a single number; give it by categories={{{time!r}: [...]}}, first visit first."
        )
    return Visits(time, labels, "that of the numbers in their labels")


def texts_of(times: Sequence[float], labels: tuple[str, ...] | None) -> tuple[str, ...]:
    """Distinct times as text: labels of the times 1, 2, ..., or without labels numbers told apart."""
    return told_apart(times) if labels is None else tuple(labels[int(time) - 1] for time in times)


def in_name(label: str) -> str:
    """A label inside the name of a parameter, cor(a,b): in quotes if it holds such signs itself."""
    return repr(label) if set("(),'\"") & set(label) else label


def visit_label(visits: Visits | None, time: float) -> str:
    """A time in a message: its visit's label, or the number."""
    return level_text(float(time)) if visits is None else repr(visits.labels[int(time) - 1])


def _listed(labels: tuple[str, ...]) -> str:
    shown = ", ".join(labels[:SHOWN])
    return shown if len(labels) <= SHOWN else f"{shown}, ... ({len(labels)} in all)"
