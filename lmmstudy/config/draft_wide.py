"""Wide tables: columns that hold one response at several times, and the times in their names."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from lmmstudy.config.draft_columns import Column
from lmmstudy.config.draft_names import says

WORDS = r"times?|days?|weeks?|wks?|months?|mos?|mths?|years?|yrs?|visits?|waves?|sessions?|hours?|hrs?|h|age"
AFTER = r"d|days?|w|wks?|weeks?|m|mo|mths?|months?|y|yrs?|years?|h|hrs?|hours?|min"
SUFFIX = re.compile(
    rf"(?P<stem>.*?)(?P<unit>(?:(?<![^\W\d_])(?:{WORDS}|[tdwmvyx])|(?-i:(?<=[a-z])[TDWMVY]))?)"
    rf"[ _.\-]*(?P<time>\d+(?:\.\d+)?) ?(?P<after>(?:{AFTER})?)",
    re.IGNORECASE,
)
PREFIX = re.compile(
    rf"(?P<unit>(?:{WORDS}|[tdwmvyx])?)[ _.\-]*(?P<time>\d+) ?(?P<after>(?:{AFTER})?)"
    r"[ _.\-]+(?P<stem>[^\W\d].*)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Wide:
    """columns : {column: time}. response : a name for what they hold. before : the column of the same
    response before the first of these times. others : names of further responses of the file."""

    columns: dict[str, float]
    response: str
    before: str | None
    others: tuple[str, ...]


def wide_columns(columns: Sequence[Column]) -> Wide | None:
    """At least three columns of numbers (two, where their names have the unit of a time) that differ in a
    number of their names alone; None where there are none."""
    sets: dict[tuple[str, ...], dict[str, float]] = {}
    for column in columns:
        if column.kind not in ("number", "empty"):
            continue
        for pattern in (SUFFIX, PREFIX):
            if match := pattern.fullmatch(column.name):
                key = tuple(match[part].strip(" _.-").lower() for part in ("stem", "unit", "after"))
                sets.setdefault(key, {})[column.name] = float(match["time"])
                break
    numbered = {key: found for key, found in sets.items() if len(set(found.values())) == len(found)}
    enough = {
        key: found for key, found in numbered.items() if len(found) >= (2 if len(key[1] + key[2]) > 1 else 3)
    }
    if not enough:
        return _before_and_after(columns)
    key = max(enough, key=lambda key: len(enough[key]))
    stem, unit, _ = key
    taken = {column.name.lower() for column in columns}
    response = next(c.strip(" _.-") for c in _stems(next(iter(enough[key])), stem, unit))
    others = tuple(k[0] or k[1] for k in enough if k != key)
    before = next((c.name for c in columns if _before(c, stem, enough[key])), None)
    return Wide(enough[key], "value" if response.lower() in taken else response, before, others)


def _before_and_after(columns: Sequence[Column]) -> Wide | None:
    """Two columns of numbers whose names differ in "pre" and "post" alone."""
    numbers = {column.name.lower(): column.name for column in columns if column.kind == "number"}
    for lower, name in numbers.items():
        for first, then in (("pre", "post"), ("before", "after"), ("baseline", "followup"), ("t0", "t1")):
            other = numbers.get(lower.replace(first, then, 1))
            if first in lower and other is not None:
                rest = re.sub(first, "", name, count=1, flags=re.IGNORECASE).strip(" _.-") or "value"
                taken = {column.name.lower() for column in columns}
                return Wide({name: 0.0, other: 1.0}, "value" if rest.lower() in taken else rest, None, ())
    return None


def _stems(example: str, stem: str, unit: str) -> list[str]:
    """The response's name as the columns write it: the stem, else a single letter, else nothing telling."""
    if stem:
        start = example.lower().find(stem)
        return [example[start : start + len(stem)]]
    return [example[0]] if len(unit) == 1 and unit in "wvym" else ["value"]


def _before(column: Column, stem: str, taken: dict[str, float]) -> bool:
    """Whether the column holds the response of `stem` before treatment: `bdi.pre` beside `bdi.2m`."""
    if column.kind != "number" or column.name in taken:
        return False
    rest = column.name.lower().replace(stem, "", 1) if stem else column.name.lower()
    return (not stem or stem in column.name.lower()) and says(rest, "baseline")
