"""What runs here: versions of the packages, and which loops do the work."""

from __future__ import annotations

import platform
from importlib.metadata import version

import numpy as np

from lmmcore import kernel
from lmmcore.runtime.threads import allowed_threads

PACKAGES = ("lmmcore", "numpy", "scipy", "polars", "narwhals", "formulaic", "pyarrow")
LOOPS = {
    "numpy": "NumPy (no compiled loops)",
    "plain": "compiled",
    "avx2": "compiled, AVX2",
    "avx512": "compiled, AVX-512",
}


def versions() -> dict[str, str]:
    """Names and what is in use: Python, packages, linear algebra, the machine, the loops, the threads."""
    blas = np.show_config(mode="dicts").get("Build Dependencies", {}).get("blas", {})
    return {
        "python": platform.python_version(),
        **{package: version(package) for package in PACKAGES},
        "blas": f"{blas.get('name', 'unknown')} {blas.get('version', '')}".strip(),
        "machine": f"{platform.system()} {platform.machine()}",
        "loops": LOOPS[kernel.in_use()],
        "threads": str(allowed_threads()),
    }


def show_versions() -> None:
    """Print the versions of all that a fit depends on, and which loops run, for a report of an error.

    The loops are compiled, in the instructions named, or NumPy's; LMM_LOOPS chooses (lmmcore.kernel).
    """
    found = versions()
    width = max(map(len, found))
    for name, value in found.items():
        print(f"{name:{width}}  {value}")
