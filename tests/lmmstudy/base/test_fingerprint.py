"""Fingerprints follow meaning and dependence: each edit below changes exactly the scripts it should."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lmmstudy.base.fingerprint import BUILT, closure, fingerprints

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def tree(tmp_path):
    """A small project: clean uses cleaning alone, fit the engine, page a template."""
    binding = "from binding import bind\n"
    files = {
        "lmmcore/__init__.py": "from lmmcore.fit import fit\n",
        "lmmcore/fit.py": "from . import likelihood\n\nfit = likelihood.value\n",
        "lmmcore/likelihood.py": '"""D."""\n\ndef value(x):\n    """D."""\n    return x * 2  # note\n',
        "lmmcore/loops.c": "int loops;\n",
        "lmmcore/_loops.so": "made of it",
        "lmmstudy/__init__.py": "",
        "lmmstudy/clean.py": "LIMIT = 5\n",
        "lmmstudy/fitting.py": "def fit(x):\n    from lmmcore import fit\n    return fit(x)\n",
        "lmmstudy/report/__init__.py": "",
        "lmmstudy/report/page.py": "import json\n",
        "lmmstudy/report/page.html.j2": "<p>{{ x }}</p>",
        "workflow/scripts/binding.py": "def bind(job):\n    pass\n",
        "workflow/scripts/clean.py": f"{binding}from lmmstudy.clean import LIMIT\n",
        "workflow/scripts/fit.py": f"{binding}from lmmstudy.fitting import fit\n",
        "workflow/scripts/report.py": f"{binding}from lmmstudy.report.page import json\n",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def changed_by(tree: Path, name: str, text: str) -> set[str]:
    scripts = sorted((tree / "workflow/scripts").glob("[!b]*.py"))
    before = fingerprints(scripts, tree)
    (tree / name).write_text(text)
    after = fingerprints(scripts, tree)
    return {script for script in before if before[script] != after[script]}


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        # comment, docstring and layout only
        ("lmmcore/likelihood.py", "def value( x ):\n    # why\n    return (x*2)\n", set()),
        ("lmmcore/likelihood.py", "def value(x):\n    return x * 3\n", {"fit"}),
        ("lmmcore/fit.py", "def fit(x):\n    return x\n", {"fit"}),
        ("lmmcore/loops.c", "long loops;\n", {"fit"}),
        ("lmmcore/_loops.so", "made by another compiler", set()),
        ("lmmstudy/clean.py", "LIMIT = 6\n", {"clean"}),
        ("lmmstudy/report/page.html.j2", "<b>{{ x }}</b>", {"report"}),
        ("lmmstudy/__init__.py", "X = 1\n", {"clean", "fit", "report"}),
        (
            "workflow/scripts/binding.py",
            "def bind(job):\n    print(job)\n",
            {"clean", "fit", "report"},
        ),
        ("workflow/scripts/fit.py", "from lmmstudy.fitting import fit\n", {"fit"}),
        ("lmmstudy/unused.py", "X = 1\n", set()),
    ],
)
def test_an_edit_changes_exactly_what_depends_on_it(tree, name, text, expected):
    assert changed_by(tree, name, text) == expected


HANDED_ON = {
    "lmmcore/__init__.py": 'HOME = {"AR1": "lmmcore.ar1", "plot": "lmmcore.charts"}\n',
    "lmmcore/ar1.py": "AR1 = 1\n",
    "lmmcore/charts.py": "plot = 1\n",
}


@pytest.mark.parametrize("text", ["from lmmcore import AR1\n", "import lmmcore as lmm\n\nlmm.AR1\n"])
def test_names_that_a_package_hands_on_count_when_they_are_used(tmp_path, text):
    (tmp_path / "lmmcore").mkdir()
    for name, content in HANDED_ON.items():
        (tmp_path / name).write_text(content)
    script = tmp_path / "workflow/scripts/fit.py"
    script.parent.mkdir(parents=True)
    script.write_text(text)
    reached = {path.relative_to(tmp_path).as_posix() for path in closure(script, tmp_path)}
    assert reached == {"workflow/scripts/fit.py", "lmmcore/__init__.py", "lmmcore/ar1.py"}


def test_fingerprints_do_not_depend_on_the_folder(tree, tmp_path_factory):
    other = tmp_path_factory.mktemp("elsewhere") / "copy"
    shutil.copytree(tree, other)
    name = "workflow/scripts/fit.py"
    assert fingerprints([tree / name], tree) == fingerprints([other / name], other)


def reached(script: str) -> set[str]:
    files = closure(ROOT / "workflow" / "scripts" / f"{script}.py", ROOT)
    return {path.relative_to(ROOT).as_posix() for path in files}


def test_the_layers_of_this_project():
    clean, fit, select = reached("clean"), reached("fit"), reached("select")
    assert "lmmstudy/clean/rows.py" in clean and "workflow/scripts/binding.py" in clean
    assert not any(name.startswith("lmmcore/likelihood/") for name in clean)
    assert {"lmmcore/likelihood/objective.py", "lmmstudy/fitting/candidate.py"} <= fit
    assert {"lmmcore/likelihood/objective.py", "lmmcore/inference/models/compare.py"} <= select
    assert not any(name.startswith(("lmmstudy/report/", "lmmstudy/clean/")) for name in fit)
    assert "lmmstudy/clean/clean.py" not in reached("report")


def test_every_import_inside_the_project_is_followed():
    """Python's own import system agrees with the graph read from the text."""
    code = """
import sys, lmmstudy.fitting.candidate
print(*[m.__file__ for n, m in sys.modules.items() if n.startswith(("lmmcore", "lmmstudy"))], sep="\\n")
"""
    python = [sys.executable, "-c", code]
    run = subprocess.run(python, cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = {Path(line).relative_to(ROOT) for line in run.stdout.split()}
    # The compiled loops count by their sources, which lie beside the modules that call them.
    assert {path.as_posix() for path in loaded if path.suffix not in BUILT} <= reached("fit")
