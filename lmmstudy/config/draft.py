"""`lmm init`: a dataset's stanza drafted from its raw file, with every guess marked as one."""

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl

from lmmstudy.base.text import quoted
from lmmstudy.clean.as_written import Source, open_file
from lmmstudy.config.draft_columns import Column, describe
from lmmstudy.config.draft_names import is_subject
from lmmstudy.config.draft_roles import Roles, guess_roles, ordered_levels
from lmmstudy.config.draft_wide import Wide, wide_columns
from lmmstudy.config.formulas import in_formula

UNNAMED = "TO_BE_NAMED"
LOOK = 200_000
"""Rows that are looked at."""


def draft(path: str) -> str:
    """The stanza as YAML, to be put under `datasets:`. Raises `Unusable` for a file that holds no table."""
    source = open_file(Path(path), path)
    frame = source.frame.head(LOOK)
    columns = [describe(values, source.separator) for values in frame.get_columns() if values.name]
    columns = [column for column in columns if column.name.strip()]
    name = re.sub(r"[^A-Za-z0-9_-]+", "_", Path(path).name.split(".")[0])
    name = (name if re.match(r"[A-Za-z]", name) else f"study_{name}")[:100]
    roles = guess_roles(columns)
    wide = wide_columns(columns)
    if wide is not None and not _one_row_each(columns, wide, roles):
        wide = None
    lines = [f"# {source.frame.height} rows, {len(columns)} columns: {_listing(columns)}"]
    lines += [f"# {remark}" for remark in _remarks(columns, wide, roles)]
    lines += [f"{name}:", f"  path: {_scalar(path)}"]
    lines += [f"  {line}" for line in _format(source, columns)]
    lines += [f"  {line}" for line in (_wide(columns, wide) if wide else _long(columns, roles))]
    return "".join(f"  {line}\n" for line in lines)


def _one_row_each(columns: Sequence[Column], wide: Wide, roles: Roles) -> bool:
    """Whether the table has one row per subject: no column is evidently a subject of several rows."""
    if any(
        is_subject(c.name) == 3.0 and c.distinct == len(c.values)
        for c in columns
        if c.name not in wide.columns
    ):
        return True
    if roles.subject is None or roles.time is None:
        return True
    known = is_subject(roles.subject) > 0 and roles.time not in wide.columns
    return not (known or roles.grid)


def _format(source: Source, columns: Sequence[Column]) -> Iterator[str]:
    """How a text file is written, where it is not the usual way."""
    if source.header > 1:
        yield f"header_row: {source.header} # a guess: the rows above hold no table"
    if source.separator not in (None, "\t" if source.kind == "tsv" else ","):
        yield f"separator: {_scalar(source.separator or '')} # a guess"
    marks = {column.decimal for column in columns if column.kind == "number"} - {""}
    if marks - {"."}:
        both = "both" in marks or "." in marks
        yield f"decimal: {'both' if both else repr(',')} # a guess: {_example(columns)}"
    if source.encoding not in (None, "utf-8"):
        yield f"encoding: {source.encoding} # a guess: look at letters with accents in the report"


def _example(columns: Sequence[Column]) -> str:
    comma = next(column for column in columns if column.kind == "number" and column.decimal in (",", "both"))
    value = next(v for v in comma.values.drop_nulls() if v % 1)
    return f"{f'{value:.15g}'.replace('.', ',')} in {_plain(comma.name)} is read as {value:.15g}"


def _remarks(columns: Sequence[Column], wide: Wide | None, roles: Roles) -> Iterator[str]:
    """What has to be known about the file itself."""
    if roles.anew and not wide:
        subject, unit = _plain(roles.subject or ""), _plain(roles.anew)
        yield f"{subject} begins anew in each {unit} (a guess): make one column of both, and name that"
    for column in columns:
        if column.apart:
            yield f"{_plain(column.name)} has separators of thousands (a guess): remove them first"
    if wide and wide.others:
        yield f"columns of other responses, for a dataset each: {_plain(', '.join(wide.others))}"


def _long(columns: Sequence[Column], roles: Roles) -> Iterator[str]:
    """The keys of a table with one row per measurement."""
    by_name = {column.name: column for column in columns}
    yield _role(
        "subject", roles.subject, "who was measured", "no column has several rows for each of its values"
    )
    if roles.time is not None:
        yield _role("time", roles.time, "when", "")
        if by_name[roles.time].kind == "date":
            yield "time_unit: days # a guess: the dates become days since the subject's first one"
            if form := by_name[roles.time].form:
                yield f"date_format: {_scalar(form)} # a guess: day and month could be exchanged"
    else:
        yield "# no column is evidently a time; if there is one, name it: `time: COLUMN`"
    if roles.occasion is not None:
        yield f"occasion: {_scalar(roles.occasion)} # tells rows of one subject and time apart; a guess"
    elif roles.repeated and roles.anew is None:
        yield "duplicates: keep # a guess: some subjects have several rows at one time; are they replicates?"
    yield _role(
        "response",
        roles.response,
        "what was measured, a number",
        "no column of numbers changes within subjects",
    )
    yield from _missing([column for column in columns if column.name != roles.subject])
    yield from _grouping(roles.group, roles.levels)
    if roles.within is not None:
        yield from _categories(roles.within, roles.levels)
    yield from _model(roles.time, roles.group or roles.within, roles.planned, [])


def _wide(columns: Sequence[Column], wide: Wide) -> Iterator[str]:
    """The keys of a table with one row per subject."""
    others = [column for column in columns if column.name not in wide.columns]
    unique = [c for c in others if c.kind in ("text", "number") and c.distinct == len(c.values)]
    subject = max(unique, key=lambda c: (is_subject(c.name), c.kind == "text" or c.whole), default=None)
    if subject is not None and not (is_subject(subject.name) or subject.kind == "text" or subject.whole):
        subject = None
    yield _role(
        "subject",
        None if subject is None else subject.name,
        "who was measured",
        "no column has another value in each row: add one",
    )
    yield "time: time # a name for the times below"
    yield f"response: {_scalar(wide.response)} # a name for what was measured"
    yield "wide: # one row per subject, a column for each time. COLUMN: TIME; the times are a guess"
    yield from (f"  {_scalar(column)}: {time:.15g}" for column, time in wide.columns.items())
    if wide.before is not None:
        yield f"# {_plain(wide.before)} is the value before: a covariate (a guess), or at 0 under `wide`"
    yield from _missing(columns)
    kept = [column for column in others if subject is None or column.name != subject.name]
    index = pl.Series("row", range(len(kept[0].values)) if kept else [])
    people = Column("row", "number", index.cast(pl.Float64))
    group = _group_of_rows(people, [column for column in kept if column.name != wide.before])
    levels = ordered_levels(next(c for c in kept if c.name == group)) if group else ()
    yield from _grouping(group, levels)
    times = len(wide.columns)
    planned = 3 <= times <= 8 and len(columns[0].values) > times * (times + 1) / 2
    yield from _model("time", group, planned, [wide.before] if wide.before else [])


def _group_of_rows(people: Column, columns: Sequence[Column]) -> str | None:
    """The group of a table in which each row is a subject of its own."""
    from lmmstudy.config.draft_roles import Table  # start-up time

    frame = pl.DataFrame([c.values.alias(str(k)) for k, c in enumerate([people, *columns])])
    table = Table(frame, [people, *columns])
    return table.name(table.group(0, {0}))


def _grouping(group: str | None, levels: Sequence[str]) -> Iterator[str]:
    if group is not None:
        yield f"group: {_scalar(group)} # plots are split by it; a guess"
        yield from _categories(group, levels)
        if len(levels) > 1:
            arms = f"{_level(levels[1])}, {_level(levels[0])}"
            yield f"# question: {{what: means, arms: [{arms}]}} # what is answered first: means, slopes"


def _categories(column: str, levels: Sequence[str]) -> Iterator[str]:
    listed = ", ".join(map(_level, levels))
    yield f"categories: {{{_scalar(column)}: [{listed}]}} # the first is the reference; a guess"


def _model(time: str | None, group: str | None, planned: bool, covariates: Sequence[str]) -> Iterator[str]:
    """Fixed effects and candidates."""
    terms = [in_formula(name) for name in (group, time) if name is not None]
    fixed = " + ".join([" * ".join(terms) or "1", *map(in_formula, covariates)])
    yield f"fixed: {_scalar(fixed)} # a guess: add covariates"
    names = ["random_intercept"] + ["random_slope"] * (time is not None) + ["unstructured"] * planned
    why = "; unstructured: an MMRM, for planned visits" if planned else ""
    yield f"candidates: [{', '.join(names)}] # models of config/config.yaml; a guess{why}"


def _missing(columns: Sequence[Column]) -> Iterator[str]:
    codes = sorted({code for column in columns for code in column.codes})
    if codes:
        listed = ", ".join(map(_level, codes))
        yield f"missing: [{listed}] # a guess: these look like codes; remove what is a value"


def _role(role: str, name: str | None, what: str, otherwise: str) -> str:
    guess = "a guess" if name is not None else otherwise
    return f"{role}: {_scalar(name or UNNAMED)} # {what}; {guess}"


def _listing(columns: Sequence[Column]) -> str:
    shown = quoted([f"{column.name} ({column.kind})" for column in columns], most=12)
    return _plain(shown.replace("'", ""))


def _plain(text: str) -> str:
    """The text on one line: whatever breaks a line would end the comment."""
    return " ".join(text.split())


def _level(text: str) -> str:
    """A level or code: numbers as they are."""
    return text if re.fullmatch(r"-?(?:0|[1-9]\d*)(?:\.\d+)?", text) else _scalar(text)


def _scalar(text: str) -> str:
    """`text` as YAML: bare where that is safe, else in double quotes (JSON is YAML)."""
    safe = re.fullmatch(r"[A-Za-z_][\w./-]*", text, re.ASCII)
    words = {"yes", "no", "on", "off", "true", "false", "null", "y", "n"}
    # Characters that YAML does not take as they are have to be escaped.
    escaped = json.dumps(text, ensure_ascii=not text.isprintable())
    return text if safe and text.lower() not in words else escaped
