"""`lmm archive`: equal bytes for an equal study, and a study that runs from the archive alone."""

import os
import shutil
import tarfile

from studies import Study


def pack(study: Study, name: str) -> bytes:
    said = study.lmm("archive", name)
    assert said.status == 0, said.text
    return (study.folder / name).read_bytes()


def test_an_archive_runs_again_to_the_same_bytes(study, tmp_path):
    """Unpacked elsewhere, all is made anew: by `lmm verify` beside what was made, by a run in its place."""
    assert study.lmm("run").status == 0
    first = pack(study, "one.tar.gz")
    os.utime(study.folder / "data/alpha.csv")
    assert pack(study, "elsewhere.tgz") == first
    with tarfile.open(study.folder / "one.tar.gz") as tar:
        assert {(entry.uid, entry.uname, entry.mtime) for entry in tar} == {(0, "", 315532800)}
        names = {entry.name.removeprefix("study/") for entry in tar}
        tar.extractall(tmp_path / "unpacked", filter="data")
    assert {"Snakefile", "config/config.yaml", "data/alpha.csv", "runs/ledger.jsonl"} < names
    assert not [name for name in names if "__pycache__" in name or ".snakemake" in name]
    other = Study(tmp_path / "unpacked/study")
    shutil.rmtree(study.folder)
    said = other.lmm("verify")
    assert said.status == 0, said.text
    kept, ledger = other.results(), other.ledger()
    shutil.rmtree(other.folder / "results")
    shutil.rmtree(other.folder / "reports")
    run = other.lmm("run")
    assert run.status == 0 and "nothing moved" in run.text
    assert other.results() == kept and other.ledger()[: len(ledger)] == ledger


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
