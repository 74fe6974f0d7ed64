"""Whether two files of results say the same: byte for byte, or but for rounding.

Another processor, another linear algebra or NumPy in the place of compiled loops change the last digits of a
sum.  Two numbers are the same if they differ by TOLERANCE of their size or less; by NEAR_ZERO of the largest
number beside them (in the same object, list or column), for a difference that is 0 has no digits of its own;
or, where they are printed with decimals, by one unit of the last.  Whole numbers, words and everything else
must be equal, but for how many evaluations a search took, which is no result.
"""

import csv
import io
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lmmstudy.base.files import IN_PAGE, read_json

TOLERANCE = 1e-6
NEAR_ZERO = 1e-12
NO_RESULT = {"evaluations", "tables_sha256"}
"""Keys of how many evaluations a search took, and of checksums of tables, which are compared themselves."""
NUMBER = re.compile(r"[-\u2212]?\d[\d,]*(?:\.\d+)?(?:[eE][-+]?\d+)?")
_SEARCH_PRINTED = re.compile(r"(Evaluations(?:\W|<[^>]*>)*)\d+")


@dataclass(frozen=True)
class Difference:
    """Where two files differ; old, new : what they say; rounding : whether that is the same.

    size : of the difference, as a part of the number or, where that is 0 but for rounding, of those beside
    it; 0 for a unit of the last printed decimal; infinite for what is no number.
    """

    where: str
    old: str
    new: str
    size: float
    rounding: bool


def differences(old: Path, new: Path) -> list[Difference]:
    """Where the files differ; none if they are byte for byte the same, at least one if not."""
    ours, theirs = old.read_bytes(), new.read_bytes()
    if ours == theirs:
        return []
    try:
        found = list(_read(old, new))
    except ValueError:  # cut off, changed by hand
        found = []
    return found or [Difference("its content", f"{len(ours)} bytes", f"{len(theirs)} bytes", math.inf, False)]


def _read(old: Path, new: Path) -> Iterator[Difference]:
    """Without the checksums that results carry: they follow from the rest."""
    if old.suffix == ".json":
        return _values(read_json(old), read_json(new), "", 0.0)
    if old.suffix not in (".csv", ".html"):
        return iter(())
    texts = [IN_PAGE.sub(b"", path.read_bytes()).decode() for path in (old, new)]
    return _csv(*texts) if old.suffix == ".csv" else _text(*texts)


def _values(old: Any, new: Any, where: str, beside: float) -> Iterator[Difference]:
    """beside : size of the largest number beside these."""
    if isinstance(old, dict) and isinstance(new, dict) and old.keys() == new.keys():
        largest = _largest(old.values())
        for key in old:
            if key not in NO_RESULT:
                yield from _values(old[key], new[key], f"{where}.{key}" if where else key, largest)
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        largest = _largest(old)
        for index, (a, b) in enumerate(zip(old, new, strict=True)):
            yield from _values(a, b, f"{where}[{index}]", largest)
    elif isinstance(old, float) and isinstance(new, float):
        if old != new:
            yield _numbers(where, str(old), str(new), old, new, beside)
    elif isinstance(old, str) and isinstance(new, str):
        yield from _text(old, new, where)
    elif old != new:
        yield _other(where, old, new)


def _largest(values: Any) -> float:
    return max((abs(value) for value in values if isinstance(value, float)), default=0.0)


def _csv(old: str, new: str) -> Iterator[Difference]:
    (names, *ours), (others, *theirs) = (list(csv.reader(io.StringIO(text))) for text in (old, new))
    if names != others or len(ours) != len(theirs):
        yield _other("its columns or rows", f"{len(ours)} rows", f"{len(theirs)} rows")
        return
    for name, a, b in zip(names, zip(*ours, strict=True), zip(*theirs, strict=True), strict=True):
        largest = _largest(map(_number, a))
        for row, (mine, other) in enumerate(zip(a, b, strict=True), start=1):
            if mine != other:
                yield _written(f"{name}, row {row}", mine, other, largest)


def _text(old: str, new: str, where: str = "its text") -> Iterator[Difference]:
    old, new = (_SEARCH_PRINTED.sub(r"\1", text) for text in (old, new))
    if old == new:
        return
    if NUMBER.split(old) != NUMBER.split(new):
        yield _other(where, *_around(old, new))
        return
    for mine, other in zip(NUMBER.finditer(old), NUMBER.finditer(new), strict=True):
        if mine[0] != other[0]:
            place = where
            if where == "its text":
                place += f" after {old[max(mine.start() - 40, 0) : mine.start()]!r}"
            yield _written(place, mine[0], other[0], 0.0)


def _written(where: str, old: str, new: str, beside: float) -> Difference:
    """Texts that may be numbers; two whole ones must be equal."""
    a, b = _number(old), _number(new)
    if a is None or b is None or not re.search(r"[.eE]", old + new):
        return _other(where, old, new)
    found = _numbers(where, old, new, a, b, beside)
    if not found.rounding and abs(a - b) <= 1.001 * min(_last_place(old), _last_place(new)):
        return Difference(where, old, new, 0.0, True)
    return found


def _number(text: str) -> float | None:
    """None for text that is no number."""
    return float(text.replace(",", "").replace("\u2212", "-")) if NUMBER.fullmatch(text) else None


def _last_place(text: str) -> float:
    """A unit of the last decimal of a number as it is written."""
    mantissa, _, exponent = text.lower().partition("e")
    return float(10.0 ** (int(exponent or 0) - len(mantissa.partition(".")[2])))


def _numbers(where: str, old: str, new: str, a: float, b: float, beside: float) -> Difference:
    larger, apart = max(abs(a), abs(b)), abs(a - b)
    if beside and apart <= NEAR_ZERO * beside:
        return Difference(where, old, new, apart / beside, True)
    return Difference(where, old, new, apart / larger if larger else 0.0, apart <= TOLERANCE * larger)


def _other(where: str, old: object, new: object) -> Difference:
    return Difference(where, str(old), str(new), math.inf, False)


def _around(old: str, new: str) -> Sequence[str]:
    """The texts from shortly before where they part."""
    start = next(
        (i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new))
    )
    return [repr(text[max(start - 20, 0) : start + 20]) for text in (old, new)]
