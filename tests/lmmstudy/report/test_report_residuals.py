"""Residual and variance structures in words, symbols, tables and alerts."""

from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest
from test_report_equation import lines
from test_report_page import Page, close, tables
from test_report_sample import record, rows, study

from lmmstudy.report.alerts import alerts, residual_alerts
from lmmstudy.report.equation.equation import equation
from lmmstudy.report.page import assemble, render
from lmmstudy.report.sections.model import section
from lmmstudy.report.words.residual import meaning, residual_row
from lmmstudy.report.words.residual_numbers import lags, ratios, visits
from lmmstudy.report.words.sentences import model_words

GRID = {
    "sd(10)/sd(2)": 1.5,
    "sd(4)/sd(2)": 2.0,
    "cor(2,4)": 0.5,
    "cor(2,10)": 0.25,
    "cor(4,10)": -0.125,
}
BY_ARM = {"type": "by_group", "column": "arm"}


def model(kind: str = "", parameters=None, nugget: bool = False, variance=None, effects: bool = False):
    """The sample's record with other residuals; without `effects`, without random effects."""
    base = record(rows())
    time = None if kind == "compound_symmetry" else "week"
    structure = {"type": kind, "time": time, "subject": "id", "nugget": nugget} if kind else None
    random = base["random"] if effects else base["random"][-1:]
    return base | {
        "residual_structure": structure,
        "variance": variance,
        "residual_parameters": parameters or {},
        "random": random,
    }


def shown(changed) -> str:
    whole = study()
    return render(assemble(replace(whole, models={"random_slope": changed})))


def test_parameters_are_read_whatever_their_order():
    found = visits(model("unstructured", GRID))
    assert found.times == (2, 4, 10)
    np.testing.assert_allclose(found.sd, [3, 6, 4.5])
    np.testing.assert_allclose(found.covariance, [[9, 9, 3.375], [9, 36, -3.375], [3.375, -3.375, 20.25]])
    toeplitz = model("toeplitz", {"rho(10)": 0.1, "rho(2)": 0.6, "rho(4)": 0.4})
    assert lags(toeplitz) == ((2, 0.6), (4, 0.4), (10, 0.1))
    assert visits(toeplitz) is None and visits(model("unstructured")) is None


def test_visits_by_name_keep_their_order():
    grid = {"sd(Week 10)/sd(Week 2)": 1.5, "cor(Week 2,Week 10)": 0.25}
    order = {"labels": ["Week 2", "Week 4", "Week 10"], "sentence": "The visits of week are in that order."}
    changed = model("unstructured", grid) | {"visits": order}
    found = visits(changed)
    assert found.times == found.shown == ("Week 2", "Week 10")
    np.testing.assert_allclose(found.covariance, [[9, 3.375], [3.375, 20.25]])
    assert "σ is the residual SD at week = Week 2. The visits of week are in that order." in meaning(changed)
    assert residual_row(changed) == "Residual at week Week 2" and "Week 10" in shown(changed)


@pytest.mark.parametrize("own", [True, False])
def test_ante_dependence_shows_products(own):
    parameters = {"cor(2,4)": 0.5, "cor(4,10)": -0.4}
    parameters |= {"sd(4)/sd(2)": 2.0, "sd(10)/sd(2)": 1.5} if own else {}
    changed = model("ante_dependence", parameters)
    changed["residual_structure"]["heterogeneous"] = own
    found = visits(changed)
    np.testing.assert_allclose(found.correlation, [[1, 0.5, -0.2], [0.5, 1, -0.4], [-0.2, -0.4, 1]])
    np.testing.assert_allclose(found.sd, [3, 6, 4.5] if own else [3, 3, 3])
    assert ("a residual variance of its own" if own else "the same residual variance") in meaning(changed)
    assert residual_row(changed) == ("Residual at week 2" if own else "Residual")
    assert model_words(changed).startswith("ante-dependent residuals over week")
    assert "−0.200" in shown(changed)


def test_visits_that_are_large_numbers_are_told_apart():
    grid = {f"sd({day})/sd(20240101)": 2.0 for day in (20240102, 20240103)}
    grid |= {"cor(20240101,20240102)": 0.5, "cor(20240101,20240103)": 0.2, "cor(20240102,20240103)": 0.4}
    found = visits(model("unstructured", grid))
    assert found.shown == ("20,240,101", "20,240,102", "20,240,103")
    close = {"sd(0.10000001)/sd(0.1)": 2.0, "cor(0.1,0.10000001)": 0.5}
    assert visits(model("unstructured", close)).shown == ("0.1", "0.10000001")


def test_levels_of_the_same_names_as_visits():
    both = GRID | {"sd(4)/sd(2) by group": 0.5}
    assert ratios(model("unstructured", both, variance=BY_ARM)) == {"2": 1.0, "4": 0.5}


def test_levels_are_told_from_visits():
    both = model("unstructured", GRID | {"sd(b)/sd(a)": 0.5, "sd(c)/sd(a)": 3.0}, variance=BY_ARM)
    assert ratios(both) == {"a": 1.0, "b": 0.5, "c": 3.0} and visits(both).times == (2, 4, 10)
    assert ratios(model("unstructured", GRID)) == {}
    assert ratios(model(parameters={"sd(x) y)/sd(z)": 2.0}, variance=BY_ARM)) == {"z": 1.0, "x) y": 2.0}


@pytest.mark.parametrize(
    ("kind", "nugget", "words"),
    [
        ("", False, "independent residuals"),
        ("ar1", False, "residuals AR(1) over week within each id"),
        ("car1", False, "residuals continuous-time AR(1) over week within each id"),
        ("exponential", False, "residuals with exponential correlation over week within each id"),
        ("exponential", True, "residuals with exponential correlation and nugget over week within each id"),
        ("gaussian", False, "residuals with Gaussian correlation over week within each id"),
        ("compound_symmetry", False, "residuals with compound symmetry within each id"),
        ("toeplitz", False, "residuals with Toeplitz correlation over week within each id"),
        ("unstructured", False, "residuals with unstructured covariance over week within each id"),
        ("random_walk", False, "residuals that follow a random walk over week within each id"),
    ],
)
def test_structures_in_words(kind, nugget, words):
    assert model_words(model(kind, nugget=nugget)) == words


def test_variances_in_words():
    words = "independent residuals with a variance for each level of arm"
    assert model_words(model(variance=BY_ARM)) == words
    assert model_words(model("ar1", variance=BY_ARM)) == (
        "residuals AR(1) over week within each id, with a variance for each level of arm"
    )
    fitted = {"type": "power", "of": "fitted"}
    assert model_words(model(variance=fitted)) == (
        "independent residuals with SD proportional to a power of the fitted value"
    )


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (model(), ""),
        (
            model("ar1", {"rho": 0.4256}),
            "Residuals of the same id that lie d apart in week have correlation ρ to the power d; the "
            "estimate of ρ is 0.426.",
        ),
        (
            model("car1", {"rho": 0.99754}),
            "Residuals of the same id that lie d apart in week have correlation ρ to the power d; the "
            "estimate of ρ is 0.9975.",
        ),
        (
            model("car1", {"rho": 0.9999986}),  # log(1/2) / log(0.9999986)
            "Residuals of the same id that lie d apart in week have correlation ρ to the power d; the "
            "estimate of ρ is 0.9999986, so that it halves in 495,105 of week.",
        ),
        (
            model("exponential", {"range": 5.25}),
            "Residuals of the same id that lie d apart in week have correlation exp(−d/r); the estimate "
            "of the range r is 5.250.",
        ),
        (
            model("gaussian", {"range": 5.25, "nugget": 0.25}, nugget=True),
            "Residuals of the same id that lie d apart in week have correlation (1 − g) exp(−(d/r)²); the "
            "estimate of the range r is 5.250 and that of the nugget g, the share of measurement error, is "
            "0.250.",
        ),
        (
            model("compound_symmetry", {"rho": -0.125}),
            "Any two residuals of the same id have correlation ρ, however far apart; the estimate of ρ is "
            "−0.125.",
        ),
        (
            model("toeplitz", {"rho(2)": 0.5}),
            "Residuals of the same id have a correlation of their own for each distance in week, listed "
            "in the random part.",
        ),
        (
            model("unstructured", GRID),
            "Each week has a residual variance of its own and each pair of them a correlation of its own, "
            "listed in the random part; σ is the residual SD at week = 2.",
        ),
        (
            model("random_walk"),
            "The residual of one id at week = t is a sum of independent steps, one a unit of week from "
            "0 at week = 0: its variance is σ² t, and the residuals at s and t have covariance σ² min(s, t).",
        ),
        (
            model(parameters={"sd(b)/sd(a)": 0.5, "sd(c)/sd(a)": 1.25}, variance=BY_ARM),
            "Compared with arm a, the residual SD is multiplied by 0.5000 in arm b and by 1.250 in arm c.",
        ),
        (
            model(parameters={"power": 0.5}, variance={"type": "power", "of": "week"}),
            "The residual SD is proportional to the absolute value of week to the power δ; the estimate "
            "of δ is 0.5000.",
        ),
    ],
)
def test_what_the_estimates_mean(changed, words):
    assert meaning(changed) == words


def test_a_power_beside_variances_that_differ_already():
    changed = model("random_walk", {"power": 0.5}, variance={"type": "power", "of": "week"})
    assert "The residual SD is beyond that proportional to the absolute value of week" in meaning(changed)


NBSP = "\u00a0"


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        (model("car1", {"rho": 0.5}), ["εi∼N(0,9.000Ri)", "Rjk=0.500|tj−tk|"]),
        (model("exponential", {"range": 5.25}), ["εi∼N(0,9.000Ri)", "Rjk=exp(−|tj−tk|/5.250)"]),
        (
            model("exponential", {"range": 5.25, "nugget": 0.25}, nugget=True),
            ["εi∼N(0,9.000Ri)", "Rjk=0.750exp(−|tj−tk|/5.250) for j ≠ k, Rjj=1"],
        ),
        (model("gaussian", {"range": 5.25}), ["εi∼N(0,9.000Ri)", "Rjk=exp(−(|tj−tk|/5.250)2)"]),
        (model("compound_symmetry", {"rho": 0.25}), ["εi∼N(0,9.000Ri)", "Rjk=0.250 for j ≠ k, Rjj=1"]),
        (
            model("toeplitz", {"rho(2)": 0.5, "rho(4)": 0.25}),
            ["εi∼N(0,9.000Ri)", "Rjk=ρ(|tj−tk|)", "ρ(2)=0.500, ρ(4)=0.250"],
        ),
        (model("random_walk"), ["εi∼N(0,9.000Ri)", "Rjk=min(tj,tk)"]),
        (
            model("unstructured", GRID),
            ["εi∼N(0,Σi)", "Σ=9.0009.0003.3759.00036.00−3.3753.375−3.37520.25 at week 2, 4, 10"],
        ),
        (
            model(parameters={"sd(b)/sd(a)": 0.5}, variance=BY_ARM),
            ["εij∼N(0,σij2)", "σij=3.000[arm = a]+1.500[arm = b]"],
        ),
        (
            model(parameters={"power": 0.5}, variance={"type": "power", "of": "fitted"}),
            ["εij∼N(0,σij2)", "σij=3.000|fittedij|0.500"],
        ),
        (
            model("ar1", {"rho": 0.5, "sd(b)/sd(a)": 0.5}, variance=BY_ARM),
            ["εi∼N(0,SiRiSi)", "Si=diag(σij)", "σij=3.000[arm = a]+1.500[arm = b]", "Rjk=0.500|tj−tk|"],
        ),
        (
            model("unstructured", GRID | {"power": -0.5}, variance={"type": "power", "of": "week"}),
            [
                "εi∼N(0,SiΣiSi)",
                "Si=diag(sij)",
                "sij=|weekij|−0.500",
                "Σ=9.0009.0003.3759.00036.00−3.3753.375−3.37520.25 at week 2, 4, 10",
            ],
        ),
    ],
)
def test_structures_in_symbols(changed, expected):
    found = [line.replace(NBSP, " ") for line in lines(changed)]
    assert found[-len(expected) :] == expected and found[-len(expected) - 1].endswith("εij")


def test_many_visits_are_left_to_the_table():
    names = [str(k) for k in range(8)]
    parameters = {f"sd({b})/sd(0)": 1.0 for b in names[1:]}
    parameters |= {f"cor({a},{b})": 0.5 for k, b in enumerate(names) for a in names[:k]}
    assert lines(model("unstructured", parameters))[-1] == "εi∼N(0,Σi)"
    many = model("toeplitz", {f"rho({k})": 0.5 for k in range(1, 9)})
    assert lines(many)[-1].count("ρ") == 6 and lines(many)[-1].endswith("…")


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        (model(), "Residual"),
        (model("ar1", {"rho": 0.1}), "Residual"),
        (model("unstructured", GRID), "Residual at week 2"),
        (model("random_walk"), "Residual at week 1"),
        (
            model("random_walk", {"power": 2.0}, variance={"type": "power", "of": "week"}),
            "Residual at week 1",
        ),
        (model(parameters={"sd(b)/sd(a)": 2.0}, variance=BY_ARM), "Residual at arm a"),
        (
            model(parameters={"power": 2.0}, variance={"type": "power", "of": "fitted"}),
            "Residual at the fitted value 1",
        ),
    ],
)
def test_the_residual_variance_says_which_rows_have_it(changed, name):
    assert residual_row(changed) == name


def test_parameters_by_themselves_in_a_table():
    page = tables(Page(shown(model("exponential", {"range": 5.25, "nugget": 0.25}, nugget=True))))
    assert page["Parameters of the residuals (REML)"] == [
        [
            "range",
            "5.250",
            "–",
            "distance in week at which the correlation has fallen to 0.368 of what it is nearby",
        ],
        ["nugget", "0.2500", "–", "share of the residual variance that is measurement error"],
    ]
    power = {"type": "power", "of": "fitted"}
    page = tables(Page(shown(model("ar1", {"rho": 0.5, "power": 0.75}, variance=power))))
    assert page["Parameters of the residuals (REML)"] == [
        ["rho", "0.500", "–", "residual correlation at distance 1 in week"],
        ["power", "0.7500", "–", "exponent of the absolute value of the fitted value in the residual SD"],
    ]
    page = tables(Page(shown(model("compound_symmetry", {"rho": 0.5}))))
    words = "residual correlation of any two rows of one id"
    assert page["Parameters of the residuals (REML)"] == [["rho", "0.500", "–", words]]


def test_parameters_by_visit_distance_and_level_in_tables():
    page = tables(Page(shown(model("unstructured", GRID))))
    assert page["Residual SD and correlation by week (REML)"] == [
        ["2", "3.000", "1", "", ""],
        ["4", "6.000", "0.500", "1", ""],
        ["10", "4.500", "0.250", "−0.125", "1"],
    ]
    covariance = page["Residual covariance by week (REML)"]
    assert close(covariance[2][2], -3.375) and close(covariance[1][2], 36.0)
    page = tables(Page(shown(model("toeplitz", {"rho(10)": 0.25, "rho(2)": 0.5}))))
    assert page["Residual correlation by distance in week (REML)"] == [["2", "0.500"], ["10", "0.250"]]
    changed = model(parameters={"sd(b)/sd(a)": 0.5}, variance=BY_ARM)
    assert tables(Page(shown(changed)))["Residual SD by arm (REML)"] == [
        ["a", "3.000", "1.000"],
        ["b", "1.500", "0.500"],
    ]
    both = shown(model("unstructured", GRID | {"sd(b)/sd(a)": 0.5}, variance=BY_ARM))
    assert tables(Page(both))["Relative residual SD by arm (REML)"] == [["a", "1.000"], ["b", "0.500"]]
    assert "For arm a; those of other rows are multiples of these." in both


def test_the_configuration_of_the_structures_is_shown():
    changed = model("exponential", {"range": 5.0, "nugget": 0.5}, nugget=True, variance=BY_ARM)
    changed["residual_parameters"]["sd(b)/sd(a)"] = 2.0
    code = [b.text for b in section(study(), changed).blocks if b.kind == "code"]
    assert code[0].splitlines()[1:] == [
        "residual: {type: exponential, nugget: true, time: week, subject: id}",
        "variance: {type: by_group, column: arm}",
    ]
    page = Page(shown(changed))
    python = next(e["text"] for e in page.all("pre") if "import lmmcore" in e["text"])
    assert "residual=lmm.Exponential(time='week', nugget=True, subject='id')" in python
    assert "variance=lmm.ByGroup(column='arm')" in python


def on_boundary(kind: str, parameters: dict, phrase: str):
    changed = model(kind, parameters, nugget="nugget" in parameters)
    return changed | {"certificate": changed["certificate"] | {"boundary": [phrase]}}


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        (
            on_boundary("exponential", {"range": 2.0, "nugget": 0.0}, "nugget is 0"),
            ["Residual parameter on the boundary: nugget is 0 (no measurement error is seen beside the "
             "correlated residuals)"],
        ),
        (
            on_boundary("gaussian", {"range": 0.01}, "range is 0"),
            ["Residual parameter on the boundary: range is 0 (no residual correlation is seen)"],
        ),
        (
            on_boundary("ar1", {"rho": 1.0}, "rho is 1"),
            ["Residual parameter on the boundary: rho is 1 (all residuals of one id are the same)"],
        ),
        (
            on_boundary("compound_symmetry", {"rho": -0.25}, "rho is -0.25, its lowest value"),
            ["Residual parameter on the boundary: rho is -0.25, its lowest value"],
        ),
        (on_boundary("", {}, "the variance of Intercept within id is 0"), []),
        (model("ar1", {"rho": 0.99954}), ["The residual correlation rho is 0.99954"]),
        (
            model("unstructured", GRID | {"cor(2,4)": -0.9996}),
            ["The residual correlation cor(2,4) is −0.99960"],
        ),
        (
            model("exponential", {"range": 90.0}),
            ["The residual correlation's reach of 90.00 is over 10 times the span of the data: it "
             "hardly falls"],
        ),
        (model("exponential", {"range": 70.0}), []),
        (
            model("car1", {"rho": float(np.exp(-1 / 90))}),
            ["The residual correlation's reach of 90.00 is over 10 times the span of the data: it "
             "hardly falls"],
        ),
        (model("car1", {"rho": 0.5}), []),
    ],
)  # fmt: skip
def test_residual_parameters_at_the_boundary_are_told(changed, expected):
    assert [alert.text for alert in residual_alerts(changed, span=8.0)] == expected


def test_dropped_fixed_effects_are_told():
    whole = study()
    changed = replace(whole, models={"random_slope": whole.winner | {"dropped": ["age", "arm[T.b]:age"]}})
    assert alerts(changed)[0].text == (
        "Fixed effects left out because others determine them: age and arm[T.b]:age"
    )
    text = render(assemble(changed))
    assert "Left out, because the terms before them determine them: age and arm[T.b]:age." in text


def test_the_equation_stays_well_formed_under_awkward_names():
    awkward = '<img src=x> & "'
    variance = {"type": "by_group", "column": awkward}
    changed = model(parameters={f"sd({awkward})/sd(a)": 0.5}, variance=variance)
    assert "<img" not in equation(changed, "score")
    ElementTree.fromstring(str(equation(changed, "score")))


def test_a_covariance_of_its_own_for_each_level():
    parameters = {"A: rho": 0.25, "B: rho": 0.75, "sd(B)/sd(A)": 2.0}
    changed = model("ar1", parameters) | {"residual_levels": ["A", "B"]}
    changed["residual_structure"] |= {"by": "arm"}
    words = meaning(changed)
    assert "Each level of arm has a residual covariance of its own, with SD 3.000 in arm A and 6.000" in words
    assert "In arm A: Residuals of the same id" in words and "the estimate of ρ is 0.750" in words
    assert "of their own for each level of arm" in model_words(changed)
    assert residual_row(changed) == "Residual at arm A"
    page = shown(changed)
    assert "arm B: Parameters of the residuals (REML)" in page
    near = model("car1", parameters | {"B: rho": 1.0}) | {
        "residual_levels": ["A", "B"],
        "certificate": {"boundary": ["B: rho is 1"]},
    }
    near["residual_structure"] |= {"by": "arm"}
    (alert,) = (a for a in residual_alerts(near, 10.0) if "boundary" in a.text)
    assert "B: rho is 1 (all residuals of one id are the same)" in alert.text
