"""What the workflow costs around its fits: python -m benchmarks.overhead [DATASETS]      (100 unless told)

A study of small datasets (30 subjects at 6 times) with five candidates each is run by `snakemake --cores 2`,
then again without news. Every Python process of the run leaves its processor time when it ends, by a module
that Python imports at its start (PROBE). Beside it stands one R process that reads the same files and makes
the same fits (peers/study.R): by ML and by REML, with lme4 and nlme.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from shutil import which
from statistics import median

import yaml

from benchmarks.nightly import write_raw
from benchmarks.page import made_by, table, write_section

ROOT = Path(__file__).resolve().parents[1]
SLOPE = "{response} ~ {fixed} + (1 + {time} | {subject})"
MODELS = {
    "random_intercept": {"formula": "{response} ~ {fixed} + (1 | {subject})"},
    "random_slope": {"formula": SLOPE},
    "uncorrelated_slope": {"formula": SLOPE.replace("|", "||")},
    "ar1": {"formula": "{response} ~ {fixed}", "residual": {"type": "ar1"}},
    "random_intercept_ar1": {
        "formula": "{response} ~ {fixed} + (1 | {subject})",
        "residual": {"type": "ar1"},
    },
}
# sitecustomize.py of the run: at its end a process tells its script, its processor seconds, and how many of
# them a script of the workflow spent importing, from its own first line on, which imports `binding`.
PROBE = """
import atexit, builtins, os, sys, time

load, depth, spent = builtins.__import__, 0, 0.0

def timed(*arguments, **options):
    global depth, spent
    if depth or "binding" not in sys.modules:
        return load(*arguments, **options)
    depth, start = 1, time.process_time()
    try:
        return load(*arguments, **options)
    finally:
        depth, spent = 0, spent + time.process_time() - start

@atexit.register
def tell():
    script = os.path.basename(sys.argv[0] if sys.argv else "")
    with open(os.environ["CPU_LOG"], "a") as log:
        log.write(f"{script} {time.process_time():.4f} {spent:.4f}\\n")

builtins.__import__ = timed
"""


def write_study(folder: Path, datasets: int) -> None:
    """Raw files and configuration."""
    for part in ("data", "config", "probe"):
        (folder / part).mkdir()
    names = [f"d{number:03}" for number in range(datasets)]
    for seed, name in enumerate(names):
        write_raw(folder / f"data/{name}.csv", seed)
    keys = {"subject": "id", "time": "t", "response": "y", "fixed": "t", "candidates": list(MODELS)}
    config = {"datasets": {name: {"path": f"data/{name}.csv", **keys} for name in names}, "models": MODELS}
    (folder / "config/config.yaml").write_text(yaml.safe_dump(config))
    (folder / "probe/sitecustomize.py").write_text(PROBE)


def cached() -> dict[str, str]:
    """The environment, in which Python keeps compiled modules, as it does unless told otherwise."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def run(folder: Path) -> float:
    """Wall-clock seconds of one Snakemake run."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--cores", "2"]
    paths = os.pathsep.join([str(folder / "probe"), str(ROOT)])
    environment = cached() | {"PYTHONPATH": paths, "CPU_LOG": str(folder / "cpu.txt")}
    start = time.perf_counter()
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    return time.perf_counter() - start


def processes(folder: Path) -> list[tuple[str, float, float]]:
    """(rule, or "snakemake"; processor seconds; those of imports) of each process that has told."""
    found = []
    for line in (folder / "cpu.txt").read_text().splitlines():
        script, seconds, imports = line.split(" ")
        rule = re.fullmatch(r"\w+\.(\w+)\.py", script)
        found.append((rule[1] if rule else "snakemake", float(seconds), float(imports)))
    return found


def in_r(folder: Path) -> tuple[float, float] | None:
    """Wall-clock and processor seconds of the same fits in one R process; None without R."""
    if not which("Rscript"):
        return None
    command = ["Rscript", str(ROOT / "benchmarks/peers/study.R"), str(folder / "data")]
    start, before = time.perf_counter(), os.times()
    done = subprocess.run(command, capture_output=True, text=True)
    after = os.times()
    if done.returncode:
        sys.exit(done.stderr)
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return time.perf_counter() - start, used


def main(datasets: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_study(folder, datasets)
        first = run(folder)
        found = processes(folder)
        idle = median(run(folder) for _ in range(3))
        theirs = in_r(folder)
    rows = []
    for rule in ("clean", "fit", "select", "report", "index", "snakemake"):
        used = [seconds for kind, seconds, _ in found if kind == rule]
        spent = [imports for kind, _, imports in found if kind == rule]
        cells = [f"{median(used):.2f} s", f"{median(spent):.2f} s", f"{sum(used):.0f} s"]
        rows.append([rule, f"{len(used)}", *cells])
    peer = "R: absent"
    if theirs is not None:
        peer = f"One R process makes the same fits in {theirs[0]:.0f} s ({theirs[1]:.0f} s of processor)"
    lines = [
        f"{datasets} datasets x {len(MODELS)} candidates, `snakemake --cores 2`: first run {first:.0f} s, "
        f"without news {idle:.1f} s (aim: 5 s). Aims for a fit job: 0.6 s of processor time, of which 0.35 s "
        f"for the imports of the engine. {peer}.",
        "",
        *table(("processes", "number", "processor time of each", "of which imports", "of all"), rows),
        "",
        made_by("python -m benchmarks.overhead" + ("" if datasets == 100 else f" {datasets}")),
    ]
    print(*lines, sep="\n")
    write_section("overhead", lines)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100)
