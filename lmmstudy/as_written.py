"""A raw file of which nothing is known: its table, and how it is written, guessed from its content."""

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from lmmstudy.clean_bytes import decoded, read_bytes, unpacked
from lmmstudy.clean_read import kind_of, parquet_table, text_table

SEPARATORS = (",", ";", "\t", "|")


@dataclass(frozen=True)
class Source:
    """How the file is written, and its table."""

    kind: str
    encoding: str | None
    separator: str | None
    frame: pl.DataFrame


def open_file(path: Path, name: str) -> Source:
    """Read the file `path`, which sentences call `name`. Raises `Unusable` for one that holds no table."""
    content = unpacked(read_bytes(path, name), name)
    kind = kind_of(path)
    if kind == "parquet":
        return Source(kind, None, None, parquet_table(content, name))
    encoding = _encoding(content)
    text = decoded(content, encoding, name)
    separator = _separator(text)
    return Source(kind, encoding, separator, text_table(text, separator, name))


def _encoding(content: bytes) -> str:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    for encoding in ("utf-8", "cp1252"):
        try:
            content.decode(encoding)
            return encoding
        except UnicodeDecodeError:
            continue
    return "latin-1"


def _separator(text: str) -> str:
    """The mark that the first lines have in equal number, the most frequent of several."""
    lines = [line for line in text.split("\n", 50)[:50] if line.strip()]
    counts = {mark: [line.count(mark) for line in lines] for mark in SEPARATORS}

    def fit(mark: str) -> tuple[float, int]:
        found = counts[mark]
        same = sum(count == found[0] for count in found) / len(found) if found and found[0] else 0.0
        return same, found[0] if found else 0

    return max(SEPARATORS, key=fit)
