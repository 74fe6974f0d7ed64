"""runs/last.html: what the last run found, the gravest first."""

from collections.abc import Sequence
from pathlib import Path

from lmmstudy.base.files import write_text
from lmmstudy.report.template import html
from lmmstudy.run.codes import GRAVITY, MEANING, Exit
from lmmstudy.run.drift import Change


def ranked(changes: Sequence[Change]) -> list[Change]:
    """The changes to tell about: the gravest first, then the farthest move; unchanged datasets left out."""
    telling = [change for change in changes if change.kind != "same"]
    return sorted(telling, key=lambda change: (GRAVITY.index(change.code), -change.largest, change.dataset))


def render(run: str, time: str, code: Exit, changes: Sequence[Change], total: int) -> str:
    """The page as HTML. `total` is the number of datasets of the study."""
    return html.render(
        "run.html.j2",
        run=run,
        time=time,
        code=int(code),
        meaning=MEANING[code],
        changes=ranked(changes),
        tones={Exit.FAILED: "bad", Exit.UNEXPLAINED: "bad", Exit.CONCLUSION: "warning"},
        total=total,
    )


def write(path: Path, run: str, time: str, code: Exit, changes: Sequence[Change], total: int) -> None:
    """Write the page to `path`."""
    write_text(render(run, time, code, changes, total), path)
