"""The compiled loops with every access to memory and every doubtful operation watched.

GCC's address and undefined-behaviour sanitizers end the process at the first read or write outside an array,
at an overflow of whole numbers, a shift too far, a pointer out of line.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
TESTS = ("test_border", "test_kernel", "test_kernel_columns", "test_kernel_neighbours")
# Much Python, and no more of the loops.
FITS = "tests/lmmcore/kernel/test_kernel.py::test_without_a_compiler"
WATCH = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")
FLAGS = ("-fPIC", "-g", "-O0", "-std=gnu11", "-Wno-psabi", "-I", sysconfig.get_path("include"))


def gcc(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["gcc", *WATCH, *map(str, arguments)], capture_output=True, text=True)


def linked(folder: Path) -> Path:
    """The library made of the folder's object files."""
    library = folder / f"_loops{EXTENSION_SUFFIXES[0]}"
    done = gcc("-shared", *sorted(folder.glob("*.o")), "-lm", "-o", library)
    assert done.returncode == 0, done.stderr
    return library


@pytest.fixture(scope="module")
def objects(tmp_path_factory) -> Path:
    """A folder with the sources compiled, the sanitizers in them."""
    folder = tmp_path_factory.mktemp("sanitized")
    probe = folder / "probe.c"
    probe.write_text("#include <Python.h>\nint x;\n", "utf-8")
    if shutil.which("gcc") is None or gcc("-shared", *FLAGS, probe, "-o", folder / "probe.so").returncode:
        pytest.skip("there is no gcc with sanitizers and the headers of Python")
    (module,) = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"][
        "ext-modules"
    ]
    for source in map(Path, module["sources"]):
        done = gcc("-c", *FLAGS, ROOT / source, "-o", folder / f"{source.stem}.o")
        assert done.returncode == 0, done.stderr
    return folder


def python(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """A Python of its own, into which the sanitizer is loaded first."""
    found = subprocess.run(["gcc", "-print-file-name=libasan.so"], capture_output=True, text=True, check=True)
    environment = os.environ | {
        "LD_PRELOAD": found.stdout.strip(),
        "ASAN_OPTIONS": "detect_leaks=0",  # Python keeps what it has to the end
        "PYTHONPATH": str(ROOT),
        "PYTHONMALLOC": "malloc",
    }
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True)


def test_the_loops_stay_within_their_arrays(objects):
    tests = [f"tests/lmmcore/kernel/{name}.py" for name in TESTS]
    done = python("tests/support/sanitized.py", linked(objects), *tests, "--deselect", FITS)
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
    assert " skipped" not in done.stdout, done.stdout


def test_the_watch_sees_a_step_outside(objects, tmp_path):
    """A loop sent one number too far ends its process: the test above can fail."""
    text = (ROOT / "lmmcore/kernel/table.c").read_text("utf-8")
    wrong = text.replace("lmm_runs(L('n'), P(0))", "lmm_runs(L('n') + 1, P(0))")
    assert wrong != text
    (tmp_path / "table.c").write_text(wrong, "utf-8")
    for other in objects.glob("*.o"):
        shutil.copy(other, tmp_path)
    kernel = ROOT / "lmmcore/kernel"
    done = gcc("-c", *FLAGS, "-I", kernel, tmp_path / "table.c", "-o", tmp_path / "table.o")
    assert done.returncode == 0, done.stderr
    linked(tmp_path)
    code = "import sys; sys.path.insert(0, sys.argv[1]); import _loops, numpy; _loops.runs(numpy.arange(999))"
    done = python("-c", code, tmp_path)
    assert done.returncode and "heap-buffer-overflow" in done.stderr
