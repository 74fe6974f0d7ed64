"""What is read back from a disk is believed only after a look: one validator, and one way to write.

Files are cut off, overwritten, edited, kept from other versions and unpacked from old archives. So JSON is
read strictly (UTF-8, no NaN, no number beyond the range of doubles, no half characters, no key twice, bounded
depth), and what it holds is compared with a shape before anything uses it. A shape is

    str, bool, int, float      a value of this type; an int is a float, a bool is no number
    None                       null
    "text", 5                  this value
    (a, b, ...)                one of these shapes
    [a]                        a list of a
    {"key": a, "key?": b}      a mapping with this key, and that one or none; others are allowed
    {str: a}                   a mapping of any texts to a
    function                   holds for the value: a predicate whose name says what is wanted
"""

from __future__ import annotations

import json
import math
import os
import re
import stat
from collections.abc import Callable, Mapping
from io import BufferedReader
from pathlib import Path
from typing import Any

from lmmcore.errors import DataError

DEEPEST = 60
"""Levels of nesting; our own files have less than ten."""
LARGEST = 2**63
"""Whole numbers are below it in size: what counts rows or bytes is."""
HALF = re.compile("[\ud800-\udfff]")


class Damaged(ValueError):
    """Something read back is not as it was written; the text completes "... cannot be used: "."""


def open_regular(path: str | Path) -> BufferedReader:
    """The regular file, for reading. Raises Damaged for what is none (a pipe might never end), OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise Damaged("it is not a regular file")
    return open(descriptor, "rb")


def read_bytes(path: str | Path) -> bytes:
    """The bytes of a regular file. Raises as open_regular()."""
    with open_regular(path) as file:
        return file.read()


def parsed(text: bytes | str) -> Any:
    """The value of a JSON text. Raises Damaged."""
    try:
        decoded = text.decode("utf-8") if isinstance(text, bytes) else text
        value = json.loads(decoded, parse_constant=_no_number, object_pairs_hook=_mapping)
    except UnicodeDecodeError as error:
        raise Damaged(f"byte {error.start} is not UTF-8") from None
    except RecursionError:
        raise Damaged("it is nested too deep") from None
    except json.JSONDecodeError as error:
        raise Damaged(f"it breaks off or is no JSON in line {error.lineno}, column {error.colno}") from None
    except Damaged:
        raise
    except ValueError:  # Python limits the digits of a whole number
        raise Damaged("it holds a number without end") from None
    _sound(value)
    return value


def check(value: Any, shape: Any, where: str = "") -> None:
    """Raise Damaged, naming the place, where `value` does not have this shape."""
    if isinstance(shape, tuple):
        _check_one_of(value, shape, where)
    elif isinstance(shape, list):
        if not isinstance(value, list):
            raise _wrong(where, value, "a list")
        for place, item in enumerate(value):
            check(item, shape[0], f"{where}[{place}]")
    elif isinstance(shape, dict):
        _check_mapping(value, shape, where)
    elif shape is float:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise _wrong(where, value, "a number")
    elif isinstance(shape, type):
        if not isinstance(value, shape) or (shape is int and isinstance(value, bool)):
            raise _wrong(where, value, _NAMES[shape])
    elif callable(shape):
        if not shape(value):
            raise _wrong(where, value, f"a {shape.__name__.strip('_')}")
    elif type(value) is not type(shape) or value != shape:
        raise _wrong(where, value, json.dumps(shape))


def write_atomically(path: str | Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary neighbour of `path`, then rename it to `path`, all of it on the disk.

    A reader, or a run killed half way, sees the old file or the new one and nothing in between; so does who
    starts the machine again after its power failed, for file and folder are written out before this returns.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name[:200]}.{os.getpid()}.part")
    try:
        write(temporary)
        _to_disk(temporary)
        temporary.replace(path)
        _to_disk(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def spare(path: Path, what: str, is_former: Callable[[Path], bool]) -> None:
    """Raise DataError where `what` would replace a file that holds something and is no former one."""
    try:
        if not path.is_file() or path.stat().st_size == 0 or is_former(path):
            return
    except (Damaged, OSError):
        pass
    raise DataError(
        f"{what} is not written to {str(path)!r}, which is there already and holds something else: name "
        "another file, or remove this one first."
    )


_NAMES = {str: "a text", bool: "true or false", int: "a whole number"}


def _check_one_of(value: Any, shapes: tuple[Any, ...], where: str) -> None:
    failures = []
    for shape in shapes:
        try:
            return check(value, shape, where)
        except Damaged as failure:
            failures.append(failure)
    # The longest is about a place inside, and says most.
    raise max(failures, key=lambda failure: len(str(failure)))


def _check_mapping(value: Any, shape: Mapping[Any, Any], where: str) -> None:
    if not isinstance(value, Mapping):
        raise _wrong(where, value, "a mapping")
    for key, inner in shape.items():
        if key is str:
            for name, item in value.items():
                check(item, inner, _inside(where, name))
        elif key.removesuffix("?") in value:
            name = key.removesuffix("?")
            check(value[name], inner, _inside(where, name))
        elif not key.endswith("?"):
            raise Damaged(f"{_inside(where, key)} is missing")


def _inside(where: str, key: str) -> str:
    return f"{where}.{key}"[:100] if where else key[:100]


def _wrong(where: str, value: Any, wanted: str) -> Damaged:
    text = repr(value)
    text = text if len(text) <= 40 else f"{text[:36]}...{text[-1]}"
    return Damaged(f"{where + ' is' if where else 'it holds'} {text} and not {wanted}")


def _no_number(text: str) -> Any:
    raise Damaged(f"it holds {text}, which is no number")


def _mapping(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise Damaged("it gives a key twice")
    return found


def _sound(value: Any) -> None:
    """Raise Damaged for what no file of ours holds anywhere: walked without recursion."""
    waiting = [(value, 0)]
    while waiting:
        item, depth = waiting.pop()
        if depth > DEEPEST:
            raise Damaged("it is nested too deep")
        if isinstance(item, str):
            if HALF.search(item):
                raise Damaged("it holds half a character")
        elif isinstance(item, float):
            if not math.isfinite(item):
                raise Damaged("it holds a number without end")
        elif isinstance(item, int):
            if abs(item) > LARGEST:
                raise Damaged("it holds a number without end")
        elif isinstance(item, list):
            waiting.extend((part, depth + 1) for part in item)
        elif isinstance(item, dict):
            waiting.extend((part, depth + 1) for pair in item.items() for part in pair)


def _to_disk(path: Path) -> None:
    """Have the machine write out the file or folder `path`, where its file system can."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError:
        if path.is_file():  # of a folder, some file systems refuse it
            raise
    finally:
        os.close(descriptor)
