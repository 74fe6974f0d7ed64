"""One name however it was typed; ids that look alike and differ are named, and changed by nobody."""

import unicodedata
from pathlib import Path

import polars as pl
import pytest
import yaml

from lmmstudy.base.files import read_json
from lmmstudy.clean.clean import clean_file
from lmmstudy.clean.lookalikes import lookalikes, odd_ids, sentences
from lmmstudy.config.check import look
from lmmstudy.config.file import ConfigError, read_config
from lmmstudy.config.study import load, plan

NFC, NFD = (lambda text, form=form: unicodedata.normalize(form, text) for form in ("NFC", "NFD"))

ALIKE = {
    "whole numbers": ["1", "1.0"],
    "leading zeros": ["S1", "S01"],
    "a zero-width space": ["a1", "a\u200b1"],
    "a soft hyphen": ["ab", "a\u00adb"],
    "a hard space": ["A 1", "A\u00a01"],
    "letter case": ["anna", "Anna"],
    "wide forms": ["A1", "\uff211"],
    "a Cyrillic letter": ["P\u0410", "PA"],
    "a Greek letter": ["\u0391lpha", "Alpha"],
    "a ligature": ["fi1", "\ufb011"],
    "O and 0": ["PO1", "P01"],
    "a direction mark": ["x1", "\u200fx1"],
    "a filler": ["S01", "S01\u3164"],
    "a blank of Braille": ["S01", "S01\u2800"],
    "a Mongolian variant": ["S01", "S01\u180b"],
    "a dash": ["S-01", "S\u201301"],
    "a quotation mark": ["O'Neil", "O\u2019Neil"],
    "an Arabic digit": ["S01", "S0\u0661"],
    "an i without a dot": ["i1", "\u01311"],
}


@pytest.mark.parametrize("pair", ALIKE.values(), ids=ALIKE)
def test_ids_that_look_alike(pair):
    found = lookalikes(pl.DataFrame({"id": [*pair, "other", "ninth"]}))
    assert found == [{"column": "id", "values": sorted(pair)}]
    (sentence,) = sentences({"lookalikes": found}, "id")
    first, second = (ascii(value) for value in sorted(pair))
    assert sentence == f"id has values that look alike and differ: {first} and {second}"


@pytest.mark.parametrize(
    "ids",
    [
        ["1", "10", "2", "20", "100"],
        ["S1", "S10", "S100"],
        ["1.05", "1.5"],
        ["a", "b", "é", "e"],
        ["한국", "한글"],
        ["1", "-1"],
        ["1.0.1", "1.0.2"],
    ],
)
def test_ids_that_differ_are_not_named(ids):
    assert lookalikes(pl.DataFrame({"id": ids})) == []


@pytest.mark.parametrize(
    ("others", "odd"),
    [
        ([f"S{k}" for k in range(1, 25)], ["Total"]),
        ([str(k) for k in range(1, 25)], ["Total"]),
        ([f"A-{k:03}" for k in range(1, 25)], ["Mean of all"]),
        ([f"S{k}" for k in range(1, 25)], []),
        (["Anna", "Bob", "Mary-Jane", "J. R.", "Li 2", "Zoe"], []),
        (["S1", "S2", "Total"], []),
        ([f"S{k}" for k in range(12)] + [f"T-{k}" for k in range(4)], []),
    ],
)
def test_an_id_that_breaks_the_pattern(others, odd):
    assert odd_ids(pl.Series("id", others + odd)) == odd


CONFIG = """
datasets:
  d:
    path: données/été.csv
    subject: numéro
    time: t
    response: é
    fixed: "t + `bras·é`"
    group: "bras·é"
    categories: {"bras·é": [placébo, actif]}
    candidates: [m]
models:
  m: {formula: "{response} ~ {fixed} + (1 | {subject})"}
"""


@pytest.mark.parametrize("data", [NFC, NFD])
@pytest.mark.parametrize("config", [NFC, NFD])
@pytest.mark.parametrize("disk", [NFC, NFD])
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_composed_and_decomposed_are_one_name(tmp_path, monkeypatch, data, config, disk, kind):
    """In the configuration, in the data, in names of files; for columns, levels and ids."""
    monkeypatch.chdir(tmp_path)
    rows = {"numéro": [], "t": [], "é": [], "bras·é": []}
    for subject in range(8):
        for t in range(3):
            values = (f"é{subject}", t, 1.0 + subject % 3 + t, "placébo" if subject % 2 else "actif")
            for column, value in zip(rows, values, strict=True):
                rows[column].append(value)
    frame = pl.DataFrame(
        {data(k): [data(v) if isinstance(v, str) else v for v in c] for k, c in rows.items()}
    )
    path = Path(disk(f"données/été.{kind}"))
    path.parent.mkdir()
    getattr(frame, f"write_{kind}")(path)
    Path("c.yaml").write_text(config(CONFIG).replace(".csv", f".{kind}"), "utf-8")
    assert look("c.yaml") == ([], [])
    design = plan(load(read_config("c.yaml")))["d"]["clean"]
    assert Path(design["path"]).exists()
    clean_file("d", design["path"], design, "code", "clean.parquet", "clean.json")
    audit, table = read_json("clean.json"), pl.read_parquet("clean.parquet")
    assert audit["status"] == "ok", audit["message"]
    assert audit["lookalikes"] == [] and audit["odd_ids"] == []
    assert table.columns == ["numéro", "t", "é", "bras·é"] and table["numéro"].to_list()[0] == NFC("é0")


def test_a_key_given_twice_in_two_forms_is_a_mistake(tmp_path):
    text = yaml.safe_dump({"datasets": {}, "models": {}}) + f"{NFC('é')}: 1\n{NFD('é')}: 2\n"
    (tmp_path / "c.yaml").write_text(text, "utf-8")
    with pytest.raises(ConfigError, match="already there in line 3"):
        read_config(tmp_path / "c.yaml")


def test_the_audit_and_the_check_name_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = [*(f"S{k}" for k in range(1, 25)), "S1\u200b", "Total"]
    lines = [f"{name},{t},{len(name) + t}" for name in names for t in range(3)]
    Path("raw.csv").write_text("id,t,y\n" + "\n".join(lines) + "\n", "utf-8")
    stanza = {"path": "raw.csv", "subject": "id", "time": "t", "response": "y", "fixed": "t"}
    config = {
        "datasets": {"d": stanza | {"candidates": ["m"]}},
        "models": {"m": {"formula": "y ~ t + (1 | id)"}},
    }
    Path("c.yaml").write_text(yaml.safe_dump(config))
    problems, doubts = look("c.yaml")
    assert problems == []
    assert r"d: id has values that look alike and differ: 'S1' and 'S1\u200b'." in doubts
    design = plan(load(config))["d"]["clean"]
    clean_file("d", "raw.csv", design, "code", "clean.parquet", "clean.json")
    audit = read_json("clean.json")
    assert audit["lookalikes"] == [{"column": "id", "values": ["S1", "S1\u200b"]}]
    assert audit["odd_ids"] == ["Total"] and audit["subjects"]["used"] == 26
    assert "d: id has an id that breaks the pattern of the others: 'Total'." in doubts
