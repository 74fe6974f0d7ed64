"""Small parts of sentences for the user."""

import difflib
from collections.abc import Sequence
from typing import Any


def did_you_mean(word: Any, known: Sequence[Any]) -> str:
    """`, did you mean 'x'?` for the known name nearest to `word`, else nothing. Letter case does
    not count.
    """
    folded = {str(item).casefold(): str(item) for item in known}
    close = difflib.get_close_matches(str(word).casefold(), folded, n=1, cutoff=0.5)
    return f", did you mean {folded[close[0]]!r}?" if close else ""


def quoted(names: Sequence[Any], most: int = 20) -> str:
    """The names in quotation marks, separated by commas; after the first `most` only their number."""
    listing = ", ".join(repr(name) for name in names[:most])
    return listing if len(names) <= most else f"{listing} and {len(names) - most} more"
