"""Programs taking turns at one task: each in a process of its own that has loaded the data and warmed up."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from shutil import which
from statistics import median

import polars as pl

PEERS = Path(__file__).parent / "peers"
PYTHON = ("lmmcore", "statsmodels", "gpboost")
ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS"), "1"
)
# A program whose runs have taken so many seconds has run often enough.
ENOUGH = 30.0


@dataclass
class Runner:
    """One program at one task. note : why it has no time, or ""; least : seconds after which a run was given
    up, or 0; value : what its runs gave."""

    program: str
    process: subprocess.Popen[bytes] | None
    version: str = ""
    note: str = ""
    least: float = 0.0
    times: list[float] = field(default_factory=list)
    value: float = float("nan")

    @property
    def seconds(self) -> float:
        """Median of its runs."""
        return median(self.times)

    @property
    def running(self) -> bool:
        """Whether it takes part in the next round."""
        return self.process is not None and sum(self.times) < ENOUGH

    def ready(self, limit: float) -> None:
        """Wait until it has loaded the data and warmed up."""
        answer = self._answer(limit)
        if answer == "absent":
            self.stop("absent")
        self.version = answer

    def run(self, limit: float) -> None:
        """One round."""
        assert self.process is not None and self.process.stdin is not None
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()
        answer = self._answer(limit)
        if self.process is not None:
            seconds, value = map(float, answer.split())
            self.times.append(seconds)
            self.value = value

    def _answer(self, limit: float) -> str:
        """Its next line; it is stopped when it fails or takes longer than the limit (seconds)."""
        assert self.process is not None and self.process.stdout is not None
        if not select.select([self.process.stdout], [], [], limit)[0]:
            self.least = limit
            self.stop(f"over {limit:.0f} s")
            return ""
        line = self.process.stdout.readline().decode().strip()
        if not line:
            self.stop("failed")
        return line

    def stop(self, note: str = "") -> None:
        """End its process. note : why, if it has not finished."""
        self.note = self.note or note
        if self.process is not None:
            self.process.kill()
            self.process.communicate()
            self.process = None


def race(task: str, frame: pl.DataFrame, programs: Sequence[str], rounds: int, limit: float) -> list[Runner]:
    """Every program once a round, in turns, so that a machine that is busy for a while is so for all.

    rounds : fewer for a program that needs long (ENOUGH); limit : seconds after which one run is given up.
    """
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        path = Path(folder) / "rows"
        frame.write_parquet(path.with_suffix(".parquet"))
        frame.write_csv(path.with_suffix(".csv"))
        runners = [_started(program, task, path) for program in programs]
        for runner in runners:
            stack.callback(runner.stop)
        for runner in runners:
            if runner.process is not None:
                runner.ready(limit)
        for _ in range(rounds):
            for runner in runners:
                if runner.running:
                    runner.run(limit)
        return runners


def _started(program: str, task: str, path: Path) -> Runner:
    if program in PYTHON:
        command = [sys.executable, "-W", "ignore", "-m", "benchmarks.peers.tasks"]
        data = path.with_suffix(".parquet")
    elif which("Rscript"):
        command, data = ["Rscript", str(PEERS / "tasks.R")], path.with_suffix(".csv")
    else:
        return Runner(program, None, note="absent")
    process = subprocess.Popen(
        [*command, program, task, str(data)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,
        cwd=PEERS.parents[1],
        env=os.environ | ONE_THREAD,
    )
    return Runner(program, process)
