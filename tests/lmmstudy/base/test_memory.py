"""A fit that runs out of memory leaves no record: what the machine prevents is no result."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
SCRIPT = """
import resource, sys
from lmmstudy.clean.clean import clean_file
from lmmstudy.config.study import load, plan
from lmmstudy.fitting.candidate import fit_candidate

out, spare = sys.argv[1], int(sys.argv[2])
stanza = {"path": "data/raw/sleepstudy.csv", "subject": "Subject", "time": "Days", "response": "Reaction",
          "fixed": "Days", "candidates": ["slope"]}
models = {"slope": {"formula": "{response} ~ {fixed} + (1 + {time} | {subject})"}}
job = plan(load({"datasets": {"d": stanza}, "models": models}))["d"]
parquet, audit, record = (f"{out}/{name}" for name in ("clean.parquet", "clean.json", "slope.json"))
clean_file("d", stanza["path"], job["clean"], "code", parquet, audit)
if spare:
    used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + spare, used + spare))
fit_candidate("d", "slope", parquet, audit, job["fit"]["slope"], "code", record)
"""


def fit(folder: Path, spare: int) -> tuple[int, bytes | None]:
    """Exit status and record of a fit in a process that may take `spare` bytes more than after cleaning; 0
    for as many as it likes."""
    call = [sys.executable, "-c", SCRIPT, str(folder), str(spare)]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "POLARS_MAX_THREADS": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(call, cwd=ROOT, env=environment, capture_output=True)
    record = folder / "slope.json"
    return done.returncode, record.read_bytes() if record.exists() else None


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="the memory in use is read from /proc")
def test_either_the_whole_record_or_none(tmp_path):
    status, whole = fit(_new(tmp_path / "whole"), 0)
    assert status == 0 and whole
    ended = [fit(_new(tmp_path / str(power)), 2**power) for power in (12, 16, 20, 24, 26, 28)]
    for status, record in ended:
        assert (record == whole) if status == 0 else record is None
    assert ended[0][0] != 0


def _new(folder: Path) -> Path:
    folder.mkdir()
    return folder
