"""Progress: nothing for short work, lines in a log, a bar in a terminal."""

import io
import sys

import pytest

from lmmcore.runtime import progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def clock(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(progress, "monotonic", lambda: now[0])
    return now


def test_short_work_is_silent(clock, monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    show = progress.Progress("bootstrap")
    for done in range(1, 11):
        clock[0] = done * 0.05
        show(done, 10)
    assert sys.stderr.getvalue() == ""


def test_a_log_gets_few_lines(clock, monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    show = progress.Progress("bootstrap")
    for done in range(1, 101):
        clock[0] = float(done)
        show(done, 100)
    lines = sys.stderr.getvalue().splitlines()
    assert lines[0] == "bootstrap: 30 of 100 after 30 s"
    assert lines[-1] == "bootstrap: 100 of 100 after 100 s"
    assert len(lines) == 4


def test_a_terminal_gets_a_bar(clock, monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    show = progress.Progress("profile")
    for done in (1, 2, 4):
        clock[0] = float(done)
        show(done, 4)
    written = sys.stderr.getvalue()
    assert written.startswith("\rprofile [#######") and written.endswith("4/4\n")
    assert "\r" in written and written.count("\n") == 1
