"""Small parts of sentences for the user."""

import difflib
from collections.abc import Sequence
from typing import Any

from lmmcore.errors import brief


def did_you_mean(word: Any, known: Sequence[Any]) -> str:
    """`, did you mean 'x'?` for the known name nearest to `word`, else nothing. Letter case does
    not count.
    """
    folded = {str(item).casefold(): str(item) for item in known}
    close = difflib.get_close_matches(str(word).casefold(), folded, n=1, cutoff=0.5)
    return f", did you mean {folded[close[0]]!r}?" if close else ""


def one_line(text: str) -> str:
    """The text with line breaks and other characters that a terminal would obey written as Python does, its
    middle left out where it is longer than a few lines."""
    text = brief(text)
    return "".join(mark if mark.isprintable() else repr(mark)[1:-1] for mark in text)


def shown(value: Any, most: int = 60) -> str:
    """The value as Python writes it, its middle left out where it is longer than `most` characters."""
    text = repr(value)
    return text if len(text) <= most else f"{text[: most - 4]}...{text[-1]}"


def quoted(names: Sequence[Any], most: int = 20) -> str:
    """The names in quotation marks, separated by commas; after the first `most` only their number."""
    listing = ", ".join(shown(name) for name in names[:most])
    return listing if len(names) <= most else f"{listing} and {len(names) - most} more"


def label(level: Any) -> str:
    """A level or code as text; a whole number loses its fraction: 1.0 and 1 are one level."""
    return str(int(level)) if isinstance(level, float) and level.is_integer() else str(level)
