"""The innermost loops of the likelihood, compiled where the installation found a C compiler.

Nothing depends on it: what a loop has no room for, and everything without a compiler, NumPy does by the same
formulas, with the same result up to rounding.
"""

from __future__ import annotations

import ctypes
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import numpy as np


def _load() -> ctypes.CDLL | None:
    for suffix in EXTENSION_SUFFIXES:
        path = Path(__file__).with_name("_loops" + suffix)
        if path.exists():
            try:
                return _declared(ctypes.CDLL(str(path)))
            except OSError:  # compiled on another kind of machine that shares the folder
                return None
    return None


def _declared(loops: ctypes.CDLL) -> ctypes.CDLL:
    """The arguments of each function, as the files in C have them."""
    kinds = {"i": ctypes.c_int, "l": ctypes.c_long, "d": ctypes.c_double, "p": ctypes.c_void_p}
    signatures = {"value": "iill" + 4 * "p", "slopes": "iiill" + 15 * "p"}
    signatures |= {
        "turn": "iill" + 6 * "p",
        "residuals": "il" + 4 * "p",
        "runs": "lp",
        "patterns": "ilplllppp",
    }
    signatures["start"] = "illppdpppp"
    signatures["evaluate"] = "iiiildi" + 12 * "p"
    signatures |= {"rows": "iiilllpl" + 6 * "p", "neighbours": "iiiiillpplppd" + 5 * "p"}
    results = {
        "value": ctypes.c_double,
        "evaluate": ctypes.c_double,
        "runs": ctypes.c_long,
        "patterns": ctypes.c_long,
    }
    for name, letters in signatures.items():
        function = getattr(loops, "lmm_" + name)
        function.argtypes = [kinds[letter] for letter in letters]
        function.restype = results.get(name)
    return loops


# Random effects a subject, and numbers B of a subject, that level.c and turn.c have room for.
MOST_EFFECTS = 2
MOST_NUMBERS = 32

# None where the installation has none.
loops = _load()


def has_room(q: int, r: int) -> bool:
    """Whether there are loops for subjects with q random effects and r columns of [X y]."""
    return loops is not None and 1 <= q <= MOST_EFFECTS and r * q <= MOST_NUMBERS


def address(numbers: np.ndarray, place: int = 0) -> int:
    """Address of a number of a contiguous array."""
    return numbers.ctypes.data + place * numbers.itemsize
