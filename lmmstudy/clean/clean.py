"""Raw file to tidy table: `clean_file` writes `clean.parquet` and its audit `clean.json`.

The audit accounts for every row: read = used + dropped, each dropped row under the first reason
that applies, in this order: nothing in the row, a missing value (subject, time, response, then
covariates by name), a value outside its range, a duplicate. A file that cannot be used is a result
too: the audit says so in one sentence (`status: failed`), the table is empty but valid, and nothing
is raised.
"""

import platform
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from lmmstudy.base.files import file_sha256, write_atomically, write_result
from lmmstudy.base.log import fact
from lmmstudy.base.text import one_line, shown
from lmmstudy.clean.audit import attrition, column_summaries, visits
from lmmstudy.clean.columns import convert
from lmmstudy.clean.layout import Layout
from lmmstudy.clean.lookalikes import lookalikes, odd_ids, sentences
from lmmstudy.clean.read import Unusable, read_raw
from lmmstudy.clean.rows import drop_missing, drop_out_of_range, resolve_duplicates
from lmmstudy.clean.wide import lengthen
from lmmstudy.config.plausible import doubts

REST = "the dataset cannot be used"


def clean_file(
    dataset: str, raw: str | None, design: Mapping[str, Any], code: str, parquet: str, audit: str
) -> None:
    """Clean `raw` (None when the file does not exist) as `design` says; write `parquet` and `audit`.

    `design` is a dataset's `clean` part of `lmmstudy.config.study.plan`. `code` is the fingerprint stored
    as provenance.
    """
    layout = Layout(design)
    record = _blank(dataset, design, code)
    try:
        if raw is None:
            raise Unusable(_why_absent(design["path"]))
        table = _clean(raw, layout, record)
    except Unusable as reason:
        table = layout.empty()
        record |= {"status": "failed", "message": _sentence(dataset, reason)}
        rows = record["rows"]
        if unexplained := rows["read"] - sum(rows["dropped"].values()):
            rows["dropped"][REST] = unexplained
    write_atomically(parquet, lambda path: table.write_parquet(path))
    write_result(record | {"table_sha256": file_sha256(parquet)}, audit)
    _log(record)


def _log(record: Mapping[str, Any]) -> None:
    """The audit's main facts, a line each."""
    source, rows = record["source"], record["rows"]
    fact("read", file=source["path"], sha256=source["sha256"], rows=rows["read"])
    for coercion in record["coercions"]:
        fact("changed", column=coercion["column"], kind=coercion["kind"], count=coercion["count"])
    for reason, count in rows["dropped"].items():
        fact("dropped", reason=reason, rows=count)
    fact("clean", status=record["status"], rows=rows["used"], subjects=record["subjects"]["used"])
    if record["message"]:
        fact("failed", message=record["message"])


def problems_of_raw(dataset: str, raw: str | None, design: Mapping[str, Any]) -> list[str]:
    """Everything that keeps the file from being used, in the words of `clean_file`, a sentence a problem."""
    return examine(dataset, raw, design)[0]


def examine(
    dataset: str, raw: str | None, design: Mapping[str, Any]
) -> tuple[list[str], list[str], dict[str, Any]]:
    """The problems (see `problems_of_raw`), for a file without one what is doubtful about the choice of its
    columns and its ids, and the audit."""
    layout = Layout(design)
    record = _blank(dataset, design, "")
    try:
        if raw is None:
            raise Unusable(_why_absent(design["path"]))
        table = _clean(raw, layout, record)
    except Unusable as reason:
        return [_sentence(dataset, problem) for problem in (reason, *reason.others)], [], record
    doubtful = [f"{dataset}: {text}." for text in sentences(record, layout.subject)]
    return [], [one_line(doubt) for doubt in [*doubts(dataset, table, layout), *doubtful]], record


def _sentence(dataset: str, reason: object) -> str:
    return one_line(f"{dataset} was not analysed: {reason}.")


def _why_absent(path: str) -> str:
    """Why there is nothing to read at `path`."""
    try:
        kind = Path(path).stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return f"there is no file {path}: put it there, or correct `path`"
    except OSError as error:  # a folder on the way, links in a circle, a name too long
        return f"{shown(path, 200)} cannot be read ({error.strerror}): correct this, or `path`"
    if stat.S_ISDIR(kind):
        return f"{path} cannot be read, it is a folder: correct `path`"
    if not stat.S_ISREG(kind):
        return f"{path} is not a regular file: put a file there, or correct `path`"
    return f"{path} cannot be read by this user: change its permissions"


def _clean(raw: str, layout: Layout, record: dict[str, Any]) -> pl.DataFrame:
    """The tidy table; `record` is filled on the way, so that a failure keeps what was found before it."""
    frame = read_raw(Path(raw), layout.design, layout.raw_columns, record)
    layout = layout.within(frame)
    frame = lengthen(frame, layout) if layout.wide else frame
    record["rows"]["read"] = frame.height
    frame, record["coercions"] = convert(frame, layout)
    missing = {column: frame[column].null_count() for column in layout.columns}
    record["subjects"]["read"] = frame[layout.subject].drop_nulls().n_unique()

    dropped = record["rows"]["dropped"]
    frame = drop_missing(frame, layout.columns, dropped)
    limits = layout.design["range"]
    frame, record["out_of_range"] = drop_out_of_range(frame, limits, dropped)
    frame, record["duplicates"] = resolve_duplicates(frame, layout, dropped)
    if reason := record["duplicates"].pop("stop", None):
        raise Unusable(reason)
    if frame.is_empty():
        listing = ", ".join(f"{count} {reason}" for reason, count in dropped.items())
        raise Unusable(
            f"no row is left (read {record['rows']['read']}; dropped: {listing})"
            if dropped
            else "the file has a header but no rows"
        )

    table = frame.select(layout.columns)
    record["rows"]["used"] = table.height
    record["subjects"]["used"] = table[layout.subject].n_unique()
    record["columns"] = column_summaries(table, missing, layout)
    record["visits"] = visits(table, layout)
    record["attrition"] = attrition(table, layout)
    record["lookalikes"], record["odd_ids"] = lookalikes(table), odd_ids(table[layout.subject])
    return table


def _blank(dataset: str, design: Mapping[str, Any], code: str) -> dict[str, Any]:
    keys = ("sha256", "bytes", "format", "separator", "encoding")
    return {
        "dataset": dataset,
        "status": "ok",
        "message": "",
        "source": {"path": design["path"], **dict.fromkeys(keys)},
        "rows": {"read": 0, "used": 0, "dropped": {}},
        "subjects": {"read": 0, "used": 0},
        "columns": [],
        "duplicates": {"policy": design["duplicates"], "identical": [], "conflicting": []},
        "coercions": [],
        "out_of_range": [],
        "visits": {
            "times": [],
            "per_subject": dict.fromkeys(("min", "median", "max")),
            "patterns": [],
        },
        "attrition": [],
        "lookalikes": [],
        "odd_ids": [],
        "absent": [],
        "provenance": {
            "config": dict(design),
            "code": code,
            "versions": {"python": platform.python_version(), "polars": pl.__version__},
        },
    }
