"""A failure loses its own part of the page: a sentence with the reason stands in its place.

Whatever the report works out or draws goes through here: each piece of `results.refit` by `Attempts`, each
section and each part of a section by `parts`. The traceback goes to the job's log.
"""

import sys
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TypeVar

from lmmcore.errors import DataError, LmmError
from lmmstudy.report.blocks import Block, Text
from lmmstudy.report.words.phrases import sentence

Found = TypeVar("Found")
Other = TypeVar("Other")
Part = tuple[str, Callable[[], Iterable[Block]]]
"""What a part of a section shows, as the start of a sentence, and how it is made."""


@dataclass
class Attempts:
    """Pieces worked out one by one. lost : {what: reason} of those that failed."""

    lost: dict[str, str] = field(default_factory=dict)

    def __call__(self, what: str, make: Callable[[], Found], otherwise: Other) -> Found | Other:
        """What `make` gives, or `otherwise` if it fails."""
        try:
            return make()
        except Exception as error:
            self.lost[what] = reason(error)
            return otherwise

    def where_possible(self, what: str, make: Callable[[], Found]) -> Found | None:
        """The same; None without a word where the data do not allow it (DataError)."""
        try:
            return make()
        except DataError:
            return None
        except Exception as error:
            self.lost[what] = reason(error)
            return None


def reason(error: Exception) -> str:
    """The reason for a reader; the traceback of anything but a sentence of the engine goes to the log."""
    if isinstance(error, LmmError):
        return str(error)
    traceback.print_exception(error, file=sys.stderr)
    if isinstance(error, MemoryError):
        return f"there is not enough memory for it ({error or 'no more is known'})"
    return f"{type(error).__name__}: {error or 'no more is known'} (a defect of the report: its log has more)"


def parts(lost: dict[str, str], *named: Part) -> tuple[Block, ...]:
    """The blocks of all parts, in order; a part that was lost, or fails now, is a sentence.

    lost : {what: reason} of what could not be worked out.
    """
    blocks: list[Block] = []
    for what, make in named:
        if what in lost:
            blocks.append(missing(what, lost[what]))
            continue
        try:
            blocks += make()
        except Exception as error:
            blocks.append(missing(what, reason(error)))
    return tuple(blocks)


def missing(what: str, why: str) -> Text:
    """The sentence in the place of a part."""
    return Text(sentence(f"{what} could not be made: {why}"), "warning")
