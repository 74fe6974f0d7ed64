"""Marginal means, slopes and comparisons by hand: averages of predictions, what has no estimate, mistakes."""

import numpy as np
import polars as pl
import pytest

import lmmcore as lmm
from lmmcore.inference.emmeans.means import emmeans, slopes
from tests.support.factorial import factorial, fitted, reference_fit


@pytest.mark.parametrize(
    "formula",
    [
        "log(y) ~ arm * poly(x, 3) + visit * log(z) + C(condition) + (1 | id)",
        "y ~ arm * bs(x, df=4) + visit:scale(z) + condition + (1 | id)",
        "y ~ 0 + visit + arm:visit:x + I(z ** 2) + condition + (1 | id)",
    ],
)
def test_means_are_averages_of_predictions(formula):
    """The grid written by hand; functions in the formula keep what they learnt from the rows of the fit."""
    fit = fitted(formula)
    levels = {name: sorted(factorial()[name].unique()) for name in ("arm", "visit", "condition")}
    grid = pl.DataFrame({"x": [4.0], "z": [factorial()["z"].mean()]})
    for name, of in levels.items():
        grid = grid.join(pl.DataFrame({name: of}), how="cross")
    predicted = grid.with_columns(fit.predict(grid)["prediction"])
    expected = predicted.group_by("arm", "visit").agg(pl.col("prediction").mean()).sort("arm", "visit")
    found = emmeans(fit.solution, "visit", by="arm", at={"x": 4})
    assert found.frame().columns[:2] == ["arm", "visit"]
    assert found.frame()["arm"].to_list() == expected["arm"].to_list()
    assert found.frame()["estimate"].to_numpy() == pytest.approx(expected["prediction"].to_numpy(), rel=1e-10)

    # The slope in x against a difference of the same predictions.
    for x in (4.0, float(factorial()["x"].min()), float(factorial()["x"].max())):
        inward = 1e-4 if x < 8 else -1e-4
        shifted = [fit.predict(grid.with_columns(x=pl.lit(x + k * inward)))["prediction"] for k in range(3)]
        by_hand = (4 * shifted[1] - 3 * shifted[0] - shifted[2]) / (2 * inward)
        expected = grid.with_columns(slope=by_hand).group_by("arm").agg(pl.col("slope").mean()).sort("arm")
        slope = slopes(fit.solution, "x", "arm", at={"x": x}).frame()["estimate"]
        assert slope.to_numpy() == pytest.approx(expected["slope"].to_numpy(), rel=1e-5, abs=1e-6)


def test_contrasts_of_means_are_contrasts_of_coefficients():
    """Treatment coding: the coefficients say the same, with the same standard errors and df."""
    fit = fitted("y ~ arm + x + (1 | id)")
    for df in ("satterthwaite", "kenward-roger", "residual", "asymptotic"):
        made = emmeans(fit.solution, "arm", df=df).contrast("trt.vs.ctrl", "none").frame()
        tidy = fit.tidy(df=df).filter(pl.col("term").str.starts_with("arm"))
        assert made["contrast"].to_list() == ["b - a", "c - a"]
        for name in ("estimate", "std_error", "df", "statistic", "p_value", "conf_low", "conf_high"):
            assert made[name].to_numpy() == pytest.approx(tidy[name].to_numpy(), rel=1e-9)


def test_weights_of_ones_own():
    fit = fitted("y ~ arm * visit + (1 | id)")
    grid = emmeans(fit.solution, "arm", "visit")
    made = grid.contrast({"c against a and b": [-0.5, -0.5, 1], "b - a": [-1, 1, 0]}, "bonferroni")
    assert made.frame()["contrast"].to_list() == ["c against a and b", "b - a"] * 3
    assert made.frame()["visit"].to_list() == ["v1", "v1", "v2", "v2", "v3", "v3"]
    direct = fit.contrast({"arm[T.c]": 1, "arm[T.b]": -0.5})
    first = made.frame().row(0, named=True)
    for name in ("estimate", "std_error", "df", "statistic"):
        assert first[name] == pytest.approx(direct[name][0], rel=1e-9)
    assert first["p_value"] == pytest.approx(min(1, 2 * direct["p_value"][0]))
    assert made.sentence.endswith("Bonferroni's method for a family of 2 tests in each visit.")
    # Regrouped: all nine cells at once, or visits within arms.
    assert len(grid.pairs(by=[]).frame()) == 36
    regrouped = grid.pairs(by="arm").frame()
    assert regrouped.columns[:2] == ["arm", "contrast"]
    assert regrouped["contrast"].to_list()[:3] == ["v1 - v2", "v1 - v3", "v2 - v3"]


def test_what_empty_cells_leave():
    """arm c has no visit v2: neither that mean nor averages with it; but differences that it cancels from."""
    solution = reference_fit("empty_cell").solution
    grid = emmeans(solution, ["arm", "visit"])
    missing = grid.frame().filter(pl.col("estimate").is_nan())
    assert missing.select("arm", "visit").rows() == [("c", "v2")]
    assert "Missing for arm c, visit v2: the data do not determine it" in grid.sentence
    averages = emmeans(solution, "visit")
    assert np.isnan(averages.found.estimate).tolist() == [False, True, False]
    assert emmeans(solution, "visit", at={"arm": ["a", "b"]}).found.estimate[1] == pytest.approx(
        np.mean(grid.found.estimate[[1, 4]])
    )
    pairs = averages.pairs()
    assert np.isnan(pairs.found.estimate).tolist() == [True, False, True]
    assert pairs.sentence == "P values and confidence limits are not adjusted, for 1 test."
    # (c v2 - c v1) - (c v2 - c v3) is c v3 - c v1.
    C = np.zeros(9)
    C[[6, 7, 8]] = [-1, 0, 1]
    assert np.isfinite(grid.contrast({"v3 - v1 in c": C}).found.estimate).all()


def test_covariates_that_go_together():
    """twice = 2 x + 1 was dropped: a mean exists where the data have it so, as at the means of both."""
    solution = reference_fit("collinear").solution
    at_means = emmeans(solution, "arm")
    together = emmeans(solution, "arm", at={"x": 3, "twice": 7})
    apart = emmeans(solution, "arm", at={"x": 3})
    assert np.isfinite(at_means.found.estimate).all() and np.isfinite(together.found.estimate).all()
    assert np.isnan(apart.found.estimate).all() and "do not determine it" in apart.sentence
    # Differences of arms do not depend on where the covariates stand.
    assert apart.pairs().found.estimate == pytest.approx(together.pairs().found.estimate)


def test_offset_stands_at_its_mean():
    frame = factorial().with_columns(known=pl.col("z") / 10)
    fit = lmm.fit("y ~ arm + (1 | id)", frame, offset="known")
    new = pl.DataFrame({"arm": ["a", "b", "c"], "known": [frame["known"].mean()] * 3})
    found = emmeans(fit.solution, "arm")
    assert found.found.estimate == pytest.approx(fit.predict(new)["prediction"].to_numpy())
    assert found.sentence == "Means of y, at known = 4.76796 (its mean)."
    moved = emmeans(fit.solution, "arm", at={"known": 0})
    assert moved.found.estimate + frame["known"].mean() == pytest.approx(found.found.estimate)
    assert moved.pairs().found.estimate == pytest.approx(found.pairs().found.estimate)


def test_sentences():
    fit = fitted("y ~ arm * visit + C(condition) + x + (1 | id)")
    averaged = "averaged with equal weights over the levels of visit and condition"
    assert emmeans(fit.solution, "arm").sentence == f"Means of y, {averaged}, at x = 4.80192 (its mean)."
    grid = emmeans(fit.solution, "arm", "visit", at={"condition": "calm", "x": 2})
    assert grid.sentence == "Means of y, at condition = calm and x = 2."
    assert grid.pairs().sentence == (
        "P values and confidence limits are adjusted by Tukey's method for all comparisons in a family of "
        "3 estimates in each visit."
    )
    assert grid.pairs("holm").sentence == (
        "P values are adjusted by Holm's method, confidence limits by Bonferroni's, for a family of 3 tests "
        "in each visit."
    )
    assert slopes(fit.solution, "x", "arm").sentence.startswith(
        "Slopes of y over x, averaged with equal weights"
    )
    assert str(grid).startswith(grid.sentence)


def test_frames_come_in_the_library_of_the_data():
    fit = lmm.fit("y ~ arm + (1 | id)", factorial().to_pandas())
    grid = emmeans(fit.solution, "arm")
    assert type(grid.frame()).__module__.startswith("pandas")
    assert type(grid.pairs().frame()).__module__.startswith("pandas")


def test_mistakes():
    fit = fitted("y ~ arm * visit + x + (1 | id)")
    grid = emmeans(fit.solution, ["arm", "visit"])
    for call, message in [
        (lambda: emmeans(fit.solution, "amr"), "column 'amr'; did you mean 'arm'"),
        (lambda: emmeans(fit.solution, "id"), "do not use a column 'id'; they use arm, visit, x"),
        (lambda: emmeans(fit.solution, []), "Name the columns to estimate means for"),
        (lambda: emmeans(fit.solution, "arm", "arm"), "each once"),
        (
            lambda: emmeans(fit.solution, "arm", at={"visit": "v9"}),
            "'visit' has no level 'v9'; its levels are 'v1'",
        ),
        (lambda: emmeans(fit.solution, "arm", at={"x": "high"}), "must give it numbers, not 'high'"),
        (lambda: emmeans(fit.solution, "arm", at={"x": []}), "at holds no value for 'x'"),
        (lambda: emmeans(fit.solution, "arm", conf_level=95), "between 0 and 1"),
        (lambda: emmeans(fit.solution, "arm", df="between"), "df is 'between'"),
        (lambda: slopes(fit.solution, "visit", "arm"), "do not use a number 'visit'"),
        (lambda: grid.pairs("sidak"), "adjust is 'sidak'"),
        (lambda: grid.pairs(by="x"), "by is 'x', but must name some of the grid's variables arm and visit"),
        (lambda: grid.contrast("helmert"), "The contrasts 'helmert' are not known"),
        (lambda: grid.contrast("trt.vs.ctrl", "tukey"), "all pairwise differences"),
        (lambda: grid.contrast({"a": [1, -1]}), "'a' needs 9 weights"),
    ]:
        with pytest.raises(ValueError, match=message):
            call()
