"""Mistakes in a dataset's `question`, in sentences for the person who wrote it."""

from collections.abc import Iterator, Mapping
from typing import Any

from lmmstudy.base.text import did_you_mean, label, quoted, shown

OWN = {"means": ("arms", "at", "margin"), "slopes": ("arms", "margin"), "coefficient": ("term", "margin")}
"""Keys that belong to each kind of question."""


def check_question(where: str, dataset: Mapping[str, Any]) -> Iterator[str]:
    """Keys that do not belong to the kind of question, or lack what they are about."""
    question = dataset.get("question")
    if not isinstance(question, Mapping) or question.get("what") not in OWN:
        return
    what = question["what"]
    for key in ("arms", "at", "term", "margin"):
        if key in question and key not in OWN[what]:
            others = quoted([kind for kind, keys in OWN.items() if key in keys])
            yield f"{where}.question.{key}: has no meaning for `what: {what}`; it belongs to {others}"
    if what == "coefficient" and "term" not in question:
        yield f"{where}.question: `what: coefficient` needs its `term`, a name of the table of fixed effects"
    if what != "coefficient" and "group" not in dataset:
        yield f"{where}.question: `what: {what}` compares the levels of `group`; name the dataset's `group`"
    if "at" in question and what == "means" and dataset.get("time") is None:
        yield f"{where}.question.at: the dataset has no `time`; leave it out"
    if question.get("margin") == 0:
        yield f"{where}.question.margin: 0 is no margin; its sign says which direction is better"
    yield from _check_arms(f"{where}.question.arms", question.get("arms"), dataset)


def _check_arms(where: str, arms: Any, dataset: Mapping[str, Any]) -> Iterator[str]:
    categories, group = dataset.get("categories"), dataset.get("group")
    levels = categories.get(group) if isinstance(categories, Mapping) and isinstance(group, str) else None
    if not isinstance(arms, list) or not isinstance(levels, list):
        return
    known = [label(level) for level in levels]
    for arm in arms:
        if label(arm) not in known:
            near = did_you_mean(label(arm), known)
            yield f"{where}: {group!r} has no level {shown(arm)}{near} (levels: {quoted(known)})"


def problems_of_arms(name: str, dataset: Mapping[str, Any], audit: Mapping[str, Any]) -> Iterator[str]:
    """Arms of the question that no row of the raw file has; audit : of its cleaning."""
    question, group = dataset.get("question") or {}, dataset.get("group")
    counted = next((c.get("levels") for c in audit["columns"] if c["name"] == group), None)
    if counted:
        seen = [level for level, rows in counted.items() if rows]
        where = f"datasets.{name}.question.arms"
        yield from _check_arms(where, question.get("arms"), {"group": group, "categories": {group: seen}})
