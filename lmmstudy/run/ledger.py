"""The ledger: one JSON object a line, one line an event, appended and never rewritten.

Times, host and git commit stand here and not in results, which must not depend on them. A run that was
killed has a `started` line and no `finished` line; the next run adds an `interrupted` line for it.
"""

import json
import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lmmcore.runtime.stored import Damaged, check, open_regular, parsed
from lmmstudy.run.codes import Exit

Event = dict[str, Any]


def append(path: Path, event: Mapping[str, Any]) -> None:
    """Add one line to the ledger `path`, on the disk before this returns. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    line = json.dumps(event, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        size = os.fstat(descriptor).st_size
        if size and os.pread(descriptor, 1, size - 1) != b"\n":  # a write was cut off
            line = "\n" + line
        os.write(descriptor, line.encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


NUMBERS = [(None, float)]
MOVE = {"name": str, "old": NUMBERS, "new": NUMBERS, "size": (None, float), "unit": str}
KEY = {"term": str, "estimate": float, "low": float, "high": float}
EXIT = tuple(int(code) for code in Exit)
SHAPES: dict[str, dict[str, Any]] = {
    "started": {"run": str, "time?": str},
    "dataset": {
        **{"run": str, "dataset": str, "message": str, "kind?": str, "exit?": EXIT},
        **{"causes?": [str], "conclusions?": [str], "moves?": [MOVE], "key?": (None, KEY)},
    },
    "interrupted": {"run": str},
    "finished": {"run": str, "exit": EXIT, "outcome?": str},
}
"""What is read of an event again."""
LONGEST = 2**22
"""Bytes of a line; ours have some thousand."""
WORD = re.compile(rb"[\w-]+")
"""What the name of a run is one of."""


@dataclass(frozen=True)
class Odd:
    """A line that is no event: its number, why, and its beginning."""

    number: int
    reason: Damaged
    text: bytes


@dataclass
class Review:
    """What a run asks of the ledger; a ledger of years is not held in memory."""

    told: set[str] = field(default_factory=set)
    """Datasets that it tells of."""
    last: Event | None = None
    """The last `finished` event."""
    odd: int = 0
    """How many lines are no events."""
    first: str = ""
    """Where the first of these is, and why."""
    _open: dict[str, None] = field(default_factory=dict)

    @property
    def unfinished(self) -> list[str]:
        """Runs that started and neither finished nor were reported as interrupted, nor stand in an odd line
        after that: it may have said so."""
        return list(self._open)

    def add(self, line: Event | Odd) -> None:
        """The next line."""
        if isinstance(line, Odd):
            self.odd += 1
            self.first = self.first or f"line {line.number}: {line.reason}"
            for word in WORD.findall(line.text):
                self._open.pop(word.decode("latin-1"), None)
        elif line["event"] == "started":
            self._open[line["run"]] = None
        elif line["event"] == "dataset":
            self.told.add(line["dataset"])
        elif line["event"] in ("finished", "interrupted"):
            self._open.pop(line["run"], None)
            self.last = line if line["event"] == "finished" else self.last


def review(path: Path) -> Review:
    """What the ledger says."""
    found = Review()
    for line in _each(path):
        found.add(line)
    return found


def read(path: Path) -> Iterator[Event]:
    """Every event of the ledger, the oldest first; lines that are none are left out."""
    return (line for line in _each(path) if not isinstance(line, Odd))


def _each(path: Path) -> Iterator[Event | Odd]:
    for number, line in enumerate(_lines(path), start=1):
        try:
            event = parsed(line)
            check_event(event)
        except Damaged as reason:
            if line.strip():
                yield Odd(number, reason, line[:10_000])
        else:
            yield event


def _lines(path: Path) -> Iterator[bytes]:
    """The lines of the file, of those beyond LONGEST the beginning; none where there is no file."""
    try:
        file = open_regular(path)
    except FileNotFoundError:
        return
    except Damaged as reason:
        raise Damaged(f"{path}: {reason}") from None
    with file:
        while line := file.readline(LONGEST):
            rest = line
            while len(rest) == LONGEST and not rest.endswith(b"\n"):
                rest = file.readline(LONGEST)
            yield line


def check_event(event: Any) -> None:
    """Raise Damaged for what is no event, or one whose parts are not as this version writes them."""
    check(event, {"event": str})
    check(event, SHAPES.get(event["event"], {}))
    for move in event.get("moves", ()) if event["event"] == "dataset" else ():
        if len(move["old"]) != 3 or len(move["new"]) != 3:
            raise Damaged("a move is not from an estimate with two limits to another")


def now() -> str:
    """The time, UTC, to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def age(time: str) -> float:
    """Days since `time`, as `now` writes it."""
    return (datetime.now(UTC) - datetime.fromisoformat(time)).total_seconds() / 86400


def new_run(time: str) -> str:
    """A name for a run that started at `time`."""
    return f"{time.replace('-', '').replace(':', '')}-{os.getpid():x}"


def git_state(folder: Path) -> dict[str, Any]:
    """`commit` and `dirty` of the repository that `folder` is in; both None without git."""
    head = _git(folder, "rev-parse", "HEAD")
    changed = _git(folder, "status", "--porcelain", "--untracked-files=no")
    return {"commit": head or None, "dirty": None if not head or changed is None else bool(changed)}


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=20
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
