"""A candidate that cannot be read or fitted stops alone, in a sentence; the dataset keeps the others."""

import json
from pathlib import Path

import pytest

from lmmstudy.clean.clean import clean_file, problems_of_raw
from lmmstudy.config.check import check
from lmmstudy.config.study import load, plan
from lmmstudy.fitting.candidate import COMPARABLE, fit_candidate
from lmmstudy.fitting.selection import select_model

LONG = " + ".join(f"I(t ** {k})" for k in range(2, 3000))
UNREADABLE = {
    "quoted": "{response} ~ {fixed} + Q('y') + (1 | {subject})",
    "lambda": "{response} ~ {fixed} + I(lambda z: z) + (1 | {subject})",
    "comprehension": "{response} ~ I([q for q in other]) + (1 | {subject})",
    "attribute": "{response} ~ {fixed} + I(t.__class__.other) + (1 | {subject})",
    "subscript": "{response} ~ t[other] + (1 | {subject})",
    "walrus": "{response} ~ I(other := 3)",
    "call": "{response} ~ eval(other) + (1 | {subject})",
    "string": "{response} ~ f'other' + (1 | {subject})",
    "open": "{response} ~ (other + (1 | {subject})",
    "long": f"{{response}} ~ {LONG} + other[0]",
    "long name": f"{{response}} ~ {'x' * 50_000}(t)",
}
LACKED = {
    "attribute": "{response} ~ {fixed} + x.real + (1 | {subject})",
    "bare lambda": "{response} ~ {fixed} + lambda: x",
    "misspelt": "{response} ~ {fixed} + huge + smal + (1 | {subject})",
    "grouping factor": "{response} ~ {fixed} + (1 | clinic/{subject})",
    "slope": "{response} ~ {fixed} + (dose | {subject})",
    "two": "{response} ~ {fixed} + a:b + (1 | {subject})",
    "in a call": "{response} ~ log(x.real) + (1 | {subject})",
    "composed": "{response} ~ {fixed} + `cafe\u0301` + (1 | {subject})",
}
UNFITTABLE = {
    "crossed ids": "{response} ~ C(id)*C(t)*C(id):t",
    "more columns than rows": "{response} ~ poly(t, 3) * C(id) * C(t)",
    "columns without end": "{response} ~ C(huge):C(id):C(t):C(small):C(huge ** 2) + (1 | {subject})",
    "huge powers": "{response} ~ I(t ** 300) + (1 | {subject})",
    "huge and small": "{response} ~ huge + t + (1 | {subject})",
    "huge apart": "{response} ~ huge * small + (huge | {subject})",
    "a response of its own": "{response} ~ {response} + (1 | {subject})",
    "as many effects as rows": "{response} ~ t + (poly(t, 3) * C(t) | {subject})",
}


def run(folder: Path, formulas: dict[str, str]) -> tuple[dict, dict[str, dict], dict]:
    """The audit, the records and the selection of a study with these candidates and one that is sound."""
    sound = {"sound": {"formula": "{response} ~ {fixed} + (1 | {subject})"}}
    formulas = {name: {"formula": formula} for name, formula in formulas.items()}
    return run_models(folder, sound | formulas)


def run_models(folder: Path, given: dict[str, dict]) -> tuple[dict, dict[str, dict], dict]:
    """As `run`, with whole models."""
    rows = [
        f"{k},{t},{10 + k % 3 + t + (k * t) % 5},{1e99 * (k + t / 7):g},{1 + (k * t) % 3}"
        for k in range(8)
        for t in range(4)
    ]
    (folder / "raw.csv").write_text("id,t,y,huge,small\n" + "\n".join(rows) + "\n")
    models = {name.replace(" ", "_"): model for name, model in given.items()}
    stanza = {"path": "raw.csv", "subject": "id", "time": "t", "response": "y", "fixed": "t"}
    config = {"datasets": {"d": stanza | {"candidates": list(models)}}, "models": models}
    jobs = plan(load(config))["d"]
    files = [str(folder / name) for name in ("clean.parquet", "clean.json")]
    clean_file("d", str(folder / "raw.csv"), jobs["clean"], "code", *files)
    paths = [str(folder / f"{model}.json") for model in models]
    for (model, design), path in zip(jobs["fit"].items(), paths, strict=True):
        fit_candidate("d", model, *files, design, "code", path)
    out = str(folder / "selection.json")
    select_model("d", *files, paths, jobs["select"], "code", out)
    audit, selection, *records = (json.loads(Path(p).read_text()) for p in (files[1], out, *paths))
    return audit, dict(zip(given, records, strict=True)), selection


def test_what_cannot_be_read(tmp_path):
    audit, records, selection = run(tmp_path, UNREADABLE)
    assert audit["status"] == "ok", audit["message"]
    assert [column["name"] for column in audit["columns"]] == ["id", "t", "y"]
    assert selection["status"] == "ok" and selection["selected"] == "sound"
    for name in UNREADABLE:
        record = records[name]
        assert record["status"] == "not_applicable", (name, record["message"])
        assert len(record["message"]) < 700 and "\n" not in record["message"], (name, record["message"])


def test_columns_that_the_file_lacks(tmp_path):
    """They stop the candidates that name them, and take no rows or columns from the others."""
    audit, records, selection = run(tmp_path, LACKED)
    assert audit["status"] == "ok", audit["message"]
    assert [column["name"] for column in audit["columns"]] == ["id", "t", "y"]
    assert selection["selected"] == "sound" and records["sound"]["status"] == "ok"
    for name in LACKED:
        record = records[name]
        assert record["status"] == "not_applicable", (name, record["message"])
        assert "\n" not in record["message"] and len(record["message"]) < 300
        if name != "bare lambda":
            assert record["message"].startswith("raw.csv has no column"), (name, record["message"])
    assert "has no column 'smal', did you mean 'small'?" in records["misspelt"]["message"]
    assert "has no columns 'a', 'b'." in records["two"]["message"]


def test_columns_of_structures_that_the_file_lacks(tmp_path):
    formula = "{response} ~ {fixed} + (1 | {subject})"
    parts = {
        "sound": {},
        "time": {"residual": {"type": "ar1", "time": "day"}},
        "subject": {"residual": {"type": "ar1", "subject": ["{subject}", "eye"]}},
        "group": {"variance": {"type": "by_group", "column": "arm"}},
        "power": {"variance": {"type": "power", "of": "dose"}},
    }
    given = {name: {"formula": formula} | part for name, part in parts.items()}
    audit, records, selection = run_models(tmp_path, given)
    assert audit["status"] == "ok" and selection["selected"] == "sound"
    for name, column in {"time": "day", "subject": "eye", "group": "arm", "power": "dose"}.items():
        assert records[name]["status"] == "not_applicable"
        assert records[name]["message"].startswith(f"raw.csv has no column '{column}'"), name


@pytest.mark.parametrize("keys", [{"fixed": "t + dose"}, {"group": "dose"}, {"range": {"dose": [0, 1]}}])
def test_a_column_of_the_stanza_stops_the_dataset(tmp_path, monkeypatch, keys):
    monkeypatch.chdir(tmp_path)
    Path("raw.csv").write_text("id,t,y\n" + "".join(f"{k},{t},{k + t}\n" for k in range(4) for t in range(3)))
    models = {"m": {"formula": "{response} ~ {fixed} + dose + missing.one + (1 | {subject})"}}
    stanza = {"path": "raw.csv", "subject": "id", "time": "t", "response": "y", "fixed": "t"} | keys
    config = {"datasets": {"d": stanza | {"candidates": ["m"]}}, "models": models}
    job = plan(load(config))["d"]["clean"]
    assert problems_of_raw("d", "raw.csv", job) == [
        "d was not analysed: raw.csv has no column 'dose'. It has 'id', 't', 'y'."
    ]


def test_check_names_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("raw.csv").write_text("id,t,y\n" + "".join(f"{k},{t},{k + t}\n" for k in range(4) for t in range(3)))
    models = {name.replace(" ", "_"): {"formula": formula} for name, formula in LACKED.items()}
    stanza = {"path": "raw.csv", "subject": "id", "time": "t", "response": "y", "fixed": "t"}
    config = {"datasets": {"d": stanza | {"candidates": list(models)}}, "models": models}
    Path("study.yaml").write_text(json.dumps(config))
    found = check("study.yaml")
    assert len(found) == len(LACKED)
    assert "slope cannot be fitted to d: raw.csv has no column 'dose'. It has 'id', 't', 'y'." in found


@pytest.mark.filterwarnings("ignore")
def test_what_cannot_be_fitted(tmp_path):
    """A fit or a sentence; never an exception that nobody meant, such as LinAlgError."""
    audit, records, selection = run(tmp_path, UNFITTABLE)
    assert audit["status"] == "ok" and selection["status"] == "ok"
    for name in UNFITTABLE:
        record = records[name]
        assert record["status"] in (*COMPARABLE, "not_converged", "not_applicable"), (name, record["message"])
        assert len(record["message"]) < 700
