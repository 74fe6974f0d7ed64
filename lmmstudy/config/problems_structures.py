"""Mistakes in a model's residual and variance structures, in sentences for the person who wrote them."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lmmstudy.base.text import did_you_mean
from lmmstudy.config.formulas import FITTED, KEYS

WITH_NUGGET = ("exponential", "gaussian")
COLUMN_KEYS = {"residual": ("time", "subject", "by"), "variance": ("column", "of")}
"""Keys that name a column, by part of a model."""
COLUMNS = tuple(key for key in KEYS if key != "fixed")
"""Keys of a dataset that hold one column."""
NEEDED = {"by_group": "column", "power": "of"}
"""The key that says what a variance structure depends on."""
MEANING = {
    "column": "the category whose levels differ in variance",
    "of": f"{FITTED!r} for the fitted values, or a column of numbers",
}


def check_structures(where: str, residual: Mapping[str, Any], variance: Mapping[str, Any]) -> Iterator[str]:
    """Problems of the parts `residual` and `variance` of the model at `where`."""
    kind = residual.get("type")
    if residual.get("nugget") is True and isinstance(kind, str) and kind not in WITH_NUGGET:
        allowed = " and ".join(WITH_NUGGET)
        yield f"{where}.residual.nugget: {kind!r} has no nugget (only {allowed} have one); leave it out"
    if "heterogeneous" in residual and isinstance(kind, str) and kind != "ante_dependence":
        only = "has no such choice (only ante_dependence has one); leave it out"
        yield f"{where}.residual.heterogeneous: {kind!r} {only}"
    if kind == "compound_symmetry" and "time" in residual:
        yield f"{where}.residual.time: 'compound_symmetry' uses no time; leave it out"
    kind = variance.get("type")
    for name, key in NEEDED.items():
        if kind == name and key not in variance:
            yield f"{where}.variance: {name!r} needs the key {key!r}: {MEANING[key]}"
        elif isinstance(kind, str) and kind in NEEDED and kind != name and key in variance:
            yield f"{where}.variance.{key}: {kind!r} takes {NEEDED[kind]!r}, not {key!r}"
    for part, section in (("residual", residual), ("variance", variance)):
        for key in COLUMN_KEYS[part]:
            for column in listed(section.get(key)):
                if isinstance(column, str):
                    yield from check_keys(f"{where}.{part}.{key}", column, COLUMNS)


def listed(value: Any) -> list[Any]:
    """What a key names: a subject may be a list of columns."""
    return value if isinstance(value, list) else [value]


def check_keys(where: str, text: str, known: Sequence[str]) -> Iterator[str]:
    """Names in braces that stand for nothing."""
    for key in re.findall(r"\{([^{}]*)\}", text):
        if key not in known:
            allowed = ", ".join(f"{{{name}}}" for name in known)
            yield f"{where}: {{{key}}} has no meaning{did_you_mean(key, known)} (allowed: {allowed})"
