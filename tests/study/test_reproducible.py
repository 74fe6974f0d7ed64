"""Equal inputs give equal bytes: whatever the order of rows, the threads, the locale, the time zone."""

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = """
import sys
from lmmstudy.clean import clean_file
from lmmstudy.config import load, plan
from lmmstudy.fitting import fit_candidate

raw, out = sys.argv[1:]
stanza = {"path": "data/raw/orthodont.csv", "subject": "Subject", "time": "age", "response": "distance",
          "fixed": "age * Sex", "candidates": ["slope"]}
formula = "{response} ~ {fixed} + (1 + {time} | {subject})"
models = {"slope": {"formula": formula, "residual": {"type": "ar1"}}}
job = plan(load({"datasets": {"d": stanza}, "models": models}))["d"]
parquet, audit = f"{out}/clean.parquet", f"{out}/clean.json"
clean_file("d", raw, job["clean"], "code", parquet, audit)
fit_candidate("d", "slope", parquet, audit, job["fit"]["slope"], "code", f"{out}/slope.json")
"""


def outputs(folder: Path, raw: Path, **environment: str) -> dict[str, bytes]:
    """Bytes of the clean table, the audit and the record, made in a process of its own."""
    folder.mkdir()
    settings = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1"} | environment
    call = [sys.executable, "-c", SCRIPT, str(raw), str(folder)]
    subprocess.run(call, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)} | settings, check=True)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """The outputs under plain circumstances."""
    return outputs(tmp_path_factory.mktemp("base") / "out", ROOT / "data/raw/orthodont.csv")


def test_threads_locale_time_zone_and_hash_seed_change_no_byte(base, tmp_path):
    environment = {"OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2", "POLARS_MAX_THREADS": "2"}
    environment |= {"TZ": "Asia/Kathmandu", "LC_ALL": "tr_TR.UTF-8", "LANG": "C", "PYTHONHASHSEED": "7"}
    assert outputs(tmp_path / "out", ROOT / "data/raw/orthodont.csv", **environment) == base


def test_the_order_of_rows_changes_neither_table_nor_estimates(base, tmp_path):
    header, *rows = (ROOT / "data/raw/orthodont.csv").read_text().splitlines()
    random.Random(1).shuffle(rows)
    raw = tmp_path / "shuffled.csv"
    raw.write_text("\n".join([header, *rows]) + "\n")
    shuffled = outputs(tmp_path / "out", raw)
    assert shuffled["clean.parquet"] == base["clean.parquet"]
    assert shuffled["slope.json"] == base["slope.json"]
    assert shuffled["clean.json"] != base["clean.json"]  # it names the file's SHA-256
