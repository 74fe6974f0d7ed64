import json
from dataclasses import replace

import pytest
from test_report_degenerate import failed_cleaning
from test_report_page import PAYLOADS, Page, close
from test_report_sample import study, without_model

from lmmstudy.base.files import name_of_page
from lmmstudy.fitting.answer import NONE
from lmmstudy.report.index import entry, render, write_index


def entries():
    good, empty, broken = study(), without_model(study()), failed_cleaning()
    return [
        entry("trial", good.clean, good.selection, good.winner, 0),
        entry("empty", empty.clean, empty.selection, None, 1),
        entry("broken", broken.clean, broken.selection, None, 2),
    ]


def body(text: str) -> list[list[str]]:
    table = Page(text).all("tbody")[0]
    return [[cell["text"] for cell in row["children"]] for row in table["children"]]


def test_every_dataset_has_a_row_with_its_link():
    text = render(entries())
    assert [row[0] for row in body(text)] == ["trial", "empty", "broken"]
    links = [a["attrs"]["href"] for a in Page(text).all("a")]
    assert links[1:] == ["trial.html", "empty.html", "broken.html"]
    assert "3 datasets" in text and "2 have no result" in text


def test_the_key_coefficient_is_that_of_the_record():
    whole = study()
    row = whole.winner["fixed"][3]
    shown = entry("trial", whole.clean, whole.selection, whole.winner, 0)
    low, high = shown.interval.split(" to ")
    assert shown.term == "slope of score over week: b − a" and shown.p == "0.0103" and shown.rows == "52 / 55"
    assert (
        close(shown.estimate, row["estimate"])
        and close(low, row["conf_low"])
        and close(high, row["conf_high"])
    )


def test_failed_datasets_show_their_sentence():
    rows = body(render(entries()))
    assert "trial has no model: all failed." in rows[1][1]
    assert "there is no file data/raw/trial.csv" in rows[2][1]


def test_without_an_answer_there_is_no_key():
    whole = study()
    bare = whole.winner | {"answer": NONE | {"problem": "It has no term 'x'."}}
    shown = entry("trial", whole.clean, whole.selection, bare, 0)
    assert shown.estimate == "–" and shown.term == "It has no term 'x'."


def test_several_parameters_answer_by_their_joint_test():
    whole = study()
    test = {"statistic": 2.36156, "num_df": 3, "den_df": 75.0, "p_value": 0.07806, "hypothesis": "Same."}
    joint = whole.winner["answer"] | {
        "joint": test,
        "estimates": [],
        "name": "course of score over week by arm",
    }
    shown = entry("trial", whole.clean, whole.selection, whole.winner | {"answer": joint}, 0)
    assert (shown.term, shown.estimate) == ("course of score over week by arm", "2.362")
    assert (shown.interval, shown.p, shown.chart) == ("F(3, 75.00)", "0.0781", "–")


@pytest.mark.parametrize("payload", PAYLOADS)
def test_no_payload_reaches_the_index_raw(payload):
    whole = without_model(study())
    clean = whole.clean | {"status": "failed", "message": payload}
    good = study()
    model = good.winner | {"fixed": [r | {"term": payload} for r in good.winner["fixed"]], "model": payload}
    rows = [entry(payload, clean, whole.selection, None, 0), entry("x", good.clean, good.selection, model, 1)]
    text = render(rows)
    assert payload not in text and len(Page(text).all("script")) == 1


def test_files_in_and_one_page_out(tmp_path):
    whole = study()
    folder = tmp_path / "results" / "trial"
    (folder / "models").mkdir(parents=True)
    files = {
        "clean.json": whole.clean,
        "selection.json": whole.selection,
        "models/random_slope.json": whole.winner,
    }
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content), encoding="utf-8")
    page = tmp_path / "reports" / "trial.html"
    write_index(["trial"], [folder], [page], tmp_path / "before.html")
    early = (tmp_path / "before.html").read_text(encoding="utf-8")
    assert "The report of trial could not be written" in early and "converged" not in early
    page.parent.mkdir()
    page.write_text("the report")
    for out in ("a.html", "b.html"):
        write_index(["trial"], [folder], [page], tmp_path / out)
    first = (tmp_path / "a.html").read_bytes()
    assert first == (tmp_path / "b.html").read_bytes()
    assert name_of_page(tmp_path / "a.html") == "index"
    page, _, _ = first.decode().rpartition("\n<!-- index sha256:")
    assert page == render([entry("trial", whole.clean, whole.selection, whole.winner, 0)])


def test_a_singular_fit_is_marked():
    whole = study()
    singular = replace(whole, models={"random_slope": whole.winner | {"status": "singular"}})
    shown = entry("trial", whole.clean, whole.selection, singular.winner, 0)
    assert (shown.status, shown.tone) == ("singular", "warning")
