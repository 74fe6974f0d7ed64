"""runs/index.html and runs/reports: the past of each dataset, from a ledger written by hand."""

import json

import pytest
from test_report_page import Page
from test_report_sample import study

from lmmstudy.report.page import assemble, render
from lmmstudy.run.overview import write
from lmmstudy.run.past import pasts

SCRIPT = "<script>alert(1)</script>"


def started(run: str, day: int) -> dict:
    return {"event": "started", "run": run, "time": f"2026-01-{day:02d}T02:17:00Z"}


def told(run: str, kind: str, estimate: float | None, **keys) -> dict:
    event = {"event": "dataset", "run": run, "dataset": "trial", "kind": kind, "message": kind} | keys
    if estimate is None:
        return event | {"key": None}
    return event | {"key": {"term": "week", "estimate": estimate, "low": estimate - 1, "high": estimate + 1}}


MOVE = {"name": "week", "old": [2.0, 1.0, 3.0], "new": [2.5, 1.5, 3.5], "size": 1.0}
MOVE |= {"unit": "standard errors"}
EVENTS = [
    {"event": "refused", "run": "r0"},
    started("r1", 1),
    told("r1", "new", 2.0),
    started("r2", 2),
    started("r3", 3),
    told("r3", "failed", None),
    started("r4", 4),
    told("r4", "changed", 2.5, moves=[MOVE], conclusions=[f"{SCRIPT} is new"]),
]


def test_a_run_that_tells_nothing_left_the_dataset_as_it_was():
    past = pasts([*EVENTS, started("r5", 5)])["trial"]
    assert [run and run.estimate for run in past.runs] == [2.0, 2.0, None, 2.5, 2.5]
    assert past.time == "2026-01-04 02:17:00 UTC" and not past.latest
    assert past.details == [f"{SCRIPT} is new", "week: 2.000 [1.000, 3.000] -> 2.500 [1.500, 3.500] (1.0 SE)"]
    assert pasts(EVENTS)["trial"].latest


@pytest.fixture
def runs(tmp_path):
    """The folder runs/ beside the results and the report of `trial`; `gone` has neither."""
    whole = study()
    folder = tmp_path / "results/trial"
    (folder / "models").mkdir(parents=True)
    (folder / "clean.json").write_text(json.dumps(whole.clean))
    (folder / "selection.json").write_text(json.dumps(whole.selection))
    (folder / "models/random_slope.json").write_text(json.dumps(whole.winner))
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports/trial.html").write_text(render(assemble(whole)), "utf-8")
    return tmp_path / "runs"


def pages(runs, events, **keys) -> tuple[Page, Page]:
    write(runs, ["gone", "trial"], runs.parent / "results", events, compare=True, **keys)
    names = ("index.html", "reports/trial.html")
    index, report = (Page((runs / name).read_text("utf-8")) for name in names)
    return index, report


def test_the_index_draws_the_past_and_marks_what_is_stale(runs):
    stale = {"trial": "The raw file has not changed for 31.0 days (max_age: 30)"}
    index, _ = pages(runs, EVENTS, stale=stale)
    gone, trial = index.all("tbody")[0]["children"]
    assert "not finished" in gone["children"][2]["text"] and "logs/gone" in gone["children"][1]["text"]
    assert "stale" in trial["children"][2]["text"] and "31.0 days" in trial["children"][8]["text"]
    links = {a["attrs"]["href"] for a in index.all("a")}
    assert {"reports/trial.html", "../reports/compare.html", "last.html"} <= links
    assert "reports/gone.html" not in links
    (chart,) = [svg for svg in index.all("svg") if "history" in svg["attrs"]["aria-labelledby"]]
    drawn = [path["attrs"] for path in chart["children"] if path["tag"] == "path"]
    assert [path["class"] for path in drawn].count("c0 interval thin") == 3  # of four runs one failed
    (line,) = [path["d"] for path in drawn if path["class"] == "c0 line thin"]
    assert line.count("M") == 2  # the pen is lifted over it


def test_a_report_in_runs_is_the_report_with_a_box(runs):
    _, page = pages(runs, EVENTS)
    (box,) = page.all("aside")
    assert "What changed since the last run (2026-01-04 02:17:00 UTC): changed" in box["text"]
    assert "week: 2.000" in box["text"] and len(page.all("script")) == 1
    plain = (runs.parent / "reports/trial.html").read_text("utf-8")
    boxed = (runs / "reports/trial.html").read_text("utf-8")
    begin, end = boxed.index("<aside"), boxed.index("</aside>\n") + len("</aside>\n")
    without = (boxed[:begin] + boxed[end:]).replace('href="../index.html"', 'href="index.html"')
    assert "".join(without.split()) == "".join(plain.split()) and "<aside" not in plain
    _, page = pages(runs, [*EVENTS, started("r5", 5)])
    assert "since the last run: nothing. The last change (2026-01-04" in page.all("aside")[0]["text"]


def test_without_a_ledger_the_index_is_there(runs):
    write(runs, ["trial"], runs.parent / "results", [], compare=False)
    assert "trial" in (runs / "index.html").read_text("utf-8")
