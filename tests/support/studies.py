"""Small studies in folders of their own, run by the real Snakemake."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml

ROOT = Path(__file__).resolve().parents[2]
PROJECT = ("Snakefile", "workflow", "profiles", "lmmcore", "lmmstudy")

MODELS = {
    "random_intercept": {"formula": "{response} ~ {fixed} + (1 | {subject})"},
    "random_slope": {"formula": "{response} ~ {fixed} + (1 + {time} | {subject})"},
    "ar1": {"formula": "{response} ~ {fixed}", "residual": {"type": "ar1"}},
}


def stanza(name: str, **keys) -> dict:
    """A dataset's stanza for a file written by `write_raw`."""
    return {
        "path": f"data/{name}.csv",
        "subject": "id",
        "time": "t",
        "response": "y",
        "fixed": "t",
        "candidates": list(MODELS),
    } | keys


def write_raw(path: Path, seed: int, step: float = 1.0) -> None:
    """Twelve subjects at six times `step` apart, with random intercepts and slopes."""
    random = np.random.RandomState(seed)
    lines = ["id,t,y"]
    for subject in range(12):
        level, slope = random.normal(10, 2), random.normal(1, 0.5)
        for visit in range(6):
            t = visit * step
            lines.append(f"{subject},{t:g},{level + slope * t + random.normal(0, 1):.4f}")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")


@dataclass(frozen=True)
class Run:
    """What a call of Snakemake printed, and its exit status."""

    status: int
    text: str

    @property
    def jobs(self) -> Counter:
        """How often each rule ran or would run, from the table of job statistics."""
        table = re.search(r"^job +count\n[- ]+\n((?:\w+ +\d+\n)+)", self.text, re.MULTILINE)
        rows = [line.split() for line in table[1].splitlines()] if table else []
        return Counter({rule: int(n) for rule, n in rows if rule not in ("total", "all")})

    @property
    def idle(self) -> bool:
        """Whether there was nothing to do."""
        return self.status == 0 and "Nothing to be done" in self.text


@dataclass(frozen=True)
class Study:
    """A folder with a copy of the project and a configuration of its own."""

    folder: Path

    @property
    def config(self) -> dict:
        return yaml.safe_load((self.folder / "config/config.yaml").read_text())

    def configure(self, config: dict) -> None:
        path = self.folder / "config/config.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(yaml.safe_dump(config, sort_keys=False))

    def snakemake(self, *arguments: str) -> Run:
        command = [sys.executable, "-m", "snakemake", "--cores", "2", *arguments]
        done = subprocess.run(
            command, cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        return Run(done.returncode, done.stdout)

    def lmm(self, *arguments: str, before: Sequence[str] = (), **environment: str) -> Run:
        """The command `lmm`, from this copy of the project; `before` are words before it."""
        done = subprocess.run(
            [*before, sys.executable, "-m", "lmmstudy", *arguments],
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=os.environ | {"PYTHONPATH": str(self.folder)} | environment,
        )
        return Run(done.returncode, done.stdout)

    def results(self) -> dict[str, bytes]:
        """Every file under results/ by name."""
        files = [path for path in (self.folder / "results").rglob("*") if path.is_file()]
        return {str(path.relative_to(self.folder)): path.read_bytes() for path in sorted(files)}

    def ledger(self) -> list[dict]:
        """Every line of the ledger."""
        return [json.loads(line) for line in (self.folder / "runs/ledger.jsonl").read_text().splitlines()]

    def plan(self) -> Run:
        """A dry run."""
        return self.snakemake("--dry-run")

    def edit(self, name: str, change: Callable[[str], str]) -> None:
        path = self.folder / name
        path.write_text(change(path.read_text("utf-8")), "utf-8")

    def copy(self, folder: Path) -> "Study":
        """The same study elsewhere, with its results and Snakemake's memory of them."""
        shutil.copytree(self.folder, folder)
        return Study(folder)

    def untouched(self, folder: Path) -> "Study":
        """The same study elsewhere, as if it had never run."""
        made = ("results", "reports", "runs", "logs", "studies", ".snakemake", "__pycache__")
        shutil.copytree(self.folder, folder, ignore=shutil.ignore_patterns(*made))
        return Study(folder)


def new_study(folder: Path, config: dict) -> Study:
    """A study that has not run yet."""
    folder.mkdir(parents=True, exist_ok=True)
    ignore = shutil.ignore_patterns("__pycache__")
    for name in PROJECT:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=ignore)
        else:
            shutil.copy2(ROOT / name, folder / name)
    study = Study(folder)
    study.configure(config)
    return study


def two_datasets(folder: Path) -> Study:
    """Datasets `alpha` and `beta` with three candidates each."""
    config = {"datasets": {n: stanza(n) for n in ("alpha", "beta")}, "models": MODELS}
    write_raw(folder / "data/alpha.csv", seed=1)
    write_raw(folder / "data/beta.csv", seed=2)
    return new_study(folder, config)
