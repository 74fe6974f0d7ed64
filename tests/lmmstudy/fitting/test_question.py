"""The study's question: what it follows, what a stanza can name, and the numbers of lmerTest and emmeans.

Reference: R 4, lme4 1.1, lmerTest 3.1, emmeans 1.10 (Satterthwaite), on data/raw/orthodont.csv and
bodyweight.csv; the calls stand beside the numbers.
"""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from numpy.testing import assert_allclose

import lmmcore as lmm
from lmmstudy.config.problems_question import check_question
from lmmstudy.fitting.answer import key
from lmmstudy.fitting.curves import curves
from lmmstudy.fitting.margin import margin
from lmmstudy.fitting.question import answer as answer_to

ROOT = Path(__file__).resolve().parents[3]
REPORT = {"df": "satterthwaite", "conf_level": 0.95}
CHILDREN = {"time": "age", "response": "distance", "group": "Sex"}
RATS = {"time": "Time", "response": "weight", "group": "Diet"}


def orthodont(fixed, random="(1 + age | Subject)"):
    return lmm.fit(f"distance ~ {fixed} + {random}", str(ROOT / "data/raw/orthodont.csv"))


def answer(fit, design, report):
    return answer_to(fit.solution, design, report)


def rats(fixed):
    data = pl.read_csv(ROOT / "data/raw/bodyweight.csv").with_columns(pl.col("Diet").cast(pl.String))
    return lmm.fit(f"weight ~ {fixed} + (1 + Time | Rat)", data)


def test_straight_lines_are_asked_about_by_their_slopes():
    """contrast(emtrends(lmer(distance ~ age * Sex + (age | Subject)), ~Sex, "age"), "revpairwise")"""
    found = answer(orthodont("age * Sex"), CHILDREN, REPORT)
    (row,) = found["estimates"]
    assert found["kind"] == "slopes" and key(found) is row and found["joint"] is None
    assert row["name"] == "slope of distance over age: Male − Female"
    assert_allclose([row["estimate"], row["std_error"], row["df"]], [0.30483, 0.13474, 25.0], rtol=2e-4)
    assert row["p_value"] == pytest.approx(0.03261, rel=1e-3)
    assert [r["Sex"] for r in found["slopes"]] == ["Female", "Male"]
    assert_allclose([r["estimate"] for r in found["slopes"]], [0.47955, 0.78437], rtol=1e-4)


def test_without_an_interaction_the_groups_are_compared():
    """The treatment, and not the time."""
    found = answer(orthodont("age + Sex"), CHILDREN, REPORT)
    (row,) = found["estimates"]
    assert found["kind"] == "means" and row["name"] == "mean of distance: Male − Female"
    fit = orthodont("age + Sex")
    assert row["estimate"] == pytest.approx(fit.beta["Sex[T.Male]"])
    assert row["weights"] == {"Sex[T.Male]": 1.0}


def test_several_arms_are_tested_together_and_in_pairs():
    """anova(lmer(weight ~ Time * Diet + (Time | Rat))): Time:Diet; and with Time + Diet: Diet."""
    found = answer(rats("Time * Diet"), RATS, REPORT)
    assert found["kind"] == "slopes" and found["estimates"] == [] and len(found["pairs"]) == 3
    assert key(found)["num_df"] == 2
    fit = rats("Time * Diet")
    tested = {row["term"]: row for row in fit.anova().to_dicts()}["Time:Diet"]
    for name in ("statistic", "den_df", "p_value"):
        assert found["joint"][name] == pytest.approx(tested[name], rel=1e-4)
    assert [row["contrast"] for row in found["pairs"]] == ["2 − 1", "3 − 1", "3 − 2"]


@pytest.mark.parametrize("course", ["poly(age, 2)", "age + I(age ** 2)", "C(age)", "bs(age, df=3)"])
def test_courses_are_compared_as_a_whole(course):
    """The joint test of all that time and group have together is that of the larger model's terms."""
    fit = orthodont(f"({course}) * Sex", "(1 | Subject)")
    found = answer(fit, CHILDREN, REPORT)
    terms = [t for t in fit.terms if "age" in t and "Sex" in t]
    test = fit.contrast([{t: 1.0} for t in terms]).to_dicts()[0]
    assert found["kind"] == "courses" and found["joint"]["num_df"] == len(terms)
    assert found["joint"]["statistic"] == pytest.approx(test["statistic"], rel=1e-6)
    assert "slope" not in found["name"] + found["joint"]["hypothesis"]
    assert {row["contrast"] for row in found["pairs"]} == {"Male − Female"}


def test_the_change_over_time_is_averaged_over_what_it_interacts_with():
    """summary(emtrends(lmer(distance ~ age * Sex + (age | Subject)), ~1, "age"), infer = TRUE)"""
    found = answer(orthodont("age * Sex"), {**CHILDREN, "group": None}, REPORT)
    (row,) = found["estimates"]
    assert row["estimate"] == pytest.approx((0.4795455 + 0.784375) / 2, rel=1e-6)
    assert "averaged with equal weights over the levels of Sex" in found["note"]


def test_a_curve_is_tested_jointly():
    found = answer(orthodont("age + I(age ** 2)", "(1 | Subject)"), {**CHILDREN, "group": None}, REPORT)
    assert found["kind"] == "course" and found["joint"]["num_df"] == 2
    assert found["joint"]["hypothesis"] == "The mean of distance does not change with age."


def test_without_time_or_group_the_rest_is_tested():
    data = pl.read_csv(ROOT / "data/raw/orthodont.csv")
    bare = answer(lmm.fit("distance ~ 1 + (1 | Subject)", data), CHILDREN, REPORT)
    assert bare["estimates"][0]["name"] == "Intercept"
    other = data.with_columns(x=pl.col("age") * 1.5, z=np.arange(data.height) % 3 * 1.0)
    two = answer(lmm.fit("distance ~ x + z + (1 | Subject)", other), CHILDREN, REPORT)
    assert two["kind"] == "terms" and two["joint"]["num_df"] == 2


NAMED = {
    "slopes": ({"what": "slopes", "arms": ["Female", "Male"]}, -0.30483),
    "means at a visit": ({"what": "means", "arms": ["Male", "Female"], "at": 14}, 3.23551),
    "coefficient": ({"what": "coefficient", "term": "age"}, 0.47955),
}


@pytest.mark.parametrize("name", NAMED)
def test_a_question_can_be_named(name):
    """contrast(emmeans(f, ~Sex | age, at = list(age = 14)), "revpairwise"): 3.2355"""
    question, expected = NAMED[name]
    found = answer(orthodont("age * Sex"), {**CHILDREN, "question": question}, REPORT)
    assert not found["problem"] and key(found)["estimate"] == pytest.approx(expected, abs=2e-4)


WRONG = {
    "arm": ({"what": "means", "arms": ["Male", "Boy"]}, "'Sex' has no level 'Boy'; its levels are"),
    "term": ({"what": "coefficient", "term": "weeks"}, "no term 'weeks'"),
    "slope": ({"what": "slopes"}, "do not use a number 'age'"),
    "time": ({"what": "means", "at": 12}, "do not use 'age', so that `at` has no meaning"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_a_model_does_not_have_is_said(name):
    question, words = WRONG[name]
    found = answer(orthodont("Sex", "(1 | Subject)"), {**CHILDREN, "question": question}, REPORT)
    assert words in found["problem"] and key(found) is None and not found["estimates"]


def test_non_inferiority():
    """Male less Female at 14 is 3.24 (1.39 to 5.08): above -1, not below 4; one-sided p by t with 25 df."""
    from scipy.stats import t

    question = {"what": "means", "arms": ["Male", "Female"], "at": 14}
    fit = orthodont("age * Sex")
    above = answer(fit, {**CHILDREN, "question": question | {"margin": -1}}, REPORT)
    row, test = above["estimates"][0], above["margin"]
    assert test["met"] and test["bound"] == row["conf_low"] > -1
    assert test["p_value"] == pytest.approx(t.sf((row["estimate"] + 1) / row["std_error"], row["df"]))
    below = answer(fit, {**CHILDREN, "question": question | {"margin": 4}}, REPORT)["margin"]
    assert not below["met"] and below["bound"] == row["conf_high"] > 4
    assert margin({**row, "df": None}, 4.0, 0.95)["p_value"] < below["p_value"]


STANZA = {"time": "week", "group": "arm", "categories": {"arm": ["placebo", "active"]}}
PROBLEMS = {
    "no group": ({"question": {"what": "means"}}, "name the dataset's `group`"),
    "no term": (STANZA | {"question": {"what": "coefficient"}}, "needs its `term`"),
    "a term for slopes": (STANZA | {"question": {"what": "slopes", "term": "x"}}, "belongs to 'coefficient'"),
    "a time for slopes": (STANZA | {"question": {"what": "slopes", "at": 3}}, "it belongs to 'means'"),
    "no margin": (STANZA | {"question": {"what": "slopes", "margin": 0}}, "0 is no margin"),
    "no arm": (
        STANZA | {"question": {"what": "means", "arms": ["activ", "placebo"]}},
        "did you mean 'active'?",
    ),
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_mistakes_of_the_configuration_are_sentences(name):
    stanza, words = PROBLEMS[name]
    problem = next(check_question("datasets.x", stanza))
    assert problem.startswith("datasets.x.question") and words in problem


VISIT = {"what": "means", "arms": ["active", "placebo"], "at": 12, "margin": -2}


def test_sound_questions_have_no_problem():
    for question in (
        {"what": "slopes"},
        {"what": "means", "arms": ["active", "placebo"], "at": 12, "margin": -2},
    ):
        assert not list(check_question("datasets.x", STANZA | {"question": question}))
    assert not list(check_question("datasets.x", {"question": {"what": "coefficient", "term": "x"}}))


def test_curves_are_tested_with_all_they_are_made_of():
    """The same curve in another basis, the same F: that of the coefficients of all its columns together."""
    for formula in ("poly(age, 3) * Sex", "(age + I(age ** 2) + I(age ** 3)) * Sex", "bs(age, df=3) * Sex"):
        fit = orthodont(formula, "(1 | Subject)")
        own, apart = curves(fit.solution, "satterthwaite")
        terms = [t for t in fit.terms if "age" in t and "Sex" in t]
        test = fit.contrast([{t: 1.0} for t in terms]).to_dicts()[0]
        assert (own["term"], apart["term"]) == ("age", "age:Sex") and own["num_df"] == apart["num_df"] == 3
        assert_allclose([own["statistic"], apart["statistic"]], [35.34733, test["statistic"]], rtol=1e-6)
    for formula in ("age * Sex", "C(age) * Sex", "Sex"):
        assert not curves(orthodont(formula, "(1 | Subject)").solution, "satterthwaite")


MACHINES = """
52.0 52.8 53.1 51.8 52.8 53.1 60.0 60.2 58.4 51.1 52.3 50.3 50.9 51.8 51.4 46.4 44.8 49.2 62.1 62.6
64.0 59.7 60.0 59.0 68.6 65.8 69.7 63.2 62.8 62.2 64.8 65.0 65.4 43.7 44.2 43.0 67.5 67.2 66.9 61.5
61.7 62.3 70.8 70.6 71.0 64.1 66.2 64.0 72.1 72.0 71.1 62.0 61.4 60.5
"""


def test_the_levels_of_the_only_category_are_compared():
    """nlme's Machines. f <- lmer(score ~ Machine + (1 | Worker/Machine)); anova(f);
    e <- emmeans(f, "Machine", lmer.df = "satterthwaite"); pairs(e, reverse = TRUE)"""
    data = pl.DataFrame(
        {
            "Worker": [f"w{k // 3 % 6 + 1}" for k in range(54)],
            "Machine": [m for m in "ABC" for _ in range(18)],
            "score": [float(v) for v in MACHINES.split()],
        }
    )
    fit = lmm.fit("score ~ Machine + (1 | Worker/Machine)", data)
    found = answer(fit, {"response": "score"}, REPORT)
    assert found["joint"]["hypothesis"] == "The mean of score is the same in every Machine."
    assert found["joint"]["p_value"] == pytest.approx(0.0002855, rel=1e-3)
    assert_allclose([r["estimate"] for r in found["means"]], [52.35556, 60.32222, 66.27222], rtol=1e-6)
    assert_allclose([r["p_value"] for r in found["pairs"]], [0.0111, 0.0002, 0.0507], atol=6e-5)


def test_terms_are_named_in_the_hypothesis():
    data = pl.read_csv(ROOT / "data/raw/orthodont.csv").with_columns(z=np.arange(108) % 3 * 1.0)
    found = answer(
        lmm.fit("distance ~ Sex + z + (1 | Subject)", data), {"response": "distance", "time": "age"}, REPORT
    )
    assert found["joint"]["hypothesis"] == "The mean of distance changes with neither Sex nor z."
