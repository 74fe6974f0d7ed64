"""The checklist says what the page has, and what it lacks."""

from dataclasses import replace

import pytest
from test_report_degenerate import DEGENERATE
from test_report_page import Page, html, tables
from test_report_sample import study, without_model

from lmmstudy.report.page import assemble
from lmmstudy.report.sections.checklist import ITEMS, NOTHING


def shown(whole) -> dict[str, list[str]]:
    return {row[0]: row[1:] for row in tables(Page(html(whole)))["Reporting checklist"]}


def test_each_item_is_filled_from_the_study():
    found = {item: row[2] for item, row in shown(study()).items()}
    assert list(found) == [item for item, *_ in ITEMS]
    assert found["Levels of the hierarchy and their units"] == "12 id and 52 rows"
    assert found["Times, follow-up and patterns of missing visits"] == (
        "5 times from 0 to 8; 8 of 12 subjects have all"
    )
    assert found["Changes of the data"] == (
        "2 values read as something else; 2 visits entered more than once; 1 value out of range"
    )
    assert found["Coding of categories"] == "reference levels: arm: a"
    assert found["Partition of the variance"] == "intraclass correlation 0.800 (id)"
    variances = found["Variances and correlations of random effects"]
    assert variances.startswith("SD of Intercept for id, SD of week for id")
    assert found["Fixed effects with their uncertainty"] == (
        "4 coefficients with SE, 95% CI, statistic, df (Satterthwaite) and p"
    )
    assert found["Comparison of models"] == "3 candidates by AIC; 1 likelihood-ratio test"
    checks = found["Assumption checks"]
    assert "autocorrelation" in checks and "semivariogram" not in checks
    assert found["Sensitivity to missing data"] == NOTHING
    assert sum(text == NOTHING for text in found.values()) == 1


def test_sections_that_are_named_exist():
    titles = {section.title for section in assemble(study()).sections}
    assert {where for _, _, where, _ in ITEMS} <= titles


def test_without_a_model_only_the_data_are_told():
    found = shown(without_model(study()))
    assert found["Rows read, used and not used"][2].startswith("55 rows read")
    assert {found[item][2] for item, _, where, _ in ITEMS if where not in ("Design", "Data")} == {NOTHING}


@pytest.mark.parametrize("name", DEGENERATE)
def test_every_item_has_an_answer(name):
    found = shown(DEGENERATE[name][0]())
    assert len(found) == len(ITEMS) and all(row[2] for row in found.values())


def test_no_interval_no_claim():
    whole = study()
    bounds = tuple(replace(b, low=None, high=None) for b in whole.fitted.inference.bounds)
    inference = replace(whole.fitted.inference, bounds=bounds)
    found = shown(replace(whole, fitted=replace(whole.fitted, inference=inference)))
    assert found["Variances and correlations of random effects"][2] == NOTHING


def test_every_chart_has_its_numbers():
    """A table, folded away, in each figure of the page."""
    page = Page(html())
    figures = page.all("figure")
    assert len(figures) >= 13
    for figure in figures:
        assert "details" in [child["tag"] for child in figure["children"]], figure["attrs"]["id"]
