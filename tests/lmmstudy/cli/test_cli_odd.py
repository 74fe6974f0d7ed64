"""Commands on what they are not meant for: a sentence and an exit code, no traceback, no waiting for ever."""

import io
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import polars as pl
import pytest

from lmmstudy.cli import main
from lmmstudy.fitting.bundle import DESIGN, ROWS

ROOT = Path(__file__).resolve().parents[3]
PATHS = ("pipe", "folder", "loop", "noise", "empty", "absent", "", "x" * 300, "/dev/zero", "folder/file")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The working directory, with a thing of each kind."""
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    Path("folder").mkdir()
    Path("loop").symlink_to("loop")
    Path("noise").write_bytes(bytes(range(1, 256)) * 9)
    Path("empty").write_bytes(b"")
    return tmp_path


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("command", "code"),
    [
        (["init"], 1),
        (["replay"], 1),
        (["fit", "y ~ t"], 1),
        (["check", "--config"], 30),
        (["why", "d", "--config"], 30),
        (["verify", "--config"], 30),
        (["archive", "a.tar.gz", "--config"], 30),
    ],
)
def test_what_is_no_file_for_it(folder, capsys, command, code, path):
    assert main([*command, path]) == code
    said = capsys.readouterr()
    assert said.out == "" and said.err.strip() and "Traceback" not in said.err


def rows(**columns) -> bytes:
    buffer = io.BytesIO()
    pl.DataFrame(columns).write_parquet(buffer)
    return buffer.getvalue()


GOOD = {"formula": "y ~ t", "residual_structure": None, "variance": None, "dataset": {}}
TABLE = rows(y=[1.0, 2.0, 4.0, 3.0], t=[0, 1, 2, 3])


@pytest.mark.parametrize(
    "parts",
    [
        {},
        {DESIGN: json.dumps(GOOD)},
        {DESIGN: "{", ROWS: TABLE},
        {DESIGN: "[]", ROWS: TABLE},
        {DESIGN: json.dumps(GOOD | {"dataset": 5}), ROWS: TABLE},
        {DESIGN: json.dumps(GOOD | {"variance": {"type": "__class__"}}), ROWS: TABLE},
        {DESIGN: json.dumps(GOOD), ROWS: b"PAR1"},
    ],
)
def test_an_archive_of_something_else_is_not_replayed(folder, capsys, parts):
    with zipfile.ZipFile("x.zip", "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    assert main(["replay", "x.zip"]) == 1
    assert capsys.readouterr().err.startswith("x.zip is not an archive of a failed fit (")


def test_a_draft_of_columns_that_are_no_values_or_are_called_like_patterns(folder, capsys):
    frame = pl.DataFrame(
        {"^i.*$": [1, 1], "t": [0, 1], "*": [1.0, 2.0], "l": [[1], [2]], "s": [{"a": 1}] * 2}
    )
    frame.write_parquet("raw.parquet")
    assert main(["init", "raw.parquet"]) == 0
    assert '"*"' in capsys.readouterr().out


def test_names_that_the_terminal_cannot_show(folder):
    Path("raw.csv").write_text("ид,t,y\nЖ,0,1\nЖ,1,2\n", "utf-8")
    call = [sys.executable, "-m", "lmmstudy", "init", "raw.csv"]
    plain = os.environ | {"PYTHONIOENCODING": "ascii", "PYTHONPATH": str(ROOT)}
    said = subprocess.run(call, env=plain, capture_output=True, text=True)
    assert said.returncode == 0 and 'subject: "\\u0438\\u0434"' in said.stdout
