"""Values that have the right type and still cannot be meant: in sentences for the person who wrote them."""

import codecs
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from math import isfinite
from typing import Any

from lmmstudy.base.text import shown
from lmmstudy.config.formulas import in_formula

LARGEST = 1e100
"""Larger numbers are slips: nothing is measured in them, and their squares and sums are soon infinite."""


def check_storable(value: Any, where: str = "") -> Iterator[str]:
    """Places of `value`, a configuration, that results cannot record: `.nan`, `.inf` and what is as good as
    endless, texts with half a character."""
    if isinstance(value, float) and not isfinite(value):
        written = ".nan" if value != value else ".inf" if value > 0 else "-.inf"
        yield f"{where}: `{written}` is no number; leave the key out, or give a number"
    elif isinstance(value, (int, float)) and abs(value) > LARGEST:
        yield f"{where}: {shown(value)} is beyond everything measured; numbers go up to {LARGEST:g}"
    elif isinstance(value, str) and re.search("[\ud800-\udfff]", value):
        yield f"{where}: {shown(value)} has half a character; correct it"
    elif isinstance(value, Mapping):
        for key, item in value.items():
            place = f"{where}.{key}" if where else str(key)
            yield from check_storable(str(key), place)
            yield from check_storable(item, place)
    elif isinstance(value, list):
        for item in value:
            yield from check_storable(item, where)


def check_names(names: Mapping[str, Any], section: str) -> Iterator[str]:
    """Names that are one folder or file on a disk that ignores letter case."""
    first: dict[str, str] = {}
    for name in map(str, names):
        other = first.setdefault(name.casefold(), name)
        if other != name:
            yield (
                f"{section}.{name}: differs from {other!r} in letter case alone, and some disks ignore that; "
                "rename one"
            )
    pages = {"index": "lists all datasets", "compare": "sets datasets side by side"}
    for page, what in pages.items():
        if section == "datasets" and page in first:
            yield f"datasets.{first[page]}: choose another name, reports/{page}.html {what}"


def check_text_format(where: str, dataset: Mapping[str, Any]) -> Iterator[str]:
    """A separator that could be part of a field, an encoding that Python does not know."""
    separator = dataset.get("separator")
    if isinstance(separator, str) and len(separator) == 1:
        if separator.isalnum() or separator in "\"'.+-\n\r" or not separator.isascii() or separator == "\0":
            yield (
                f"{where}.separator: {separator!r} cannot separate fields; allowed are a comma, a semicolon, "
                "a tab, a space, | and the like"
            )
    encoding = dataset.get("encoding")
    if isinstance(encoding, str) and not _is_text_encoding(encoding):
        yield (
            f"{where}.encoding: Python knows no text encoding {encoding!r}; usual ones are utf-8, latin-1, "
            "cp1252, utf-16"
        )


def check_numbers(where: str, dataset: Mapping[str, Any]) -> Iterator[str]:
    """The time and the response among the categories: both are numbers."""
    categories = dataset.get("categories")
    listed = categories if isinstance(categories, Mapping) else {}
    response, time = (str(dataset.get(key)) for key in ("response", "time"))
    if response in listed:
        yield f"{where}.categories.{response}: the response is a number, no category; leave it out"
    if time not in listed:
        return
    levels = listed[time] if isinstance(listed[time], list) else []
    names = [level for level in levels if not _is_number(level)]
    if names:
        yield (
            f"{where}.time: {time!r} holds visits by name, such as {shown(names[0])}, and times are "
            "numbers: add a column of numbers (weeks, or 1, 2, 3), name it as `time`, and write C() about it "
            "in `fixed` for a mean of its own at each visit"
        )
    else:
        yield (
            f"{where}.categories.{time}: the time is a number, no category; leave it out, and write "
            f"C({in_formula(time)}) in `fixed` for a mean of its own at each time"
        )


def check_times(where: str, dataset: Mapping[str, Any]) -> Iterator[str]:
    """Keys about dates and wide tables that contradict each other."""
    for key in ("time_zero", "date_format"):
        if key in dataset and "time_unit" not in dataset:
            yield f"{where}.{key}: is about dates; name the unit they are counted in with `time_unit`"
    if isinstance(zero := dataset.get("time_zero"), str) and not _is_moment(zero):
        yield f"{where}.time_zero: {zero!r} is no date; write it as 2024-01-31 or 2024-01-31 08:00"
    wide = dataset.get("wide")
    if not isinstance(wide, Mapping):
        return
    if "time_unit" in dataset:
        yield f"{where}.time_unit: the times of `wide` are numbers; leave it out"
    times = [time for time in wide.values() if isinstance(time, (int, float))]
    if len(set(times)) < len(times):
        yield f"{where}.wide: two columns have the same time; give each its own"
    taken = [dataset.get(key) for key in ("subject", "group") if key in dataset]
    for column in [column for column in wide if column in taken]:
        yield f"{where}.wide.{column}: is the `subject` or the `group`; list the columns of the response only"


def check_replicates(where: str, dataset: Mapping[str, Any]) -> Iterator[str]:
    """Keys of a dataset without `time` that make no sense without one."""
    if "time" in dataset:
        return
    for key in ("wide", "time_unit", "time_zero", "date_format", "time_label"):
        if key in dataset:
            yield f"{where}.{key}: is about times, but the dataset names no `time`; add it, or leave this out"
    if "occasion" not in dataset and dataset.get("duplicates", "keep") != "keep":
        yield (
            f"{where}.duplicates: without `time` and `occasion` nothing tells the rows of a subject apart, "
            "so that none is a duplicate; leave it out"
        )


def _is_number(level: Any) -> bool:
    try:
        return isfinite(float(level)) and not isinstance(level, bool)
    except (TypeError, ValueError):
        return False


def _is_moment(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is None
    except ValueError:
        return False


def _is_text_encoding(name: str) -> bool:
    try:
        codecs.lookup(name)
        return isinstance(b"a".decode(name, "ignore"), str)
    except (LookupError, ValueError):
        return False
