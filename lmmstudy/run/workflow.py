"""Calling Snakemake: the command, its output to the terminal and to a file, a sign of life."""

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lmmstudy.base.project import PROJECT

HEARTBEAT = 30.0
"""Seconds between two signs of life."""


def command(config: str, arguments: Sequence[str], **keys: Any) -> list[str]:
    """The Snakemake call for the configuration file `config`, from the folder of the study.

    arguments : for Snakemake. keys : keys of the configuration to change.
    """
    snakefile = Path("Snakefile").resolve()
    if not snakefile.is_file():
        snakefile = PROJECT / "Snakefile"
    cores = () if _has_cores(arguments) else ("--cores", "all")
    python = [sys.executable, "-m", "snakemake", "--snakefile", str(snakefile)]
    changes = [f"{key}={json.dumps(value)}" for key, value in keys.items()]
    return [*python, *cores, *arguments, "--config", f"study_config={config}", *changes]


def unlock(config: str) -> None:
    """Remove Snakemake's lock, which a killed run left."""
    call = [*command(config, ()), "--unlock"]
    subprocess.run(call, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)


def run(call: Sequence[str], log: Path, lock: int, heartbeat: Path) -> int:
    """Run `call`; its output goes to the terminal and to `log`. Gives its exit status.

    The child inherits the descriptor `lock`, so that the lock outlives this process if it is killed.
    `heartbeat` is touched again and again: a file time long ago means that the run hangs or is gone.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    done = threading.Event()
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    with log.open("wb") as file:
        with subprocess.Popen(
            call, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, pass_fds=(lock,), env=environment
        ) as child:
            beat = threading.Thread(target=_beat, args=(heartbeat, done), daemon=True)
            beat.start()
            try:
                assert child.stdout is not None
                for line in child.stdout:
                    file.write(line)
                    file.flush()
                    sys.stderr.write(line.decode(errors="replace"))
            except BaseException:
                child.terminate()
                raise
            finally:
                done.set()
        return child.returncode


def jobs(log: Path) -> dict[str, int]:
    """How many jobs of each rule the run had, from its log."""
    text = log.read_text("utf-8", errors="replace")
    table = re.search(r"^job +count\n[- ]+\n((?:\w+ +\d+\n)+)", text, re.MULTILINE)
    rows = [line.split() for line in table[1].splitlines()] if table else []
    return {rule: int(number) for rule, number in rows if rule not in ("total", "all")}


def _beat(heartbeat: Path, done: threading.Event) -> None:
    while not done.wait(HEARTBEAT):
        heartbeat.touch()


def _has_cores(arguments: Sequence[str]) -> bool:
    known = ("--cores", "-c", "--jobs", "-j", "--workflow-profile", "--profile")
    return any(argument.split("=")[0].rstrip("0123456789") in known for argument in arguments)
