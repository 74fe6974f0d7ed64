"""Ways in which what lies on a disk comes to be other than it was written."""

import copy
import json
from collections.abc import Iterator
from functools import partial
from typing import Any

DEEP = "[" * 100_000 + "]" * 100_000
ODD: tuple[Any, ...] = (
    *(None, True, "", "text", "\ud800", "2999-01-01T00:00:00Z", -1, 10**30, 1.5, -1e300, float("nan")),
    *(float("inf"), [], [[]], {}, {"good": {}}),
)
"""What may stand where something else stood."""


def of_bytes(content: bytes, step: int = 97) -> Iterator[tuple[str, bytes]]:
    """A file cut off at every `step`-th byte, with parts zeroed or flipped, doubled, replaced by another."""
    yield "empty", b""
    for end in range(1, len(content), max(step, len(content) // 40)):
        yield f"cut off at {end}", content[:end]
        yield f"zero from {end}", content[:end] + b"\0" * (len(content) - end)
        yield f"zero at {end}", content[: end - 1] + b"\0" + content[end:]
        flipped = bytes([content[end - 1] ^ 1])
        yield f"one bit at {end}", content[: end - 1] + flipped + content[end:]
    yield "twice", content * 2
    yield "with an end", content + b"x"
    yield "with a beginning", b"\xef\xbb\xbf" + content
    yield "zeros", b"\0" * len(content)
    yield "another file", b"\x89PNG\r\n\x1a\n" + bytes(range(256))
    yield "no text", b"\xff\xfe" + content
    yield "nested deep", DEEP.encode()
    yield "null", b"null\n"
    yield "a list", b"[]\n"
    yield "an empty mapping", b"{}\n"


def of_values(value: Any) -> Iterator[tuple[str, Any]]:
    """A value of JSON with each of its parts in turn replaced by ODD ones, and taken away."""
    for place in _places(value):
        name = ".".join(map(str, place)) or "all"
        for odd in ODD:
            if text_of(odd) == text_of(_at(value, place)):
                continue
            yield f"{name} = {odd!r}", _with(value, place, partial(_put, odd))
        if place:
            yield f"{name} is away", _with(value, place, lambda parent, key: parent.pop(key))


def text_of(value: Any) -> str:
    """JSON as Python writes it, NaN and half characters included."""
    return json.dumps(value)


def _places(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield place
    if isinstance(value, (dict, list)):
        keys = list(value) if isinstance(value, dict) else range(len(value))
        for key in keys:
            yield from _places(value[key], (*place, key))


def _at(value: Any, place: tuple[Any, ...]) -> Any:
    for key in place:
        value = value[key]
    return value


def _put(odd: Any, parent: Any, key: Any) -> None:
    parent[key] = odd


def _with(value: Any, place: tuple[Any, ...], change: Any) -> Any:
    whole = {"all": copy.deepcopy(value)}
    parent: Any = whole
    *way, last = ("all", *place)
    for key in way:
        parent = parent[key]
    change(parent, last)
    return whole["all"]
