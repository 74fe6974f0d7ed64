"""Small raw files, cleaned."""

import json
from pathlib import Path

import polars as pl

from lmmstudy.clean.clean import clean_file
from lmmstudy.config.study import load, plan

STANZA = {
    "path": "raw.csv",
    "subject": "id",
    "time": "t",
    "response": "y",
    "fixed": "t",
    "candidates": ["m"],
}


def clean(folder: Path, content: str | bytes, **keys) -> tuple[dict, pl.DataFrame]:
    """Audit and table for a raw file of that content and a stanza with those keys."""
    stanza = STANZA | keys
    raw = folder / Path(stanza["path"]).name
    raw.write_bytes(content.encode() if isinstance(content, str) else content)
    return run(folder, raw, stanza)


def run(folder: Path, raw: Path | None, stanza: dict) -> tuple[dict, pl.DataFrame]:
    models = {"m": {"formula": "{response} ~ {fixed} + (1 | {subject})"}}
    design = plan(load({"datasets": {"d": stanza}, "models": models}))["d"]["clean"]
    parquet, audit = folder / "clean.parquet", folder / "clean.json"
    clean_file("d", raw and str(raw), design, "code", str(parquet), str(audit))
    record = json.loads(audit.read_text("utf-8"))
    rows = record["rows"]
    assert rows["read"] == rows["used"] + sum(rows["dropped"].values())
    table = pl.read_parquet(parquet)
    assert table.height == rows["used"]
    return record, table
