"""Analysis of variance: against lmerTest and hypotheses written out, independence of coding, and the words.

The reference results come from tests/reference/tests_of_fixed_effects.R (R 4.2.2, lmerTest 3.1-3,
pbkrtest 0.5.2).
"""

import numpy as np
import polars as pl
import pytest

import lmmcore as lmm
from lmmcore.inference.anova.anova import anova
from lmmcore.inference.emmeans.means import emmeans, slopes
from tests.support.factorial import EMPTY_CELLS, MODELS, REFERENCE, ROOT, factorial, fitted, reference_fit
from tests.support.shared_data import needs_shared, shared

# lmerTest overlooks that x:arm contains x, or arm:visit contains arm, where a main effect is missing: its row
# tests the reference level alone. It takes poly(x, 2) for a category, so that arm:poly(x, 2) contains arm,
# though arm:x does not. {(model, type, term): type of lmerTest's row that tests our hypothesis}
OTHERWISE = {
    ("slopes_and_mean", 2, "x"): 1,
    ("nested_factors", 2, "arm"): 1,
    ("polynomial", 2, "arm"): 3,
    ("slopes_and_mean", 3, "x"): None,
    ("nested_factors", 3, "arm"): None,
}


def rows(fit, type=3, df="satterthwaite"):
    """{factors of the term: row}, factors as R writes them."""
    found = {}
    for row in anova(fit.solution, type, df).iter_rows(named=True):
        found[key(row["term"].replace("C(temp)", "factor(temp)").replace("I(x ** 2)", "I(x^2)"))] = row
    return found


def key(term):
    return frozenset(term.split(":"))


def agree(ours, theirs, df=1e-4):
    assert ours["num_df"] == theirs["num_df"]
    assert ours["statistic"] == pytest.approx(theirs["statistic"], rel=1e-5)
    assert ours["den_df"] == pytest.approx(theirs["den_df"], rel=df)
    assert ours["p_value"] == pytest.approx(theirs["p_value"], rel=1e-3, abs=1e-7)


@pytest.mark.parametrize("df", ["satterthwaite", "kenward-roger"])
@pytest.mark.parametrize("type", [1, 2, 3])
@pytest.mark.parametrize("name", MODELS)
def test_against_lmertest(name, type, df):
    ours = rows(reference_fit(name), type, df)
    of_method = [row for row in MODELS[name]["rows"] if row["df"] == df]
    theirs = {(row["type"], key(row["term"])): row for row in of_method}
    assert len(ours) == len(of_method) / 3
    for term, row in ours.items():
        instead = OTHERWISE.get((name, type, ":".join(term)), type)
        if instead is None:
            continue
        expected = theirs[instead, term]
        if expected["num_df"] is None:
            assert row["num_df"] == 0 and np.isnan(row["statistic"])
        else:
            agree(row, expected)


@pytest.mark.parametrize("entry", REFERENCE["written"], ids=lambda entry: entry["of"])
def test_against_hypotheses_written_out(entry):
    """Type III where lmerTest's own is otherwise: equal weights for the levels of the category."""
    for row in entry["rows"]:
        ours = rows(reference_fit(entry["of"]), row["type"], row["df"])[key(row["term"])]
        agree(ours, row)


@needs_shared
def test_rats_and_penicillin():
    """The numbers printed in the notes on mixed models (lmerTest): all slopes of t are 0; four treatments."""
    rats = shared("rats.csv").with_columns(t=(1 + (pl.col("age") - 45) / 10).log())
    fit = lmm.fit("y ~ t:Treatment + (1 | rat)", rats)
    (row,) = anova(fit.solution).iter_rows(named=True)
    assert (row["num_df"], round(row["den_df"], 2), round(row["statistic"], 2)) == (3, 223.21, 734.11)
    assert row["hypothesis"] == "The slope of t is 0 in every Treatment."
    fit = lmm.fit("yield ~ treat + (1 | blend)", shared("penicillin.csv"))
    for df in ("satterthwaite", "kenward-roger"):
        (row,) = anova(fit.solution, df=df).iter_rows(named=True)
        assert (row["num_df"], round(row["den_df"], 6), round(row["statistic"], 4)) == (3, 12, 1.2389)
        assert round(row["p_value"], 4) == 0.3387


@pytest.mark.parametrize("type", [1, 2, 3])
@pytest.mark.parametrize(
    "formula, data",
    [
        ("y ~ arm * visit * condition + (1 | id)", ()),
        ("y ~ 0 + arm + x:arm + visit:sex + (1 | id)", ()),
        ("y ~ arm * visit + x + (1 | id)", (EMPTY_CELLS,)),
    ],
)
def test_hypotheses_do_not_depend_on_the_reference_levels(formula, data, type):
    frame = pl.read_csv(ROOT / EMPTY_CELLS) if data else factorial()
    other = {"arm": ["c", "a", "b"], "visit": ["v2", "v3", "v1"]}
    turned = rows(lmm.fit(formula, frame, categories=other), type, "kenward-roger")
    for term, row in rows(fitted(formula, *data), type, "kenward-roger").items():
        agree(turned[term], row, 1e-6)
        # Combinations without rows are named in the order of the levels.
        without_cells = [
            text.partition("no rows with")[0] for text in (turned[term]["hypothesis"], row["hypothesis"])
        ]
        assert without_cells[0] == without_cells[1]


def test_hypotheses_do_not_depend_on_units_or_the_intercept():
    frame = factorial().with_columns(x=pl.col("x") * 1e-9, z=pl.col("z") * 1e7)
    for type in (1, 2, 3):
        here = rows(fitted("y ~ arm * x * z + (1 | id)"), type, "kenward-roger")
        small = rows(lmm.fit("y ~ arm * x * z + (1 | id)", frame), type, "kenward-roger")
        for term, row in here.items():
            agree(small[term], row, 1e-6)
    # The level of the mean is no hypothesis of a term where the differences are.
    without = rows(fitted("y ~ 0 + arm * visit + (1 | id)"))
    for term, row in rows(fitted("y ~ arm * visit + (1 | id)")).items():
        agree(without[term], row, 1e-9)


def test_type_3_is_what_the_words_say():
    """The hypotheses in words, made of marginal means and slopes: F of all differences from the first."""

    def wald(grid, C):
        left, V = C @ grid.found.estimate, C @ grid.found.vcov @ C.T
        return left @ np.linalg.solve(V, left) / len(C)

    fit = fitted("y ~ arm * visit * condition + x * visit + (1 | id)")
    solution, found = fit.solution, rows(fit, 3, "asymptotic")
    differences = np.array([[-1, 1, 0], [-1, 0, 1]])
    text = "Averaged with equal weights over the levels of {}, the mean of y is the same in every {}{}."
    assert found[key("arm")]["hypothesis"] == text.format("visit and condition", "arm", "")
    assert found[key("arm")]["statistic"] == pytest.approx(wald(emmeans(solution, "arm"), differences))
    assert found[key("visit")]["hypothesis"] == text.format("arm and condition", "visit", " at x = 0")
    at_0 = emmeans(solution, "visit", at={"x": 0})
    assert found[key("visit")]["statistic"] == pytest.approx(wald(at_0, differences))
    assert found[key("x:visit")]["hypothesis"] == "The slope of x is the same in every visit."
    by_visit = slopes(solution, "x", "visit")
    assert found[key("x:visit")]["statistic"] == pytest.approx(wald(by_visit, differences), rel=1e-6)
    assert (
        found[key("x")]["hypothesis"]
        == "Averaged with equal weights over the levels of visit, the slope of x is 0."
    )
    assert found[key("x")]["statistic"] == pytest.approx(wald(by_visit, np.full((1, 3), 1 / 3)), rel=1e-6)
    interaction = np.kron(differences, differences)
    assert found[key("arm:visit")]["statistic"] == pytest.approx(
        wald(emmeans(solution, ["arm", "visit"]), interaction)
    )
    text = "{}the differences of the mean of y between the levels of arm are the same in every visit."
    averaged = "Averaged with equal weights over the levels of condition, "
    assert found[key("arm:visit")]["hypothesis"] == text.format(averaged)


def test_terms_that_others_determine():
    """x stays testable beside 2 x + 1, which was dropped and is no part of the model; a straight line is not
    beside all levels of its covariate, which curves are."""
    found = rows(fitted("y ~ x + twice + (1 | id)"))
    assert (found[key("x")]["num_df"], found[key("twice")]["num_df"]) == (1, 0)
    found = rows(fitted("distance ~ age + C(age) + (1 | Subject)", "data/raw/orthodont.csv"))
    assert (found[key("age")]["num_df"], found[key("C(age)")]["num_df"]) == (0, 2)
    assert found[key("age")]["hypothesis"] == "Nothing can be tested: the other terms determine age."
    assert found[key("C(age)")]["hypothesis"].endswith(
        "Only 2 of its 3 contrasts can be tested: the other terms determine the rest."
    )


def test_a_model_of_the_mean_alone_has_no_rows():
    assert anova(fitted("y ~ 1 + (1 | id)").solution).shape == (0, 6)


def test_mistakes():
    solution = fitted("y ~ arm + (1 | id)").solution
    with pytest.raises(ValueError, match=r"^type is 4, but must be 1"):
        anova(solution, 4)
    with pytest.raises(ValueError, match="^df is 'between'"):
        anova(solution, 3, "between")
    by_ml = lmm.fit("y ~ arm + (1 | id)", factorial(), method="ML")
    with pytest.raises(lmm.FitError, match="defined for REML"):
        anova(by_ml.solution, df="kenward-roger")
