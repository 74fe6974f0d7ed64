"""Result files: canonical JSON and writes that are never half done.

Equal content must give equal bytes, on every run and in every folder, because Snakemake compares
results by checksum and a reader compares them by eye. So keys are sorted, floats are written by
`repr` (the shortest text that reads back as the same number), and what JSON cannot hold (NaN,
infinities) becomes null.
"""

import json
import math
import os
from collections.abc import Callable, Mapping
from hashlib import file_digest
from pathlib import Path
from typing import Any

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
    write_atomically(path, lambda name: name.write_text(canonical_json(value), encoding="utf-8"))


def write_text(text: str, path: str | Path) -> None:
    """Write `text` to `path` as UTF-8, atomically."""
    write_atomically(path, lambda name: name.write_text(text, encoding="utf-8"))


def read_json(path: str | Path) -> Any:
    """The value stored in the JSON file `path`."""
    return json.loads(Path(path).read_text(encoding="utf-8"))


def write_atomically(path: str | Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary neighbour of `path`, then rename it to `path`.

    A reader, or a run killed half way, sees the old file or the new one and nothing in between.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        write(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def file_sha256(path: str | Path) -> str:
    """SHA-256 of the file's bytes, in hexadecimal."""
    with open(path, "rb") as file:
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
