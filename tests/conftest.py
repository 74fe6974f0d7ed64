"""Fixtures shared by all tests."""

import os
from pathlib import Path

import pytest

# Threads of the linear algebra wait for each other at every small matrix, and longer where others run too.
# NumPy reads this when it is imported; tests about threads set their own.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


@pytest.fixture(params=["compiled", "NumPy"])
def loops(request, monkeypatch):
    """With the compiled loops and without."""
    from lmmcore import kernel

    if request.param == "NumPy":
        monkeypatch.setattr(kernel, "loops", None)
    elif kernel.loops is None:
        pytest.skip("the installation found no C compiler")


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def raw(root: Path) -> Path:
    """Raw files of the embedded studies."""
    return root / "data" / "raw"
