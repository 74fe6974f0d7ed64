"""The innermost loops of the likelihood, compiled where the installation found a C compiler.

Nothing depends on it: what a loop has no room for, and everything without a compiler, NumPy does by the same
formulas, with the same result up to rounding and in up to ten times the time.
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
            return _declared(ctypes.CDLL(str(path)))
    return None


def _declared(loops: ctypes.CDLL) -> ctypes.CDLL:
    """The arguments of each function, as level.c and neighbours.c have them."""
    small, large, numbers = ctypes.c_int, ctypes.c_long, ctypes.c_void_p
    loops.lmm_value.argtypes = [small] * 2 + [large] * 2 + [numbers] * 4
    loops.lmm_value.restype = ctypes.c_double
    loops.lmm_slopes.argtypes = [small] * 3 + [large] * 2 + [numbers] * 15
    loops.lmm_slopes.restype = None
    loops.lmm_neighbours.argtypes = [small] * 2 + [large] * 2 + [numbers] * 2 + [large] + [numbers] * 7
    loops.lmm_neighbours.restype = None
    return loops


# None where the installation has none.
loops = _load()


def address(numbers: np.ndarray, place: int = 0) -> int:
    """Address of a number of a contiguous array."""
    return numbers.ctypes.data + place * numbers.itemsize
