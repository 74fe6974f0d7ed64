"""A raw file of which nothing is known: its table, and how it is written, guessed from its content."""

import csv
import io
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from lmmstudy.clean.raw_bytes import decoded, read_bytes, unpacked, wide_form
from lmmstudy.clean.read import kind_of, parquet_table, text_table

SEPARATORS = (",", ";", "\t", "|", " ")
ENCODINGS = ("cp1252", "cp850", "mac_roman")
"""Of one byte a character: Windows, DOS, the old Mac."""
USUAL = frozenset("äöüßÄÖÜéèêëÉÈàâáãÀçÇîïíôóõûùúñÑåøæÅØÆœ°µ²³½¼±×÷€£§·–—‘’“”…®©≤≥\u00a0")
"""Characters beyond ASCII that tables of Western languages have."""
LOOK = 300
"""Lines that are looked at."""


@dataclass(frozen=True)
class Source:
    """How the file is written, and its table. header : the row of the names, 1 for the first."""

    kind: str
    encoding: str | None
    separator: str | None
    header: int
    frame: pl.DataFrame


def open_file(path: Path, name: str) -> Source:
    """Read the file `path`, which sentences call `name`. Raises `Unusable` for one that holds no table."""
    content = unpacked(read_bytes(path, name), name)
    kind = kind_of(path)
    if kind == "parquet":
        return Source(kind, None, None, 1, parquet_table(content, name))
    encoding = _encoding(content)
    text = decoded(content, encoding, name)
    separator, header = _shape(text)
    return Source(kind, encoding, separator, header, text_table(text, separator, name, header))


def _encoding(content: bytes) -> str:
    if form := wide_form(content):
        return form
    try:
        content.decode("utf-8")
        return "utf-8"
    except UnicodeDecodeError:
        return max(ENCODINGS, key=lambda encoding: _letters(content, encoding))


def _letters(content: bytes, encoding: str) -> float:
    """Share of the characters beyond ASCII that are usual ones in this encoding, no capitals within words."""
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError:
        return 0.0
    strange = [(c, before) for c, before in zip(text, f" {text}", strict=False) if not c.isascii()]
    usual = [c in USUAL and not (c.isupper() and before.islower()) for c, before in strange]
    return sum(usual) / max(len(usual), 1)


def _shape(text: str) -> tuple[str, int]:
    """The separator, and the row of the names: the mark that cuts most lines into equally many fields."""
    lines = text.split("\n", LOOK)[:LOOK]
    found = {mark: _grid(lines, mark) for mark in SEPARATORS}
    best = max(SEPARATORS[:-1], key=lambda mark: found[mark][0])
    if found[best][0] == NONE and found[" "][0] > NONE:
        best = " "
    return best, found[best][1]


NONE = (False, 0.0, 0)


def _grid(lines: list[str], mark: str) -> tuple[tuple[bool, float, int], int]:
    """How well the mark separates the lines (whether there are names, share of equal lines, fields), and the
    row of the names."""
    records = [_fields(line, mark) for line in lines]
    widths = Counter(len(record) for record in records if any(record))
    width, times = max(widths.items(), key=lambda item: (item[1], item[0]), default=(1, 0))
    if width < 2:
        return NONE, 1
    quality = (True, times / widths.total(), width)
    if len(records[0]) == width - 1 and _names(records[0]):  # names of rows without a name, as R writes them
        return quality, 1
    row = next((k for k, record in enumerate(records, 1) if len(record) == width and _names(record)), None)
    return (NONE, 1) if row is None else (quality, row)


def _fields(line: str, mark: str) -> list[str]:
    """The fields of one line; quotes that go on in the next line are nothing that a draft needs."""
    try:
        return [field.strip() for field in next(csv.reader(io.StringIO(line), delimiter=mark), [])]
    except csv.Error:
        return []


def _names(record: list[str]) -> bool:
    """Whether the fields can be names: all different, at most one empty, the first text no number."""
    given = [field for field in record if field]
    if len(given) < max(len(record) - 1, 2) or len(set(given)) < len(given):
        return False
    return not re.fullmatch(r"[-+]?[\d.,]+", given[0]) and any(c.isalpha() for c in "".join(given))
