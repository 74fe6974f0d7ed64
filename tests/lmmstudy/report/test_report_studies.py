"""Every embedded study, from raw file to page: what is printed is what the data files beside it hold."""

import csv
import json
from pathlib import Path

import pytest
from test_report_page import Page, close, tables

from lmmstudy.clean.clean import clean_file
from lmmstudy.config.file import read_config
from lmmstudy.config.study import load, plan
from lmmstudy.fitting.candidate import fit_candidate
from lmmstudy.fitting.selection import select_model
from lmmstudy.report.page import write_dataset

ROOT = Path(__file__).parents[3]
CONFIG = load(read_config(ROOT / "config/config.yaml"))


@pytest.fixture(scope="module", params=sorted(CONFIG["datasets"]))
def page(request, tmp_path_factory) -> Path:
    """The page of one study."""
    name, folder = request.param, tmp_path_factory.mktemp(request.param)
    jobs = plan(CONFIG)[name]
    clean, audit, selection = (str(folder / n) for n in ("clean.parquet", "clean.json", "selection.json"))
    clean_file(name, str(ROOT / CONFIG["datasets"][name]["path"]), jobs["clean"], "c", clean, audit)
    records = [str(folder / f"{model}.json") for model in jobs["fit"]]
    for model, record in zip(jobs["fit"], records, strict=True):
        fit_candidate(name, model, clean, audit, jobs["fit"][model], "c", record)
    select_model(name, clean, audit, records, jobs["select"], "c", selection)
    out = folder / f"{name}.html"
    write_dataset(name, audit, clean, records, selection, jobs["report"], CONFIG["report"], "r", str(out))
    return out


def rows_of(page: Path, name: str) -> list[dict[str, str]]:
    with open(page.with_suffix("") / f"{name}.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_printed_numbers_are_those_of_the_files(page):
    shown = tables(Page(page.read_text("utf-8")))
    fixed = rows_of(page, "fixed")
    assert len(fixed) == len(shown["Fixed effects (REML)"])
    for (term, estimate, error, df, t, _, interval), row in zip(
        shown["Fixed effects (REML)"], fixed, strict=True
    ):
        low, high = interval.split(" to ")
        named = ("estimate", "std_error", "df", "statistic", "conf_low", "conf_high")
        assert term == row["term"]
        for text, key in zip((estimate, error, df, t, low, high), named, strict=True):
            assert close(text, float(row[key])), (term, key)
    ladder = rows_of(page, "ladder")
    for cells, row in zip(shown["Candidates, best first (ML)"], ladder, strict=True):
        assert cells[0] == row["model"] and cells[1] == row["npar"]
        for text, key in zip(cells[2:7], ("loglik", "aic", "aicc", "bic", "delta"), strict=True):
            assert close(text, float(row[key])), (row["model"], key)
    whole = json.loads((page.with_suffix("") / "results.json").read_text("utf-8"))
    assert whole["selection"]["selected"] == ladder[0]["model"]
    kept = whole["candidates"][ladder[0]["model"]]["fixed"]
    assert [float(row["estimate"]) for row in fixed] == [row["estimate"] for row in kept]
