"""Equal inputs give equal bytes: whatever the order of rows, the threads, the locale, the time zone."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lmmcore import kernel
from lmmstudy.base import arithmetic
from lmmstudy.run.differences import differences

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


INSTRUCTIONS = [] if kernel.loops is None else [*kernel.loops.AVAILABLE]
CORES = ["Prescott", *["Haswell"] * ("avx2" in INSTRUCTIONS), *["SkylakeX"] * ("avx512" in INSTRUCTIONS)]


@pytest.mark.parametrize("name", INSTRUCTIONS)
def test_the_processor_changes_no_byte(base, raw, tmp_path, name):
    """Loops compiled for any kind of processor."""
    assert outputs(tmp_path / "out", raw, LMM_LOOPS=name) == base


@pytest.mark.parametrize(
    "environment", [{"LMM_LOOPS": "numpy"}, *({"OPENBLAS_CORETYPE": core} for core in CORES)], ids=str
)
def test_other_loops_change_last_digits_alone(base, raw, tmp_path, environment):
    """What `lmm verify` says of them: NumPy's, those of the linear algebra for any kind of processor."""
    made = outputs(tmp_path / "out", raw, **environment)
    (tmp_path / "base").mkdir()
    for name, content in base.items():
        (tmp_path / "base" / name).write_bytes(content)
        found = differences(tmp_path / "base" / name, tmp_path / "out" / name)
        assert made.keys() == base.keys() and all(one.rounding for one in found), found


def test_jobs_use_the_same_linear_algebra_everywhere(tmp_path):
    """Settled before NumPy is loaded, unless the environment says otherwise."""
    code = (
        "import sys, os, types; sys.path.insert(0, 'workflow/scripts'); from binding import bind\n"
        f"bind(types.SimpleNamespace(log=[{str(tmp_path / 'log')!r}], threads=1, rule='x', wildcards={{}}))\n"
        "assert 'numpy' not in sys.modules; print(os.environ.get('OPENBLAS_CORETYPE'))"
    )
    call = [sys.executable, "-c", code]
    plain = {name: value for name, value in os.environ.items() if name != arithmetic.VARIABLE}
    for said, expected in (({}, arithmetic.COMMON), ({arithmetic.VARIABLE: "Prescott"}, "Prescott")):
        if not arithmetic._has_avx2() and not said:
            continue
        done = subprocess.run(call, cwd=ROOT, env=plain | said, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == expected


def test_the_order_of_rows_changes_neither_table_nor_estimates(base, raw, tmp_path):
    header, *rows = raw.read_text("utf-8").splitlines()
    random.Random(1).shuffle(rows)
    mixed = tmp_path / "shuffled.csv"
    mixed.write_text("\n".join([header, *rows]) + "\n", "utf-8")
    shuffled = outputs(tmp_path / "out", mixed)
    audit = shuffled.pop("clean.json")
    assert shuffled == {name: content for name, content in base.items() if name != "clean.json"}
    assert audit != base["clean.json"]  # it names the file's SHA-256
