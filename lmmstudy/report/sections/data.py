"""Data: what was read, used and left out; who was seen when; the profiles themselves."""

from collections.abc import Iterable, Sequence
from typing import Any

from lmmstudy.report.attempt import parts
from lmmstudy.report.blocks import Block, Section, Table, Text
from lmmstudy.report.sections import presence, profiles
from lmmstudy.report.study import Json, Study
from lmmstudy.report.words.numbers import count, fmt, percent, plain
from lmmstudy.report.words.phrases import listing
from lmmstudy.report.words.sentences import rows_words

MOST = 100
"""Most rows of a list of problems."""


def section(study: Study) -> Section:
    """The audit of the data, then the data themselves."""
    clean, rows = study.clean, study.rows
    blocks = parts(
        {},
        ("The account of the rows", lambda: _account(clean)),
        ("The changes of the data", lambda: _changes(study)),
        ("The table of the columns", lambda: [_columns(clean)] if clean["columns"] else []),
        ("The account of visits", lambda: presence.blocks(study, rows) if rows is not None else []),
        ("The profiles", lambda: profiles.blocks(study, rows) if rows is not None and study.time else []),
    )
    return Section("data", "Data", blocks)


def _account(clean: Json) -> list[Block]:
    told: list[Block] = [Text(rows_words(clean))]
    return [*told, _accounting(clean)] if clean["rows"]["dropped"] else told


def _accounting(clean: Json) -> Table:
    rows = clean["rows"]
    counted = {"Read": rows["read"]}
    counted |= {f"Not used: {reason}": n for reason, n in rows["dropped"].items()}
    counted["Used"] = rows["used"]
    body = tuple((name, f"{n:,}", percent(n / rows["read"])) for name, n in counted.items())
    return Table("Rows read, used and not used", ("Rows", "Number", "Share"), body, "lrr")


def _changes(study: Study) -> list[Block]:
    """Coercions, duplicates and values out of range; one sentence for what there is none of."""
    clean = study.clean
    blocks: list[Block] = []
    none = []
    if clean["coercions"]:
        blocks.append(_coercions(clean["coercions"]))
    else:
        none.append("no value was changed on reading")
    if clean["duplicates"]["identical"] or clean["duplicates"]["conflicting"]:
        blocks.append(_duplicates(study))
    elif clean["duplicates"]["policy"] == "keep":
        same = f" at one {study.time}" if study.time else ""
        blocks.append(Text(f"Rows of a {study.subject}{same} are replicates: all of them are used."))
    else:
        none.append("no visit was entered twice")
    if clean["out_of_range"]:
        heads = ("Column", "Row of the file", "Value", "Allowed")
        far = clean["out_of_range"]
        rows = [(v["column"], str(v["row"]), plain(v["value"]), _range(v["allowed"])) for v in far]
        blocks.append(_capped("Values outside the stated range", heads, rows, "lrrl"))
    if none and clean["rows"]["read"]:
        blocks.append(Text(f"{listing(none).capitalize()}."))
    return blocks


def _coercions(coercions: Sequence[Json]) -> Table:
    rows = []
    for c in coercions:
        examples = ", ".join(f"“{e}”" for e in c["examples"])
        rows.append((c["column"], c["kind"], f"{c['count']:,}", examples))
    heads = ("Column", "What", "Values", "Examples")
    return Table("Values read as something else", heads, tuple(rows), "llrl")


def _duplicates(study: Study) -> Table:
    found = study.clean["duplicates"]
    rows = []
    for kind in ("identical", "conflicting"):
        for d in found[kind]:
            where = (str(d["subject"]), *(plain(d[part]) for part in ("time", "occasion") if part in d))
            rows.append((*where, kind, _join(d["rows"]), _join(d.get("values", ())) or "–"))
    places = [study.design[part] for part in ("time", "occasion") if study.design.get(part)]
    heads = (study.subject, *places, "Kind", "Rows of the file", f"Values of {study.response}")
    note = f"Policy for duplicates: {found['policy']}."
    return _capped("Visits entered more than once", heads, rows, "l" + "r" * len(places) + "lll", note)


def _capped(
    caption: str, heads: tuple[str, ...], rows: Sequence[tuple[str, ...]], align: str, note: str = ""
) -> Table:
    if len(rows) > MOST:
        note = f"The first {MOST} of {len(rows):,}; all are in clean.json. {note}"
    return Table(caption, heads, tuple(rows[:MOST]), align, note.strip(), folded=len(rows) > 8)


def _join(items: Iterable[Any]) -> str:
    return ", ".join(plain(v) for v in items)


def _range(allowed: Sequence[float | None]) -> str:
    low, high = ("any" if limit is None else plain(limit) for limit in allowed)
    return f"{low} to {high}"


def _columns(clean: Json) -> Table:
    body = []
    for c in clean["columns"]:
        moments, text = "–", ""
        if c["role"] == "subject":
            text = count(clean["subjects"]["used"], "subject")
        elif c["type"] == "number":
            moments, text = f"{fmt(c['mean'])} ({fmt(c['sd'])})", f"{plain(c['min'])} to {plain(c['max'])}"
        else:
            levels = [f"{name} ({n:,})" for name, n in c["levels"].items()]
            text = ", ".join(levels) if len(levels) <= 6 else count(len(levels), "level")
        body.append((c["name"], c["role"], f"{c['missing']:,}", moments, text))
    heads = ("Column", "Role", "Missing in rows read", "Mean (SD)", "Range, or levels with rows")
    return Table("Columns, as used", heads, tuple(body), "llrrl")
