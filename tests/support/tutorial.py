"""The code blocks of the documentation, run for real in a copy of the repository.

In a page, from top to bottom and in one session:

    ```python     runs; a ```text block right after it is what it prints
    ```console    lines that begin with "$ " run in bash; the lines after each are what it prints
    <!-- file: NAME -->   the fenced block right after it is the content of that file

In what is shown, a line "..." stands for any number of lines. `python tests/support/tutorial.py` writes what
the blocks print today into the pages (where it differs); read the change before you keep it.
"""

import contextlib
import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PROJECT = ("Snakefile", "config", "data", "workflow", "profiles", "lmmcore", "lmmstudy", "pyproject.toml")
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
LEFT_OUT = shutil.ignore_patterns("__pycache__")

FENCE = re.compile(
    r"(?:^<!-- file: (?P<file>\S+) -->\n+)?^```(?P<kind>[\w-]+)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
ANYTHING = "..."


@dataclass(frozen=True)
class Block:
    """A fenced block. begin, end : of all of it in the page; start, stop : of its text; line : of the
    text's first line, counted from 1; file : the file that it is the content of."""

    kind: str
    text: str
    file: str | None
    begin: int
    end: int
    start: int
    stop: int
    line: int


@dataclass(frozen=True)
class Shown:
    """What a page shows and what there was instead. start, stop : of what is shown in the page."""

    start: int
    stop: int
    line: int
    expected: str
    actual: str

    @property
    def right(self) -> bool:
        """Whether the page shows what there was."""
        lines = self.expected.rstrip().splitlines()
        pattern = "".join(r"(?:.*\n)*?" if line == ANYTHING else re.escape(line) + "\n" for line in lines)
        return re.fullmatch(pattern, self.actual.rstrip() + "\n") is not None


def blocks(page: str) -> list[Block]:
    """Every fenced block of a page."""
    return [
        Block(
            found["kind"],
            found["text"],
            found["file"],
            *found.span(),
            found.start("text"),
            found.end("text"),
            page[: found.start("text")].count("\n") + 1,
        )
        for found in FENCE.finditer(page)
    ]


def runnable(page: str) -> bool:
    """Whether a page has a block that runs."""
    return any(block.kind in ("python", "console") for block in blocks(page))


def copy_project(folder: Path) -> Path:
    """A copy of the repository, with the command `lmm` of it in bin/."""
    for name in PROJECT:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=LEFT_OUT)
        else:
            shutil.copy(source, folder / name)
    command = folder / "bin" / "lmm"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m lmmstudy "$@"\n')
    command.chmod(0o755)
    return folder


def run(page: str, folder: Path) -> list[Shown]:
    """Run a page in a copy of the repository; all that it shows.

    Raises what a python block raises, and AssertionError for a command that fails.
    """
    namespace: dict[str, Any] = {"__name__": "__tutorial__"}
    shown = []
    found = blocks(page)
    with contextlib.chdir(folder):
        for block, after in zip(found, [*found[1:], None], strict=True):
            if block.file is not None:
                (folder / block.file).write_text(block.text, "utf-8")
            elif block.kind == "python":
                printed = _python(block, namespace)
                if after and after.kind == "text" and not page[block.end : after.begin].strip():
                    shown.append(Shown(after.start, after.stop, after.line, after.text, printed))
            elif block.kind == "console":
                shown += _console(block, folder)
    return shown


def _python(block: Block, namespace: dict[str, Any]) -> str:
    printed = io.StringIO()
    code = compile("\n" * (block.line - 1) + block.text, "<page>", "exec")
    with contextlib.redirect_stdout(printed):
        exec(code, namespace)
    return printed.getvalue()


def _console(block: Block, folder: Path) -> list[Shown]:
    """Each command of a block with what is shown after it, up to the next command."""
    environment = os.environ | {
        "PATH": os.pathsep.join((str(folder / "bin"), str(Path(sys.executable).parent), os.environ["PATH"])),
        "PYTHONPATH": str(folder),
    }
    shown, at = [], block.start
    for part in re.split(r"^(?=\$ )", block.text, flags=re.M):
        if part.startswith("$ "):
            command, _, expected = part.partition("\n")
            done = subprocess.run(
                ["bash", "-c", command[2:]],
                cwd=folder,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            assert done.returncode == 0, f"{command}\nends with {done.returncode} and says\n{done.stdout}"
            place = at + len(command) + 1
            line = block.line + block.text[: place - block.start].count("\n")
            # A command whose output the page leaves out shows nothing, which is no claim about it.
            if expected.strip():
                shown.append(Shown(place, at + len(part), line, expected, done.stdout))
        at += len(part)
    return shown


def refreshed(page: str, shown: list[Shown]) -> str:
    """The page with what there is in place of what it shows wrongly."""
    for one in sorted(shown, key=lambda one: -one.start):
        if not one.right:
            page = page[: one.start] + one.actual.rstrip() + "\n" + page[one.stop :]
    return page


if __name__ == "__main__":
    chosen = [Path(name).resolve() for name in sys.argv[1:]] or PAGES
    for path in chosen:
        text = path.read_text("utf-8")
        if runnable(text):
            with tempfile.TemporaryDirectory() as temporary:
                new = refreshed(text, run(text, copy_project(Path(temporary))))
            print("changed " if new != text else "same    ", path.relative_to(ROOT))
            path.write_text(new, "utf-8")
