"""F tests of nested fixed parts, against pbkrtest's KRmodcomp and by invariance."""

import polars as pl
import pytest

import lmmcore as lmm


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
