"""The table of a fit in a notebook: the numbers of the fit, escaped, without script or outside address."""

from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import lmmcore as lmm
from lmmcore.output.notebook import html

ROOT = Path(__file__).resolve().parents[3]


class Cells(HTMLParser):
    """Rows of cell texts, and every tag with its attributes; refuses tags that are not closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict]] = []
        self.rows: list[list[str]] = []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        self.tags.append((tag, dict(attrs)))
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] in ("td", "th"):
            self.rows[-1][-1] += data


def test_published_estimates_of_sleepstudy():
    """Bates and others, Journal of Statistical Software 67(1), 2015, section 5; df as lmerTest has them."""
    fit = lmm.fit("Reaction ~ Days + (Days | Subject)", ROOT / "data/raw/sleepstudy.csv")
    rows = Cells(html(fit.solution)).rows
    days = next(row for row in rows if row[0] == "Days")
    assert days[:5] == ["Days", "10.47", "1.546", "17.00", "6.771"] and days[5] == "< 0.0001"
    spread = {(row[0], row[1]): row[2] for row in rows if row[0] in ("Subject", "Residual")}
    expected = {("Subject", "Intercept"): "24.74", ("Subject", "Days"): "5.922", ("Residual", ""): "25.59"}
    assert spread == expected
    assert next(row for row in rows if row[:2] == ["Subject", "Days"])[4] == "0.07"


@pytest.mark.parametrize("name", ["</script><script>alert(1)</script>", "<img src=x onerror=a(2)>", 'a"b'])
def test_names_are_escaped_and_styles_are_inline(name):
    random = np.random.default_rng(0)
    data = pl.DataFrame({name: np.repeat(["p", "q", "r", "s"], 6), "x": np.tile(np.arange(6.0), 4)})
    data = data.with_columns(y=random.normal(size=24), arm=pl.Series(["<b>", "c"] * 12))
    text = html(lmm.fit(f"y ~ x + arm + (1 | `{name}`)", data).solution)
    parsed = Cells(text)
    assert name not in text and {tag for tag, _ in parsed.tags}.isdisjoint({"script", "img", "style", "b"})
    assert all(set(attributes) <= {"style", "scope"} for _, attributes in parsed.tags)
    assert any(name in cell for row in parsed.rows for cell in row) and "http" not in text


def test_zero_variances_and_models_without_random_effects():
    data = pl.DataFrame({"id": list("aabbcc"), "t": [0.0, 1] * 3, "y": [1.0, 2.5, 1.2, 2.2, 1.1, 2.4]})
    singular = Cells(html(lmm.fit("y ~ t + (1 | id)", data).solution))
    assert ["id", "Intercept", "0.000", "0.000", ""] in singular.rows
    plain = Cells(html(lmm.fit("y ~ t", data).solution))
    assert [row[0] for row in plain.rows] == ["Term", "Intercept", "t", "Group", "Residual"]
