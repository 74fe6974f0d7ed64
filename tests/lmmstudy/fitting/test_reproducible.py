"""Equal inputs give equal bytes: whatever the order of rows, the threads, the locale, the time zone."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[3]
SCRIPT = """
import sys
from lmmstudy.clean.clean import clean_file
from lmmstudy.config.study import load, plan
from lmmstudy.fitting.candidate import fit_candidate
from lmmstudy.fitting.selection import select_model

raw, out = sys.argv[1:]
stanza = {"path": "data/raw.csv", "subject": "Größe", "time": "t", "response": "y", "fixed": "t * arm + x",
          "candidates": ["slope", "ar1"]}
formula = "{response} ~ {fixed} + (1 + {time} | {subject})"
models = {"slope": {"formula": formula}, "ar1": {"formula": formula, "residual": {"type": "ar1"}}}
job = plan(load({"datasets": {"d": stanza}, "models": models}))["d"]
parquet, audit = f"{out}/clean.parquet", f"{out}/clean.json"
clean_file("d", raw, job["clean"], "code", parquet, audit)
for name in models:
    fit_candidate("d", name, parquet, audit, job["fit"][name], "code", f"{out}/{name}.json")
records = [f"{out}/{name}.json" for name in models]
select_model("d", parquet, audit, records, job["select"], "code", f"{out}/selection.json")
"""
ONE = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")} | {"POLARS_MAX_THREADS": "1"}
TWO = {name: "2" for name in ONE}
ELSEWHERE = {"TZ": "Asia/Kathmandu", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
"""Text files are ASCII to this Python, unless it is told otherwise."""


@pytest.fixture(scope="module")
def raw(tmp_path_factory) -> Path:
    """20 000 rows, which is enough for polars and BLAS to share them between threads; ids beyond ASCII."""
    noise = np.random.RandomState(3)
    lines = ["Größe,t,arm,x,y"]
    for subject in range(2000):
        level, slope = noise.normal(10, 2), noise.normal(1, 0.5)
        for t in range(10):
            x = noise.normal()
            y = level + slope * t + x + noise.normal()
            lines.append(f"Ж{subject},{t},{'ab'[subject % 2]},{x:.6f},{y:.6f}")
    path = tmp_path_factory.mktemp("raw") / "raw.csv"
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def outputs(folder: Path, raw: Path, **environment: str) -> dict[str, bytes]:
    """Bytes of the clean table, the audit, the records and the selection, made in a process of its own."""
    folder.mkdir()
    script = folder.with_suffix(".py")
    script.write_text(SCRIPT, "utf-8")
    call = [sys.executable, str(script), str(raw), str(folder)]
    settings = {"PYTHONPATH": str(ROOT)} | ONE | environment
    subprocess.run(call, cwd=ROOT, env=os.environ | settings, stderr=subprocess.DEVNULL, check=True)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def base(raw, tmp_path_factory):
    """The outputs under plain circumstances."""
    made = outputs(tmp_path_factory.mktemp("base") / "out", raw)
    assert made.keys() == {"clean.parquet", "clean.json", "slope.json", "ar1.json", "selection.json"}
    assert all(model["status"] == "ok" for model in json.loads(made["selection.json"])["ladder"])
    return made


@pytest.mark.parametrize("environment", [TWO, ELSEWHERE, {"PYTHONHASHSEED": "7"}])
def test_circumstances_change_no_byte(base, raw, tmp_path, environment):
    assert outputs(tmp_path / "out", raw, **environment) == base


def test_the_order_of_rows_changes_neither_table_nor_estimates(base, raw, tmp_path):
    header, *rows = raw.read_text("utf-8").splitlines()
    random.Random(1).shuffle(rows)
    mixed = tmp_path / "shuffled.csv"
    mixed.write_text("\n".join([header, *rows]) + "\n", "utf-8")
    shuffled = outputs(tmp_path / "out", mixed)
    audit = shuffled.pop("clean.json")
    assert shuffled == {name: content for name, content in base.items() if name != "clean.json"}
    assert audit != base["clean.json"]  # it names the file's SHA-256
