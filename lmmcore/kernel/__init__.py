"""The innermost loops of the likelihood, compiled where the installation found a C compiler.

Nothing depends on it: what a loop has no room for, and everything without a compiler, NumPy does by the same
formulas, with the same result up to rounding.
"""

from __future__ import annotations

import ctypes
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import numpy as np

# Result and arguments of each function, as the files in C have them.
KINDS = {"i": ctypes.c_int, "l": ctypes.c_long, "d": ctypes.c_double, "p": ctypes.c_void_p}
SIGNATURES = {
    "evaluate": ("d", "iiiildi" + 12 * "p"),
    "neighbours": (None, "iiiiillpplppd" + 5 * "p"),
    "patterns": ("l", "ilplllppp"),
    "residuals": (None, "ilpppp"),
    "rows": (None, "iiilllpl" + 6 * "p"),
    "runs": ("l", "lp"),
    "slopes": (None, "iiill" + 15 * "p"),
    "start": (None, "illppdpppp"),
    "turn": (None, "iill" + 6 * "p"),
    "value": ("d", "iill" + 4 * "p"),
}


def _load() -> ctypes.CDLL | None:
    for suffix in EXTENSION_SUFFIXES:
        path = Path(__file__).with_name("_loops" + suffix)
        if path.exists():
            try:
                return _declared(ctypes.CDLL(str(path)))
            # Compiled on another kind of machine that shares the folder, or from other sources.
            except (OSError, AttributeError):
                return None
    return None


def _declared(loops: ctypes.CDLL) -> ctypes.CDLL:
    for name, (result, letters) in SIGNATURES.items():
        function = getattr(loops, "lmm_" + name)
        function.argtypes = [KINDS[letter] for letter in letters]
        function.restype = None if result is None else KINDS[result]
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
