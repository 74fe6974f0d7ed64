"""Files that commands write, and raw files that runs would remove: checked before anything is written."""

import os
import tarfile
from pathlib import Path

import polars as pl
import pytest
import yaml

from lmmstudy.base.files import write_page
from lmmstudy.cli import main
from lmmstudy.config.file import ConfigError
from lmmstudy.config.places import GENERATED
from lmmstudy.config.study import load
from lmmstudy.run.archive import is_archive

CONFIG = """
datasets:
  d: {path: data/d.csv, subject: id, time: t, response: y, fixed: t, candidates: [m]}
models: {m: {formula: "{response} ~ {fixed} + (1 | {subject})"}}
"""


@pytest.fixture
def study(tmp_path, monkeypatch) -> Path:
    """A study that has not run."""
    for folder in ("config", "data", "out"):
        (tmp_path / folder).mkdir()
    (tmp_path / "config/config.yaml").write_text(CONFIG)
    rows = [f"{k},{t},{10 + k % 3 + t + (k * t) % 5}" for k in range(8) for t in range(4)]
    (tmp_path / "data/d.csv").write_text("id,t,y\n" + "\n".join(rows) + "\n")
    (tmp_path / "notes.txt").write_text("mine")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("notes.txt")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def everything(folder: Path) -> dict[str, bytes | None]:
    paths = (path for path in folder.rglob("*") if not path.is_fifo() and "__pycache__" not in path.parts)
    return {str(path): path.read_bytes() if path.is_file() else None for path in paths}


FIT = ["fit", "y ~ t + (1 | id)", "data/d.csv"]
REFUSED = {
    "": "needs the name of a file",
    "out": "is a folder",
    "nowhere/x.html": "there is no folder nowhere",
    "notes.txt": "--force",
    "link": "--force",
    "config/config.yaml": "--force",
    "data/d.csv": "--force",
    "pipe": "is no regular file",
    "/dev/null": "is no regular file",
    "out/\0": "null byte",
    f"out/{'x' * 300}": "File name too long",
    **{f"{name}/x.html": f"{name} holds what runs make and remove" for name in GENERATED},
    "out/../runs/x": "runs holds what runs make",
}


@pytest.mark.parametrize("target", REFUSED)
def test_targets_that_are_refused(study, capsys, target):
    """One sentence, and the folder is as it was."""
    for name in GENERATED:
        (study / name).mkdir()
    before = everything(study)
    for command in ([*FIT, "--report", target], ["archive", target]):
        assert main(command) == 1
        said = capsys.readouterr()
        assert REFUSED[target] in said.err and said.err.count("\n") == 1 and not said.out
    assert everything(study) == before


def test_what_the_same_command_wrote_is_replaced(study, capsys):
    for _ in range(2):
        assert main([*FIT, "--report", "out/fit.html"]) == 0
        assert main(["archive", "out/study.tar.gz"]) == 0
    assert is_archive(study / "out/study.tar.gz")
    assert main(["archive", "out/fit.html"]) == 1 and main([*FIT, "--report", "out/study.tar.gz"]) == 1
    page = study / "out/fit.html"
    page.write_text(page.read_text() + "<!-- a note of mine -->\n")
    assert main([*FIT, "--report", "out/fit.html"]) == 1 and "a note of mine" in page.read_text()
    write_page("<html></html>", study / "out/d.html", "d")  # of a dataset, copied from reports/
    assert main([*FIT, "--report", "out/d.html"]) == 1
    assert main([*FIT, "--report", "notes.txt", "--force"]) == 0
    assert "<html" in (study / "notes.txt").read_text()
    capsys.readouterr()
    with tarfile.open(study / "out/other.tar.gz", "w:gz") as tar:
        tar.add(study / "data", "study/data")
    assert main(["archive", "out/other.tar.gz"]) == 1 and "--force" in capsys.readouterr().err
    assert main(["archive", "config/config.yaml", "--force"]) == 1
    assert "is a file of the study" in capsys.readouterr().err
    assert (study / "config/config.yaml").read_text() == CONFIG


def test_no_folder_is_made_where_there_is_no_study(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["archive", "study.tar.gz"]) == 30
    assert "There is no configuration" in capsys.readouterr().err and not list(tmp_path.iterdir())


@pytest.mark.parametrize("folder", GENERATED)
def test_raw_files_where_runs_make_and_remove_files(study, folder):
    """By their name, a roundabout one, a link, an absolute path."""
    (study / folder).mkdir()
    pl.DataFrame({"id": [1]}).write_csv(study / folder / "x.csv")
    (study / "data/linked.csv").symlink_to(study / folder / "x.csv")
    (study / "data/folder").symlink_to(study / folder)
    names = (f"{folder}/x.csv", f"./data/../{folder}/x.csv", "data/linked.csv", "data/folder/x.csv")
    for path in (*names, f"{folder}/deep/not/there.csv", str(study / folder / "x.csv")):
        config = yaml.safe_load(CONFIG)
        config["datasets"]["d"]["path"] = path
        with pytest.raises(ConfigError, match=f"is in {folder}, which holds what runs make and remove"):
            load(config)
