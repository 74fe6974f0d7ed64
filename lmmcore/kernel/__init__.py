"""The innermost loops of the likelihood, compiled where the installation found a C compiler.

Nothing depends on it: what a loop has no room for, and everything without a compiler, NumPy does by the same
formulas, with the same result up to rounding.  The room imports nothing of the project but how many threads
may work: arrays come in, arrays go out.

`loops` is the extension module `_loops`, typed in _loops.pyi, or None where NumPy does the work.  Its border,
border.c, holds every call against the one table of table.c: kinds of numbers, contiguity, shapes that must
agree, limits, places within arrays.  A call that does not pass is a ValueError, whoever made it.  It is
written by hand rather than in Cython: what overruns an array is a size, which typed memoryviews do not
compare, and an installation, also one from an archive years from now, needs a C compiler and nothing else.

The environment variable LMM_LOOPS, read once, says which loops run: `numpy`, `plain`, `avx2` or `avx512`;
without it, the fastest that the machine has.
"""

from __future__ import annotations

import os
import warnings
from importlib import import_module
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

# That of limits.h.
ABI = 1
VARIABLE = "LMM_LOOPS"


def _load() -> ModuleType | None:
    """The extension module in the instructions asked for, None for NumPy."""
    asked = os.environ.get(VARIABLE, "").strip()
    built = any(Path(__file__).with_name("_loops" + suffix).exists() for suffix in EXTENSION_SUFFIXES)
    if asked == "numpy" or not built:
        return None
    try:
        found = import_module("lmmcore.kernel._loops")
        stale = getattr(found, "ABI", None) != ABI
    except ImportError:  # made by an earlier version, for another Python or on another kind of machine
        stale = True
    if stale:
        warnings.warn(
            "The compiled loops of lmmcore belong to another version and are not used, NumPy does their work "
            "more slowly: install the package anew (python -m pip install .).",
            RuntimeWarning,
            stacklevel=2,
        )
        return None
    if asked and asked not in found.AVAILABLE:
        warnings.warn(
            f"{VARIABLE}={asked!r} names no loops of this machine, which has numpy, "
            f"{', '.join(found.AVAILABLE)}; {found.used()} is used.",
            RuntimeWarning,
            stacklevel=2,
        )
    elif asked:
        found.use(asked)
    return found


if TYPE_CHECKING:
    from lmmcore.kernel import _loops as loops
else:
    loops = _load()


def in_use() -> str:
    """The loops that run: `numpy`, or the instructions of the compiled ones."""
    return loops.used() if loops is not None else "numpy"


def has_room(q: int, r: int) -> bool:
    """Whether there are loops for subjects with q random effects and r columns of [X y]."""
    return loops is not None and 1 <= q <= loops.MOST_EFFECTS and r * q <= loops.MOST_NUMBERS
