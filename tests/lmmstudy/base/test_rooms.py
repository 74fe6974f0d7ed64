"""The architecture: no circle of imports, rooms, no loose files, jobs that reach only what they need."""

import subprocess
import sys
from pathlib import Path

import pytest

from lmmstudy.base.fingerprint import closure
from tests.support.imports import ROOT, circles, graph, imports, modules

REASON = "# start-up time"
# What the scripts of the workflow must not depend on: a change there re-runs nothing of theirs.
ENGINE = ("kernel", "covariance", "system", "likelihood", "optimise", "estimate", "model")
AFTER = (
    "diagnostics",
    "resampling",
    "per_subject",
    "output/notebook",
    "output/summary",
    "output/saved",
    "result",
)
AFTER += (
    "inference/fixed/sandwich",
    "inference/covariance/profiles",
    "prediction/predict",
)
STUDY = ("clean", "report", "run", "cli")
MUST_NOT_REACH = {
    "clean": (*(f"lmmcore/{room}" for room in ENGINE), "lmmstudy/fitting", "lmmstudy/report", "lmmstudy/run"),
    "fit": (*(f"lmmcore/{room}" for room in AFTER), *(f"lmmstudy/{room}" for room in STUDY)),
    "select": (*(f"lmmcore/{room}" for room in AFTER), *(f"lmmstudy/{room}" for room in STUDY)),
    "report": ("lmmstudy/clean/clean", "lmmstudy/run", "lmmstudy/cli", "lmmstudy/fitting/selection"),
    "index": (
        *(f"lmmcore/{room}" for room in ENGINE),
        "lmmstudy/clean/clean",
        "lmmstudy/run",
        "lmmstudy/cli",
    ),
}


def test_no_circle_of_imports():
    """Imports inside functions and for type checkers count too."""
    assert circles(graph()) == []


def test_imports_inside_functions_say_that_start_up_time_is_the_reason():
    silent = [
        f"{one.path.relative_to(ROOT)}:{one.line}"
        for one in imports()
        if one.inside and REASON not in one.path.read_text("utf-8").splitlines()[one.line - 1]
    ]
    assert silent == []


@pytest.mark.parametrize("job", MUST_NOT_REACH)
def test_what_a_job_does_not_depend_on(job):
    reached = closure(ROOT / "workflow" / "scripts" / f"{job}.py", ROOT)
    names = [path.relative_to(ROOT).with_suffix("").as_posix() for path in reached]
    assert len(names) > 10
    assert [name for name in names if name.startswith(MUST_NOT_REACH[job])] == []


def test_the_engine_does_not_know_the_study():
    assert not [
        m for name, into in graph().items() if name.startswith("lmmcore") for m in into if "lmmstudy" in m
    ]


def test_the_kernel_imports_nothing_from_upstairs():
    kernel = {m for name, into in graph().items() if name.startswith("lmmcore.kernel") for m in into}
    assert {m for m in kernel if not m.startswith("lmmcore.kernel")} <= {
        "lmmcore",
        "lmmcore.errors",
        "lmmcore.runtime.threads",
    }


@pytest.mark.parametrize(("package", "most"), [("lmmcore", 4), ("lmmstudy", 2)])
def test_the_top_level_has_what_a_newcomer_opens_first(package, most):
    assert len(list((ROOT / package).glob("*.py"))) <= most


def test_the_picture_of_the_rooms_is_current():
    """It is made by `python docs/_ext/rooms.py`."""
    made = subprocess.run(
        [sys.executable, "-c", "import rooms; print(rooms.picture(), end='')"],
        cwd=ROOT / "docs/_ext",
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    current = (ROOT / "docs/images/rooms.svg").read_text("utf-8")
    assert made == current, "say python docs/_ext/rooms.py"


def test_every_room_says_what_it_is_for():
    """In the docstring of its package, and on the page of the architecture."""
    page = (ROOT / "docs/architecture.md").read_text("utf-8")
    for name, path in modules().items():
        if path.name == "__init__.py" and name.count(".") >= 1:
            assert path.read_text("utf-8").startswith('"""'), path
            assert f"`{path.parent.name}/`" in page or f"{path.parent.name}/" in page, path


def test_no_file_is_too_long_to_be_read_in_one_sitting():
    lengths = {path: len(path.read_text("utf-8").splitlines()) for path in modules().values()}
    assert {str(Path(path).relative_to(ROOT)): n for path, n in lengths.items() if n > 400} == {}
