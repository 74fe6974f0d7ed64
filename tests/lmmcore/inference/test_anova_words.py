"""The hypotheses of an analysis of variance in words."""

import pytest

from lmmcore.inference.anova.anova import anova
from tests.support.factorial import EMPTY_CELLS, fitted


def hypotheses(fit, type):
    """{term: hypothesis}"""
    return dict(anova(fit.solution, type).select("term", "hypothesis").iter_rows())


WORDS = [
    ("y ~ x:arm", 3, "x:arm", "The slope of x is 0 in every arm."),
    ("y ~ 0 + arm + x", 3, "arm", "The mean of y is 0 in every arm at x = 0."),
    ("y ~ 0 + arm + visit", 2, "arm", "The mean of y is the same in every arm."),
    ("y ~ arm:visit", 3, "arm:visit", "The mean of y is the same in every combination of arm and visit."),
    ("y ~ 0 + arm:visit", 3, "arm:visit", "The mean of y is 0 in every combination of arm and visit."),
    ("y ~ arm + arm:visit", 3, "arm:visit", "The mean of y is the same in every visit within every arm."),
    ("y ~ C(condition) + x", 3, "C(condition)", "The mean of y is the same in every condition."),
    ("y ~ x * z", 3, "x", "The slope of x is 0 at z = 0."),
    ("y ~ x * z", 3, "x:z", "The interaction of x and z is 0."),
    ("y ~ x + I(x ** 2)", 3, "x", "The coefficient of x is 0."),
    (
        "y ~ arm * poly(x, 2)",
        3,
        "arm",
        "The mean of y is the same in every arm where every column of poly(x, 2) is 0.",
    ),
    ("y ~ arm * poly(x, 2)", 3, "arm:poly(x, 2)", "The effect of poly(x, 2) is the same in every arm."),
    ("log(y) ~ arm", 1, "arm", "The mean of log(y) is the same in every arm."),
    ("y ~ arm + x + z", 1, "arm", "In the model with arm only, the mean of y is the same in every arm."),
    ("y ~ arm + x + z", 1, "x", "In the model without z, the slope of x is 0."),
    ("y ~ arm * x", 2, "x", "In the model without arm:x, the slope of x is 0."),
    (
        "y ~ arm * visit * condition",
        3,
        "arm:visit:condition",
        "There is no interaction of arm, visit and condition in the mean of y.",
    ),
    ("y ~ x + twice", 3, "twice", "Nothing can be tested: the other terms determine twice."),
]


@pytest.mark.parametrize("formula, type, term, words", WORDS)
def test_words(formula, type, term, words):
    assert hypotheses(fitted(f"{formula} + (1 | id)"), type)[term] == words


def test_words_of_empty_cells():
    found = hypotheses(fitted("y ~ arm * visit + (1 | id)", EMPTY_CELLS), 3)
    assert found["arm:visit"] == (
        "The differences of the mean of y between the levels of arm are the same in every visit. Only 2 of "
        "its 4 contrasts can be tested: there are no rows with arm a, visit v1; arm c, visit v2."
    )
    assert found["arm"] == (
        "Averaged over the levels of visit as far as their combinations have rows, the mean of y is the "
        "same in every arm."
    )
