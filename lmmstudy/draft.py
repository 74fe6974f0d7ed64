"""`lmm init`: a dataset's stanza drafted from its raw file, with every guess marked as one."""

import json
import re
from pathlib import Path

from lmmstudy.as_written import open_file
from lmmstudy.draft_columns import Column, describe, guess_roles, wide_columns
from lmmstudy.wording import quoted


def draft(path: str) -> str:
    """The stanza as YAML, to be put under `datasets:`. Raises `Unusable` for a file that holds no table."""
    source = open_file(Path(path), path)
    columns = [describe(values) for values in source.frame.get_columns() if values.name]
    roles = guess_roles(source.frame, columns)
    by_name = {column.name: column for column in columns}
    name = re.sub(r"[^A-Za-z0-9_-]+", "_", Path(path).name.split(".")[0])
    name = (name if re.match(r"[A-Za-z]", name) else f"study_{name}")[:100]
    lines = [f"  # {source.frame.height} rows, {len(columns)} columns: {_listing(columns)}", f"  {name}:"]
    lines += [f"    path: {_scalar(path)}"]
    default = "\t" if source.kind == "tsv" else ","
    if source.separator not in (None, default):
        lines.append(f"    separator: {_scalar(source.separator or '')}")
    marks = {column.decimal for column in columns} - {"."}
    if marks:
        lines.append("    decimal: " + ("','" if marks == {","} and not _points(columns) else "both"))
    if source.encoding not in (None, "utf-8"):
        lines.append(f"    encoding: {source.encoding} # a guess: look at letters with accents in the report")
    wide = wide_columns(columns)
    notes = {"subject": "who was measured", "time": "when", "response": "what was measured"}
    for role, what in notes.items():
        if wide and role != "subject":
            value, why = ("time", what) if role == "time" else (wide[0] or "value", what)
        else:
            value, why = roles.get(role) or "TO_BE_NAMED", f"{what}; a guess" if role in roles else what
        lines.append(f"    {role}: {_scalar(value)} # {why}")
    if wide:
        lines.append("    wide: # one row a subject, one column a time: COLUMN: TIME, please check the times")
        lines += [f"      {_scalar(column)}: {time:.15g}" for column, time in wide[1].items()]
    elif (time := by_name.get(roles.get("time", ""))) and time.kind == "date":
        lines.append("    time_unit: days # the dates become days since the subject's first one")
    elif roles.get("time") is None:
        lines.append("    # no column of numbers or dates differs within subjects: name the time yourself")
    codes = sorted({code for column in columns for code in column.codes})
    if codes:
        lines.append(f"    missing: [{', '.join(codes)}] # these look like codes; remove what is a value")
    lines.append(f"    fixed: {_scalar('time' if wide else _plain_name(roles.get('time')))} # add covariates")
    lines.append("    candidates: [random_intercept, random_slope]")
    return "\n".join(lines) + "\n"


def _listing(columns: list[Column]) -> str:
    shown = quoted([f"{column.name} ({column.kind})" for column in columns], most=12)
    return " ".join(shown.replace("'", "").split())  # whatever breaks a line would end the comment


def _points(columns: list[Column]) -> bool:
    """Whether some column of numbers with a fraction is written with points."""
    return any(column.pointed for column in columns)


def _plain_name(name: str | None) -> str:
    if name is None:
        return "1"
    return name if re.fullmatch(r"[^\W\d]\w*", name) else f"`{name}`"


def _scalar(text: str) -> str:
    """`text` as YAML: bare where that is safe, else in double quotes (JSON is YAML)."""
    safe = re.fullmatch(r"[A-Za-z_][\w./-]*", text, re.ASCII)
    words = {"yes", "no", "on", "off", "true", "false", "null", "y", "n"}
    # Characters that YAML does not take as they are have to be escaped.
    escaped = json.dumps(text, ensure_ascii=not text.isprintable())
    return text if safe and text.lower() not in words else escaped
