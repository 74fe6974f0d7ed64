"""What the script adds to the pages, in a real browser: tooltips, one subject in all charts, filters, copies,
figures as files. The study is that of test_report_sample, so that the numbers are known without the page."""

import csv
import io
import xml.etree.ElementTree as ET

import pytest
from test_report_page import close
from test_report_sample import study

from lmmstudy.report.sections.means import raw_means
from tests.support.browser import CHROMIUM, Tab

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine")

CENTRE = """(selector, k) => {
  const chart = document.querySelector(selector);
  const box = chart.querySelector("[data-box]").dataset.box.split(" ");
  const marks = Array.from(chart.querySelectorAll(".mark"), (m) => Array.from(
    m.getAttribute("d").matchAll(/M([-\\d.]+) ([-\\d.]+)/g), (p) => [+p[1], +p[2]])).flat();
  const [x, y] = marks.filter(([, y]) => y >= +box[1])[k];
  chart.scrollIntoView({ block: "center" });
  const p = new DOMPoint(x, y).matrixTransform(chart.getScreenCTM());
  return [p.x, p.y];
}"""
"""Where the k-th mark of a chart is in the window."""


def at(tab: Tab, chart: str, k: int) -> tuple[float, float]:
    return tab.run(f"({CENTRE})({chart!r}, {k})")


def test_a_tooltip_says_group_time_and_value(tab, pages):
    tab.open(pages / "trial.html")
    means = raw_means(study().rows)[0]
    tab.pointer("Moved", *at(tab, "#fig-means svg", 1))
    said = tab.run("document.querySelector('.tip').textContent")
    start, value = said.rsplit(" ", 1)
    assert start == "a, week 2, score" and float(value) == pytest.approx(means.mean[1], abs=0.06)
    assert not tab.run("document.querySelector('.tip').hidden")
    tab.key("Escape", 27)
    assert tab.run("document.querySelector('.tip').hidden")
    tab.pointer("Moved", *at(tab, "#fig-effects-0 svg", 0))
    best = max((e for e in study().fitted.effects if e.term == "Intercept"), key=lambda e: e.estimate)
    assert tab.run("document.querySelector('.tip').textContent").startswith(f"{best.level}, Intercept ")


def test_a_click_highlights_the_subject_in_all_charts(tab, pages):
    tab.open(pages / "trial.html")
    places = "Array.from(document.querySelectorAll('.chosen'), (e) => e.closest('figure').id)"
    subject = study().rows.subject[0]
    x, y = at(tab, "#fig-subjects svg", 0)
    tab.click(x, y)
    chosen = tab.run("document.getElementById('highlight').value")
    assert chosen in study().rows.subject
    assert set(tab.run(places)) >= {"fig-profiles", "fig-subjects", "fig-effects-0"}
    assert tab.run("document.querySelectorAll('#fig-effects-0 .chosen.mark').length") == 2  # a panel a term
    tab.click(x, y)
    assert tab.run(places) == [] and not tab.run("document.body.classList.contains('highlighting')")
    tab.run(
        f"(() => {{ const f = document.getElementById('highlight'); f.value = {subject!r};"
        " f.dispatchEvent(new Event('input')); })()"
    )
    assert set(tab.run("Array.from(document.querySelectorAll('.chosen[data-s]'), (e) => e.dataset.s)")) == {
        subject
    }


def test_tables_are_filtered_by_all_words(tab, pages):
    tab.open(pages / "index.html")
    tab.run(
        "(() => { const f = document.querySelector('input[type=search]'); f.value = 'FAILED broken';"
        " f.dispatchEvent(new Event('input')); })()"
    )
    shown = "Array.from(document.querySelectorAll('tbody tr:not([hidden]) th'), (e) => e.textContent)"
    assert tab.run(shown) == ["broken"]
    assert tab.run("document.querySelector('[role=status]').textContent") == "1 of 3 rows"


def copied(tab: Tab, caption: str, kind: str) -> str:
    tab.call("Browser.grantPermissions", permissions=["clipboardReadWrite", "clipboardSanitizedWrite"])
    tab.call("Page.bringToFront")
    tab.run(
        f"""(() => {{ const table = Array.from(document.querySelectorAll('table')).find(
            (t) => t.caption.textContent === {caption!r});
          let after = table.closest('.scroll').nextElementSibling;
          while (!after.matches('.tools')) after = after.nextElementSibling;
          Array.from(after.querySelectorAll('button')).find((b) => b.textContent.includes({kind!r})).click();
        }})()"""
    )
    tab.wait("document.querySelector('[role=status]').textContent !== ''")
    return tab.run("navigator.clipboard.readText()")


def test_a_copied_table_is_the_table(tab, pages):
    tab.open(pages / "trial.html")
    head, *rows = csv.reader(io.StringIO(copied(tab, "Fixed effects (REML)", "CSV")))
    assert head[:2] == ["Term", "Estimate"]
    for row, fixed in zip(rows, study().winner["fixed"], strict=True):
        assert row[0].startswith(fixed["term"])
        assert close(row[1], fixed["estimate"])
    tab.open(pages / "trial.html")
    lines = copied(tab, "Variances and correlations (REML)", "Markdown").splitlines()
    assert lines[1] == "| --- | --- | ---: | ---: | ---: | ---: |" and len(lines) == 6
    assert lines[2] == "| id | Intercept | 36.00 | 6.000 | – | 4.000 to 9.500 |"


def test_a_copy_holds_no_formula_that_a_spreadsheet_would_run(tab, pages):
    tab.open(pages / "trial.html")
    tab.run("document.querySelector('#fixed tbody th').textContent = '=HYPERLINK(\"x\")'")
    text = copied(tab, "Fixed effects (REML)", "CSV")
    assert next(csv.reader([text.splitlines()[1]]))[0] == '\'=HYPERLINK("x")'


def test_a_downloaded_figure_stands_alone(tab, pages, tmp_path):
    tab.open(pages / "trial.html")
    tab.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    tab.run("document.querySelector('#fig-means .tools button').click()")
    for _ in range(200):
        if list(tmp_path.glob("*.svg")):
            break
        tab.run("new Promise((done) => setTimeout(done, 50))")
    (path,) = tmp_path.glob("*.svg")
    assert path.name == "fig-means.svg"
    root = ET.parse(path).getroot()
    assert root.tag == "{http://www.w3.org/2000/svg}svg" and float(root.get("width")) == 600
    line = next(e for e in root.iter() if (e.get("class") or "") == "c0 line")
    assert line.get("stroke") == "rgb(0, 114, 178)" and root[0].get("fill") == "rgb(255, 255, 255)"
