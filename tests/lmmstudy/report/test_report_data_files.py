"""The data files beside a page: complete, unrounded, equal from run to run, and the page's own numbers."""

import csv
import io
import json
from dataclasses import replace

import numpy as np
import pytest
from test_report_degenerate import DEGENERATE
from test_report_engine import trial, write
from test_report_page import Page, close, html, tables
from test_report_sample import study

from lmmstudy.report.data.files import csv_text, results, write_files
from lmmstudy.report.data.names import FILES, RESULTS, TABLES
from tests.support.sample_diagnostics import moments


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def written(whole, folder) -> dict[str, str]:
    write_files(whole, folder)
    return {path.name: path.read_text("utf-8") for path in folder.iterdir()}


def test_every_file_is_there_with_its_columns(tmp_path):
    found = written(study(), tmp_path)
    assert set(found) == set(FILES)
    for name, columns in TABLES.items():
        assert found[f"{name}.csv"].splitlines()[0] == ",".join(columns)
    filled = [name for name in TABLES if len(found[f"{name}.csv"].splitlines()) > 1]
    assert set(TABLES) - set(filled) == {"visits", "semivariogram"}


@pytest.mark.parametrize("name", DEGENERATE)
def test_data_at_the_edge_have_their_files(name, tmp_path):
    found = written(DEGENERATE[name][0](), tmp_path)
    assert set(found) == set(FILES) and json.loads(found[RESULTS])["dataset"] == "trial"


def test_equal_results_give_equal_bytes(tmp_path):
    assert written(study(), tmp_path / "a") == written(study(), tmp_path / "b")


def test_numbers_are_whole(tmp_path):
    """Every digit of the estimates and of the rows reads back."""
    whole = study()
    found = written(whole, tmp_path)
    for row, record in zip(read(found["fixed.csv"]), whole.winner["fixed"], strict=True):
        assert float(row["estimate"]) == record["estimate"] and row["term"] == record["term"]
    rows = read(found["rows.csv"])
    np.testing.assert_array_equal([float(r["fitted"]) for r in rows], whole.fitted.fitted)
    assert [r["subject"] for r in rows] == list(whole.rows.subject)


def test_the_object_holds_what_the_page_is_made_of():
    whole = study()
    found = results(whole)
    assert found["selection"]["selected"] == "random_slope" and found["audit"]["rows"]["read"] == 55
    assert found["candidates"]["random_slope"]["fixed"] == whole.winner["fixed"]
    assert found["inference"]["bounds"][0]["low"] == 4.0
    assert found["diagnostics"]["deletion"]["levels"][0] == "P001"
    low, _ = whole.fitted.bands[0].limits["mean"]
    assert found["predictions"]["bands"][0]["limits"]["mean"][0][0] == low[0]
    assert found["alerts"][0] == "3 of 55 rows (5.5%) were not used"


def test_printed_numbers_are_those_of_the_files(tmp_path):
    whole = replace(
        study(),
        fitted=replace(study().fitted, diagnostics=replace(study().fitted.diagnostics, visits=moments())),
    )
    found, shown = written(whole, tmp_path), tables(Page(html(whole)))
    pairs = {
        "Autocorrelation of the residuals": ("autocorrelation", ["lag", "pairs", "correlation", "pointwise"]),
        "Variance about the population mean": ("variance", ["time", "rows", "implied", "empirical"]),
        "Fixed effects (REML)": ("fixed", ["term", "estimate", "std_error", "df"]),
    }
    for caption, (name, columns) in pairs.items():
        for printed, row in zip(shown[caption], read(found[f"{name}.csv"]), strict=True):
            for text, column in zip(printed, columns, strict=False):
                assert text == row[column] if column == "term" else close(text, float(row[column]))
    visits = read(found["visits.csv"])
    assert [row["correlation"] for row in visits] == ["0.0", "", "-0.3"]  # nobody has the second pair


def test_what_is_missing_is_empty_and_texts_are_quoted():
    rows = [{"name": 'a "b", c', "value": np.nan}, {"name": None, "value": 0.1 + 0.2}]
    assert csv_text(("name", "value"), rows) == 'name,value\n"a ""b"", c",\n,0.30000000000000004\n'
    assert csv_text(("name", "value"), ()) == "name,value\n"


def test_a_text_is_no_formula_of_a_spreadsheet():
    texts = ["=cmd()", "+1+1", "-1+1", "@x", "\t=1", "-1", "+2.5", "a=b", None]
    lines = csv_text(["a", "b"], [{"a": text, "b": -1.5} for text in texts]).splitlines()
    told = ["'=cmd()", "'+1+1", "'-1+1", "'@x", "'\t=1", "-1", "+2.5", "a=b", ""]
    assert lines == ["a,b", *(f"{text},-1.5" for text in told)]


def test_a_run_from_the_raw_file_writes_page_and_files(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        write(tmp_path / folder, trial())
    first, second = (
        {p.name: p.read_bytes() for p in (tmp_path / folder / "trial").iterdir()} for folder in "ab"
    )
    assert set(first) == set(FILES) and first == second
    found = json.loads(first[RESULTS])
    assert found["diagnostics"]["deletion"]["group"] == "id" and found["inference"]["bounds"]
    assert len(read(first["semivariogram.csv"].decode())) == 4
