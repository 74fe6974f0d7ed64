"""Which loops run: what the environment asks for, and what an installation left."""

import ast
import os
import subprocess
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace

import pytest

import lmmcore as lmm
from lmmcore import kernel

ROOT = Path(__file__).resolve().parents[3]
needs_loops = pytest.mark.skipif(kernel.loops is None, reason="the installation found no C compiler")


def run(code: str, **environment: str) -> str:
    """What a Python of its own says to it."""
    settings = os.environ | {"PYTHONPATH": str(ROOT)} | environment
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=settings, cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout + done.stderr


@needs_loops
def test_the_environment_says_which_loops_run():
    code = "from lmmcore import kernel; print('runs', kernel.in_use())"
    fastest = kernel.loops.AVAILABLE[-1]
    for name in ("numpy", "plain"):
        assert run(code, LMM_LOOPS=name) == f"runs {name}\n"
    said = run(code, LMM_LOOPS="sse9")
    assert f"runs {fastest}" in said and "LMM_LOOPS='sse9' names no loops of this machine" in said


@needs_loops
@pytest.mark.parametrize("stale", [SimpleNamespace(ABI=-1), SimpleNamespace(), None])
def test_a_library_of_another_version_is_not_called(monkeypatch, stale):
    """Another number, none, or one that cannot be imported: one sentence, and NumPy."""
    monkeypatch.setitem(sys.modules, "lmmcore.kernel._loops", stale)
    with pytest.warns(
        RuntimeWarning, match="belong to another version and are not used.*install the package"
    ):
        assert kernel._load() is None


def test_no_library_is_no_warning(monkeypatch):
    monkeypatch.setattr(kernel, "EXTENSION_SUFFIXES", [".nothing"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert kernel._load() is None


@pytest.mark.usefixtures("loops")
def test_versions_say_which_loops_run(capsys):
    lmm.show_versions()
    told = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert told["lmmcore"] == lmm.__version__
    assert {"python", "numpy", "scipy", "blas", "machine"} < told.keys()
    assert told["loops"].startswith("NumPy" if kernel.loops is None else "compiled")


def test_the_kernel_is_a_leaf():
    """Arrays come in, arrays go out: nothing of the project but how many threads may work."""
    for path in (ROOT / "lmmcore/kernel").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                own = name.startswith("lmmcore.kernel") or name in ("lmmcore", "lmmcore.runtime.threads")
                assert own or name.split(".")[0] not in ("lmmcore", "lmmstudy"), f"{path.name} imports {name}"
