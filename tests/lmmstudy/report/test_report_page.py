"""The page as a reader, a browser and an attacker meet it; checked on the parsed HTML."""

import math
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest
from test_report_sample import TERMS, fitted, record, rows, study

from lmmstudy.report.page import assemble, render
from lmmstudy.report.refit.rows import Rows

PAYLOADS = ("</script><script>alert(1)</script>", "<img src=x onerror=alert(2)>", '"><svg onload=alert(3)>')
VOID = {"meta", "link", "br", "img", "input", "hr"}


class Page(HTMLParser):
    """Elements with their attributes and text, in order; refuses tags that are not closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[dict[str, Any]] = []
        self.open: list[dict[str, Any]] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        element = {
            "tag": tag,
            "attrs": dict(attrs),
            "text": "",
            "parents": [e["tag"] for e in self.open],
            "children": [],
        }
        assert len(attrs) == len(element["attrs"]), f"an attribute of {tag} is repeated"
        if self.open:
            self.open[-1]["children"].append(element)
        self.elements.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open[-1]["tag"] == tag, f"{tag} closes {self.open[-1]['tag']}"
        self.open.pop()

    def handle_data(self, data):
        for element in self.open:
            element["text"] += data

    def all(self, *tags: str) -> list[dict[str, Any]]:
        return [e for e in self.elements if e["tag"] in tags]


def html(whole=None) -> str:
    return render(assemble(whole or study()))


def cell_text(cell: dict[str, Any]) -> str:
    second = [child["text"] for child in cell["children"] if child["attrs"].get("class") == "detail"]
    return cell["text"].removesuffix("".join(second))


def tables(page: Page) -> dict[str, list[list[str]]]:
    """Caption -> rows of cell texts; a cell's second line is cut off."""
    found = {}
    for table in page.all("table"):
        caption = next(c for c in table["children"] if c["tag"] == "caption")["text"]
        body = next(c for c in table["children"] if c["tag"] == "tbody")
        found[caption] = [[cell_text(cell) for cell in row["children"]] for row in body["children"]]
    return found


def value(text: str) -> tuple[float, float]:
    """A printed number and half a unit of its last digit."""
    plain = text.replace("−", "-").replace(",", "")
    return float(plain), 0.5001 * 10.0 ** -len(plain.partition(".")[2])


def close(text: str, number: float) -> bool:
    printed, half = value(text)
    return abs(printed - number) <= half


def test_fixed_effects_are_those_of_the_record():
    whole = study()
    shown = {row[0]: row[1:] for row in tables(Page(html(whole)))["Fixed effects (REML)"]}
    assert list(shown) == list(TERMS)
    for row in whole.winner["fixed"]:
        estimate, error, df, t, p, interval = shown[row["term"]]
        low, high = interval.split(" to ")
        assert close(estimate, row["estimate"]) and close(error, row["std_error"]) and close(df, row["df"])
        assert close(t, row["statistic"]) and close(low, row["conf_low"]) and close(high, row["conf_high"])
        assert p == "< 0.0001" if row["p_value"] < 1e-4 else close(p, row["p_value"])


def test_variances_criteria_and_ladder_are_those_of_the_files():
    whole = study()
    found = tables(Page(html(whole)))
    variances = found["Variances and correlations (REML)"]
    for shown, row in zip(variances, whole.winner["random"], strict=True):
        assert close(shown[2], row["covariance"])
        assert shown[3] == "–" if row["sd"] is None else close(shown[3], row["sd"])
        assert shown[4] == "–" if row["correlation"] is None else close(shown[4], row["correlation"])
    criteria = found["Likelihood and criteria of the selected model"]
    for shown, key in zip(
        criteria, ("loglik", "deviance", "aic", "aicc", "bic", "npar", "nobs"), strict=True
    ):
        assert close(shown[1], whole.winner["ml"][key]) and close(shown[2], whole.winner["reml"][key])
    ladder = found["Candidates, best first (ML)"]
    for shown, step in zip(ladder, whole.selection["ladder"], strict=True):
        assert shown[0] == step["model"]
        for text, key in zip(
            shown[1:], ("npar", "loglik", "aic", "aicc", "bic", "delta", "weight"), strict=True
        ):
            assert text == "–" if step[key] is None else close(text, step[key])
    test = whole.selection["tests"][0]
    shown = found["Likelihood-ratio tests of nested candidates (ML)"][0]
    assert close(shown[1], test["statistic"]) and shown[2].startswith("0.0094") and shown[4] == "0.0150"
    assert shown[3] == "half χ²(1), half χ²(2)"


def test_rows_are_accounted_for():
    whole = study()
    page = html(whole)
    shown = {row[0]: row[1] for row in tables(Page(page))["Rows read, used and not used"]}
    assert shown == {"Read": "55", "Not used: missing score": "2", "Not used: duplicate": "1", "Used": "52"}
    assert "55 rows read, 52 used, 3 not used (2 missing score and 1 duplicate)." in page


def test_a_failed_candidate_is_visible_with_its_message():
    assert "broken: The times are not whole numbers." in html()


def poisoned(payload: str):
    """The study with the payload as subject, level, column, title, formula, path and message."""
    whole = study()
    data = replace(
        whole.rows,
        subject=(payload, *whole.rows.subject[1:]),
        group=tuple(payload if g == "b" else g for g in whole.rows.group),
        groups=("a", payload),
    )
    values = fitted(rows())
    values = replace(
        values,
        rows=data,
        effects=tuple(replace(e, level=payload) if e.level == "P001" else e for e in values.effects),
        curves=tuple(replace(c, group=payload) if c.group == "b" else c for c in values.curves),
        held=((payload, payload),),
    )
    model = whole.winner | {
        "formula": payload,
        "fixed": [row | {"term": row["term"].replace("b]", payload + "]")} for row in whole.winner["fixed"]],
    }
    design = whole.design | {
        "title": payload,
        "description": payload,
        "response": payload,
        "time_label": payload,
        "response_label": payload,
        "group": payload,
    }
    clean = whole.clean | {
        "columns": [c | {"name": payload, "levels": {payload: 1}} for c in whole.clean["columns"]],
        "attrition": [r | {"group": payload if r["group"] == "b" else "a"} for r in whole.clean["attrition"]],
        "source": whole.clean["source"] | {"path": payload},
        "coercions": [{"column": payload, "kind": payload, "count": 1, "examples": [payload]}],
        "rows": whole.clean["rows"] | {"dropped": {payload: 3}},
    }
    steps = [step | {"message": payload, "formula": payload} for step in whole.selection["ladder"]]
    return replace(
        whole,
        clean=clean,
        rows=data,
        fitted=values,
        design=design,
        models={"random_slope": model},
        selection=whole.selection | {"ladder": steps},
        code=payload,
    )


@pytest.mark.parametrize("payload", PAYLOADS)
def test_no_payload_reaches_the_page_raw(payload):
    text = html(poisoned(payload))
    assert payload not in text
    page = Page(text)
    assert len(page.all("script")) == 1 and not page.all("img")
    assert not [e for e in page.elements if any(name.startswith("on") for name in e["attrs"])]
    assert (
        sum(payload in e["text"] for e in page.elements if e["tag"] in ("h1", "dd", "th", "td", "p", "text"))
        > 8
    )


def test_equal_results_give_equal_bytes():
    assert html(study()) == html(study())


def test_fifty_thousand_rows_stay_under_a_megabyte_and_half_a_second():
    random = np.random.default_rng(0)
    n, names = 50_000, [f"S{i:05d}" for i in range(5000)]
    subject = tuple(np.repeat(names, 10).tolist())
    group = tuple(np.repeat(["a", "b"] * 2500, 10).tolist())
    time_, y = np.tile(np.arange(10.0), 5000), random.normal(50, 5, n)
    data = Rows(subject, group, time_, y, ("a", "b"))
    small = study()
    effects = tuple(
        replace(small.fitted.effects[0], level=s, term=t, estimate=float(random.normal()))
        for s in names
        for t in ("Intercept", "week")
    )
    noise = random.normal(size=n)
    values = replace(
        small.fitted,
        rows=data,
        fitted=y - noise,
        population=np.full(n, 50.0),
        pearson=noise,
        normalized=noise,
        effects=effects,
    )
    whole = replace(small, rows=data, fitted=values)
    text = html(whole)
    assert len(text.encode()) < 1_000_000
    Page(text)


def test_records_are_read_at_their_full_precision():
    """Nothing in the record is rounded before it is printed: a change in the last printed digit shows."""
    whole = study()
    row = whole.winner["fixed"][1]
    moved = [r | {"estimate": r["estimate"] * 1.01} if r is row else r for r in whole.winner["fixed"]]
    other = replace(whole, models={"random_slope": whole.winner | {"fixed": moved}})
    assert (
        tables(Page(html(whole)))["Fixed effects (REML)"][1][1]
        != tables(Page(html(other)))["Fixed effects (REML)"][1][1]
    )
    assert math.isclose(record(rows())["fixed"][1]["estimate"], row["estimate"])
