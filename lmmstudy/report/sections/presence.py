"""Who was seen when: attrition, patterns of missed visits, the response at each time."""

from collections.abc import Sequence

import numpy as np

from lmmstudy.report.alerts import complete_subjects, visits_planned
from lmmstudy.report.blocks import Block, Figure, Heading, Table, Text
from lmmstudy.report.charts import counts, svg
from lmmstudy.report.refit.rows import ALL, Rows
from lmmstudy.report.refit.series import Counts
from lmmstudy.report.study import Json, Study
from lmmstudy.report.words.numbers import column, count, plain


def blocks(study: Study, rows: Rows) -> list[Block]:
    """Nothing where the audit lists no times (there are too many of them)."""
    if not study.clean["attrition"]:
        return []
    result: list[Block] = [Heading("Who was seen when")]
    complete, subjects = complete_subjects(study)
    if subjects:
        who = "All" if complete == subjects else f"{complete:,} of" if complete else "None of"
        times = count(visits_planned(study), "visit")
        result.append(Text(f"{who} {count(subjects, 'subject')} were seen at each of the {times}."))
    if complete < subjects and visits_planned(study) == len(study.clean["visits"]["times"]):
        result += [_attrition(study, rows), _patterns(study)]
    return [*result, _responses(study)]


def attrition_counts(clean: Json, groups: Sequence[str]) -> tuple[Counts, ...]:
    """Subjects at each time of each group, from the audit, in the order of `groups`."""
    by_group: dict[str, list[Json]] = {name: [] for name in groups}
    for row in clean["attrition"]:
        by_group[str(row["group"])].append(row)
    return tuple(
        Counts(name, np.array([float(r["time"]) for r in seen]), np.array([r["subjects"] for r in seen]))
        for name, seen in by_group.items()
    )


def _attrition(study: Study, rows: Rows) -> Figure:
    series, words = attrition_counts(study.clean, rows.groups), []
    for c in series:
        name = "" if c.group == ALL else f"{c.group}: "
        start, end = plain(float(c.x[0])), plain(float(c.x[-1]))
        words.append(f"{name}{c.subjects[0]:,} subjects at {start}, {c.subjects[-1]:,} at {end}.")
    label = svg.Label("fig-attrition", "Subjects observed over time", " ".join(words))
    chart = counts.attrition(label, series, (study.time_label, "Subjects"), study.group)
    by = bool(study.group)
    numbers = tuple(
        (*[c.group] * by, plain(float(t)), f"{n:,}")
        for c in series
        for t, n in zip(c.x, c.subjects, strict=True)
    )
    heads = (*[study.group] * by, study.time, "Subjects")
    data = Table("Subjects at each time", heads, numbers, "l" * by + "rr")
    return Figure("fig-attrition", chart, f"Subjects with a row used at each {study.time}.", data)


def _patterns(study: Study) -> Figure:
    visits = study.clean["visits"]
    rows = [(p["visits"], p["subjects"]) for p in visits["patterns"]]
    shown, total = sum(n for _, n in rows), study.clean["subjects"]["used"]
    size = f"{count(len(rows), 'pattern')} of {count(total, 'subject')}"
    label = svg.Label("fig-patterns", "Patterns of visits", f"{size}; the most frequent has {rows[0][1]:,}.")
    caption = (
        "Each row is a pattern of visits made (filled) and missed (open), with the subjects that have it."
    )
    if shown < total:
        caption += f" The {len(rows)} most frequent patterns; {total - shown:,} subjects have others."
    times = [plain(t) for t in visits["times"]]
    numbers = tuple(
        (", ".join(t for t, here in zip(times, made, strict=True) if here), f"{n:,}") for made, n in rows
    )
    data = Table("Patterns of visits", ("Visits made", "Subjects"), numbers, "lr")
    return Figure("fig-patterns", counts.patterns(label, times, rows), caption, data)


def _responses(study: Study) -> Table:
    entries = study.clean["attrition"]
    stats = [column([r[key] for r in entries]) for key in ("mean", "sd", "min", "max")]
    rows = []
    for k, r in enumerate(entries):
        group = [str(r["group"])] if study.group else []
        rows.append((plain(r["time"]), *group, f"{r['subjects']:,}", *(s[k] for s in stats)))
    group = [study.group] if study.group else []
    heads = (study.time, *group, "Subjects", "Mean", "SD", "Min", "Max")
    caption = f"{study.response} by {study.time}"
    return Table(caption, heads, tuple(rows), "l" * (1 + len(group)) + "rrrrr", folded=len(rows) > 12)
