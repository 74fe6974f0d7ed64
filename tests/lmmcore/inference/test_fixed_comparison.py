"""F tests of nested fixed parts, against pbkrtest's KRmodcomp and by invariance."""

import json
from pathlib import Path

import polars as pl
import pytest

import lmmcore as lmm
from tests.support.factorial import factorial

DATA = Path(__file__).resolve().parents[2] / "reference/inference_reference.json"


@pytest.fixture(scope="module")
def sleep(raw):
    return pl.read_csv(raw / "sleepstudy.csv")


def one_row(small, large, **options):
    return lmm.compare_fixed(small, large, **options).row(0, named=True)


def test_two_effects_at_once(sleep):
    """KRmodcomp(lmer(Reaction ~ Days + I(Days^2) + (Days | Subject)), lmer(Reaction ~ 1 + (Days | Subject)))

    pbkrtest 0.5.2 with lme4 1.1.31: stat 23.36452, ndf 2, ddf 39.81704, p 1.937656e-07; lme4 stops early.
    """
    small = lmm.fit("Reaction ~ 1 + (Days | Subject)", sleep)
    large = lmm.fit("Reaction ~ Days + I(Days ** 2) + (Days | Subject)", sleep)
    row = one_row(small, large)
    assert row["hypothesis"] == "Days = 0 and I(Days ** 2) = 0"
    assert row["num_df"] == 2
    assert row["statistic"] == pytest.approx(23.36452, rel=2e-6)
    assert row["den_df"] == pytest.approx(39.81704, rel=2e-5)
    assert row["p_value"] == pytest.approx(1.937656e-07, rel=1e-4)


def test_one_effect_is_its_t_test(sleep):
    small = lmm.fit("Reaction ~ Days + (1 | Subject)", sleep)
    large = lmm.fit("Reaction ~ Days + I(Days ** 2) + (1 | Subject)", sleep)
    for df in ("kenward-roger", "satterthwaite"):
        t = large.tidy(df=df).row(2, named=True)
        row = one_row(small, large, df=df)
        assert row["statistic"] == pytest.approx(t["statistic"] ** 2, rel=1e-8)
        assert row["den_df"] == pytest.approx(t["df"], rel=1e-8)
        assert row["p_value"] == pytest.approx(t["p_value"], rel=1e-7)


def test_the_way_of_writing_does_not_matter(sleep):
    """A quadratic in another coding, the rows in another order."""
    small = lmm.fit("Reaction ~ 1 + (Days | Subject)", sleep)
    large = lmm.fit("Reaction ~ Days + I(Days ** 2) + (Days | Subject)", sleep)
    coded = lmm.fit("Reaction ~ poly(Days, 2) + (Days | Subject)", sleep)
    expected, row = one_row(small, large), one_row(small, coded)
    assert row["statistic"] == pytest.approx(expected["statistic"], rel=1e-8)
    assert row["den_df"] == pytest.approx(expected["den_df"], rel=1e-8)
    line = lmm.fit("Reaction ~ Days + (Days | Subject)", sleep)
    one = one_row(line, coded)
    assert one["num_df"] == 1 and one["hypothesis"].startswith("the mean is that of")
    assert one["statistic"] == pytest.approx(one_row(line, large)["statistic"], rel=1e-8)


def test_user_mistakes(sleep):
    small = lmm.fit("Reaction ~ 1 + (1 | Subject)", sleep)
    large = lmm.fit("Reaction ~ Days + (1 | Subject)", sleep)
    with pytest.raises(lmm.FitError, match="'Days'.*smaller model first"):
        lmm.compare_fixed(large, small)
    with pytest.raises(lmm.FitError, match="nothing to test"):
        lmm.compare_fixed(large, large)
    with pytest.raises(lmm.FitError, match="different rows"):
        lmm.compare_fixed(lmm.fit("Reaction ~ 1 + (1 | Subject)", sleep.head(100)), large)


# R 4.2.2, lmerTest 3.1-3: contest(lmer(y ~ arm * visit + x + (1 | id), control = lmerControl("bobyqa")), L)
# with L the rows of diag(10) of the terms left out.
LMERTEST = {
    "arm + visit + x": (6.88223531514, 4, 125.746092643),
    "arm + x": (21.7579570194, 6, 125.548747222),
    "visit + x": (4.80898185910, 6, 103.717935578),
    "x": (16.5048366218, 8, 108.796919579),
    "1": (18.2991268461, 9, 110.557377649),
}


@pytest.mark.parametrize("left", LMERTEST)
def test_satterthwaite_against_lmertest_and_contrast(left):
    """The df of a joint test depend on the basis of the hypothesis: one basis, that of lmerTest's rows."""
    large = lmm.fit("y ~ arm * visit + x + (1 | id)", factorial())
    row = one_row(lmm.fit(f"y ~ {left} + (1 | id)", factorial()), large, df="satterthwaite")
    statistic, num_df, den_df = LMERTEST[left]
    assert (row["statistic"], row["num_df"]) == (pytest.approx(statistic, rel=1e-5), num_df)
    assert row["den_df"] == pytest.approx(den_df, rel=1e-5)
    gone = [name for name in large.terms if f"{name} = 0" in row["hypothesis"].split(" and ")]
    by_rows = large.contrast([{name: 1} for name in gone]).row(0, named=True)
    assert by_rows["den_df"] == pytest.approx(row["den_df"], rel=1e-8)


def test_the_way_of_writing_a_hypothesis_does_not_matter():
    """All differences of three arms, those to one of them, one row twice, in any units; with values too."""
    fit = lmm.fit("y ~ arm * visit + x + (1 | id)", factorial())
    b, c = "arm[T.b]", "arm[T.c]"
    plain = fit.contrast([{b: 1}, {c: 1}], rhs=[1, -2]).row(0, named=True)
    for rows, values in (
        ([{b: 1}, {b: 1, c: -1}], [1, 3]),
        ([{b: 100}, {b: 1, c: -1}, {c: 1e-3}], [100, 3, -2e-3]),
        ([{b: 1, c: 1}, {b: 1, c: -1}], [-1, 3]),
    ):
        other = fit.contrast(rows, rhs=values).row(0, named=True)
        for name in ("statistic", "num_df", "den_df", "p_value"):
            assert other[name] == pytest.approx(plain[name], rel=1e-8)
    with pytest.raises(lmm.LmmError, match="contradict each other"):
        fit.contrast([{b: 1}, {b: 2}], rhs=[1, 1])


def test_rat_pups():
    """lmerTest 3.1-3: contest(lmer(weight ~ sex * Treatment + Lsize + (1 | Litter)), diag(7)[rows, ]), the
    rows those of Treatment and sex:Treatment, nlme's RatPupWeight, levels by alphabet."""
    pups = pl.DataFrame(json.loads(DATA.read_text("utf-8"))["data"]["rat_pups"])
    levels = {"sex": ["Female", "Male"], "Treatment": ["Control", "High", "Low"]}
    large = lmm.fit("weight ~ sex * Treatment + Lsize + (1 | Litter)", pups, categories=levels)
    small = lmm.fit("weight ~ sex + Lsize + (1 | Litter)", pups, categories=levels)
    row = one_row(small, large, df="satterthwaite")
    assert (row["statistic"], row["num_df"]) == (pytest.approx(6.073047671, rel=1e-6), 4)
    assert row["den_df"] == pytest.approx(74.78178262, rel=1e-5)
