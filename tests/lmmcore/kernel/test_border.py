"""The border of the compiled loops: what does not fit is refused before a loop sees it, whoever calls.

Right calls are made from the table that the library shows, so that a new function is tested as soon as it is
written; then each argument of each is spoilt in every way. test_sanitizers.py runs this file
with all accesses to memory watched.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from lmmcore import kernel

if kernel.loops is None:
    pytest.skip("the installation found no C compiler", allow_module_level=True)

loops = kernel.loops
ARRAYS = ("read", "write", "maybe", "places", "to places")
# Sizes that belong together: subjects of 3 rows, of which two are a larger unit.
COMMON = {
    "q": 2,
    "r": 3,
    "m": 3,
    "s": 1,
    "M": 3,
    "N": 9,
    "n": 27,
    "d": 3,
    "k": 4,
    "O": 5,
    "p": 4,
    "w": 9,
    "b": 1,
}
SIZES: dict[str, dict[str, int]] = {
    "evaluate": {"s": 3, "M": 4, "R": 1},
    "neighbours": {"m": 2, "s": 3, "k": 5},
    "patterns": {"x": 5},
    "rows": {"e": 7},
}
NUMBERS = {"nu": 24.0, "decay": 0.7, "least": 1e-3}


def sizes_of(name: str, **changed: int) -> dict[str, int]:
    return COMMON | {"e": 9} | SIZES.get(name, {}) | changed


def array(shape: str, sizes: dict[str, int], seed: int = 0, integers: bool = False) -> np.ndarray:
    extent = [int(letter) if letter.isdigit() else sizes[letter] for letter in shape]
    if integers:
        return np.zeros(extent, dtype=np.int64)
    return np.random.default_rng(seed).normal(size=extent)


def call_of(name: str, **changed: int) -> list[Any]:
    """Arguments that pass, unless sizes are changed so that they do not."""
    sizes, given = sizes_of(name, **changed), []
    for place, (kind, what, shape) in enumerate(loops.TABLE[name]):
        if kind == "number":
            given.append(NUMBERS[what])
        elif kind == "size":
            given.append(sizes[shape])
        elif kind == "columns":
            given.append([array(shape[1:], sizes, seed) for seed in range(sizes[shape[0]])])
        elif kind == "places" and what == "starts":
            given.append(np.arange(sizes["N"], dtype=np.int64) * 3)
        elif kind == "places" and what == "outer":
            given.append(np.arange(sizes["N"], dtype=np.int64) // 2)
        else:
            given.append(array(shape, sizes, place, "places" in kind))
    return given


def make(name: str, given: list[Any]) -> Any:
    return getattr(loops, name)(*given)


@pytest.fixture(params=loops.AVAILABLE, autouse=True)
def instructions(request) -> Iterator[None]:
    """Each kind of instructions of this machine."""
    before = loops.used()
    loops.use(request.param)
    yield
    loops.use(before)


FUNCTIONS = pytest.mark.parametrize("name", sorted(loops.TABLE))
EVERY = [
    (name, place)
    for name in sorted(loops.TABLE)
    for place, (kind, _, _) in enumerate(loops.TABLE[name])
    if kind in ARRAYS
]
EACH_ARRAY = pytest.mark.parametrize(("name", "place"), EVERY)


@FUNCTIONS
def test_a_right_call_passes(name):
    make(name, call_of(name))


def spoilt(given: np.ndarray, held: list[bool]) -> Iterator[np.ndarray | Any]:
    """The same array in each way that must not pass; held : whether others have the size of each axis."""
    other = np.float64 if given.dtype == np.int64 else np.int64
    for dtype in (
        np.float32,
        np.int32,
        np.complex128,
        np.bool_,
        object,
        other,
        given.dtype.newbyteorder(">"),
    ):
        yield given.astype(dtype)
    yield from (given[None], given.ravel() if given.ndim > 1 else given[0], 1.5, "text", given.tolist())
    for axis, extent in enumerate(given.shape):
        if extent > 1:
            yield np.repeat(given, 2, axis)[(*(np.s_[:] for _ in range(axis)), np.s_[::2])]
        for size in (extent + 1, extent - 1) if held[axis] else ():
            yield np.zeros((*given.shape[:axis], size, *given.shape[axis + 1 :]), given.dtype)
    raw = np.zeros(given.nbytes + 1, dtype=np.uint8)
    yield raw[1:].view(given.dtype).reshape(given.shape)


@EACH_ARRAY
def test_an_array_that_is_not_what_the_table_says_is_refused(name, place):
    table = loops.TABLE[name]
    kind, _, shape = table[place]
    letters = "".join(shape for _, _, shape in table)
    wrong = list(spoilt(call_of(name)[place], [letters.count(letter) > 1 for letter in shape]))
    wrong += [] if kind == "maybe" else [None]
    if kind in ("write", "to places"):
        wrong.append(call_of(name)[place].copy())
        wrong[-1].flags.writeable = False
    for one in wrong:
        given = call_of(name)
        given[place] = one
        with pytest.raises((ValueError, TypeError)):
            make(name, given)


@EACH_ARRAY
def test_an_array_that_is_written_is_part_of_no_other(name, place):
    table = loops.TABLE[name]
    for other in range(len(table)):
        if other != place and table[other][0] in ("write", "to places"):
            given = call_of(name)
            memory = np.zeros(given[place].nbytes + given[other].nbytes, dtype=np.uint8)
            for which, start in ((place, 0), (other, given[place].nbytes - 8)):
                kind, size = given[which].dtype, given[which].nbytes
                given[which] = memory[start : start + size].view(kind).reshape(given[which].shape)
            with pytest.raises(ValueError, match=r"part of another|lie outside"):
                make(name, given)


@FUNCTIONS
def test_numbers_and_counts_are_held_too(name):
    for place, (kind, what, _) in enumerate(loops.TABLE[name]):
        wrong: list[Any] = ["text", None, 2**70] if kind == "size" else ["text", None]
        if kind == "size" and what not in ("reml", "probed"):
            wrong += [-1, 10**9]
        for value in wrong if kind in ("size", "number") else ():
            given = call_of(name)
            given[place] = value
            with pytest.raises((ValueError, TypeError, OverflowError)):
                make(name, given)
    for arguments in (call_of(name)[:-1], [*call_of(name), 1]):
        with pytest.raises(TypeError, match="takes"):
            make(name, arguments)


@pytest.mark.parametrize(
    ("name", "changed", "passes"),
    [
        ("value", {"r": loops.MOST_NUMBERS // 2}, True),
        ("value", {"r": loops.MOST_NUMBERS // 2 + 1}, False),
        ("value", {"q": 1, "r": loops.MOST_NUMBERS}, True),
        ("value", {"q": 1, "r": loops.MOST_NUMBERS + 1}, False),
        ("value", {"q": loops.MOST_EFFECTS + 1, "r": 1}, False),
        ("value", {"q": 0}, False),
        ("value", {"r": 0}, True),
        ("value", {"b": 5, "e": 4}, False),
        ("value", {"e": 10}, False),
        ("slopes", {"r": loops.MOST_NUMBERS // 2}, True),
        ("slopes", {"r": loops.MOST_NUMBERS // 2 + 1}, False),
        ("slopes", {"q": 3, "r": 1}, False),
        ("turn", {"r": loops.MOST_NUMBERS // 2}, True),
        ("turn", {"r": loops.MOST_NUMBERS // 2 + 1}, False),
        ("start", {"q": 3}, False),
        ("start", {"r": 0}, False),
        ("start", {"r": 5000}, False),
        ("evaluate", {"r": loops.MOST_NUMBERS // 2}, True),
        ("evaluate", {"r": loops.MOST_NUMBERS // 2 + 1}, False),
        ("evaluate", {"m": 4, "M": 5}, False),
        ("evaluate", {"s": 2}, False),
        ("evaluate", {"s": 0, "M": 3}, False),
        ("evaluate", {"M": 3}, False),
        ("evaluate", {"r": 0}, False),
        ("neighbours", {"d": loops.MOST_NEIGHBOURS}, True),
        ("neighbours", {"d": loops.MOST_NEIGHBOURS + 1}, False),
        ("neighbours", {"d": 0, "m": 0}, False),
        ("neighbours", {"m": 4}, False),
        ("neighbours", {"s": 1}, True),
        ("neighbours", {"s": 2}, False),
        ("neighbours", {"O": 4}, False),
        ("neighbours", {"n": 26}, True),
        ("neighbours", {"n": 24}, False),
        ("neighbours", {"q": 20, "r": 20, "k": 40}, True),
        ("rows", {"d": loops.MOST_COLUMNS}, True),
        ("rows", {"d": loops.MOST_COLUMNS + 1}, False),
        ("rows", {"q": 60, "r": 70}, True),
        ("rows", {"n": 17}, False),
        ("rows", {"q": 0}, True),
        ("rows", {"d": 0}, False),
        ("patterns", {"w": 0}, False),
        ("patterns", {"w": 1}, True),
    ],
)
def test_limits(name, changed, passes):
    given = call_of(name, **changed)
    if passes:
        make(name, given)
        return
    with pytest.raises(ValueError):
        make(name, given)


@FUNCTIONS
@pytest.mark.parametrize("subjects", [0, 1, 3, 4, 5, 8, 9, 17])
def test_any_number_of_subjects(name, subjects):
    """None too, and whatever numbers they have."""
    for number in (0.0, -1.0, 1e308, np.nan, np.inf, -np.inf):
        given = call_of(name, N=subjects, n=3 * subjects, b=min(1, subjects), e=subjects, O=9, x=subjects)
        for (kind, _, _), array in zip(loops.TABLE[name], given, strict=True):
            if kind == "read" and array.size:
                array.flat[array.size // 2] = number
        make(name, given)


@pytest.mark.parametrize("name", ["rows", "neighbours"])
@pytest.mark.parametrize("value", [-1, -(2**63), 2**63 - 1, 27, 28, 100])
@pytest.mark.parametrize("at", [0, 4, 8])
def test_places_outside_are_refused(name, value, at):
    table = [what for _, what, _ in loops.TABLE[name]]
    for what in {"starts", "outer", "z", "xy"} & set(table):
        given = call_of(name, b=0, e=9) if name == "rows" else call_of(name)
        place = table.index(what)
        given[place][min(at, len(given[place]) - 1)] = value
        if (name, what, value, at) == ("rows", "starts", 27, 8):
            make(name, given)  # a subject without rows
            continue
        with pytest.raises(ValueError, match="outside"):
            make(name, given)


def test_derivatives_come_together_or_not_at_all():
    names = [what for _, what, _ in loops.TABLE["slopes"]]
    for absent in ("A1", "B1", "A2", "B2"):
        given = call_of("slopes")
        given[names.index(absent)] = None
        with pytest.raises(ValueError, match="all derivatives are wanted, or none"):
            make("slopes", given)


def test_columns_of_the_constant():
    """None is the constant 1 where the function says so."""
    given = call_of("rows", b=0, e=9)
    given[0] = [None, None, np.arange(27.0)]
    make("rows", given)
    assert given[-1][0, 0] == 27
    given = call_of("patterns")
    given[0][1] = None
    with pytest.raises(ValueError, match="None"):
        make("patterns", given)


@FUNCTIONS
@pytest.mark.parametrize("subjects", [9, 1000])
@pytest.mark.parametrize("units", [1, 500])
def test_all_instructions_give_the_same_bytes(name, subjects, units):
    def found() -> list[Any]:
        given = call_of(name, N=subjects, n=3 * subjects, b=0, e=subjects, O=units, w=subjects)
        for (kind, what, _), array in zip(loops.TABLE[name], given, strict=True):
            if kind == "places" and what == "outer":
                np.minimum(array, units - 1, out=array)
            if what in ("A", "S") and kind == "read":  # positive definite
                array += 1e6 * np.eye(array.shape[-3], array.shape[-2])[:, :, None]
        return [make(name, given), *(part.tobytes() for part in given if isinstance(part, np.ndarray))]

    ours = found()
    loops.use("plain")
    assert str(found()) == str(ours)


def test_instructions_that_the_machine_lacks():
    for name in ("sse9", "", 5):
        with pytest.raises(ValueError, match="this machine has no loops"):
            loops.use(name)
