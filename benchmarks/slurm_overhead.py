"""What Slurm costs around fits: python -m benchmarks.slurm_overhead [CANDIDATES]      (200 unless told; root)

The candidates of small datasets (30 subjects at 6 times), cleaned beforehand, are fitted on the test cluster
of tests/slurm in four ways. Every Python process tells its processor time when it ends, as in overhead.py.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from shutil import copytree, ignore_patterns

from benchmarks.overhead import MODELS, ROOT, processes, write_study
from benchmarks.page import DOCS, made_by, table, write_section
from tests.slurm import cluster

SNAKEMAKE = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
EVERY_JOB = [
    *("--executor", "slurm", "--jobs", "10000", "--slurm-init-seconds-before-status-checks", "5"),
    *("--seconds-between-status-checks", "5"),
]
BATCHES = ["--groups", "fit=study", "--group-components", "study=50"]
BATCHES += ["--cores", "1", "--set-resource-scopes", "_cores=local"]
# Larger arrays do not fit into a command line; the plugin's other way to submit them fails (2.8).
ARRAYS = ["--slurm-array-jobs", "fit", "--slurm-array-limit", "25"]
WAYS = {
    "one job each": EVERY_JOB,
    "arrays of 25": [*EVERY_JOB, *ARRAYS],
    "batches of 50": [*EVERY_JOB, *BATCHES],
}
# The whole run as one Slurm job of two processors, with Snakemake's own executor inside it.
ALLOCATION = "one allocation"


def snakemake(folder: Path, *arguments: str) -> str:
    """Run to the end with the probe of overhead.py; what was printed."""
    paths = os.pathsep.join([str(folder / "probe"), str(ROOT)])
    environment = os.environ | {"PYTHONPATH": paths, "CPU_LOG": str(folder / "cpu.txt")}
    command = [*SNAKEMAKE, "--workflow-profile", "none", *arguments]
    if arguments[0] == ALLOCATION:
        command = [*SNAKEMAKE, "--workflow-profile", "none", "--cores", "2", *arguments[1:]]
        command = ["sbatch", "--wait", "--cpus-per-task=2", "--mem=4000", "--wrap", " ".join(command)]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    return done.stdout + done.stderr


def one_way(cleaned: Path, way: str) -> list[str]:
    """A row of the table: fits of the cleaned study in one way."""
    with tempfile.TemporaryDirectory(prefix="slurm", dir=cleaned.parent) as name:
        folder = Path(name) / "study"
        copytree(cleaned, folder, ignore=ignore_patterns("cpu.txt"))
        start = time.perf_counter()
        printed = snakemake(folder, *WAYS.get(way, [ALLOCATION]), "--until", "fit")
        wall = time.perf_counter() - start
        used = processes(folder)
    fits = sum(kind == "fit" for kind, _, _ in used)
    submissions = len(re.findall(r"Submitted array|has been submitted", printed)) or 1
    of_scripts = sum(seconds for kind, seconds, _ in used if kind == "fit")
    everything = sum(seconds for _, seconds, _ in used)
    row = [
        way, f"{submissions}", f"{wall:.0f} s", f"{wall / fits:.2f} s", f"{everything / fits:.2f} s",
        f"{of_scripts / fits:.2f} s",
    ]  # fmt: skip
    print(*row, sep=" | ", flush=True)
    return row


def main(candidates: int) -> None:
    if problem := cluster.missing():
        sys.exit(problem)
    with cluster.running(), tempfile.TemporaryDirectory() as name:
        cleaned = Path(name) / "cleaned"
        cleaned.mkdir()
        write_study(cleaned, candidates // len(MODELS))
        snakemake(cleaned, "--cores", "2", "--until", "clean")
        rows = [one_way(cleaned, way) for way in (*WAYS, ALLOCATION)]
    lines = [
        f"{candidates} fits, {len(cluster.NODES)} virtual nodes on one machine:",
        "",
        *table(
            ("way", "submissions", "wall clock", "a fit", "processor time a fit", "its script alone"), rows
        ),
        "",
        made_by("python -m benchmarks.slurm_overhead" + ("" if candidates == 200 else f" {candidates}")),
    ]
    print(*lines, sep="\n")
    write_section("slurm", lines, DOCS / "clusters.md")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
