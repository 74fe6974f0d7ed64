"""The same arithmetic on every machine: which loops the linear algebra of a job uses."""

import os
import platform
from pathlib import Path

VARIABLE = "OPENBLAS_CORETYPE"
COMMON = "Haswell"
"""What every x86-64 processor since 2013 (2015 from AMD) can run."""


def settle() -> None:
    """Have OpenBLAS, the linear algebra of NumPy and SciPy, use the same loops on all processors of a kind.

    Left to itself it takes those of the very processor, whose last digits differ. The matrices of a fit are
    small: it costs nothing. Counts only before NumPy is imported; a value that the environment has stays.
    """
    if platform.machine() in ("x86_64", "AMD64") and _has_avx2():
        os.environ.setdefault(VARIABLE, COMMON)


def _has_avx2() -> bool:
    """Whether Linux says so; elsewhere nobody can be asked without loading something."""
    try:
        return " avx2 " in Path("/proc/cpuinfo").read_text("utf-8", errors="replace")
    except OSError:
        return False
