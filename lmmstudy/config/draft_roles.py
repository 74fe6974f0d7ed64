"""Which column of a long table is probably the subject, the time, the response, the group."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from lmmstudy.config.draft_columns import Column
from lmmstudy.config.draft_names import is_control, is_subject, is_time, says

MOST_LEVELS = 8
"""Most levels of a column that is taken for a group."""
REPLICATED = 0.8
"""Rows with a subject and time of their own, as a share, below which the rest are replicates, not slips."""
MOST_VISITS = 8
"""Most planned visits for which a covariance of their own is proposed."""


@dataclass(frozen=True)
class Roles:
    """Names of columns, None where none is evident. levels : of the group, its reference first. within : a
    category that changes within subjects. occasion : what tells rows of one subject and time apart. planned :
    whether most subjects have the same few times. repeated : whether some subject has several rows at one
    time. grid : whether at least half of the subjects have each of the times, once. anew : a unit, such as
    a centre, in each of which the numbers of the subjects begin anew."""

    subject: str | None = None
    time: str | None = None
    response: str | None = None
    group: str | None = None
    levels: tuple[str, ...] = ()
    within: str | None = None
    occasion: str | None = None
    planned: bool = False
    repeated: bool = False
    anew: str | None = None
    grid: bool = False


def guess_roles(columns: Sequence[Column]) -> Roles:
    """What names and contents speak for."""
    frame = pl.DataFrame([column.values.alias(str(k)) for k, column in enumerate(columns)])
    table = Table(frame, list(columns))
    subject = table.subject()
    if subject is None:
        return Roles(response=table.name(table.response(None, None)))
    time = table.time(subject)
    response = table.response(subject, time)
    group = table.group(subject, {subject, time, response}, time is None)
    repeated = time is not None and table.pairs(subject, time) < REPLICATED
    anew = table.numbered_within(subject, time) if repeated else None
    occasion = table.occasion(subject, time, response) if repeated and anew is None else None
    within = table.within(subject, {time, response}) if group is None and (time is None or repeated) else None
    shown = group if group is not None else within
    levels = ordered_levels(columns[shown]) if shown is not None else ()
    planned = time is not None and not repeated and table.planned(subject, time)
    grid = time is not None and not repeated and table.shared(subject, time)
    return Roles(
        subject=table.name(subject),
        time=table.name(time),
        response=table.name(response),
        group=table.name(group),
        levels=levels,
        within=table.name(within),
        occasion=table.name(occasion),
        planned=planned,
        repeated=repeated,
        anew=table.name(anew),
        grid=grid,
    )


def ordered_levels(column: Column) -> tuple[str, ...]:
    """Levels as text, the one that reads like a control first, else in their order."""
    levels = column.values.drop_nulls().unique().sort().to_list()
    names = [f"{level:.15g}" if isinstance(level, float) else str(level) for level in levels]
    letters = len(names) == 2 and says(column.name, "treatment")  # P and A, N and Y
    return tuple(sorted(names, key=lambda name: not (is_control(name) and (letters or len(name) > 1))))


@dataclass(frozen=True)
class Table:
    """The columns of `columns` by their number: `frame` names them "0", "1", ..."""

    frame: pl.DataFrame
    columns: list[Column]

    def name(self, k: int | None) -> str | None:
        """The name of a column."""
        return None if k is None else self.columns[k].name

    def pairs(self, *keys: int) -> float:
        """Share of the rows, complete in the columns `keys`, that have a combination of their own."""
        complete = self.frame.select(str(k) for k in keys).drop_nulls()
        return complete.n_unique() / complete.height if complete.height else 0.0

    def constant(self, k: int, subject: int, unknown: float = 1.0) -> float:
        """Share of the subjects with several rows in which column `k` does not change; `unknown` where
        there are none."""
        both = pl.DataFrame({"s": self.frame[str(subject)], "k": self.frame[str(k)]}).drop_nulls()
        counts = both.group_by("s").agg(pl.col("k").n_unique(), pl.len().alias("n")).filter(pl.col("n") > 1)
        return counts.filter(pl.col("k") == 1).height / counts.height if counts.height else unknown

    def subject(self) -> int | None:
        """The column with several rows for each of many levels: by its name, by what is constant within
        it, and of columns that are alike the one with most levels."""
        columns = range(len(self.columns))
        found = [k for k in columns if self._can_be_subject(k)]
        found = [k for k in found if self._has_members(k)] or found
        if not found:  # a file that has one subject alone, so far
            found = [k for k in columns if self.columns[k].kind == "text" and self.columns[k].distinct == 1]
        return max(found, key=self._subject_score, default=None)

    def _can_be_subject(self, k: int) -> bool:
        column = self.columns[k]
        if column.kind not in ("text", "number") or column.kind == "number" and not column.whole:
            return False
        rows = column.values.count()
        named = is_subject(column.name) > 0
        if is_subject(column.name) == 3.0 and self.numbered_within(k, None) is not None:
            return False  # a number within its school
        return column.distinct >= (2 if named else 3) and column.distinct <= rows * (0.95 if named else 0.7)

    def _has_members(self, k: int) -> bool:
        """Whether the values stand for somebody: they are text or called so, something else is constant
        within each, or all have the same times."""
        if self.columns[k].kind == "text" or is_subject(self.columns[k].name):
            return True
        others = [j for j in range(len(self.columns)) if j != k and self.columns[j].distinct > 1]
        if any(self.constant(j, k) > 0.99 for j in others):
            return True
        return any(self._can_be_time(j, k) and self.pairs(k, j) > 0.99 and self.shared(k, j) for j in others)

    def _subject_score(self, k: int) -> tuple[float, int]:
        column = self.columns[k]
        others = [j for j in range(len(self.columns)) if j != k and self.columns[j].distinct > 1]
        rows = column.values.count()
        score = is_subject(column.name) + (0.5 if column.kind == "text" else 0)
        if says(column.name, "response") or says(column.name, "treatment") or says(column.name, "personal"):
            score -= 3
        if is_time(column.name) and not is_subject(column.name):
            score -= 3
        times = [j for j in others if self._can_be_time(j, k) and is_time(self.columns[j].name)]
        score += max((2 * self.pairs(k, j) for j in times), default=0.0)
        score += min(sum(self.constant(j, k) > 0.99 for j in others), 2) * 0.75
        score -= 2 * (column.distinct < 4) + 2 * (rows < 1.8 * column.distinct)
        return round(score + 0.2 * math.log2(max(column.distinct, 1)), 3), column.distinct

    def _can_be_time(self, j: int, subject: int) -> bool:
        column = self.columns[j]
        changes = j != subject and column.kind in ("number", "date") and column.distinct > 1
        return changes and not self._numbers_rows(column) and self.constant(j, subject) < 0.3

    def _numbers_rows(self, column: Column) -> bool:
        rows = len(column.values)
        return column.whole and rows > 4 and column.values.to_list() == list(range(1, rows + 1))

    def time(self, subject: int) -> int | None:
        """A column of numbers or dates that changes within subjects and is called like a time; without such a
        name, one with few whole values that most subjects share, each once."""
        able = [j for j in range(len(self.columns)) if self._can_be_time(j, subject)]
        if is_subject(self.columns[subject].name) < 3.0:  # the ages of a school's pupils are no times
            able = [j for j in able if self.pairs(subject, j) > 0.7]
        named = [j for j in able if is_time(self.columns[j].name) or self.columns[j].kind == "date"]
        if named:
            return max(named, key=lambda j: self._time_score(j, subject))
        able = [j for j in able if not is_subject(self.columns[j].name) and not self._counts_as_response(j)]
        able = [j for j in able if not says(self.columns[j].name, "treatment")]
        shared = [j for j in able if self._is_grid(j, subject)]
        return shared[0] if len(shared) == 1 else None

    def _time_score(self, j: int, subject: int) -> tuple[float, ...]:
        column = self.columns[j]
        unique = self.pairs(subject, j)
        response = says(column.name, "response") and not is_time(column.name) == 3.0
        kind = 3.0 if column.kind == "date" else is_time(column.name)
        scattered = column.kind == "number" and not column.whole and column.distinct > 2 * self._most(subject)
        kind -= 1.5 * scattered + 0.5 * says(column.name, "response")
        return (unique > 0.95) - response, kind, unique, column.values.count()

    def _is_grid(self, j: int, subject: int) -> bool:
        return self.columns[j].distinct <= 1.5 * self._most(subject) and self.pairs(subject, j) > 0.99

    def _most(self, subject: int) -> int:
        """Rows of the subject that has most."""
        most = self.frame[str(subject)].drop_nulls().value_counts()["count"].max()
        return most if isinstance(most, int) else 0

    def _counts_as_response(self, j: int) -> bool:
        others = [k for k in range(len(self.columns)) if k != j and self.columns[k].kind == "number"]
        return says(self.columns[j].name, "response") and not any(
            says(self.columns[k].name, "response") for k in others
        )

    def shared(self, subject: int, time: int) -> bool:
        """Whether at least half of the subjects have each of the times."""
        both = self.frame.select(str(subject), str(time)).drop_nulls()
        seen = both.unique()[str(time)].value_counts()["count"].min()
        return isinstance(seen, int) and seen >= 0.5 * both[str(subject)].n_unique()

    def planned(self, subject: int, time: int) -> bool:
        """Whether the times are few and most of the subjects, of which there are enough, have each of
        them."""
        times = self.columns[time].distinct
        if self.columns[time].kind == "date" or not 3 <= times <= MOST_VISITS:
            return False
        enough = self.columns[subject].distinct > times * (times + 1) / 2
        return enough and self.shared(subject, time)

    def response(self, subject: int | None, time: int | None) -> int | None:
        """A column of numbers that changes within subjects: by its name, then the one with most values."""
        able = [
            j
            for j, column in enumerate(self.columns)
            if column.kind == "number" and j not in (subject, time) and column.distinct > 1
        ]
        able = [
            j
            for j in able
            if is_subject(self.columns[j].name) < 3.0 and not self._numbers_rows(self.columns[j])
        ]
        if subject is not None:
            able = [j for j in able if self.constant(j, subject, 0.0) < 0.9]
        return max(able, key=self._response_score, default=None)

    def _response_score(self, j: int) -> tuple[float, ...]:
        column = self.columns[j]
        score = (
            2 * says(column.name, "response")
            - 2 * says(column.name, "covariate")
            - 1.5 * bool(is_time(column.name))
        )
        score -= 2 * bool(is_subject(column.name)) + (
            says(column.name, "treatment") or says(column.name, "personal")
        )
        most = max(other.distinct for other in self.columns if other.kind == "number")
        few = 0.5 * (column.distinct <= 3) + 2 * (column.distinct < 0.15 * most and score <= 0)
        return score - few, float(column.distinct), float(j)

    def group(self, subject: int, taken: set[int | None], named: bool = False) -> int | None:
        """A category of few levels that does not change within subjects: called like a treatment, else
        like sex, else text (unless it has to be `named`)."""
        able = [j for j in range(len(self.columns)) if j not in taken and self._can_be_group(j, subject)]
        able = [j for j in able if not named or self._group_score(j) > 1]
        return max(able, key=lambda j: (self._group_score(j), -j), default=None)

    def _can_be_group(self, j: int, subject: int) -> bool:
        column = self.columns[j]
        few = 2 <= column.distinct <= MOST_LEVELS and (column.kind == "text" or column.whole)
        if not few or self._group_score(j) <= 0 or self.constant(j, subject) < 0.95:
            return False
        both = self.frame.select(str(subject), str(j)).drop_nulls().unique()
        return both.height >= 2 * column.distinct

    def _group_score(self, j: int) -> float:
        column = self.columns[j]
        if (
            says(column.name, "cluster")
            or is_time(column.name)
            or is_subject(column.name)
            or says(column.name, "baseline")
        ):
            return 0.0
        for what, score in (("arm", 4.0), ("treatment", 3.0), ("personal", 2.0)):
            if says(column.name, what):
                return score
        return 1.0 if column.kind == "text" and column.distinct <= MOST_LEVELS / 2 else 0.0

    def within(self, subject: int, taken: set[int | None]) -> int | None:
        """A category that changes within subjects: called like a treatment, or text and crossed with them."""
        for j, column in enumerate(self.columns):
            few = 2 <= column.distinct <= MOST_LEVELS and (column.kind == "text" or column.whole)
            if (
                j == subject
                or j in taken
                or not few
                or is_subject(column.name)
                or self.constant(j, subject) > 0.5
            ):
                continue
            if says(column.name, "treatment") or column.kind == "text" and self._crossed(j, subject):
                return j
        return None

    def _crossed(self, j: int, subject: int) -> bool:
        both = self.frame.select(str(subject), str(j)).drop_nulls()
        return both.n_unique() == both[str(subject)].n_unique() * both[str(j)].n_unique()

    def numbered_within(self, subject: int, time: int | None) -> int | None:
        """A unit whose rows have each subject and time once, and in each of which the subjects' numbers begin
        anew."""
        keys = [subject] if time is None else [subject, time]
        for j, column in enumerate(self.columns):
            unit = (
                j not in keys
                and is_subject(column.name) == 1.5
                and 1 < column.distinct < self.columns[subject].distinct
            )
            if unit and self.constant(j, subject) < 0.9 and self.pairs(j, *keys) > 0.999:
                return j
        return None

    def occasion(self, subject: int, time: int | None, response: int | None) -> int | None:
        """A column of few values that tells rows of one subject and time apart."""
        for j, column in enumerate(self.columns):
            if j in (subject, time, response) or column.kind not in ("text", "number"):
                continue
            if (
                2 <= column.distinct <= 2 * MOST_LEVELS
                and time is not None
                and self.pairs(subject, time, j) > 0.999
            ):
                return j
        return None
