"""Separate regressions and the two-stage estimate, against lmList and by identities.

Values from R 4.2.2 with nlme 3.1.162; lme4 1.1.31 gives the same coefficients and pooled SD. The calls stand
beside the numbers.
"""

import numpy as np
import polars as pl
import pytest

import lmmcore as lmm


def unbalanced():
    """2 to 9 irregular rows for each of 8 subjects, made alike in R:

    size <- c(3,7,2,5,9,4,6,8); id <- rep(seq_along(size), size); k <- sequence(size)
    t <- 0.7*k + ((id*k) %% 5)/4
    y <- 3 + 0.5*id + t*(0.2*id - 1) + 0.3*t^2 + sin(13*seq_along(id)); d <- data.frame(id=factor(id),t,y)
    """
    size = [3, 7, 2, 5, 9, 4, 6, 8]
    id = np.repeat(np.arange(1, 9), size)
    k = np.concatenate([np.arange(1, n + 1) for n in size])
    t = 0.7 * k + (id * k % 5) / 4
    y = 3 + 0.5 * id + t * (0.2 * id - 1) + 0.3 * t**2 + np.sin(13 * np.arange(1, len(id) + 1))
    return pl.DataFrame({"id": id, "t": t, "y": y})


def of(each, level, column="estimate"):
    return each.coefficients().filter(pl.col("level") == level)[column].to_list()


def test_sleepstudy(raw):
    """S <- summary(lmList(Reaction ~ Days | Subject, s)); S$coefficients["308",,]; pooledSD(m)"""
    each = lmm.fit_each("Reaction ~ Days", pl.read_csv(raw / "sleepstudy.csv"), by="Subject")
    assert of(each, "308") == pytest.approx([244.1926690909092, 21.76470242424241], rel=1e-12)
    assert of(each, "308", "std_error") == pytest.approx([15.04168723271409, 2.817566168881907], rel=1e-12)
    assert of(each, "372") == pytest.approx([267.0447999999999, 11.29807333333334], rel=1e-12)
    assert each.sigma == pytest.approx(25.59181562672525, rel=1e-12)
    assert each.df == 144 and not each.skipped


def test_orthodont(raw):
    """m <- lmList(distance ~ I(age-11) | Subject, o); colMeans(coef(m)); sqrt(diag(var(coef(m)))/27)"""
    each = lmm.fit_each("distance ~ I(age - 11)", pl.read_csv(raw / "orthodont.csv"), by="Subject")
    assert of(each, "M01") == pytest.approx([27.75, 0.95], rel=1e-12)
    assert of(each, "F11", "std_error") == pytest.approx([0.65501979048417, 0.2929337556260548], rel=1e-12)
    assert each.sigma == pytest.approx(1.31003958096834, rel=1e-12)
    both = each.two_stage()
    assert list(both.beta.values()) == pytest.approx([24.0231481481481488, 0.6601851851851851], rel=1e-12)
    assert list(both.se.values()) == pytest.approx([0.429660482485860, 0.071253270770871], rel=1e-12)


def test_unbalanced():
    """m <- lmList(y ~ t + I(t^2) | id, subset(d, id != "3")); coef(m); summary(m)$coefficients["6",,]

    Subject 3 has two rows: lmList gives it two coefficients of three, and counts it in the pooled SD with
    2 - 3 = -1 degrees of freedom; here it is left out, with the reason.
    """
    each = lmm.fit_each("y ~ t + I(t^2)", unbalanced(), by="id")
    assert of(each, "1") == pytest.approx([3.4366211453252, -0.216712494288765, 0.221798073214111], rel=1e-11)
    assert of(each, "8") == pytest.approx([7.3046356642729, -0.116835233295802, 0.409331479682348], rel=1e-11)
    assert of(each, "6", "std_error") == pytest.approx(
        [0.495220665786056, 0.475558732072790, 0.0985531936270416], rel=1e-11
    )
    assert each.sigma == pytest.approx(0.177888514496810, rel=1e-11)
    assert each.df == 21
    assert each.skipped == {"3": "2 rows for 3 coefficients"}
    assert of(each, "3") == of(each, "3", "std_error") == [None] * 3
    both = each.two_stage()
    assert both.subjects == 7
    assert list(both.beta.values()) == pytest.approx(
        [5.37553996132607, 0.0904385537497921, 0.278720862435045], rel=1e-11
    )
    assert list(both.se.values()) == pytest.approx(
        [0.715453818398088, 0.320125366660051, 0.0326484021664034], rel=1e-11
    )
    assert "between 3 and 9 rows" in both.warning and "1 subject had to be left out" in both.warning
    assert 'lmm.fit("y ~ t + I(t^2) + (t + I(t^2) | id)"' in both.warning


@pytest.mark.parametrize(
    "formula", ["y ~ t", "y ~ 0 + t", "y ~ 0 + t + I(t^2)", "y ~ arm * t", "log(y + 50) ~ 1"]
)
def test_each_subject_is_its_own_least_squares(formula):
    """numpy's least squares on the rows of one subject at a time, the rows in any order."""
    frame = unbalanced().filter(pl.col("id") != 3)
    frame = frame.with_columns(arm=pl.Series(np.arange(len(frame)) % 3 > 0).cast(pl.String))
    if "arm" in formula:
        frame = frame.filter(pl.col("id").is_in([2, 5, 7, 8]))
    shuffled = frame.sample(fraction=1, shuffle=True, seed=5)
    each = lmm.fit_each(formula, shuffled, by="id")
    assert not each.skipped
    rss = df = 0
    for (level,), rows in frame.group_by("id", maintain_order=True):
        t, arm = rows["t"].to_numpy(), (rows["arm"] == "true").to_numpy().astype(float)
        one = np.ones(len(t))
        X = {
            "y ~ t": [one, t],
            "y ~ 0 + t": [t],
            "y ~ 0 + t + I(t^2)": [t, t**2],
            "y ~ arm * t": [one, arm, t, arm * t],
            "log(y + 50) ~ 1": [one],
        }[formula]
        y = np.log(rows["y"].to_numpy() + 50) if "log" in formula else rows["y"].to_numpy()
        expected, left, _, _ = np.linalg.lstsq(np.column_stack(X), y)
        assert of(each, str(level)) == pytest.approx(expected, rel=1e-9, abs=1e-11)
        rss, df = rss + left[0], df + len(t) - len(X)
    assert each.df == df
    assert each.sigma == pytest.approx(np.sqrt(rss / df), rel=1e-10)


def test_balanced_subjects_have_the_mixed_model_as_their_mean(raw):
    """With equal designs the REML estimate of beta and its covariance are those of the two stages."""
    frame = pl.read_csv(raw / "sleepstudy.csv")
    both = lmm.fit_each("Reaction ~ Days", frame, by="Subject").two_stage()
    mixed = lmm.fit("Reaction ~ Days + (Days | Subject)", frame)
    assert both.beta == pytest.approx(mixed.beta, rel=1e-10)
    assert both.vcov == pytest.approx(mixed.vcov, rel=1e-8)
    assert both.tidy()["df"].to_list() == [17, 17]


def test_a_subject_whose_times_are_all_equal_is_left_out():
    frame = unbalanced().with_columns(t=pl.when(pl.col("id") == 4).then(0.1).otherwise("t"))
    each = lmm.fit_each("y ~ t", frame, by="id")
    assert list(each.skipped) == ["4"] and "do not determine t" in each.skipped["4"]
    others = lmm.fit_each("y ~ t", frame.filter(pl.col("id") != 4), by="id")
    assert each.sigma == pytest.approx(others.sigma, rel=1e-13)


@pytest.mark.parametrize("shift, scale", [(1e9, 1.0), (2000.0, 1e-6), (-5.0, 1e7)])
def test_units_do_not_matter(shift, scale):
    """Times in seconds since 1970, a response near 1e6."""
    frame = unbalanced().with_columns(t=pl.col("t").round(0) + pl.Series(range(44)) * 1.0)
    plain = lmm.fit_each("y ~ t", frame, by="id")
    other = frame.with_columns(t=scale * (pl.col("t") + shift), y=pl.col("y") + 1e6)
    moved = lmm.fit_each("y ~ t", other, by="id")
    assert not moved.skipped
    assert moved.estimate[1] * scale == pytest.approx(plain.estimate[1], rel=1e-7)
    assert moved.unscaled[1] * scale**2 == pytest.approx(plain.unscaled[1], rel=1e-8)
    assert moved.sigma == pytest.approx(plain.sigma, rel=1e-8)


def test_missing_rows_and_other_libraries():
    frame = unbalanced().with_columns(y=pl.when(pl.col("t") > 6).then(None).otherwise("y"))
    plain = lmm.fit_each("y ~ t", frame, by="id")
    complete = lmm.fit_each("y ~ t", frame.drop_nulls(), by="id")
    assert np.array_equal(plain.estimate, complete.estimate, equal_nan=True)
    assert plain.rows_dropped == {"missing y": frame["y"].null_count()}
    for other in (frame.to_pandas(), frame.to_arrow()):
        found = lmm.fit_each("y ~ t", other, by="id")
        assert type(found.coefficients()) is type(other)
        assert np.array_equal(found.estimate, plain.estimate, equal_nan=True)


def test_user_mistakes():
    frame = unbalanced().with_columns(arm=pl.col("id") % 2 * 1.0)
    with pytest.raises(lmm.FormulaError, match="by='id'"):
        lmm.fit_each("y ~ t + (t | id)", frame, by="id")
    with pytest.raises(lmm.FitError, match="does not change within a subject"):
        lmm.fit_each("y ~ t + arm", frame, by="id")
    with pytest.raises(lmm.FormulaError, match="no term"):
        lmm.fit_each("y ~ 0", frame, by="id")
    with pytest.raises(lmm.DataError, match="no column 'ID'"):
        lmm.fit_each("y ~ t", frame, by="ID")
    with pytest.raises(lmm.FitError, match="two subjects"):
        lmm.fit_each("y ~ t", frame.filter(pl.col("id") == 2), by="id").two_stage()
    saturated = lmm.fit_each("y ~ t", frame.group_by("id", maintain_order=True).head(2), by="id")
    assert saturated.df == 0 and np.isnan(saturated.sigma)
    assert saturated.coefficients()["std_error"].null_count() == 16
