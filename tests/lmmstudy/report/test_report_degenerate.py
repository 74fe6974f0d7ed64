"""Data and results at the edge: each still gives a page, with a sentence instead of what cannot be shown."""

import re
from dataclasses import replace

import numpy as np
import pytest
from test_report_page import Page, html
from test_report_sample import audit, fitted, rows, study, without_model

from lmmstudy.report.refit.rows import Rows
from tests.support.sample_diagnostics import diagnostics


def one_row():
    data = Rows(("only",), ("a",), np.array([0.0]), np.array([5.0]), ("a",))
    whole = study()
    clean = audit(rows(1, 1)) | {
        "duplicates": {"policy": "stop", "identical": [], "conflicting": []},
        "out_of_range": [],
    }
    return replace(without_model(whole), clean=clean, rows=data)


def failed_cleaning():
    whole = without_model(study())
    blank = {
        "rows": {"read": 0, "used": 0, "dropped": {}},
        "subjects": {"read": 0, "used": 0},
        "columns": [],
        "coercions": [],
        "status": "failed",
        "message": "trial was not analysed: there is no file data/raw/trial.csv.",
        "attrition": [],
        "out_of_range": [],
        "visits": {"times": [], "patterns": [], "per_subject": dict.fromkeys(("min", "median", "max"))},
        "duplicates": {"policy": "stop", "identical": [], "conflicting": []},
        "source": {
            "path": "data/raw/trial.csv",
            **dict.fromkeys(("sha256", "bytes", "format", "separator", "encoding")),
        },
    }
    return replace(
        whole, clean=whole.clean | blank, rows=None, selection=whole.selection | {"ladder": [], "tests": []}
    )


def zero_variance():
    whole = study()
    random = [
        row | {"covariance": 0.0, "sd": 0.0} if row["group"] == "id" else row
        for row in whole.winner["random"]
    ]
    random[2] = random[2] | {"sd": None, "correlation": None}
    values = replace(
        whole.fitted, effects=tuple(replace(e, estimate=0.0, std_error=0.0) for e in whole.fitted.effects)
    )
    model = whole.winner | {"random": random, "status": "singular"}
    return replace(whole, models={"random_slope": model}, fitted=values)


def one_time():
    data = replace(rows(12, 1))
    whole = study(12, 5)
    values = fitted(rows(12, 5))
    first = values.rows.time == 0
    curves = tuple(
        replace(c, x=c.x[:1], mean=c.mean[:1], low=c.low[:1], high=c.high[:1]) for c in values.curves
    )
    values = replace(
        values,
        rows=data,
        curves=curves,
        **{name: getattr(values, name)[first] for name in ("fitted", "population", "pearson", "normalized")},
    )
    clean = audit(data)
    return replace(
        whole,
        rows=data,
        fitted=values,
        clean=clean | {"visits": clean["visits"] | {"per_subject": {"min": 1, "median": 1.0, "max": 1}}},
    )


def equal_values():
    whole = study()
    flat = np.full(whole.rows.response.size, 3.0)
    data = replace(whole.rows, response=flat)
    zero = np.zeros(flat.size)
    values = replace(whole.fitted, rows=data, fitted=flat, population=flat, pearson=zero, normalized=zero)
    values = replace(values, diagnostics=diagnostics(data, zero))
    return replace(whole, rows=data, fitted=values)


def other_scripts():
    whole = study()
    names = {
        f"P{k + 1:03d}": name
        for k, name in enumerate(("被験者", "Αλφα", "участник", "مشارك", "ผู้ป่วย", "👩‍🔬"))
    }
    data = replace(whole.rows, subject=tuple(names.get(s, s) for s in whole.rows.subject))
    effects = tuple(replace(e, level=names.get(e.level, e.level)) for e in whole.fitted.effects)
    return replace(whole, rows=data, fitted=replace(whole.fitted, rows=data, effects=effects))


def no_refit():
    return replace(
        study(), fitted=None, trouble="the selected model could not be fitted again for the plots: no file"
    )


DEGENERATE = {
    "one row": (one_row, "No id has more than one row"),
    "failed cleaning": (failed_cleaning, "there is no file data/raw/trial.csv"),
    "no model": (lambda: without_model(study()), "trial has no model: all failed."),
    "zero variance": (
        zero_variance,
        "The estimated variance of the random intercept and the random effect of week for id is 0",
    ),
    "one time": (one_time, "All rows stand at one time"),
    "equal values": (equal_values, "fewer than three different residuals"),
    "other scripts": (other_scripts, "被験者"),
    "no refit": (no_refit, "The selected model could not be fitted again"),
}


@pytest.mark.parametrize("name", DEGENERATE)
def test_degenerate_inputs_give_a_page_with_a_sentence(name):
    make, words = DEGENERATE[name]
    if name == "one row":
        whole = make()
        whole = replace(
            whole,
            clean=whole.clean
            | {"visits": whole.clean["visits"] | {"per_subject": {"min": 1, "median": 1.0, "max": 1}}},
        )
    else:
        whole = make()
    text = html(whole)
    page = Page(text)
    assert words in text
    assert len(page.all("section")) == 11 and len(page.all("h2")) == 11
    assert not re.search(r"\bnan\b|\binf\b|None", re.sub(r"<(script|style)>.*?</\1>", "", text, flags=re.S))


def test_zero_variance_draws_no_caterpillar():
    assert "fig-effects" not in html(zero_variance()) and "fig-effects-0" in html()
