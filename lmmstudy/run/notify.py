"""Telling somebody, by a command of their own, when the outcome of runs changes. Never fatal."""

import os
import shlex
import signal
import subprocess
import sys
from typing import Any

VARIABLE = "LMM_NOTIFY"
PATIENCE = 60.0
"""Seconds that the command may take."""


def notify(before: dict[str, Any] | None, now: dict[str, Any]) -> None:
    """Run the command in the environment variable LMM_NOTIFY if this run's exit code is not the last one's.

    before, now : `finished` lines of the ledger. The command gets a text on its standard input, and the
    exit code in LMM_EXIT. A first run that went well is no news.
    """
    command = os.environ.get(VARIABLE, "").strip()
    if not command or (before["exit"] if before else 0) == now["exit"]:
        return
    was = before.get("outcome", before["exit"]) if before else "no run before"
    lines = [f"{now['outcome']} (exit code {now['exit']}; before: {was}), run {now['run']}"]
    changed = now.get("datasets", {}).get("changed", [])
    lines += [f"datasets: {', '.join(changed[:20])}"] if changed else []
    lines += [str(now["message"])] if now.get("message") else []
    text = "\n".join(lines) + "\n"
    try:
        _call(shlex.split(command), text.encode("utf-8", "backslashreplace"), str(now["exit"]))
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        print(f"The notification failed, the run did not: {error}", file=sys.stderr)


def _call(command: list[str], text: bytes, code: str) -> None:
    """Run the command; when it takes too long it is killed, with all that it started."""
    environment = os.environ | {"LMM_EXIT": code}
    with subprocess.Popen(command, stdin=subprocess.PIPE, env=environment, start_new_session=True) as process:
        try:
            process.communicate(text, timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
