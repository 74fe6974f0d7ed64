"""Installed as a wheel, everything works: the commands of `lmm` in an empty folder, and Snakemake itself."""

import os
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest
import yaml

from tests.support.studies import MODELS, ROOT, Run, write_raw

NOT_SOURCES = (".*", "node_modules", "__pycache__", "build", "_build", "*.egg-info", "*.so")
NOT_SOURCES += ("results", "reports", "runs", "logs")
STANZA = {"path": "data/mine.csv", "subject": "id", "time": "t", "response": "y", "fixed": "t"}
CONFIG = {"datasets": {"mine": STANZA | {"candidates": ["random_slope"]}}, "models": MODELS}


def call(folder: Path, *command: str | Path) -> Run:
    """A program in a folder; nothing of this checkout is on its path."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [*map(str, command)], cwd=folder, env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    return Run(done.returncode, done.stdout)


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    """A folder with the source archive, and the wheel that is built from it."""
    folder = tmp_path_factory.mktemp("built")
    shutil.copytree(ROOT, folder / "sources", ignore=shutil.ignore_patterns(*NOT_SOURCES))
    make = "from setuptools import build_meta; build_meta.build_{}({!r})"
    run = call(folder / "sources", sys.executable, "-c", make.format("sdist", str(folder)))
    assert run.status == 0, run.text
    with tarfile.open(next(folder.glob("*.tar.gz"))) as tar:
        tar.extractall(folder / "unpacked", filter="data")
    sources = next((folder / "unpacked").iterdir())
    run = call(sources, sys.executable, "-c", make.format("wheel", str(folder)))
    assert run.status == 0, run.text
    return folder


@pytest.fixture(scope="module")
def bin(built, tmp_path_factory) -> Path:
    """The programs of a new environment with the wheel in it; its dependencies are those of the tests."""
    folder = tmp_path_factory.mktemp("installed") / "env"
    venv.create(folder, with_pip=False)
    here = next(path for path in sys.path if path.endswith("site-packages"))
    packages = next((folder / "lib").glob("python*/site-packages"))
    # A folder named in a file .pth is searched, but the installations that it names in turn are not.
    (packages / "dependencies.pth").write_text(here + "\n")
    python = folder / "bin" / "python"
    wheel = next(built.glob("*.whl"))
    run = call(
        folder,
        python,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-index",
        "--ignore-installed",
        wheel,
    )
    assert run.status == 0, run.text
    run = call(folder, python, "-c", "import lmmcore, lmmstudy; print(lmmcore.__file__, lmmstudy.__file__)")
    assert run.text.count(str(packages)) == 2, run.text
    return folder / "bin"


def test_what_the_wheel_takes_along(built):
    names = zipfile.ZipFile(next(built.glob("*.whl"))).namelist()
    schema = "workflow/schemas/config.schema.yaml"
    for name in ("Snakefile", "workflow/rules/fit.smk", schema, "profiles/default/profile.yaml"):
        assert f"lmmstudy/installed/{name}" in names
    assert "lmmstudy/report/template/page.html.j2" in names and "lmmcore/kernel/level.c" in names
    assert not [name for name in names if name.startswith(("tests/", "benchmarks/")) or "__pycache__" in name]


def test_every_command_in_an_empty_folder(bin, tmp_path):
    lmm = bin / "lmm"
    write_raw(tmp_path / "data/mine.csv", seed=1)
    draft = call(tmp_path, lmm, "init", "data/mine.csv")
    assert draft.status == 0, draft.text
    (tmp_path / "config").mkdir()
    (tmp_path / "config/config.yaml").write_text(yaml.safe_dump(CONFIG))
    for arguments, said in (
        (("check",), "in order"),
        (("run",), "nothing moved"),
        (("why", "mine"), "up to date"),
        (("verify",), "the same"),
        (("archive", "mine.tar.gz"), "files are in mine.tar.gz"),
    ):
        run = call(tmp_path, lmm, *arguments)
        assert run.status == 0 and said in run.text, run.text
    assert (tmp_path / "reports/mine.html").is_file()
    snakefile = call(tmp_path, lmm, "snakefile").text.strip()
    idle = call(tmp_path, bin / "python", "-m", "snakemake", "-s", snakefile, "--cores", "1")
    assert idle.idle, idle.text
    with tarfile.open(tmp_path / "mine.tar.gz") as tar:
        names = {entry.name.removeprefix("study/") for entry in tar}
    wanted = {"Snakefile", "setup.py", "Makefile", "requirements.lock", "workflow/rules/fit.smk"}
    wanted |= {"lmmstudy/base/project.py", "lmmcore/kernel/level.c"}
    wanted |= {"data/mine.csv", "results/mine/models/random_slope.json"}
    assert wanted <= names
    assert not [name for name in names if "/installed/" in name]
