"""Datasets side by side: which ones, the numbers of their records, names that are not trusted."""

import json
from pathlib import Path

import pytest
import yaml
from test_report_page import PAYLOADS, Page, close, tables
from test_report_sample import record, rows, selection

from lmmstudy.config.comparable import shared
from lmmstudy.report.compare import write_compare

ROOT = Path(__file__).resolve().parents[3]
STANZA = {"response": "score", "time": "week", "group": "arm", "fixed": "week * arm"}
STANZA |= {"candidates": ["a", "b"]}


def test_datasets_share_a_page_if_units_and_a_candidate_are_the_same():
    datasets = {
        "two": STANZA,
        "one": STANZA | {"candidates": ["b", "c"]},
        "other": STANZA | {"response": "mood"},
        "more": STANZA | {"fixed": "week + arm"},
    }
    (found,) = shared(datasets)
    assert (found["datasets"], found["models"], found["response"]) == (["one", "two"], ["b"], "score")
    assert shared({"one": STANZA, "two": STANZA | {"candidates": ["c"]}}) == []


def test_the_embedded_studies_measure_different_things():
    datasets = yaml.safe_load((ROOT / "config/config.yaml").read_text("utf-8"))["datasets"]
    assert shared(datasets) == []


def write_results(folder: Path, names: tuple[str, ...]) -> dict[str, str]:
    """Result folders of datasets with the sample's record; in the second the slope's estimate is 1 more."""
    places = {}
    for k, name in enumerate(names):
        place = folder / f"d{k}"
        (place / "models").mkdir(parents=True)
        fitted = record(rows())
        row = fitted["answer"]["estimates"][0]
        for key in ("estimate", "conf_low", "conf_high"):
            row[key] += k
        (place / "models/random_slope.json").write_text(json.dumps(fitted))
        failed = record(rows()) | {"status": "error", "reml": None, "fixed": [], "answer": None}
        (place / "models/broken.json").write_text(json.dumps(failed))
        (place / "selection.json").write_text(json.dumps(selection()))
        places[name] = str(place)
    return places


def page(folder: Path, names: tuple[str, ...]) -> str:
    one = {"datasets": list(names), "models": ["random_slope", "broken"]}
    one |= {key: STANZA[key] for key in ("response", "time", "group", "fixed")}
    write_compare([one], write_results(folder, names), 0.95, str(folder / "compare.html"))
    return (folder / "compare.html").read_text("utf-8")


def test_the_same_estimate_of_every_dataset_is_that_of_its_record(tmp_path):
    text = page(tmp_path, ("first", "second"))
    body = tables(Page(text))["slope of score over week: b − a in random_slope (REML)"]
    expected = record(rows())["fixed"][3]
    for k, row in enumerate(body):
        assert row[0] == ("first", "second")[k] and row[1] == "converged" and row[7] == "0.900"
        assert close(row[3], expected["estimate"] + k) and close(row[6], expected["p_value"])
    assert "It could be fitted to none of them." in text
    links = [a["attrs"]["href"] for a in Page(text).all("a")]
    assert {"index.html", "first.html", "second.html"} <= set(links)


def test_the_chart_has_one_scale(tmp_path):
    """The intervals are as long on the page, and their distance is that of the estimates."""
    (chart,) = Page(page(tmp_path, ("first", "second"))).all("svg")
    lines = [e for e in chart["children"] if e["attrs"].get("class") == "c0 interval"]
    ends = [[float(end.split()[0]) for end in e["attrs"]["d"].lstrip("M").split("L")] for e in lines]
    axis = next(e["attrs"]["data-box"] for e in chart["children"] if "data-box" in e["attrs"])
    _, _, width, _, low, high, _, _ = map(float, axis.split())
    expected = record(rows())["fixed"][3]
    length = (expected["conf_high"] - expected["conf_low"]) * width / (high - low)
    assert [b - a for a, b in ends] == pytest.approx([length, length], abs=0.11)
    marks = [e["attrs"]["d"] for e in chart["children"] if "mark" in e["attrs"].get("class", "")]
    first, second = (float(d[1:].split()[0]) for d in marks)
    assert second - first == pytest.approx(width / (high - low), abs=0.11)


@pytest.mark.parametrize("payload", PAYLOADS)
def test_no_payload_reaches_the_page_raw(tmp_path, payload):
    text = page(tmp_path, (payload, "x"))
    assert payload not in text and len(Page(text).all("script")) == 1
