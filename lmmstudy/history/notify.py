"""Telling somebody, by a command of their own, when the outcome of runs changes. Never fatal."""

import os
import shlex
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
    was = before["outcome"] if before else "no run before"
    lines = [f"{now['outcome']} (exit code {now['exit']}; before: {was}), run {now['run']}"]
    changed = now.get("datasets", {}).get("changed", [])
    lines += [f"datasets: {', '.join(changed[:20])}"] if changed else []
    lines += [str(now["message"])] if now.get("message") else []
    try:
        subprocess.run(
            shlex.split(command),
            input="\n".join(lines) + "\n",
            text=True,
            env=os.environ | {"LMM_EXIT": str(now["exit"])},
            timeout=PATIENCE,
            check=True,
        )
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        print(f"The notification failed, the run did not: {error}", file=sys.stderr)
