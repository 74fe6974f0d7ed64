"""The ledger: one JSON object a line, one line an event, appended and never rewritten.

Times, host and git commit stand here and not in results, which must not depend on them. A run that was
killed has a `started` line and no `finished` line; the next run adds an `interrupted` line for it.
"""

import json
import os
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

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


NEEDED: dict[str, dict[str, type]] = {
    "started": {"run": str},
    "dataset": {"run": str, "dataset": str, "message": str},
    "interrupted": {"run": str},
    "finished": {"run": str, "exit": int},
}
"""What the next run reads of an event, and its type."""


def read(path: Path) -> list[Event]:
    """Every event of the ledger, the oldest first; lines that were cut off or are no event are left out."""
    if not path.exists():
        return []
    events = []
    for line in path.read_text("utf-8", errors="replace").split("\n"):
        try:
            event = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if _is_event(event):
            events.append(event)
    return events


def _is_event(line: Any) -> bool:
    if not isinstance(line, dict) or not isinstance(line.get("event"), str):
        return False
    needed = NEEDED.get(line["event"], {})
    return all(isinstance(line.get(key), kind) for key, kind in needed.items())


def unfinished(events: list[Event]) -> list[str]:
    """Runs that started and neither finished nor were reported as interrupted."""
    open_runs: dict[str, None] = {}
    for event in events:
        if event.get("event") == "started":
            open_runs[event["run"]] = None
        elif event.get("event") in ("finished", "interrupted"):
            open_runs.pop(event.get("run", ""), None)
    return list(open_runs)


def last_finished(events: list[Event]) -> Event | None:
    """The last `finished` event."""
    return next((event for event in reversed(events) if event.get("event") == "finished"), None)


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
