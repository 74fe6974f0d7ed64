"""Design: who was measured, how often and when."""

from collections.abc import Sequence

from lmmstudy.report.blocks import Facts, Section, Text
from lmmstudy.report.study import Json, Study
from lmmstudy.report.words.numbers import count, plain
from lmmstudy.report.words.phrases import listing


def section(study: Study) -> Section:
    """The sizes of the study."""
    clean = study.clean
    if not clean["rows"]["used"]:
        return Section("design", "Design", (Text("No rows are left to describe."),))
    per, times = clean["visits"]["per_subject"], clean["visits"]["times"]
    items = [
        ("Subjects", f"{clean['subjects']['used']:,} ({study.subject})"),
        ("Rows used", f"{clean['rows']['used']:,}"),
        ("Rows per subject", _per_subject(per)),
        *([(f"Times ({study.time})", _times(study, times))] if study.time else []),
        ("Response", study.response),
    ]
    if study.group:
        items.append((f"Groups ({study.group})", _groups(study)))
    return Section("design", "Design", (Facts(tuple(items)), Text(_words(study))))


def _per_subject(per: Json) -> str:
    if per["min"] == per["max"]:
        return f"{plain(per['min'])} for every subject"
    return f"{plain(per['min'])} to {plain(per['max'])}, median {plain(per['median'])}"


def _times(study: Study, times: Sequence[float]) -> str:
    if not times:
        column = next((c for c in study.clean["columns"] if c["role"] == "time"), None)
        return f"more than 60 distinct, {plain(column['min'])} to {plain(column['max'])}" if column else "–"
    if len(times) <= 12:
        return listing(plain(t) for t in times)
    return f"{len(times)} distinct, {plain(times[0])} to {plain(times[-1])}"


def _groups(study: Study) -> str:
    if study.rows is None:
        return listing(study.levels(study.group))
    members: dict[str, set[str]] = {name: set() for name in study.rows.groups}
    for group, subject in zip(study.rows.group, study.rows.subject, strict=True):
        members[group].add(subject)
    return listing(f"{group} ({count(len(s), 'subject')})" for group, s in members.items())


def _words(study: Study) -> str:
    per = study.clean["visits"]["per_subject"]
    words = f"Rows are measurements of {study.response}; they are nested in {study.subject}."
    if per["max"] == 1:
        words += (
            f" No {study.subject} has more than one row: nothing can be said about change within subjects."
        )
    if len(study.clean["visits"]["times"]) == 1:
        words += f" All rows stand at one time, so nothing can be said about change over {study.time}."
    return words
