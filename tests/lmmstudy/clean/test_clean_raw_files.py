"""Raw files as they come from other programs: what is read, and as what."""

import gzip
import io
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from lmmstudy.clean import raw_bytes as clean_bytes
from lmmstudy.clean.clean import problems_of_raw
from lmmstudy.config.study import load, plan
from tests.support.cleaning import clean, run

TWO = [(1, 0.0, 1.5), (1, 1.0, 2.0)]
PLAIN = "id,t,y\n1,0,1.5\n1,1,2\n"
STANZA = {"subject": "id", "time": "t", "response": "y", "fixed": "t", "candidates": ["m"]}


@pytest.mark.parametrize(
    ("content", "keys"),
    [
        (PLAIN, {}),
        (PLAIN.encode("utf-8-sig"), {}),
        (PLAIN.encode("utf-16"), {"encoding": "utf-16"}),
        (PLAIN.replace("\n", "\r\n"), {}),
        (PLAIN.rstrip("\n"), {}),
        (gzip.compress(PLAIN.encode(), mtime=0), {}),
        (gzip.compress(PLAIN.encode(), mtime=0), {"path": "raw.csv.gz"}),
        (PLAIN.replace(",", "\t"), {"path": "raw.tsv"}),
        (gzip.compress(PLAIN.replace(",", "\t").encode(), mtime=0), {"path": "raw.tsv.gz"}),
        (PLAIN.replace(",", "|"), {"separator": "|"}),
        (PLAIN.replace(",", ";").replace(".", ","), {"separator": ";", "decimal": ","}),
        ('id,t,note,y\n1,0,"two\nlines",1.5\n1,1,"a ""quote"", and more",2\n', {}),
        ('"id","t","y"\n"1","0","1.5"\n"1","1","2"\n', {}),
        ("id,t,y,,\n1,0,1.5,,\n1,1,2,,\n", {}),
        (",id,t,y\n0,1,0,1.5\n1,1,1,2\n", {}),
        ("id,t,y\n1,0,1.5e0\n1,1,+2.\n", {}),
        ("id,t,y\n1,\u00a00,1.5\n1,1,2 \n", {}),
        ("id,t,y\n1,0,1.5\n1,1,2\n,,\n,,\n", {}),
        ("id,t,y\n1,0,1.5\n1,1\n1,1,2\n", {}),
        ("id,len,y\n1,0,1.5\n1,1,2\n", {"time": "len", "fixed": "len"}),
    ],
)
def test_every_way_to_write_the_same_table(tmp_path, content, keys):
    audit, table = clean(tmp_path, content, **keys)
    assert audit["message"] == "" and table.rows() == TWO


def test_names_that_the_program_uses_itself(tmp_path):
    """`len`, `count`, `value`, `literal` are names of helpers in data frame libraries."""
    content = "count,len,value,literal\n1,0,1.5,a\n1,1,2,b\n"
    keys = {"subject": "count", "time": "len", "response": "value", "fixed": "literal", "group": "literal"}
    audit, table = clean(tmp_path, content, **keys)
    assert audit["message"] == "" and table.rows() == [(1, 0.0, 1.5, "a"), (1, 1.0, 2.0, "b")]


def test_quotes_within_names_and_values(tmp_path):
    audit, table = clean(tmp_path, 'id,"t ""h""",y,g\n1,0,1,"a ""b"""\n', time='t "h"', fixed="g", group="g")
    assert audit["message"] == "" and table.rows() == [(1, 0.0, 1.0, 'a "b"')]


def test_ids_keep_zeros_and_scripts_and_letters_have_one_form(tmp_path):
    ids = ["007", "Ж-1", "患者三", "José", "Jose\u0301", "-0"]
    content = "id,t,y\n" + "".join(f"{name},{t},{t}\n" for t, name in enumerate(ids))
    audit, table = clean(tmp_path, content)
    assert set(table["id"]) == {"007", "Ж-1", "患者三", "José", "-0"}
    assert audit["subjects"] == {"read": 5, "used": 5}


DATES = {
    "2024-02-01": "2024-02-03",
    "2024/02/01": "2024/02/03",
    "01.02.2024": "03.02.2024",
    "2024-02-01 00:00": "2024-02-03 00:00",
    "2024-02-01T12:00:00": "2024-02-03T12:00:00",
    "2024-02-01T12:00:00.5": "2024-02-03T12:00:00.5",
    "2024-02-01T23:00:00+02:00": "2024-02-03T22:00:00+01:00",
    "30/01/2024": "01/02/2024",
    "01/30/2024 08:15": "02/01/2024 08:15",
}


@pytest.mark.parametrize(("first", "second"), DATES.items())
def test_dates_become_a_time_in_the_stated_unit(tmp_path, first, second):
    """Two days lie between the two dates of each pair."""
    audit, table = clean(tmp_path, f"id,t,y\na,{second},2\na,{first},1\n", time_unit="days")
    assert audit["message"] == "" and table["t"].to_list() == [0.0, 2.0]
    note = {"column": "t", "kind": "date to days since the subject's first", "count": 2}
    assert note.items() <= audit["coercions"][0].items()
    _, table = clean(tmp_path, f"id,t,y\na,{first},1\na,{second},2\n", time_unit="hours")
    assert table["t"].to_list() == [0.0, 48.0]


def test_time_begins_at_the_subject_or_at_a_date_and_missing_dates_are_missing(tmp_path):
    content = "id,t,y\na,2024-01-02,1\na,2024-01-09,2\nb,2024-01-16,3\nb,NA,4\n"
    audit, table = clean(tmp_path, content, time_unit="weeks")
    assert table["t"].to_list() == [0.0, 1.0, 0.0] and audit["rows"]["dropped"] == {"missing t": 1}
    _, table = clean(tmp_path, content, time_unit="weeks", time_zero="2024-01-02")
    assert table["t"].to_list() == [0.0, 1.0, 2.0]
    keys = {"time_unit": "days", "date_format": "%d/%m/%Y"}
    _, table = clean(tmp_path, "id,t,y\na,01/02/2024,1\na,01/03/2024,2\n", **keys)
    assert table["t"].to_list() == [0.0, 29.0]  # 2024 is a leap year


def test_dates_of_a_parquet_file(tmp_path):
    frame = pl.DataFrame({"id": ["a", "a"], "t": ["2024-01-05", "2024-01-06"], "y": [1.0, 2.0]})
    for kind in (pl.Date, pl.Datetime("ns"), pl.Datetime("us", "Europe/Madrid")):
        buffer = io.BytesIO()
        frame.with_columns(pl.col("t").str.to_date().cast(pl.Datetime).cast(kind)).write_parquet(buffer)
        _, table = clean(tmp_path, buffer.getvalue(), path="raw.parquet", time_unit="days")
        assert table["t"].to_list() == [0.0, 1.0]


def test_a_wide_table_becomes_a_row_a_measurement(tmp_path):
    content = "id;sex;w0;w4\nP2;f;1,5;NA\nP1;m;3;4\n"
    keys = {"separator": ";", "decimal": ",", "wide": {"w0": 0, "w4": 4}, "fixed": "t * sex"}
    audit, table = clean(tmp_path, content, **keys)
    assert audit["message"] == ""
    assert table.rows() == [("P1", 0.0, 3.0, "m"), ("P1", 4.0, 4.0, "m"), ("P2", 0.0, 1.5, "f")]
    assert audit["rows"] == {"read": 4, "used": 3, "dropped": {"missing y": 1}}
    audit, _ = clean(tmp_path, content.replace("3;4", "3;four"), **keys)
    assert "'four' in row 3" in audit["message"]
    buffer = io.BytesIO()
    pl.DataFrame({"id": ["a"], "w0": [1], "w4": [2.5]}).write_parquet(buffer)
    _, table = clean(tmp_path, buffer.getvalue(), path="raw.parquet", wide={"w0": 0, "w4": 4})
    assert table.rows() == [("a", 0.0, 1.0), ("a", 4.0, 2.5)]


def test_few_subjects_few_visits_and_a_constant_response_are_clean(tmp_path):
    for content in ("id,t,y\n1,0,5\n1,1,5\n", "id,t,y\n1,0,5\n2,0,5\n", "id,t,y\n1,0,5\n"):
        audit, _ = clean(tmp_path, content)
        assert audit["status"] == "ok"


def test_a_file_that_is_being_written_is_waited_for(tmp_path):
    """Rows are appended while it is read; what is read is one of its states, not a mixture."""
    raw = tmp_path / "raw.csv"
    raw.write_text(PLAIN)
    stop = threading.Event()

    def write() -> None:
        for t in range(2, 60):
            with raw.open("a") as file:
                file.write(f"1,{t},")
                file.flush()
                os.fsync(file.fileno())
                file.write("3\n")
            time.sleep(0.005)
        stop.set()

    writer = threading.Thread(target=write)
    writer.start()
    audit, table = run(tmp_path, raw, {"path": "raw.csv", **STANZA})
    writer.join()
    assert audit["status"] == "ok" and table.height + sum(audit["rows"]["dropped"].values()) >= 2
    assert stop.is_set()


RESTLESS = """
import sys
with open(sys.argv[1], "ab", buffering=0) as file:
    for _ in sys.stdin:
        file.write(b"1,1,2\\n")
        print("written", flush=True)
"""


def test_a_file_that_never_rests_is_refused(tmp_path, monkeypatch):
    """Another process appends to it whenever it has been read."""
    monkeypatch.setattr(clean_bytes, "PATIENCE", 3)
    raw = tmp_path / "raw.csv"
    raw.write_text(PLAIN)
    command = [sys.executable, "-c", RESTLESS, str(raw)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writer:
        read = Path.read_bytes

        def read_and_let_write(path: Path) -> bytes:
            content = read(path)
            writer.stdin.write(b"\n")
            writer.stdin.flush()
            assert writer.stdout.readline() == b"written\n"
            return content

        monkeypatch.setattr(Path, "read_bytes", read_and_let_write)
        audit, _ = run(tmp_path, raw, {"path": "raw.csv", **STANZA})
        writer.stdin.close()
    assert audit["status"] == "failed"
    assert "raw.csv changed while it was read: run again when whoever writes it is done" in audit["message"]


def test_a_million_rows(tmp_path):
    """20 000 subjects at 50 times."""
    subject, visit = np.divmod(np.arange(1_000_000), 50)
    frame = pl.DataFrame({"id": subject, "t": visit, "y": visit * 0.5 + subject})
    raw = tmp_path / "raw.csv"
    frame.write_csv(raw)
    audit, table = run(tmp_path, raw, {"path": "raw.csv", **STANZA})
    assert audit["rows"]["used"] == table.height == 1_000_000
    assert table["y"].sum() == pytest.approx(frame["y"].sum())


def test_all_problems_of_a_file_are_listed_for_a_check(tmp_path):
    raw = tmp_path / "raw.csv"
    raw.write_text("id,t,y,x\n1,zero,1 kg,1\n1,1,2,many\n")
    stanza = {"path": "raw.csv", **STANZA, "fixed": "t + x"}
    models = {"m": {"formula": "{response} ~ {fixed} + (1 | {subject})"}}
    design = plan(load({"datasets": {"d": stanza}, "models": models}))["d"]["clean"]
    problems = problems_of_raw("d", str(raw), design)
    assert len(problems) == 3 and all(text.startswith("d was not analysed: column ") for text in problems)
    assert ["'zero' in row 2" in problems[0], "'1 kg'" in problems[1], "'many'" in problems[2]] == [True] * 3
