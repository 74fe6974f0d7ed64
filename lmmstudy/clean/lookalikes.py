"""Ids that are probably one and stand as two, or are no ids: what a person reads over and a program does not.

`1` and `1.0`, `S01` and `S1`, a zero-width space, a Cyrillic letter that looks like a Latin one: these are
different subjects or levels in every count and every model. A row `Total` among `S1` to `S24` is none.
Nothing is changed here; the audit and the report name them.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import polars as pl

from lmmstudy.base.text import quoted

MOST = 200_000
"""Distinct ids that are looked at; more are numbers that a program gave."""
LISTED = 20
LATIN = str.maketrans("авезкмнорстухіјѕαβεηικνορτυχ", "abe3kmhopctyxijsabehikvoptux")  # noqa: RUF001
"""Small letters of other scripts as the Latin ones that they look like."""
DIGITS = str.maketrans("oil", "011")
UNSEEN = ("Cf", "Cc", "Zs")
"""Categories of characters without a shape: formats such as the zero-width space, controls, spaces."""
SELECTORS = "\ufe00-\ufe0f\u034f\u180b-\u180f\u2800\u115f\u1160\u3164\uffa0"
"""Characters of other categories without a shape: variants, fillers, the blank of Braille."""
DASHES, QUOTES = "[\u2010-\u2015\u2212]", "[\u2018\u2019\u02bc\u00b4`]"
FEWEST = 6
"""Ids from which on they have a pattern."""
SHARE = 50
"""One in so many may break it."""


def lookalikes(table: pl.DataFrame) -> list[dict[str, Any]]:
    """Values of a column that look alike and differ: {"column", "values"}, for the columns of text."""
    found = []
    for column in table.columns:
        for values in _alike(_texts(table[column])):
            found.append({"column": column, "values": values})
    return found[:LISTED]


def odd_ids(subjects: pl.Series) -> list[str]:
    """The few ids that break a pattern (letters, digits, marks in this order) that all others have."""
    texts = _texts(subjects)
    patterns = {text: re.sub(r"\d+", "9", re.sub(r"[^\W\d_]+", "a", _visible(text))) for text in texts}
    if len(texts) < FEWEST:
        return []
    usual, count = Counter(patterns.values()).most_common(1)[0]
    odd = sorted(text for text, pattern in patterns.items() if pattern != usual)
    most = max(1 if len(texts) < 2 * FEWEST else 2, len(texts) // SHARE)
    return odd if len(odd) <= most and count >= FEWEST - 1 else []


def sentences(audit: Mapping[str, Any], subject: str) -> Iterator[str]:
    """What an audit says of its ids, without a full stop, for alerts and `lmm check`."""
    for entry in audit.get("lookalikes", ()):
        # ASCII tells the Cyrillic letter from the Latin one.
        values = " and ".join(ascii(value)[:60] for value in entry["values"][:4])
        yield f"{entry['column']} has values that look alike and differ: {values}"
    if odd := audit.get("odd_ids"):
        noun = "an id that breaks" if len(odd) == 1 else "ids that break"
        yield f"{subject} has {noun} the pattern of the others: {quoted(odd, 4)}"


def _texts(values: pl.Series) -> list[str]:
    """The distinct values of a column of text; none of another one, or of one with too many."""
    if values.dtype != pl.String:
        return []
    distinct = values.drop_nulls().unique().sort().to_list()
    return distinct if len(distinct) <= MOST else []


def _alike(texts: Iterable[str]) -> list[list[str]]:
    groups: dict[str, list[str]] = {}
    for text in texts:
        groups.setdefault(_look(text), []).append(text)
    return [group for group in groups.values() if len(group) > 1]


def _look(text: str) -> str:
    """What texts that look alike have in common."""
    plain = re.sub(r"^([+-]?\d+)[.,]0+$", r"\1", _visible(text).casefold())
    return re.sub(r"(?<![\d.,])0+(?=\d)", "", plain.translate(LATIN).translate(DIGITS))


def _visible(text: str) -> str:
    """What is seen of the text, in its plainest characters."""
    plain = unicodedata.normalize("NFKC", text)
    plain = "".join(mark for mark in plain if unicodedata.category(mark) not in UNSEEN)
    plain = re.sub(QUOTES, "'", re.sub(DASHES, "-", re.sub(f"[{SELECTORS}]", "", plain)))
    return re.sub(r"\d", lambda digit: str(int(digit[0])), plain).replace("ı", "i")
