"""Result files: canonical JSON, writes that are never half done, checksums that tell what was changed since.

Equal content must give equal bytes, on every run and in every folder, because Snakemake compares
results by checksum and a reader compares them by eye. So keys are sorted, floats are written by
`repr` (the shortest text that reads back as the same number), and what JSON cannot hold (NaN,
infinities) becomes null.

A result says the checksum of the rest of its file, JSON in its first line and a page in its last one: a file
that was cut off, overwritten or edited does not pass for what a job wrote.
"""

import json
import math
import re
from collections.abc import Mapping
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any

from lmmcore.runtime.stored import Damaged, open_regular, parsed, read_bytes, write_atomically

__all__ = ["Damaged", "write_atomically"]

CHECKSUM = "#checksum"
"""The key of a JSON file's own checksum; no dataset has this name, and it comes first."""
BLANK = f"sha256:{'0' * 64}"
"""What stands in the place of the checksum while it is computed."""
IN_JSON = re.compile(rb'^\{\n "#checksum": "(sha256:[0-9a-f]{64})"')
IN_PAGE = re.compile(rb"<!-- (\S+) (sha256:[0-9a-f]{64}) -->\n$")
PAGE_OF_FIT = "fit:"
"""The name of the page of one fit; those of a study are the names of datasets, which have no colon."""
DAMAGED = (OSError, ValueError, LookupError, TypeError, AttributeError)
"""What reading results can raise that are missing, cut off or changed by hand."""


def canonical_json(value: Any) -> str:
    """`value` as canonical JSON text, ending with a newline.

    Accepts what results are made of: mappings, sequences, strings, numbers (numpy's included),
    booleans and None. Raises `TypeError` for anything else.
    """
    return json.dumps(_plain(value), sort_keys=True, ensure_ascii=False, indent=1) + "\n"


def write_json(value: Any, path: str | Path) -> None:
    """Write `value` to `path` as canonical JSON, atomically."""
    write_text(canonical_json(value), path)


def write_result(value: Mapping[str, Any], path: str | Path) -> None:
    """Write a mapping to `path` as canonical JSON with its checksum, atomically."""
    text = canonical_json({**value, CHECKSUM: BLANK})
    write_text(text.replace(BLANK, _digest(text.encode()), 1), path)


def write_page(text: str, path: str | Path, name: str) -> None:
    """Write the HTML page `text` to `path`, atomically; its last line gives its `name` and its checksum."""
    before, after = f"{text.rstrip()}\n<!-- {name} ", " -->\n"
    write_text(before + _digest(f"{before}{BLANK}{after}".encode()) + after, path)


def write_text(text: str, path: str | Path) -> None:
    """Write `text` to `path` as UTF-8, atomically."""
    write_atomically(path, lambda name: name.write_text(text, encoding="utf-8"))


def read_json(path: str | Path) -> Any:
    """The value stored in the JSON file `path`, without its checksum if it has one.

    Raises Damaged where it does not agree, or for what is no sound JSON; OSError.
    """
    content = read_bytes(path)
    value = parsed(content)
    if isinstance(value, dict) and value.pop(CHECKSUM, None) is not None:
        _compare(content, IN_JSON.match(content), 1)
    return value


def read_result(path: str | Path) -> dict[str, Any]:
    """The mapping that `write_result` wrote to `path`. Raises Damaged for any other file, OSError."""
    content = read_bytes(path)
    _compare(content, IN_JSON.match(content), 1)
    value: dict[str, Any] = parsed(content)
    del value[CHECKSUM]
    return value


def name_of_page(path: str | Path) -> str:
    """The name that `write_page` gave to the page `path`. Raises Damaged for any other file, OSError."""
    content = read_bytes(path)
    found = IN_PAGE.search(content, max(0, len(content) - 400))
    _compare(content, found, 2)
    assert found is not None
    return found[1].decode("utf-8", "replace")


def _compare(content: bytes, found: re.Match[bytes] | None, group: int) -> None:
    """Raise Damaged unless `found` gives the checksum of all `content` but itself."""
    if found is None:
        cut = "it is cut off, overwritten, or of another version"
        raise Damaged(cut if content.strip(b"\0 \n") else "it is empty")
    start, end = found.span(group)
    if _digest(content[:start] + BLANK.encode() + content[end:]) != found[group].decode():
        raise Damaged("it was changed after it was written")


def _digest(content: bytes) -> str:
    return f"sha256:{sha256(content).hexdigest()}"


def file_sha256(path: str | Path) -> str:
    """SHA-256 of the file's bytes, in hexadecimal."""
    with open_regular(path) as file:
        return file_digest(file, "sha256").hexdigest()


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, (str, bool)):
        return value
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if hasattr(value, "tolist"):  # a numpy scalar or array
        return _plain(value.tolist())
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    raise TypeError(f"a result cannot hold a {type(value).__name__}: {value!r}")
