"""What goes wrong stays where it went wrong: every other dataset and candidate is finished."""

import json
import os

import pytest

from tests.support.studies import MODELS, Study, new_study, stanza, write_raw


@pytest.fixture(scope="module")
def troubled(tmp_path_factory):
    """One file missing, one dataset whose times do not suit an AR(1) residual; and how it ran."""
    folder = tmp_path_factory.mktemp("troubled") / "study"
    datasets = {name: stanza(name) for name in ("absent", "halves")}
    write_raw(folder / "data/halves.csv", seed=5, step=0.5)
    study = new_study(folder, {"datasets": datasets, "models": MODELS})
    return study, study.snakemake()


def read(study: Study, name: str) -> dict:
    return json.loads((study.folder / "results" / name).read_text("utf-8"))


def test_the_run_succeeds_and_names_each_failed_dataset_once(troubled):
    study, run = troubled
    assert run.status == 0, run.text
    lines = [line for line in run.text.splitlines() if "was not analysed" in line]
    assert len(lines) == 1
    assert lines[0].startswith("absent was not analysed: there is no file data/absent.csv")
    for page in ("absent", "halves", "index"):
        assert (study.folder / "reports" / f"{page}.html").stat().st_size > 0


def test_a_missing_file_is_recorded_down_to_the_selection(troubled):
    study, _ = troubled
    audit = read(study, "absent/clean.json")
    assert audit["status"] == "failed"
    record = read(study, "absent/models/random_slope.json")
    assert (record["status"], record["message"]) == ("not_applicable", audit["message"])
    selection = read(study, "absent/selection.json")
    assert (selection["status"], selection["selected"]) == ("failed", None)
    assert selection["message"] == audit["message"]
    page = (study.folder / "reports/absent.html").read_text("utf-8")
    assert "there is no file data/absent.csv" in page


def test_a_candidate_that_does_not_suit_the_data_is_left_out_visibly(troubled):
    study, _ = troubled
    assert read(study, "halves/models/ar1.json")["status"] == "not_applicable"
    assert "whole" in read(study, "halves/models/ar1.json")["message"]
    selection = read(study, "halves/selection.json")
    assert selection["status"] == "ok"
    assert selection["selected"] in ("random_intercept", "random_slope")
    assert selection["ladder"][-1]["model"] == "ar1"
    assert selection["ladder"][-1]["aic"] is None
    assert "left out: ar1 (not_applicable)" in selection["message"]


def test_when_the_file_appears_its_jobs_run_and_no_others(troubled, tmp_path):
    study = troubled[0].copy(tmp_path / "study")
    assert study.plan().idle
    raw = study.folder / "data/absent.csv"
    write_raw(raw, seed=6)
    os.utime(raw, (1, 1))  # an old file, moved in
    expected = {"clean": 1, "fit": 3, "select": 1, "report": 1, "index": 1}
    assert study.plan().jobs == expected


def test_a_defect_shows_its_traceback_and_spares_the_other_dataset(tmp_path):
    folder = tmp_path / "study"
    write_raw(folder / "data/good.csv", seed=7)
    write_raw(folder / "data/bad.csv", seed=8)
    datasets = {n: stanza(n, candidates=["random_intercept"]) for n in ("good", "bad")}
    study = new_study(folder, {"datasets": datasets, "models": MODELS})
    study.edit(
        "workflow/scripts/clean.py",
        lambda text: text + "    if snakemake.wildcards.dataset == 'bad':\n        1 / 0\n",
    )
    run = study.snakemake()
    assert run.status == 1
    assert "ZeroDivisionError" in run.text
    assert "ZeroDivisionError" in (folder / "logs/bad/clean.log").read_text()
    assert (folder / "reports/good.html").exists()
    assert not (folder / "reports/bad.html").exists()


def test_the_index_tells_of_no_result_whose_report_is_not_there(tmp_path):
    folder = tmp_path / "study"
    for name, seed in (("good", 7), ("bad", 8)):
        write_raw(folder / f"data/{name}.csv", seed=seed)
    datasets = {n: stanza(n, candidates=["random_intercept"]) for n in ("good", "bad")}
    study = new_study(folder, {"datasets": datasets, "models": MODELS})
    report = study.folder / "workflow/scripts/report.py"
    whole = report.read_text("utf-8")
    killed = "    if snakemake.wildcards.dataset == 'bad':\n        os._exit(9)\n"
    report.write_text(
        "import os\n" + whole.replace("    bind(snakemake)\n", "    bind(snakemake)\n" + killed)
    )
    assert study.snakemake().status == 1
    index = (study.folder / "reports/index.html").read_text("utf-8")
    assert "The report of bad could not be written" in index and 'href="bad.html"' not in index
    assert 'href="good.html"' in index and index.count("converged") == 1
    report.write_text(whole)
    assert study.snakemake().status == 0
    index = (study.folder / "reports/index.html").read_text("utf-8")
    assert 'href="bad.html"' in index and "could not be written" not in index
