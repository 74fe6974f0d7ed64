"""docs/benchmarks.md, a section for each script: every script writes its own and leaves the others alone."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path

from lmmcore import kernel

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGE = DOCS / "benchmarks.md"


def write_section(name: str, lines: Iterable[str], page: Path = PAGE) -> None:
    """Replace what stands between the section's two comments in the page."""
    text = page.read_text("utf-8")
    first, last = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    inside = "\n".join([first, "", *lines, "", last])
    pattern = re.compile(re.escape(first) + ".*" + re.escape(last), re.DOTALL)
    if not pattern.search(text):
        raise ValueError(f"{page.name} has no section {name!r}: it needs the lines {first} and {last}.")
    page.write_text(pattern.sub(lambda _: inside, text), "utf-8")


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Lines of a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    escaped = ([cell.replace("|", "\\|") for cell in cells] for cells in lines)
    return [f"| {' | '.join(cells)} |" for cells in escaped]


def made_by(command: str, *versions: str) -> str:
    """Which command made a section, where, with what; how busy the machine was (1: with this alone)."""
    own = [f"{name} {version(name)}" for name in ("numpy", "scipy", "polars")]
    python = f"Python {platform.python_version()}"
    loops = "loops by NumPy" if kernel.loops is None else "compiled loops"
    named = ", ".join([python, *own, *versions, loops])
    load = f"load {os.getloadavg()[2]:.1f} over the last 15 minutes"
    return f"Made by `{command}` on {machine()}, {load}; {named}."


def machine() -> str:
    """Processor, cores and memory, as far as the system tells."""
    try:
        about = Path("/proc/cpuinfo").read_text("utf-8")
        name = next(line.split(":")[1].strip() for line in about.splitlines() if "model name" in line)
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
        return f"{name}, {os.cpu_count()} cores, {memory:.0f} GB, {platform.system()}"
    except (OSError, StopIteration):
        return f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}"


def duration(seconds: float) -> str:
    """Three digits with a fitting unit."""
    value, unit = (seconds, "s") if seconds >= 1 else (seconds * 1e3, "ms")
    return f"{value:.3g} {unit}" if value < 1000 else f"{value:,.0f} {unit}"
