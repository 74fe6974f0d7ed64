import math

import pytest
from test_report_sample import TERMS, record, rows

from lmmstudy.report.words import sentences as w
from lmmstudy.report.words.hypotheses import focal_terms, hypothesis, parts, reference_level
from lmmstudy.report.words.phrases import listing, sentence

LEVELS = {"arm": ("a", "b"), "dose": ("low", "mid", "high")}


def test_listing():
    assert listing([]) == "" and listing(["a"]) == "a" and listing(["a", "b"]) == "a and b"
    assert listing("abc") == "a, b and c"


def test_sentence_has_one_full_stop():
    assert sentence("the file is empty") == "The file is empty." == sentence("the file is empty.")


def test_model_in_words():
    model = record(rows())
    assert (
        w.model_words(model) == "random intercept and random slope of week for each id, independent residuals"
    )
    serial = {"type": "ar1", "time": "week", "subject": "id", "nugget": False}
    assert w.model_words(model | {"residual_structure": serial}).endswith(
        "for each id, residuals AR(1) over week"
    )
    alone = model | {"residual_structure": serial, "random": model["random"][-1:]}
    assert w.model_words(alone) == "residuals AR(1) over week within each id"


@pytest.mark.parametrize(
    ("term", "tests"),
    [
        ("Intercept", "that the mean of y is 0 at week = 0, in arm a"),
        ("week", "that the mean of y does not change with week in arm a"),
        ("arm[T.b]", "that the mean of y in arm b equals that in arm a at week = 0"),
        ("week:arm[T.b]", "that the slope of week in arm b equals that in arm a"),
    ],
)
def test_hypotheses_of_two_lines(term, tests):
    assert hypothesis(term, TERMS, "y", LEVELS) == tests


@pytest.mark.parametrize(
    ("term", "terms", "tests"),
    [
        ("t:arm[a]", ("Intercept", "t:arm[a]", "t:arm[b]"), "that the slope of t in arm a is 0"),
        ("week", ("Intercept", "week"), "that the mean of y does not change with week"),
        ("Intercept", ("Intercept",), "that the mean of y is 0"),
        (
            "age:week",
            ("Intercept", "age", "week", "age:week"),
            "that the slope of age does not change with week",
        ),
        ("arm[b]", ("arm[a]", "arm[b]"), "that the mean of y in arm b is 0"),
        (
            "week:arm[T.b]:dose[T.mid]",
            ("week:arm[T.b]:dose[T.mid]",),
            "that the interaction of week and arm b and dose mid is 0, the other terms unchanged",
        ),
        ("arm[T.b]", ("arm[T.b]",), "that the mean of y in arm b equals that in the reference level of arm"),
    ],
)
def test_hypotheses_of_other_codings(term, terms, tests):
    levels = {} if terms == ("arm[T.b]",) else LEVELS
    assert hypothesis(term, terms, "y", levels) == tests


SHARED = {
    "powers": ("Intercept", "age", "I(age ** 2)", "arm[T.b]", "age:arm[T.b]", "I(age ** 2):arm[T.b]"),
    "poly": ("Intercept", *(f"poly(age, 3)[{k}]" for k in (1, 2, 3)), "arm[T.b]", "poly(age, 3)[1]:arm[T.b]"),
    "bs": ("Intercept", "bs(age, df=3)[1]", "bs(age, df=3)[2]", "bs(age, df=3)[2]:arm[T.b]"),
    "log": ("Intercept", "age", "log(age)", "log(age):arm[T.b]"),
    "product": ("Intercept", "age", "I(age * dose)", "dose"),
}


@pytest.mark.parametrize("terms", SHARED.values(), ids=SHARED)
def test_terms_that_share_a_column_have_coefficients_and_no_slope(terms):
    for term in terms:
        words = hypothesis(term, terms, "y", {"arm": ["a", "b"]})
        assert "slope" not in words and "does not change" not in words
        if term not in ("Intercept", "arm[T.b]"):
            assert f"the coefficient of {term.removesuffix(':arm[T.b]')}" in words
    assert "equals that in arm a" in hypothesis(SHARED["powers"][4], SHARED["powers"], "y", LEVELS)


def test_a_number_by_itself_keeps_its_slope():
    terms = ("Intercept", "log(dose)", "age", "arm[T.b]", "age:arm[T.b]")
    assert "the slope of age in arm b equals" in hypothesis("age:arm[T.b]", terms, "y", LEVELS)
    assert "does not change with log(dose)" in hypothesis("log(dose)", terms, "y", LEVELS)


def test_a_colon_in_a_level_does_not_split_a_term():
    assert [p.level for p in parts("t:arm[T.b: new]")] == ["", "b: new"]


def test_the_reference_level_is_the_one_without_a_coefficient():
    assert reference_level("dose", ("dose[T.low]", "dose[T.high]"), LEVELS["dose"]) == "mid"
    assert reference_level("dose", ("dose[T.low]",), LEVELS["dose"]) == ""


@pytest.mark.parametrize(
    ("terms", "group", "focal"),
    [
        (TERMS, "arm", ("week:arm[T.b]",)),
        (TERMS, "", ("week", "week:arm[T.b]")),
        (("Intercept", "week"), "arm", ("week",)),
        (("Intercept", "arm[T.b]"), "arm", ("arm[T.b]",)),
        (
            ("Intercept", "bs(week, df=2)[1]", "bs(week, df=2)[2]"),
            "",
            ("bs(week, df=2)[1]", "bs(week, df=2)[2]"),
        ),
        (("Intercept", "age"), "", ("age",)),
        (("Intercept",), "", ("Intercept",)),
    ],
)
def test_focal_terms(terms, group, focal):
    assert focal_terms(terms, "week", group) == focal


def test_an_estimate_in_words_is_rounded_to_its_standard_error():
    row = {
        "std_error": 1.5458,
        "estimate": 10.46729,
        "conf_low": 7.20596,
        "conf_high": 13.72862,
        "p_value": 3.26e-6,
    }
    words = w.estimate_words("For each unit of Days, the mean of Reaction changes by", row, 0.95)
    assert words.endswith("changes by 10.47 (95% CI 7.21 to 13.73; p\u00a0<\u00a00.0001).")


def test_rows_in_words():
    assert w.rows_words({"rows": {"read": 0, "used": 0, "dropped": {}}}) == "No rows were read."
    clean = {"rows": {"read": 1200, "used": 1190, "dropped": {"missing y": 10, "duplicate": 0}}}
    assert w.rows_words(clean) == "1,200 rows read, 1,190 used, 10 not used (10 missing y)."
    assert (
        w.rows_words({"rows": {"read": 5, "used": 5, "dropped": {}}}) == "5 rows read, 5 used, none left out."
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("chi2(1)", "χ²(1)"),
        ("1/2 chi2(0) + 1/2 chi2(1)", "half χ²(0), half χ²(1)"),
        ("1/2 chi2(1) + 1/2 chi2(2)", "half χ²(1), half χ²(2)"),
        ("0.25 chi2(0) + 0.5 chi2(1) + 0.25 chi2(2)", "25.0% χ²(0), 50.0% χ²(1) and 25.0% χ²(2)"),
        ("simulated", "simulated"),
    ],
)
def test_null_distributions_in_words(text, words):
    assert w.distribution_words(text) == words


@pytest.mark.parametrize(
    ("group", "term", "words"),
    [
        ("id", "sd__week", "SD of week for id"),
        ("id", "cor__Intercept.week", "correlation of Intercept and week for id"),
        ("id", "cor__a.b.c", "correlation of a and b.c for id"),
        ("Residual", "sd__Observation", "residual SD"),
        ("Residual", "rho", "rho"),
    ],
)
def test_covariance_parameters_in_words(group, term, words):
    assert w.parameter_words(group, term) == words


def test_a_test_of_a_term_in_words():
    row = {"hypothesis": "The slope of t is the same in every arm.", "num_df": 2, "den_df": 228.75}
    found = w.test_words(row | {"statistic": 2.3163, "p_value": 0.101})
    assert found.replace("\u00a0", " ") == (
        "Hypothesis: The slope of t is the same in every arm. F(2, 228.8) = 2.316; p = 0.1010."
    )
    assert "F(2, ∞)" in w.test_words(row | {"statistic": 2.0, "p_value": 0.1, "den_df": None})


def test_criteria_name_the_n_they_used():
    fit = {"loglik": -100.0, "npar": 4, "aic": 208.0, "aicc": 208 + 40 / 52, "bic": 200 + 4 * math.log(55)}
    assert w.implied_n(fit)[1:] == ("AICc uses n = 57.", "BIC uses n = 55.")


def test_zero_variance_in_words():
    words = w.zero_variance_words("tree", ["Intercept", "day"])
    assert words.startswith(
        "The estimated variance of the random intercept and the random effect of day for tree is 0"
    )
