"""What holds for every page, good data or bad: no request, one script, an order of headings, words for every
chart and table. The checks are on the parsed HTML; a browser does its part in test_report_browser."""

import base64
import hashlib
import json
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from test_report_compare import page as compare_page
from test_report_degenerate import DEGENERATE
from test_report_index import entries
from test_report_page import Page, close, html, poisoned, tables
from test_report_sample import study

import lmmcore as lmm
from lmmstudy.report import index
from lmmstudy.report.charts import residuals, svg
from lmmstudy.report.for_fit import content
from lmmstudy.report.page import render
from lmmstudy.run import page as history
from lmmstudy.run.codes import Exit
from lmmstudy.run.drift import Change


def fit_page(folder) -> str:
    data = study().rows
    frame = {"id": list(data.subject), "week": data.time, "score": data.response, "arm": list(data.group)}
    return render(content(lmm.fit("score ~ week * arm + (week | id)", frame)))


def run_page(folder) -> str:
    change = Change("trial", Exit.MOVED, "changed", "trial: 1 of 4 estimates moved", ("data",))
    return history.render("r1", "2026-01-01T00:00:00Z", Exit.MOVED, [change], 1)


PAGES = {
    "report": lambda folder: html(),
    "poisoned": lambda folder: html(poisoned("<img src=x onerror=alert(2)>")),
    "index": lambda folder: index.render(entries(), compare=True),
    "overview": lambda folder: index.render(
        entries(), changes={"trial": index.Change("2026-01-01T00:00:00Z", "trial is new")}, base="../reports/"
    ),
    "compare": lambda folder: compare_page(folder, ("first", "second")),
    "fit": fit_page,
    "last run": run_page,
    **{name: lambda folder, make=make: html(make()) for name, (make, _) in DEGENERATE.items()},
}


@pytest.fixture(scope="module", params=PAGES)
def text(request, tmp_path_factory) -> str:
    return PAGES[request.param](tmp_path_factory.mktemp("page"))


def test_one_script_whose_hash_the_policy_names_and_nothing_from_outside(text):
    page = Page(text)
    scripts = page.all("script")
    assert len(scripts) == 1 and not scripts[0]["attrs"]
    policy = next(
        m["attrs"]["content"]
        for m in page.all("meta")
        if m["attrs"].get("http-equiv") == "Content-Security-Policy"
    )
    digest = base64.b64encode(hashlib.sha256(scripts[0]["text"].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy and "default-src 'none'" in policy
    assert "eval(" not in text and "Function(" not in text and "innerHTML" not in text
    for element in page.elements:
        assert "src" not in element["attrs"]
        assert not [name for name in element["attrs"] if name.startswith("on")]
        assert not re.match(r"[a-z]+:|//", element["attrs"].get("href", ""))
    assert not page.all("link", "iframe", "object", "embed", "img")
    assert not re.findall(r"url\(|@import|https?://(?!www\.w3\.org/1998/Math/MathML)", text)


def test_headings_landmarks_language_and_links(text):
    page = Page(text)
    assert text.startswith("<!DOCTYPE html>") and page.all("html")[0]["attrs"]["lang"] == "en"
    assert page.all("title")[0]["text"].strip()
    levels = [int(h["tag"][1]) for h in page.all("h1", "h2", "h3", "h4")]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(b - a <= 1 for a, b in zip(levels, levels[1:], strict=False))
    assert all(h["text"].strip() for h in page.all("h1", "h2", "h3", "h4"))
    ids = [e["attrs"]["id"] for e in page.elements if "id" in e["attrs"]]
    assert len(ids) == len(set(ids)) and not [i for i in ids if re.search(r"\s", i) or not i]
    anchors = [a["attrs"]["href"] for a in page.all("a")]
    assert {a[1:] for a in anchors if a.startswith("#")} <= set(ids)
    named = {e["attrs"]["aria-labelledby"] for e in page.elements if "aria-labelledby" in e["attrs"]}
    assert {name for names in named for name in names.split()} <= set(ids)
    assert page.all("a")[0]["attrs"] == {"class": "skip", "href": "#main"}
    assert len(page.all("main")) == 1 and all(nav["attrs"]["aria-label"] for nav in page.all("nav"))


def test_every_chart_and_table_speaks(text):
    page = Page(text)
    for chart in page.all("svg"):
        named = {c["tag"]: c for c in chart["children"] if c["tag"] in ("title", "desc")}
        assert chart["attrs"]["role"] == "img" and "viewbox" in chart["attrs"]
        words = {tag: element["text"].strip() for tag, element in named.items()}
        assert words["title"] and words["desc"] and words["title"] != words["desc"]
        ids = f"{named['title']['attrs']['id']} {named['desc']['attrs']['id']}"
        assert chart["attrs"]["aria-labelledby"] == ids and "width" not in chart["attrs"]
    for table in page.all("table"):
        assert [c["text"] for c in table["children"] if c["tag"] == "caption"][0].strip()
        rows = [row for part in table["children"] if part["tag"] != "caption" for row in part["children"]]
        assert len({len(row["children"]) for row in rows}) == 1
    for head in page.all("th"):
        assert head["attrs"]["scope"] in ("col", "row")
    for figure in page.all("figure"):
        caption = next(c for c in figure["children"] if c["tag"] == "figcaption")
        chart = next(c for c in figure["children"] if c["tag"] == "svg")
        desc = next(c for c in chart["children"] if c["tag"] == "desc")["text"]
        assert caption["text"].strip() and caption["text"].strip() != desc.strip()
    for field in page.all("input", "select"):
        assert field["attrs"]["id"] in {e["attrs"].get("for") for e in page.all("label")}


def test_mathml_is_well_formed(text):
    found = re.findall(r"<math.*?</math>", text, flags=re.S)
    for equation in found:
        root = ET.fromstring(equation)
        assert {e.tag.split("}")[-1] for e in root.iter()} <= {
            *("math", "mtable", "mtr", "mtd", "mrow", "mi", "mn", "mo", "mtext", "msub", "msup", "msubsup"),
            *("mspace", "mpadded", "mfrac", "msqrt", "mover", "munder", "mstyle"),
        }


def test_marks_of_residuals_carry_their_subjects():
    """Up to 2,000 rows all of them, above only the far ones that are drawn."""
    few = np.array([0.5, -4.0, 3.5])
    for n in (1, 700):
        residual, names = np.tile(few, n), ["a", 'b"', "c"] * n
        label, axes = svg.Label("r", "t", "d"), ("x", "y")
        chart = residuals.residuals(label, np.arange(3.0 * n), residual, None, axes, names)
        path = next(e for e in Page(chart).all("path") if "data-n" in e["attrs"])["attrs"]
        drawn = json.loads(path["data-n"])
        assert drawn == (names if n == 1 else (['b"', "c"] * n)[:500])
        assert path["d"].count("M") == len(drawn)


def test_the_answer_is_that_of_the_record():
    whole = study()
    (shown,) = tables(Page(html(whole)))["The contrast in question"]
    row = whole.winner["fixed"][3]
    low, high = shown[2].split(" to ")
    assert (
        shown[0] == "slope of score over week: b − a"
        and close(shown[1], row["estimate"])
        and close(shown[3], row["df"])
    )
    assert close(low, row["conf_low"]) and close(high, row["conf_high"]) and close(shown[4], row["p_value"])


def test_the_script_stays_small():
    """Its bytes are in every page."""
    assert len(Page(html()).all("script")[0]["text"].encode()) < 9_000
