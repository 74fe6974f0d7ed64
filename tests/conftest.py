"""Fixtures shared by all tests, and how they are shared out among processes."""

import os
import re
from pathlib import Path

import pytest

# Threads of the linear algebra wait for each other at every small matrix, and longer where others run too.
# NumPy reads this when it is imported; tests about threads set their own.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


# What the tests of a folder or file need that others do not; `make check` leaves them out.
NEEDS = {
    "slurm": r"/tests/slurm/",
    "workflow": r"/tests/workflow/",
    "browser": r"_(browser|script|site)\.py$",
    "slow": r"/tests/(docs|fuzz)/|/test_(memory|profiles|report_studies|reproducible|sanitizers|threads)\.",
}


def pytest_configure(config: pytest.Config) -> None:
    for name, text in {
        "slurm": "a cluster of this machine's own",
        "workflow": "runs of the real Snakemake",
        "browser": "a real browser",
        "slow": "seconds for a test",
    }.items():
        config.addinivalue_line("markers", f"{name}: {text}")


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """One process more than there are processors: the tests of the cluster mostly wait."""
    return len(os.sched_getaffinity(0)) + 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what each test needs; what takes longest is given out first.

    The tests of one file stay in one process (`--dist loadfile`): they share what is made once.
    """
    for item in items:
        for need, places in NEEDS.items():
            if re.search(places, item.path.as_posix()):
                item.add_marker(need)
    longest = ("slurm", "workflow", "slow")
    items.sort(key=lambda item: [item.get_closest_marker(name) is None for name in longest])


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
