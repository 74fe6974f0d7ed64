"""How far long work has come: a bar in a terminal, a quiet line now and then in a log."""

from __future__ import annotations

import sys
from time import monotonic

WIDTH = 30
# Seconds before anything is shown, between updates of a bar, and between lines of a log.
PATIENCE, REDRAWN, LOGGED = 1.0, 0.1, 30.0


class Progress:
    """Call with (done, total); shows nothing for work that is over within a second."""

    def __init__(self, label: str) -> None:
        self.label = label
        self._started = self._shown = monotonic()
        self._bar = sys.stderr.isatty()

    def __call__(self, done: int, total: int) -> None:
        """done of total pieces are finished."""
        now = monotonic()
        over = done >= total
        if now - self._started < PATIENCE or not (over or now - self._shown >= self._pause):
            return
        self._shown = now
        if self._bar:
            filled = WIDTH * done // max(total, 1)
            bar = "#" * filled + "." * (WIDTH - filled)
            sys.stderr.write(f"\r{self.label} [{bar}] {done}/{total}" + ("\n" if over else ""))
        else:
            sys.stderr.write(f"{self.label}: {done} of {total} after {now - self._started:.0f} s\n")
        sys.stderr.flush()

    @property
    def _pause(self) -> float:
        return REDRAWN if self._bar else LOGGED
