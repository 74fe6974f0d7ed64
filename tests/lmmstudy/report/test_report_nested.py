"""Grouping factors within one another: indices, words and a chart each."""

from dataclasses import replace

import numpy as np
from test_report_equation import lines
from test_report_sample import record, rows, study

from lmmcore.diagnostics.qq import quantiles
from lmmstudy.report.equation.equation import index_words
from lmmstudy.report.page import assemble, render
from lmmstudy.report.words.residual import meaning
from lmmstudy.report.words.sentences import model_words


def nested():
    """Random intercepts of sites and of ids within them."""
    base = record(rows())
    keys = ("group", "term1", "term2", "covariance", "sd", "correlation")
    entries = [("site", 4.0, 2.0), ("site:id", 16.0, 4.0)]
    random = [dict(zip(keys, (g, "Intercept", None, v, sd, None), strict=True)) for g, v, sd in entries]
    return base | {"random": [*random, base["random"][-1]], "groups": {"site": 7, "site:id": 12}}


def test_nested_groups_have_an_index_each():
    assert lines(nested())[0].startswith("scoreijk=") and lines(nested())[-4].endswith("+b0i+u0ij+εijk")
    assert lines(nested())[-3:] == ["b0i∼N(0,4.000)", "u0ij∼N(0,16.00)", "εijk∼N(0,9.000)"]
    assert index_words(nested(), "id", "week") == (
        "i = site, j = site:id within i, k = row within j (in order of week)."
    )
    serial = {"type": "car1", "time": "day", "subject": "id", "nugget": False}
    correlated = nested() | {"residual_structure": serial, "residual_parameters": {"rho": 0.5}}
    assert lines(correlated)[-2:] == ["εij∼N(0,9.000Rij)", "Rkl=0.500|tk−tl|"]
    assert index_words(correlated, "id", "week").endswith("k = row within j (in order of day).")
    finer = correlated | {"residual_structure": serial | {"subject": "tooth"}}
    assert "k = tooth within j, l = row within k" in index_words(finer, "id", "week")
    both = correlated | {"residual_structure": serial | {"subject": ["id", "eye"]}}
    assert "k = id:eye within j, l = row within k" in index_words(both, "id", "week")
    same = correlated | {"residual_structure": serial | {"subject": ["id", "site"]}}
    assert index_words(same, "id", "week") == index_words(correlated, "id", "week")
    assert meaning(both).startswith("Residuals of the same id:eye that lie d apart in day")


def test_nested_groups_in_words():
    words = "random intercept for each site, random intercept for each site:id, independent residuals"
    assert model_words(nested()) == words


def test_each_group_has_its_caterpillar():
    whole = study()
    levels = [f"L{k:03d}" for k in range(400)]
    first = whole.fitted.effects[0]
    effects = [replace(first, group="site", level=f"S{k}", term="Intercept") for k in range(7)]
    effects += [
        replace(first, group="site:id", level=name, term="Intercept", estimate=float(k))
        for k, name in enumerate(levels)
    ]
    spread = quantiles(np.arange(400.0), "Intercept | site:id"), quantiles(np.arange(7.0), "Intercept | site")
    found = replace(whole.fitted.diagnostics, effects=spread)
    fitted = replace(whole.fitted, effects=tuple(effects), diagnostics=found)
    text = render(assemble(replace(whole, models={"random_slope": nested()}, fitted=fitted)))
    assert 'id="fig-effects-0"' in text and 'id="fig-effects-1"' in text
    assert "300 of 400 levels, evenly spaced in this order." in text
    assert 'id="fig-effects-1-normal-0"' in text
    assert 'id="fig-effects-0-normal-0"' not in text  # seven levels, too few
