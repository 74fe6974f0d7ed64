"""`lmm archive`: equal bytes for an equal study, and a study that runs from the archive alone."""

import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

from lmmcore import kernel
from lmmstudy.run.archive import PROGRAM
from tests.support.studies import ROOT, Study


def pack(study: Study, name: str, *arguments: str) -> bytes:
    said = study.lmm("archive", name, *arguments)
    assert said.status == 0, said.text
    return (study.folder / name).read_bytes()


def test_an_archive_runs_again_to_the_same_bytes(study, tmp_path):
    """Unpacked elsewhere, all is made anew: by `lmm verify` beside what was made, by `make reports` in its
    place; and `lmm run` goes on with its history."""
    for name in PROGRAM:
        if not (study.folder / name).exists():
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
            copy(ROOT / name, study.folder / name)
    assert study.lmm("run").status == 0
    first = pack(study, "one.tar.gz")
    os.utime(study.folder / "data/alpha.csv")
    assert pack(study, "elsewhere.tgz") == first
    with tarfile.open(study.folder / "one.tar.gz") as tar:
        assert {(entry.uid, entry.uname, entry.mtime) for entry in tar} == {(0, "", 315532800)}
        names = {entry.name.removeprefix("study/") for entry in tar}
        tar.extractall(tmp_path / "unpacked", filter="data")
    assert {"Snakefile", "config/config.yaml", "data/alpha.csv", "runs/ledger.jsonl"} < names
    left = ("__pycache__", ".snakemake", "_loops.c", "_loops.so")
    assert not [name for name in names if any(part in name for part in left)]
    other = Study(tmp_path / "unpacked/study")
    shutil.rmtree(study.folder)
    installed(other.folder)
    said = other.lmm("verify")
    assert said.status == 0, said.text
    kept, ledger = other.results(), other.ledger()
    shutil.rmtree(other.folder / "results")
    shutil.rmtree(other.folder / "reports")
    made = subprocess.run(["make", "reports"], cwd=other.folder, capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    assert other.results() == kept
    run = other.lmm("run")
    assert run.status == 0 and "nothing moved" in run.text and other.ledger()[-1]["jobs"] == {}
    assert other.ledger()[: len(ledger)] == ledger


def installed(folder: Path) -> None:
    """The packages that `make` would install there first: those of these tests, and the loops it compiles."""
    (folder / ".venv").mkdir()
    (folder / ".venv/bin").symlink_to(Path(sys.executable).parent)
    (folder / ".venv/.ready").touch()
    build = [sys.executable, "-c", "import setuptools; setuptools.setup()", "-q", "build_ext", "--inplace"]
    subprocess.run(build, cwd=folder, capture_output=True, check=True)
    assert (kernel.loops is None) == (not list((folder / "lmmcore/kernel").glob("_loops.*.so")))


def test_a_configuration_of_another_name_is_the_one_that_the_archive_runs(study):
    """`make reports` looks for config/config.yaml."""
    (study.folder / "config/config.yaml").rename(study.folder / "mine.yaml")
    (study.folder / "config/config.yaml").write_text("datasets: {}")
    pack(study, "own.tar.gz", "--config", "mine.yaml")
    with tarfile.open(study.folder / "own.tar.gz") as tar:
        for name in ("study/mine.yaml", "study/config/config.yaml"):
            assert tar.extractfile(name).read() == (study.folder / "mine.yaml").read_bytes()


def test_files_that_the_archive_would_miss_are_named(study, tmp_path):
    (study.folder / "data/alpha.csv").rename(tmp_path / "alpha.csv")
    config = study.config
    config["datasets"]["alpha"]["path"] = "../alpha.csv"
    config["files"] = {"raw_folders": [".."]}
    study.configure(config)
    said = study.lmm("archive", "a.tar.gz")
    assert said.status == 1 and not (study.folder / "a.tar.gz").exists()
    assert said.text.startswith("datasets.alpha.path: '../alpha.csv' is outside the study's folder")
    said = study.lmm("archive", "absent/b/a.tar.gz", "--config", "nowhere.yaml")
    assert said.status == 30 and "There is no configuration nowhere.yaml" in said.text
