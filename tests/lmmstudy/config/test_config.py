"""The configuration: every mistake reported together, defaults filled in, each job's part as narrow
as can be.
"""

from copy import deepcopy
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from lmmstudy.config.docs import README, render
from lmmstudy.config.formulas import columns_of, fill
from lmmstudy.config.problems_formulas import problems_of_formulas
from lmmstudy.config.problems_values import check_numbers
from lmmstudy.config.study import ConfigError, load, plan, read_schema

CONFIG = {
    "datasets": {
        "growth": {
            "path": "growth.csv",
            "subject": "child",
            "time": "age",
            "response": "height",
            "fixed": "age * sex",
            "candidates": ["intercept", "slope"],
        }
    },
    "models": {
        "intercept": {"formula": "{response} ~ {fixed} + (1 | {subject})"},
        "slope": {"formula": "{response} ~ {fixed} + (1 + {time} | {subject})"},
    },
}


def changed(**keys) -> dict:
    config = deepcopy(CONFIG)
    config["datasets"]["growth"] |= keys
    return config


def problems(config: dict) -> list[str]:
    with pytest.raises(ConfigError) as error:
        load(config)
    return [line.removeprefix("  - ") for line in str(error.value).splitlines()[1:-1]]


def test_defaults_come_from_the_schema():
    config = load(CONFIG)
    assert config["selection"] == {"criterion": "aic", "alpha": 0.05}
    assert config["report"] == {"df": "satterthwaite", "conf_level": 0.95}
    growth = config["datasets"]["growth"]
    assert (growth["duplicates"], growth["decimal"], growth["missing"]) == ("error", ".", [])
    assert "selection" not in CONFIG  # the user's own mapping is left alone


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"respnse": "x"}, ": unknown key 'respnse', did you mean 'response'?"),
        ({"duplicates": "frist"}, ".duplicates: 'frist' is not allowed, did you mean 'first'?"),
        ({"candidates": ["slpe"]}, ".candidates: there is no model 'slpe', did you mean 'slope'?"),
        ({"candidates": []}, ".candidates: [] needs at least 1 item(s)"),
        ({"subject": 3}, ".subject: 3 is not a text"),
        ({"time": "child"}, ": subject, time and response must be three different columns"),
        ({"fixed": "y ~ x"}, ".fixed: 'y ~ x' must be the right-hand side alone"),
        ({"range": {"height": [9, 1]}}, ".range.height: [9, 1] must be [lowest, highest]"),
        (
            {"range": {"hieght": [1, 9]}},
            ".range: no model uses a column 'hieght', did you mean 'height'?",
        ),
        (
            {"categories": {"Sex": ["m", "f"]}},
            ".categories: no model uses a column 'Sex', did you mean 'sex'?",
        ),
    ],
)
def test_each_mistake_names_place_value_and_remedy(keys, expected):
    (problem,) = problems(changed(**keys))
    assert problem.startswith(f"datasets.growth{expected}")


def test_all_mistakes_are_reported_together():
    config = changed(respnse="x", duplicates="frist", candidates=["slpe"])
    del config["datasets"]["growth"]["path"]
    config["models"]["slope"]["formula"] = "{response} ~ {fixd}"
    config["models"]["intercept"]["residual"] = {"type": "ar2"}
    config["selection"] = {"alpha": 5, "criterion": "aic"}
    config["colour"] = "blue"
    config["datasets"]["2nd"] = CONFIG["datasets"]["growth"]
    found = "\n".join(problems(config))
    for words in (
        "'respnse'",
        "'frist'",
        "'slpe'",
        "'path' is missing",
        "{fixd} has no meaning, did you mean 'fixed'?",
        "'ar2' is not allowed",
        "selection.alpha: 5 must be less than 1",
        "unknown key 'colour'",
        "'2nd' must start with a letter",
    ):
        assert words in found
    assert len(problems(config)) == 9


def test_mistakes_of_shape_do_not_crash_the_checks():
    for config in (
        {},
        {"datasets": None},
        {"datasets": [], "models": 3},
        {"datasets": {"a": 1}, "models": {"m": []}},
    ):
        assert problems(config)


def test_null_leaves_a_dataset_out():
    config = deepcopy(CONFIG)
    config["datasets"]["other"] = None
    assert list(load(config)["datasets"]) == ["growth"]


def test_formula_templates_replace_exactly_four_keys():
    dataset = {"response": "{time}", "fixed": "a", "subject": "s", "time": "t"}
    assert fill("{response} ~ {fixed} + (1 + {time} | {subject}) + {other}", dataset) == (
        "{time} ~ a + (1 + t | s) + {other}"
    )


@pytest.mark.parametrize(
    ("formula", "columns"),
    [
        ("y ~ sin(2*pi*Time) + cos(2*pi*Time)", ["y", "Time"]),
        ("log(y) ~ bs(x, df=4) + a:b + (1 + t || id)", ["y", "x", "a", "b", "t", "id"]),
        ("y ~ `two words` + x.1 + I(1e5 * x**2)", ["y", "two words", "x.1", "x"]),
        ("y ~ 0 + C(visit) + (1 | site/id)", ["y", "visit", "site", "id"]),
        ("y ~ t + Q('x')", []),
        ("y ~ I([a for a in x])", []),
        ("y ~ I(lambda a: x)", []),
    ],
)
def test_columns_of_a_formula(formula, columns):
    assert columns_of(formula) == columns


def test_plan_gives_each_job_its_own_part():
    base = plan(load(CONFIG))["growth"]
    titled = plan(load(changed(title="New", time_label="Age")))["growth"]
    assert (titled["clean"], titled["fit"], titled["select"]) == (
        base["clean"],
        base["fit"],
        base["select"],
    )
    assert titled["report"] != base["report"]
    assert base["clean"]["covariates"] == ["sex"]
    assert base["fit"]["slope"]["formula"] == "height ~ age * sex + (1 + age | child)"
    stricter = deepcopy(CONFIG)
    stricter["selection"] = {"criterion": "bic"}
    again = plan(load(stricter))["growth"]
    assert (again["clean"], again["fit"]) == (base["clean"], base["fit"]) and again["select"] != base[
        "select"
    ]


def test_the_embedded_study_is_valid():
    config = yaml.safe_load((README.parent / "config.yaml").read_text("utf-8"))
    assert set(plan(load(config))) == {"sleepstudy", "orthodont", "ovary", "bodyweight", "clinic"}


def test_the_schema_is_a_schema_closed_and_described():
    schema = read_schema()
    Draft202012Validator.check_schema(schema)

    def walk(node: dict, place: str) -> None:
        if node.get("type") == "object":
            assert node.get("additionalProperties") is not None, f"{place} is open"
        for key, child in node.get("properties", {}).items():
            assert child.get("description"), f"{place}.{key} has no description"
            walk(child, f"{place}.{key}")

    walk(schema, "config")
    for name, definition in schema["$defs"].items():
        walk(definition, name)


def test_readme_is_up_to_date():
    assert Path(README).read_text("utf-8") == render(read_schema()), "run `make docs`"


@pytest.mark.parametrize(
    ("categories", "expected"),
    [
        ({"week": ["baseline", "week 4"]}, "d.time: 'week' holds visits by name, such as 'baseline'"),
        ({"week": [0, 4]}, "d.categories.week: the time is a number, no category"),
        ({"week": ["0", "4"]}, "write C(week) in `fixed`"),
        ({"y": [1, 2]}, "d.categories.y: the response is a number, no category; leave it out"),
        ({"arm": ["a", "b"]}, None),
    ],
)
def test_time_and_response_are_no_categories(categories, expected):
    dataset = {"subject": "id", "time": "week", "response": "y", "fixed": "arm", "categories": categories}
    found = list(check_numbers("d", dataset))
    assert len(found) == (expected is not None) and (expected is None or expected in found[0])


def test_a_study_has_no_offset_and_names_what_lacks_models():
    config = changed()
    config["models"]["intercept"] = {"formula": "{response} ~ {fixed} + offset(dose) + (1 | {subject})"}
    found = [text for text in problems_of_formulas(plan(load(config))) if "offset" in text]
    assert len(found) == 1 and "A study has no offset(dose)" in found[0]
    del config["models"]
    assert any("'models' is missing; copy those" in text for text in problems(config))
