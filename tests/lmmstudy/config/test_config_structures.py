"""Residual and variance structures in the configuration: mistakes, columns, and what a fit is given."""

import re
from copy import deepcopy

import pytest
from test_config import CONFIG, problems

from lmmstudy.config.study import load, plan
from lmmstudy.fitting.structures import RESIDUALS, VARIANCES, residual_of, variance_of

FORMULA = "{response} ~ {fixed}"


def with_model(model: dict, **keys) -> dict:
    config = deepcopy(CONFIG)
    config["models"]["slope"] = {"formula": FORMULA} | model
    config["datasets"]["growth"] |= keys
    return config


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (
            {"residual": {"type": "toeplitz", "nugget": True}},
            ".residual.nugget: 'toeplitz' has no nugget (only exponential and gaussian have one); leave "
            "it out",
        ),
        (
            {"residual": {"type": "gausian"}},
            ".residual.type: 'gausian' is not allowed, did you mean 'gaussian'? (allowed:",
        ),
        ({"residual": {"type": "exponential", "nuget": 1}}, ".residual: unknown key 'nuget', did you mean"),
        ({"residual": {"type": "gaussian", "nugget": "yes"}}, ".residual.nugget: 'yes' is not true or false"),
        (
            {"residual": {"type": "compound_symmetry", "time": "age"}},
            ".residual.time: 'compound_symmetry' uses no time; leave it out",
        ),
        (
            {"residual": {"type": "car1", "time": "{tme}"}},
            ".residual.time: {tme} has no meaning, did you mean 'time'? (allowed:",
        ),
        ({"variance": {"type": "power"}}, ".variance: 'power' needs the key 'of': 'fitted' for the fitted"),
        ({"variance": {"type": "by_group"}}, ".variance: 'by_group' needs the key 'column': the category"),
        (
            {"variance": {"type": "by_group", "column": "sex", "of": "age"}},
            ".variance.of: 'by_group' takes 'column', not 'of'",
        ),
        ({"variance": {"type": "by_grup", "column": "sex"}}, ".variance.type: 'by_grup' is not allowed, did"),
        ({"variance": {}}, ".variance: the key 'type' is missing"),
    ],
)
def test_each_mistake_names_place_value_and_remedy(model, expected):
    (problem,) = problems(with_model(model))
    assert problem.startswith(f"models.slope{expected}")


def test_a_group_is_needed_where_a_candidate_uses_it():
    model = {"variance": {"type": "by_group", "column": "{group}"}}
    (problem,) = problems(with_model(model))
    assert problem == (
        "datasets.growth: the candidate 'slope' uses {group}, but the dataset names no `group`"
    )
    assert load(with_model(model, group="sex"))


@pytest.mark.parametrize("part", ["ar1", None, [], {"type": ["ar1"]}, {"type": "ar1", "time": 3}])
def test_structures_of_the_wrong_shape_do_not_crash_the_checks(part):
    assert problems(with_model({"residual": part}))


def test_columns_of_structures_are_cleaned_and_may_be_categories():
    model = {
        "residual": {"type": "car1", "time": "day", "subject": "tooth"},
        "variance": {"type": "by_group", "column": "ward"},
    }
    job = plan(load(with_model(model, categories={"ward": ["a", "b"]})))["growth"]
    assert job["clean"]["covariates"] == ["day", "sex", "tooth", "ward"]
    power = plan(load(with_model({"variance": {"type": "power", "of": "fitted"}})))["growth"]
    assert power["clean"]["covariates"] == ["sex"]


def test_a_fit_is_given_the_columns_of_its_dataset():
    model = {
        "residual": {"type": "exponential", "nugget": True},
        "variance": {"type": "power", "of": "{time}"},
    }
    fits = plan(load(with_model(model)))["growth"]["fit"]
    assert fits["slope"]["residual_structure"] == {
        "type": "exponential",
        "time": "age",
        "subject": "child",
        "nugget": True,
    }
    assert fits["slope"]["variance"] == {"type": "power", "of": "age"}
    assert fits["intercept"]["residual_structure"] is None and fits["intercept"]["variance"] is None
    timeless = plan(load(with_model({"residual": {"type": "compound_symmetry"}})))["growth"]["fit"]["slope"]
    assert timeless["residual_structure"]["time"] is None


@pytest.mark.parametrize(
    ("formula", "subject", "expected"),
    [
        ("{response} ~ age + (1 | {subject})", None, "child"),
        ("{response} ~ age + (1 | sex/{subject})", None, "child"),
        ("{response} ~ age + (1 | {subject}/eye)", None, ["child", "eye"]),
        ("{response} ~ age + (1 | sex) + (age | sex:{subject}:eye)", None, ["sex", "child", "eye"]),
        ("{response} ~ age + (1 | {subject})", ["{subject}", "eye"], ["child", "eye"]),
        ("{response} ~ age + (1 | {subject})", "eye", "eye"),
    ],
)
def test_whose_residuals_are_correlated(formula, subject, expected):
    residual = {"type": "ar1"} | ({} if subject is None else {"subject": subject})
    job = plan(load(with_model({"formula": formula, "residual": residual})))["growth"]
    assert job["fit"]["slope"]["residual_structure"]["subject"] == expected
    named = expected if isinstance(expected, list) else [expected]
    assert set(named) <= {"child", *job["clean"]["covariates"]}


def test_whether_the_variances_of_visits_differ():
    for given, expected in (({}, True), ({"heterogeneous": False}, False)):
        model = {"residual": {"type": "ante_dependence"} | given}
        job = plan(load(with_model(model)))["growth"]["fit"]["slope"]
        assert job["residual_structure"]["heterogeneous"] is expected
        assert residual_of(job["residual_structure"]).heterogeneous is expected
    (problem,) = problems(with_model({"residual": {"type": "ar1", "heterogeneous": True}}))
    assert "heterogeneous: 'ar1' has no such choice (only ante_dependence has one)" in problem


def test_a_covariance_of_its_own_for_each_level():
    job = plan(load(with_model({"residual": {"type": "ar1", "by": "sex"}})))["growth"]
    structure = job["fit"]["slope"]["residual_structure"]
    assert structure["by"] == "sex" and "sex" in job["clean"]["covariates"]
    assert residual_of(structure).by == "sex"
    (problem,) = problems(with_model({"residual": {"type": "ar1", "by": "{sx}"}}))
    assert "residual.by: {sx} has no meaning" in problem


@pytest.mark.parametrize(
    ("subject", "words"),
    [
        ([], r"residual.subject: \[\] needs at least 1 item"),
        ("", "residual.subject: '' must not be empty"),
        (3, "residual.subject: 3 is not a text or a list"),
        (["child", 3], "residual.subject.1: 3 is not a text"),
        (["{chld}"], "residual.subject: {chld} has no meaning"),
        (["a`b"], "cannot have a backtick"),
        ("a`b", "cannot have a backtick"),
    ],
)
def test_subjects_that_are_no_columns(subject, words):
    found = problems(with_model({"residual": {"type": "ar1", "subject": subject}}))
    assert any(re.search(words, problem) for problem in found), found


def test_the_schema_names_what_can_be_built(schema_types):
    assert schema_types == (list(RESIDUALS), list(VARIANCES))


@pytest.fixture
def schema_types():
    from lmmstudy.config.study import read_schema

    model = read_schema()["$defs"]["model"]["properties"]
    return tuple(model[part]["properties"]["type"]["enum"] for part in ("residual", "variance"))


@pytest.mark.parametrize("kind", RESIDUALS)
def test_structures_are_the_engine_s_of_the_same_name(kind):
    structure = {"type": kind, "time": "t", "subject": "s", "nugget": kind == "gaussian"}
    built = residual_of(structure)
    assert (built.type, built.subject) == (kind, "s")
    assert built.time == (None if kind == "compound_symmetry" else "t")
    assert getattr(built, "nugget", False) is structure["nugget"]


def test_variances_are_the_engine_s():
    assert repr(variance_of({"type": "by_group", "column": "arm"})) == "ByGroup(column='arm')"
    assert repr(variance_of({"type": "power", "of": "fitted"})) == "Power(of='fitted')"
    assert residual_of(None) is None and variance_of(None) is None
