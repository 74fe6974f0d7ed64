"""What a study of many datasets costs before its first job: python -m benchmarks.planning

Studies of growing size that have not run are planned (`--dry-run`): processor time and memory of Snakemake,
and of reading and checking the configuration alone, which every process of Snakemake does.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.overhead import MODELS, ROOT, write_study
from benchmarks.page import DOCS, made_by, table, write_section

SIZES = (100, 1000, 5000)
READ = "from lmmstudy.config.study import study; study({})"
PLAN = ("-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--workflow-profile", "none")
PLAN += ("--cores", "1", "--dry-run", "--quiet", "all")
HEAD = ("datasets", "jobs", "processor time", "a job", "memory", "of which the configuration")


def measured(folder: Path, arguments: Sequence[str]) -> tuple[float, float]:
    """Processor seconds and peak MB of a Python process in the folder."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, *arguments], cwd=folder, env=environment, stdout=subprocess.DEVNULL
    )
    _, status, used = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{' '.join(arguments)} failed")
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def planned(datasets: int) -> list[str]:
    """A row of the table."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_study(folder, datasets)
        read, _ = measured(folder, ("-c", READ))
        seconds, memory = measured(folder, PLAN)
    jobs = datasets * (len(MODELS) + 3)
    each = f"{seconds / jobs * 1e3:.1f} ms"
    return [f"{datasets:,}", f"{jobs:,}", f"{seconds:.1f} s", each, f"{memory:,.0f} MB", f"{read:.1f} s"]


def main() -> None:
    lines = [*table(HEAD, map(planned, SIZES)), "", made_by("python -m benchmarks.planning")]
    print(*lines, sep="\n")
    write_section("planning", lines, DOCS / "clusters.md")


if __name__ == "__main__":
    main()
