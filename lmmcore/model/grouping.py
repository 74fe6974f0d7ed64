"""Grouping factors of a model: which are nested in which, and the order of the rows that follows.

The levels of a model go from the outermost grouping factor to the innermost one; rows are sorted by all of
them and, under a residual structure with a time, by time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lmmcore.covariance.visits import Visits, visit_label
from lmmcore.data.table import Factor, Table, interaction
from lmmcore.errors import DataError, FormulaError


@dataclass(frozen=True)
class Group:
    """A grouping factor, the combination of its columns; factor : of the rows of the table."""

    columns: tuple[str, ...]
    factor: Factor

    @property
    def name(self) -> str:
        """The columns joined by ":"."""
        return ":".join(self.columns)


def outermost_first(
    table: Table, groups: Sequence[tuple[str, ...]], subject: Sequence[str] = ()
) -> tuple[Group, ...]:
    """The grouping factors named by their columns, each nested in the one before.

    subject : columns of the factor within whose levels residuals are correlated, if it was named; it comes
    last. Raises FormulaError for factors that are crossed, or a subject that is not the innermost of them.
    """
    found = [Group(columns, combined(table, columns)) for columns in groups]
    if subject:
        found.sort(key=lambda group: set(group.columns) == set(subject))
        for group in found[:-1]:
            _check_subject(found[-1], group)
    found.sort(key=lambda group: group.factor.size)
    for outer, inner in zip(found, found[1:], strict=False):
        if not _nested(inner.factor, outer.factor):
            raise FormulaError(
                f"The grouping factors {outer.name!r} and {inner.name!r} are crossed: a level of "
                f"{inner.name!r} occurs with several levels of {outer.name!r}. Crossed factors are not "
                f"supported; if {inner.name!r} only re-uses labels, write (1 | {outer.name}/{inner.name})."
            )
    return tuple(found)


def _check_subject(subject: Group, group: Group) -> None:
    """Raise FormulaError unless the subject of the residuals is nested in a random grouping factor."""
    if _nested(subject.factor, group.factor):
        return
    named = _written(subject.columns)
    if _nested(group.factor, subject.factor):
        raise FormulaError(
            f"The residuals cannot be correlated within {subject.name!r} beside random effects of "
            f"{group.name!r}, of which one level of {subject.name!r} holds several: next to random effects, "
            f"subject= must name their innermost grouping factor or one nested in it; use "
            f"subject={_written(group.columns)}, or leave out the random effects of {group.name!r}."
        )
    both = _written(tuple(dict.fromkeys([*group.columns, *subject.columns])))
    raise FormulaError(
        f"The residuals cannot be correlated within {subject.name!r} beside random effects of "
        f"{group.name!r}: the two are crossed, since a level of {subject.name!r} occurs with several levels "
        f"of {group.name!r}; if {subject.name!r} only re-uses labels, write subject={both}, not {named}."
    )


def _written(columns: tuple[str, ...]) -> str:
    """The columns as subject= takes them."""
    return repr(columns[0] if len(columns) == 1 else list(columns))


def combined(table: Table, columns: tuple[str, ...]) -> Factor:
    """The factor of a column, or of the combinations of several."""
    factors = [table.groups[name] for name in columns]
    return factors[0] if len(factors) == 1 else interaction(factors)


def same_levels(one: Factor, other: Factor) -> bool:
    """Whether two factors of the same rows divide them in the same way."""
    return one.size == other.size and _nested(one, other)


def _nested(inner: Factor, outer: Factor) -> bool:
    """Whether each level of inner occurs with one level of outer only."""
    of = np.full(inner.size, -1)
    of[inner.codes] = outer.codes
    return bool(np.all(of[inner.codes] == outer.codes))


def sort_order(groups: Sequence[Group], times: np.ndarray | None) -> np.ndarray | None:
    """Order of the rows by the groups, outermost first, then by times; None if they are sorted already."""
    keys = [group.factor.codes for group in groups] + ([] if times is None else [times])
    return None if _sorted(keys) else np.lexsort(keys[::-1])


def _sorted(keys: Sequence[np.ndarray]) -> bool:
    """Whether the rows are in the order of the first key, equal ones of the second, and so on."""
    tied: np.ndarray | None = None
    for place, key in enumerate(keys, start=1):
        before, after = key[:-1], key[1:]
        falls = before > after
        if np.any(falls if tied is None else tied & falls):
            return False
        if place < len(keys):
            same = before == after
            tied = same if tied is None else tied & same
    return True


def check_one_row_a_time(
    group: Group, codes: np.ndarray, time: str, times: np.ndarray, visits: Visits | None
) -> None:
    """Raise DataError if a subject has two rows at one time; codes, times : (n,) sorted."""
    twice = np.flatnonzero((codes[1:] == codes[:-1]) & (times[1:] == times[:-1]))
    if len(twice):
        raise DataError(
            f"Subject {group.factor.levels[codes[twice[0]]]!r} has two rows at {time} = "
            f"{visit_label(visits, times[twice[0]])}; a residual correlation over time needs one row a "
            "subject and time."
        )
