"""A failure loses its own part: every piece that the report works out, and all it draws, fails in turn."""

import ast
import importlib
import inspect
import json
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from test_report_engine import trial, write
from test_report_page import Page, html
from test_report_sample import study

import lmmstudy.report as report
from lmmcore.errors import FitError
from lmmstudy.report.charts import svg
from lmmstudy.report.data.files import write_files
from lmmstudy.report.page import SECTIONS, read_study
from lmmstudy.report.refit import diagnostics, inference
from lmmstudy.report.refit import refit as results

FOLDER = Path(report.__file__).parent
PIECES = {
    (results, "marginal"): results.MEANS,
    (results, "_effects"): results.EFFECTS,
    (results, "bands"): results.BANDS,
    (results, "own_lines"): results.LINES,
    (results, "curvature"): results.BEND,
    (inference, "_bounds"): inference.BOUNDS,
    (inference, "_profiles"): inference.PROFILES,
    (inference, "_reductions"): inference.REDUCTIONS,
    (inference, "_sds"): inference.SDS,
    (diagnostics, "residual_quantiles"): diagnostics.QUANTILES,
    (diagnostics, "effect_quantiles"): diagnostics.EFFECTS,
    (diagnostics, "residual_autocorrelation"): diagnostics.LAGS,
    (diagnostics, "semivariogram"): diagnostics.SEMIVARIOGRAM,
    (diagnostics, "variance_over_time"): diagnostics.SPREAD,
    (diagnostics, "visit_moments"): diagnostics.VISITS,
    (diagnostics, "homogeneity"): diagnostics.EQUAL,
    (diagnostics, "deletion"): diagnostics.INFLUENCE,
}


def fails(*arguments, **named):
    raise ZeroDivisionError("by hand")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The files of a study and the arguments of `read_study`, and its page."""
    folder = tmp_path_factory.mktemp("study")
    text = write(folder, trial())
    design = json.loads((folder / "clean.json").read_text())["provenance"]["config"]
    records = [str(folder / f"{name}.json") for name in ("random_intercept", "random_slope", "ar1")]
    stanza = {**design, "fixed": "week * arm", "candidates": ["random_slope"]}
    clean = [str(folder / f"clean.{form}") for form in ("json", "parquet")]
    files = [*clean, records, str(folder / "selection.json")]
    return ("trial", *files, stanza, {"df": "satterthwaite", "conf_level": 0.95}, "code"), text


def test_all_pieces_are_attempted():
    """Each call of an attempt in the source has its entry above."""
    named = []
    for path in (FOLDER / "refit").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Name):
                called = node.func.value if isinstance(node.func, ast.Attribute) else node.func
                if (
                    isinstance(called, ast.Name)
                    and called.id in ("attempt", "over_time")
                    and node.args[0].id.isupper()
                ):
                    named.append((path.stem, node.args[0].id))
    known = {(module.__name__.rsplit(".", 1)[1], what) for (module, _), what in PIECES.items()}
    modules = {stem: importlib.import_module(f"lmmstudy.report.refit.{stem}") for stem, _ in named}
    texts = {(stem, getattr(modules[stem], name)) for stem, name in named}
    assert texts == known and len(texts) > 10


@pytest.mark.parametrize("place", PIECES, ids=lambda place: place[1])
def test_a_piece_that_fails_is_a_sentence(made, monkeypatch, tmp_path, place):
    arguments, _ = made
    module, name = place
    monkeypatch.setattr(module, name, fails)
    whole = read_study(*arguments)
    assert set(whole.lost) == {PIECES[place]}
    page = Page(html(whole))
    told = [p["text"] for p in page.all("p") if p["attrs"].get("class") == "warning"]
    assert [t for t in told if t.startswith(f"{PIECES[place]} could not be made: ZeroDivisionError: by hand")]
    assert len(page.all("section")) == len(SECTIONS)
    write_files(whole, tmp_path)
    assert json.loads((tmp_path / "results.json").read_text())["lost"].keys() == {PIECES[place]}


def test_a_refit_that_fails_leaves_the_page(made, monkeypatch):
    arguments, _ = made
    monkeypatch.setattr(results, "refit", fails)
    whole = read_study(*arguments)
    assert whole.fitted is None and "ZeroDivisionError: by hand" in html(whole)


@pytest.mark.parametrize("name", SECTIONS)
def test_a_section_that_fails_is_a_sentence(monkeypatch, name):
    title = SECTIONS[name][0]
    monkeypatch.setitem(SECTIONS, name, (title, fails))
    page = Page(html())
    told = next(s for s in page.all("section") if s["attrs"]["id"] == name)["text"]
    assert f"The section {title} could not be made: ZeroDivisionError: by hand" in told
    assert len(page.all("section")) == len(SECTIONS)


def drawings():
    """Every public function of the charts that draws a figure of a page."""
    found = []
    for path in sorted((FOLDER / "charts").glob("*.py")):
        module = importlib.import_module(f"lmmstudy.report.charts.{path.stem}")
        for name, function in inspect.getmembers(module, inspect.isfunction):
            first = next(iter(inspect.signature(function).parameters.values()), None)
            own = function.__module__ == module.__name__
            draws = first is not None and first.annotation is svg.Label
            if own and draws and name not in ("drawing", "interval", "sparkline"):
                found.append((path.stem, name))
    return found


@pytest.mark.parametrize("module, name", drawings())
def test_a_chart_that_fails_loses_its_figure_alone(monkeypatch, made, module, name):
    """On the page of a study with the engine's diagnostics; a chart that it lacks changes nothing."""
    arguments, text = made
    whole = read_study(*arguments)
    failing = importlib.import_module(f"lmmstudy.report.charts.{module}")
    monkeypatch.setattr(failing, name, fails)
    for path in (FOLDER / "sections").glob("*.py"):  # names taken out of the module
        section = importlib.import_module(f"lmmstudy.report.sections.{path.stem}")
        if getattr(section, name, None) is not None and inspect.isfunction(getattr(section, name)):
            if getattr(section, name).__module__ == failing.__name__:
                monkeypatch.setattr(section, name, fails)
    page = Page(html(whole))
    before = Page(html(study())) if not text else Page(text)
    assert len(page.all("section")) == len(SECTIONS) == len(before.all("section"))
    lost = len(before.all("figure")) - len(page.all("figure"))
    sentences = [p for p in page.all("p") if "ZeroDivisionError: by hand" in p["text"]]
    assert len(sentences) <= 2 and (lost == 0) == (not sentences) and lost <= 3


def test_alerts_that_fail_are_an_alert(monkeypatch):
    from lmmstudy.report import page

    monkeypatch.setattr(page, "alerts", fails)
    assert "The alerts could not be made: ZeroDivisionError" in html()


def test_the_engine_s_sentence_is_the_reason(made, monkeypatch):
    arguments, _ = made

    def few(*_):
        raise FitError("there are only 2 of them.")

    monkeypatch.setattr(diagnostics, "deletion", few)
    text = html(read_study(*arguments))
    assert "The influence of each unit could not be made: there are only 2 of them." in text


def test_two_subjects_have_a_report(tmp_path):
    """Influence needs three."""
    frame = trial().filter(pl.col("id").is_in(["P001", "P002"]))
    text = write(tmp_path, frame)
    assert replace(study()) and "Influence is found by leaving out one level" in text
