"""Several rows of a subject at one time, and data without a time: configuration, clean rows, page.

Numbers of R are from lme4 1.1-31 (R 4.2.2), lmer(score ~ Machine + (1 | Worker/Machine), nlme::Machines).
"""

import re
from pathlib import Path

import pytest
import yaml
from test_report_page import Page, tables

from lmmstudy.base.files import read_json
from lmmstudy.clean.clean import clean_file
from lmmstudy.config.study import ConfigError, load, plan
from lmmstudy.fitting.candidate import fit_candidate
from lmmstudy.fitting.selection import select_model
from lmmstudy.report.page import write_dataset
from tests.support.cleaning import clean

FILES = Path(__file__).parents[1] / "config/drafts/files"
TWICE = "id,t,side,y\n1,0,L,5\n1,0,R,5\n1,0,R,4\n1,1,L,7\n2,0,L,4\n"
REPLICATES = "id,y,x\n2,5,1\n1,7,0\n1,5,0\n1,5,0\n2,,1\n"


def without_time(**keys) -> dict:
    """A stanza without a time, and those keys."""
    base = {"path": "raw.csv", "subject": "id", "response": "y", "fixed": "1", "candidates": ["m"]}
    return base | keys


def audit_of(folder: Path, content: str, stanza: dict) -> tuple[dict, list[tuple]]:
    """Audit and rows of a stanza."""
    import polars as pl

    raw = folder / "raw.csv"
    raw.write_text(content)
    models = {"m": {"formula": "{response} ~ {fixed} + (1 | {subject})"}}
    design = plan(load({"datasets": {"d": stanza}, "models": models}))["d"]["clean"]
    clean_file("d", str(raw), design, "code", str(folder / "c.parquet"), str(folder / "c.json"))
    return read_json(folder / "c.json"), pl.read_parquet(folder / "c.parquet").rows()


def test_replicates_are_kept_identical_ones_too(tmp_path):
    audit, table = clean(tmp_path, "id,t,y\n1,0,5\n1,0,5\n1,0,4\n1,1,7\n", duplicates="keep")
    assert table.rows() == [(1, 0.0, 4.0), (1, 0.0, 5.0), (1, 0.0, 5.0), (1, 1.0, 7.0)]
    assert audit["rows"] == {"read": 4, "used": 4, "dropped": {}}
    assert audit["duplicates"] == {"policy": "keep", "identical": [], "conflicting": []}
    assert audit["visits"]["patterns"] == [{"visits": [1, 1], "subjects": 1}]
    assert audit["attrition"][0]["subjects"] == 1 and audit["visits"]["per_subject"]["max"] == 4


def test_the_order_of_the_file_does_not_count(tmp_path):
    lines = ["1,0,5", "1,0,4", "2,0,3", "1,1,7", "1,0,5"]
    results = []
    for order in (lines, lines[::-1]):
        _, table = clean(tmp_path, "\n".join(["id,t,y", *order, ""]), duplicates="keep")
        results.append(table.rows())
    assert results[0] == results[1]


def test_an_occasion_tells_rows_of_one_time_apart(tmp_path):
    audit, _ = clean(tmp_path, TWICE)
    assert "one subject and time has contradicting rows (id 1 at t 0, rows 2, 4)" in audit["message"]
    audit, table = clean(tmp_path, TWICE, occasion="side", duplicates="first")
    assert table.rows() == [(1, 0.0, 5.0, "L"), (1, 0.0, 5.0, "R"), (1, 1.0, 7.0, "L"), (2, 0.0, 4.0, "L")]
    conflict = {"subject": 1, "time": 0.0, "occasion": "R", "rows": [3, 4], "values": [5.0, 4.0]}
    assert audit["duplicates"]["conflicting"] == [conflict]
    audit, _ = clean(tmp_path, TWICE, occasion="side")
    assert (
        "one subject, time and occasion has contradicting rows (id 1 at t 0, side 'R', rows 3, 4): correct "
        "the file, or choose `duplicates: first`, `last`, `mean` or `drop`, or `keep` for replicates"
    ) in audit["message"]


def test_data_without_a_time(tmp_path):
    audit, rows = audit_of(tmp_path, REPLICATES, without_time())
    assert rows == [(1, 5.0), (1, 5.0), (1, 7.0), (2, 5.0)]
    assert audit["rows"] == {"read": 5, "used": 4, "dropped": {"missing y": 1}}
    assert audit["visits"]["times"] == [] and audit["attrition"] == []
    assert [c["role"] for c in audit["columns"]] == ["subject", "response"]
    audit, rows = audit_of(tmp_path, "id,y,p\n1,5,1\n1,4,1\n1,3,2\n", without_time(occasion="p"))
    assert "one subject and occasion has contradicting rows (id 1 at p 1, rows 2, 3)" in audit["message"]


@pytest.mark.parametrize(
    ("keys", "models", "words"),
    [
        ({"duplicates": "first"}, {}, "d.duplicates: without `time` and `occasion` nothing tells the rows"),
        ({"time_unit": "days"}, {}, "d.time_unit: is about times, but the dataset names no `time`"),
        ({"wide": {"a": 0, "b": 1}}, {}, "d.wide: is about times, but the dataset names no `time`"),
        ({"occasion": "y"}, {}, "must be four different columns"),
        ({}, {"formula": "y ~ 1 + (1 + {time} | id)"}, "'m' uses {time}, but the dataset names no `time`"),
        ({}, {"formula": "y ~ 1", "residual": {"type": "ar1"}}, "'m' uses {time}, but the dataset names no"),
        ({}, {"formula": "y ~ 1 + (1 | id/{occasion})"}, "'m' uses {occasion}, but the dataset names no"),
    ],
)
def test_keys_that_need_a_time_say_so(keys, models, words):
    model = {"formula": "{response} ~ {fixed} + (1 | {subject})"} | models
    with pytest.raises(ConfigError, match=re.escape(words)):
        load({"datasets": {"d": without_time(**keys)}, "models": {"m": model}})


def test_what_needs_no_time_is_accepted():
    models = {
        "m": {"formula": "{response} ~ {fixed}", "residual": {"type": "compound_symmetry"}},
        "n": {"formula": "{response} ~ {fixed} + (1 | {subject}/{occasion})"},
        "o": {"formula": "{response} ~ {fixed}", "residual": {"type": "ar1", "time": "week"}},
    }
    stanza = without_time(occasion="p", candidates=["m", "n", "o"])
    fits = plan(load({"datasets": {"d": stanza}, "models": models}))["d"]["fit"]
    assert fits["n"]["formula"] == "y ~ 1 + (1 | id/p)" and fits["m"]["residual_structure"]["time"] is None


STUDIES = {
    "machines": {
        "path": "machines.csv", "subject": "Worker", "response": "score", "fixed": "Machine",
        "categories": {"Machine": ["A", "B", "C"]}, "candidates": ["units", "subjects"],
    },
    "exam": {
        "path": "exam.csv", "subject": "school", "response": "normexam", "fixed": "type", "group": "type",
        "categories": {"type": ["Mxd", "Sngl"]}, "candidates": ["subjects"],
    },
    "plants": {
        "path": "replicates.csv", "subject": "plant", "time": "day", "response": "height", "fixed": "day",
        "duplicates": "keep", "candidates": ["subjects", "slopes"],
    },
    "crossover": {
        "path": "crossover.csv", "subject": "patient", "time": "hour", "occasion": "period",
        "response": "glucose", "fixed": "treatment * hour", "candidates": ["subjects", "occasions"],
    },
}  # fmt: skip
MODELS = yaml.safe_load("""
subjects: {formula: "{response} ~ {fixed} + (1 | {subject})"}
units: {formula: "{response} ~ {fixed} + (1 | {subject}/Machine)"}
slopes: {formula: "{response} ~ {fixed} + (1 + {time} | {subject})"}
occasions: {formula: "{response} ~ {fixed} + (1 | {subject}/{occasion})", residual: {type: ar1}}
""")


@pytest.fixture(scope="module")
def pages(tmp_path_factory, request):
    """The page of each study, and the record of the model selected."""
    monkey = pytest.MonkeyPatch()
    request.addfinalizer(monkey.undo)
    monkey.chdir(FILES)
    config = load({"datasets": STUDIES, "models": MODELS})
    made = {}
    for name, jobs in plan(config).items():
        folder = tmp_path_factory.mktemp(name)
        table, audit, selection = (str(folder / n) for n in ("clean.parquet", "clean.json", "selection.json"))
        clean_file(name, jobs["clean"]["path"], jobs["clean"], "c", table, audit)
        records = [str(folder / f"{model}.json") for model in jobs["fit"]]
        for model, record in zip(jobs["fit"], records, strict=True):
            fit_candidate(name, model, table, audit, jobs["fit"][model], "c", record)
        select_model(name, table, audit, records, jobs["select"], "c", selection)
        out = folder / "page.html"
        write_dataset(name, audit, table, records, selection, jobs["report"], config["report"], "r", str(out))
        chosen = read_json(selection)["selected"]
        made[name] = out, read_json(folder / f"{chosen}.json")
    return made


def test_nested_replicates_agree_with_r(pages):
    _, record = pages["machines"]
    assert record["reml"]["loglik"] == pytest.approx(-107.8438, abs=5e-5)
    sds = {row["group"]: row["sd"] for row in record["random"]}
    assert sds["Worker"] == pytest.approx(4.78105, abs=1e-5)
    assert sds["Worker:Machine"] == pytest.approx(3.72954, abs=1e-5)
    assert sds["Residual"] == pytest.approx(0.96158, abs=1e-5)


@pytest.mark.parametrize("name", ["machines", "exam"])
def test_a_page_without_a_time_speaks_of_none(pages, name):
    path, _ = pages[name]
    page = Page(path.read_text("utf-8"))
    shown = [
        text for caption, table in tables(page).items() for text in (caption, *(c for r in table for c in r))
    ]
    words = " ".join(re.findall(r"[a-z]+", " ".join(shown).lower()))
    assert not re.search(r"\b(times?|visits?|over time)\b", words)
    html = path.read_text("utf-8")
    for absent in (
        "does not apply",
        "fig-profiles",
        "fig-attrition",
        "fig-means",
        "fig-lags",
        "fig-subjects",
        "None",
    ):
        assert absent not in html
    assert "are replicates: all of them are used" in html
    rows = (path.with_suffix("") / "rows.csv").read_text().splitlines()
    assert all(line.split(",")[2] == "" for line in rows[1:])


def test_means_of_groups_without_a_time(pages):
    path, record = pages["exam"]
    means = tables(Page(path.read_text("utf-8")))["Raw and predicted means"]
    assert [row[0] for row in means] == ["Mxd", "Sngl"]
    assert float(means[0][3].replace("−", "-")) == pytest.approx(record["fixed"][0]["estimate"], rel=1e-3)


def test_replicates_at_times_are_no_duplicates(pages):
    path, _ = pages["plants"]
    html = path.read_text("utf-8")
    assert "Rows of a plant at one day are replicates: all of them are used." in html
    assert "fig-profiles" in html and "entered twice" not in html
    path, record = pages["crossover"]
    assert "no visit was entered twice" in path.read_text("utf-8")
