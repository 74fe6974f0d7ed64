"""Calling Snakemake: the configuration and the command, its output to the terminal and to a file, a sign of
life."""

import json
import os
import re
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

from lmmcore.errors import DataError
from lmmstudy.base.files import DAMAGED, read_bytes, write_atomically
from lmmstudy.base.folders import Folders
from lmmstudy.base.project import PROJECT
from lmmstudy.config.study import study

HEARTBEAT = 30.0
"""Seconds between two signs of life."""


def checked_copy(config: str, copy: Path) -> dict[str, Any]:
    """The checked configuration of the file `config`, whose content is written to `copy`.

    Snakemake is given the copy: so what runs is what was checked, whatever is written to the file meanwhile,
    and whatever Snakemake would make of its name (007 is a number to it). Raises ConfigError, DataError.
    """
    before = _content(config)
    checked = study({}, where=config)
    if before is None or _content(config) != before:
        raise DataError(f"{config} changed while it was read: run again when whoever writes it is done.")
    write_atomically(copy, lambda place: place.write_bytes(before))
    return checked


def _content(path: str) -> bytes | None:
    try:
        return read_bytes(path)
    except DAMAGED:  # the checks have the sentence for it
        return None


def snakefile() -> Path:
    """The workflow: that of this folder if it has one, else the project's."""
    own = Path("Snakefile").resolve()
    return own if own.is_file() else PROJECT / "Snakefile"


def command(config: Path, at: Folders, arguments: Sequence[str], **keys: Any) -> list[str]:
    """The Snakemake call for the configuration file `config`, a copy of plain name, from the study's folder.

    at : the folders of the study. arguments : for Snakemake. keys : keys of the configuration to change.
    """
    cores = () if _has_cores(arguments) else ("--cores", "all")
    python = [sys.executable, "-m", "snakemake", "--snakefile", str(snakefile())]
    changes = [f"{key}={json.dumps(value)}" for key, value in keys.items()]
    told = [f"study_config={config}", f"study_folder={at.root}"]
    return [*python, *cores, *arguments, "--config", *told, *changes]


def unlock(config: Path, at: Folders) -> None:
    """Remove Snakemake's lock, which a killed run left."""
    call = [*command(config, at, ()), "--unlock"]
    subprocess.run(call, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)


def run(call: Sequence[str], log: Path, lock: int, heartbeat: Path) -> int:
    """Run `call`; its output goes to `log`, and what a reader needs of it to the terminal. Gives its exit
    status.

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
                shown = Terminal(sys.stderr)
                for line in child.stdout:
                    file.write(line)
                    file.flush()
                    shown.line(line.decode(errors="replace"))
                shown.end()
            except BaseException:
                child.terminate()
                raise
            finally:
                done.set()
        return child.returncode


_DONE = re.compile(r"(\d+) of (\d+) steps \((\d+)%\) done")
_WORKINGS = re.compile(
    r"\s*$|\s{4}\S|\s{2}[A-Z][\w() ]*: |SNAKEMAKE$|=+$|"
    r"\[.*\]$|(local)?(rule|checkpoint) \w+:|Job \d+:|Reason:|Finished jobid|Select jobs|"
    r"Execute \d+|Building DAG|Using (shell|profile|workflow)|Provided (cores|resources)|Rules claiming|"
    r"Job stats|job +count|-+ +-+|\w+ +\d+$|Assuming unrestricted|host:|Complete log|Elapsed time|"
    r"Touching output|Nothing to be done|Removing output|Conda environments|Config file|Shutting down"
)
"""Lines in which Snakemake tells of its workings: they are in the log."""


class Terminal:
    """One line of progress, and between its states what is said to a reader. On a terminal the line is
    written over itself; elsewhere its last state alone is written."""

    def __init__(self, out: TextIO) -> None:
        self.out, self.progress = out, ""

    def line(self, text: str) -> None:
        """A line of Snakemake's output."""
        found = _DONE.match(text)
        if found:
            self.progress = f"{found[1]} of {found[2]} jobs done ({found[3]} %)"
            if self.out.isatty():
                self.out.write(f"\r{self.progress}\x1b[K")
                self.out.flush()
        elif not _WORKINGS.match(text):
            if self.progress and self.out.isatty():
                self.out.write("\r\x1b[K")
            self.out.write(text)

    def end(self) -> None:
        """The last state of the progress, for good."""
        if self.progress:
            self.out.write(f"{chr(13) if self.out.isatty() else ''}{self.progress}\n")


def jobs(log: Path) -> dict[str, int]:
    """How many jobs of each rule the run finished, from its log."""
    text = log.read_text("utf-8", errors="replace")
    done = Counter(re.findall(r"^Finished jobid: \d+ \(Rule: (\w+)\)$", text, re.MULTILINE))
    return {rule: number for rule, number in sorted(done.items()) if rule != "all"}


def _beat(heartbeat: Path, done: threading.Event) -> None:
    while not done.wait(HEARTBEAT):
        heartbeat.touch()


def _has_cores(arguments: Sequence[str]) -> bool:
    known = ("--cores", "-c", "--jobs", "-j", "--workflow-profile", "--profile")
    return any(argument.split("=")[0].rstrip("0123456789") in known for argument in arguments)
