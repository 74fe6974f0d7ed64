"""The page of one fit: its numbers are those of the fit, its design is read off the fit."""

import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from test_report_page import Page, close, tables

import lmmcore as lmm
from lmmcore.errors import DataError
from lmmstudy.cli import main
from lmmstudy.report.for_fit import content, for_fit
from lmmstudy.report.page import render
from lmmstudy.report.refit.fit_design import source

ROOT = Path(__file__).resolve().parents[3]
SLEEP = str(ROOT / "data/raw/sleepstudy.csv")
TEETH = pl.read_csv(ROOT / "data/raw/orthodont.csv")
OVARY = pl.read_csv(ROOT / "data/raw/ovary.csv")


@pytest.fixture(scope="module")
def sleep():
    return lmm.fit("Reaction ~ Days + (Days | Subject)", SLEEP)


def test_the_page_shows_the_numbers_of_the_fit(sleep, tmp_path):
    for_fit(sleep, tmp_path / "a.html")
    for_fit(sleep, str(tmp_path / "b.html"))
    text = (tmp_path / "a.html").read_text("utf-8")
    assert text == (tmp_path / "b.html").read_text("utf-8")
    found = tables(Page(text))
    shown = {row[0]: row for row in found["Fixed effects (REML)"]}
    for row in sleep.tidy().to_dicts():
        assert close(shown[row["term"]][1], row["estimate"]) and close(shown[row["term"]][3], row["df"])
    criteria = {row[0]: row for row in found["Likelihood and criteria of the selected model"]}
    assert close(criteria["−2 log-likelihood"][2], sleep.deviance)
    # Published: Bates and others, Journal of Statistical Software 67(1), 2015, section 5.
    assert shown["Days"][1] == "10.47" and criteria["−2 log-likelihood"][2] == "1,743.628"


def test_the_page_of_a_fit_says_nothing_of_a_study(sleep):
    page = content(sleep, "Sleep <deprivation>")
    text = render(page)
    assert "snakemake" not in text and "clean.parquet" not in text and "All datasets" not in text
    assert "candidates" not in [s.id for s in page.sections] and "the model that was given" in text
    assert page.title == "Sleep <deprivation>" and "<deprivation>" not in text
    assert "No value was changed on reading and no visit was entered twice." in text
    ids = {e["attrs"].get("id") for e in Page(text).elements}
    assert {a["attrs"]["href"][1:] for a in Page(text).all("a")} <= ids


def test_an_ml_fit_says_which_numbers_are_which():
    fit = lmm.fit("distance ~ age * Sex + (1 | Subject)", TEETH, method="ML", variance=lmm.ByGroup("Sex"))
    page = content(fit)
    assert page.chips[0].value == "ML" and "by REML, the criteria by both" in page.description
    criteria = tables(Page(render(page)))["Likelihood and criteria of the selected model"]
    assert close(criteria[0][1], fit.loglik)


@pytest.mark.parametrize(
    ("formula", "data", "keywords", "expected"),
    [
        ("distance ~ age * Sex + (age | Subject)", TEETH, {}, ("Subject", "age", "distance", "Sex")),
        ("distance ~ Sex + (1 | Subject)", TEETH, {}, ("Subject", "Row", "distance", "Sex")),
        ("distance ~ Sex", TEETH, {}, ("Row", "Row_", "distance", "Sex")),
        ("log(follicles + 1) ~ Time", OVARY, {"residual": lmm.AR1("Visit", subject="Mare")},
         ("Mare", "Visit", "log(follicles + 1)", None)),
    ],
)  # fmt: skip
def test_the_design_is_read_off_the_fit(formula, data, keywords, expected):
    fit = lmm.fit(formula, data, **keywords)
    stanza = source(fit).stanza
    assert tuple(stanza.get(key) for key in ("subject", "time", "response", "group")) == expected
    assert len(Page(render(content(fit))).all("svg")) >= 4


def test_rows_left_out_are_counted_and_repeated_times_listed():
    data = TEETH.with_columns(
        distance=pl.when(pl.int_range(pl.len()) == 3).then(None).otherwise(pl.col("distance")),
        age=pl.when(pl.int_range(pl.len()) == 1).then(8.0).otherwise(pl.col("age").cast(float)),
    )
    fit = lmm.fit("distance ~ age + (1 | Subject)", data)
    found = tables(Page(render(content(fit))))
    assert [row[1] for row in found["Rows read, used and not used"]] == ["108", "1", "107"]
    (twice,) = found["Visits entered more than once"]
    assert twice[:4] == [data["Subject"][0], "8", "conflicting", "1, 2"]


def test_rows_in_any_order_and_names_of_any_kind_give_the_same_estimates():
    named = TEETH.rename({"Subject": "sub ject", "age": "<b>age</b>"})
    named = named.sample(fraction=1, shuffle=True, seed=3)
    fit = lmm.fit("distance ~ `<b>age</b>` + (1 | `sub ject`)", named.to_pandas())
    text = render(content(fit))
    assert "<b>age" not in text
    shown = tables(Page(text))["Fixed effects (REML)"]
    slope = lmm.fit("distance ~ age + (1 | Subject)", TEETH).beta["age"]
    assert close(shown[1][1], slope)


def test_nested_groups_have_a_page():
    random = np.random.default_rng(1)
    site, subject = np.repeat(list("abcd"), 24), np.tile(np.repeat(list("123456"), 4), 4)
    y = np.repeat(random.normal(size=24), 4) + 2 * np.repeat(random.normal(size=4), 24)
    y += random.normal(size=96)
    data = pl.DataFrame({"site": site, "subject": subject, "t": np.tile([0.0, 1, 2, 3], 24), "y": y})
    fit = lmm.fit("y ~ t + (1 | site/subject)", data)
    assert source(fit).stanza["subject"] == "site:subject"
    assert "Predicted random effects of site:subject" in render(content(fit))


def test_what_has_no_page_is_refused_in_a_sentence():
    weighted = TEETH.with_columns(w=pl.lit(1.0))
    fit = lmm.fit("distance ~ age + (1 | Subject)", weighted, weights="w")
    with pytest.raises(lmm.FitError, match=r"prior weights \('w'\) has no report"):
        content(fit)


def test_the_command_line_writes_the_page(tmp_path, capsys):
    out = tmp_path / "page.html"
    arguments = ["fit", "Reaction ~ Days + (Days | Subject)", SLEEP, "--report"]
    assert main([*arguments, str(out)]) == 0
    assert "Reaction over Days" in out.read_text("utf-8")
    assert main([*arguments, str(tmp_path)]) == 1
    assert "The report cannot be written" in capsys.readouterr().err


def test_the_engine_finds_the_renderer_by_its_entry_point():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    (named,) = project["entry-points"]["lmmcore.report"].items()
    assert EntryPoint(*named, group="lmmcore.report").load() is for_fit


def test_a_file_that_is_no_report_is_left_alone(sleep, tmp_path):
    path = tmp_path / "page.html"
    path.touch()
    sleep.report(path)
    sleep.report(path)
    for text in ("mine", path.read_text("utf-8") + "<!-- a note -->"):
        path.write_text(text, "utf-8")
        with pytest.raises(DataError, match="there already and holds something else"):
            sleep.report(path)
        assert path.read_text("utf-8") == text


def test_residual_sds_have_intervals():
    """nlme 3.1-162: intervals(gls(distance ~ age * Sex, correlation = corSymm(form = ~ 1 | Subject),
    weights = varIdent(form = ~ 1 | age)))$sigma, of the first age: 1.764 to 3.075, by a numerical Hessian."""
    fit = lmm.fit("distance ~ age * Sex", TEETH, residual=lmm.Unstructured("age", subject="Subject"))
    shown = tables(Page(render(content(fit))))["Residual SD by age, with intervals (REML)"]
    first = next(row for row in shown if row[0] == "8")
    low, high = map(float, first[2].split(" to "))
    assert first[1] == "2.329" and (low, high) == pytest.approx((1.764, 3.075), rel=2e-3)
    assert [row[0] for row in shown][-4:] == ["8", "10", "12", "14"]
