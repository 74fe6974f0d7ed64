"""Variances and correlations over time, and tests of constant variance."""

import json

import numpy as np
import polars as pl
import pytest
from scipy import stats

import lmmcore as lmm
from lmmcore.diagnostics.homogeneity import breusch_pagan, brown_forsythe, homogeneity
from lmmcore.diagnostics.spread import variance_over_time, visit_moments
from tests.lmmcore.diagnostics.test_diagnostics_serial import written_out
from tests.support.dense import simulated


def visits(seed=5, N=25):
    rng = np.random.default_rng(seed)
    Y = rng.normal(size=(N, 4)) @ np.linalg.cholesky(np.full((4, 4), 2.0) + np.diag([1, 2, 3, 4.0])).T
    frame = pl.DataFrame({"id": np.repeat(np.arange(N), 4), "t": np.tile([0.0, 1, 2, 4], N), "y": Y.ravel()})
    return Y, frame.with_columns(visit=pl.col("t").cast(pl.String))


def test_saturated_model():
    """An unstructured covariance of complete visits: the model, the rows and the sample covariance agree, the
    confidence limits are the classical ones, and a random intercept alone shows its equal variances."""
    Y, frame = visits()
    solution = lmm.fit("y ~ visit", frame, residual=lmm.Unstructured("t", subject="id")).solution
    S = np.cov(Y.T)
    found = variance_over_time(solution)
    assert found.empirical == pytest.approx(np.diag(S), rel=1e-6)
    assert found.implied == pytest.approx(np.diag(S), rel=1e-6)
    assert found.conf_low == pytest.approx(24 * np.diag(S) / stats.chi2.ppf(0.975, 24), rel=1e-6)
    assert found.conf_high == pytest.approx(24 * np.diag(S) / stats.chi2.ppf(0.025, 24), rel=1e-6)
    both = visit_moments(solution)
    R = np.corrcoef(Y.T)
    assert both.correlation == pytest.approx(R, abs=1e-6)
    assert both.implied_correlation == pytest.approx(R, abs=1e-6)
    assert both.sd == pytest.approx(np.sqrt(np.diag(S)), rel=1e-6)
    assert np.all(both.subjects == 25) and both.times.tolist() == [0, 1, 2, 4]
    assert len(both.frame("polars")) == 6
    equal = variance_over_time(lmm.fit("y ~ visit + (1 | id)", frame).solution, frame["t"].to_numpy())
    assert np.ptp(equal.implied) < 1e-9 and np.ptp(equal.empirical) > 1


@pytest.mark.parametrize(
    "formula, options",
    [
        ("y ~ t + x + (t | b_id)", {}),
        ("y ~ t + x + (1 | a/b)", {}),
        ("y ~ t + (1 | b_id)", {"weights": "w", "residual": lmm.CAR1("t")}),
    ],
)
def test_written_out(formula, options):
    """Irregular and nested units, with n x n matrices."""
    solution = lmm.fit(formula, simulated(), **options).solution
    rows = solution.model.rows
    time, who = solution.model.table.columns["t"][rows.order], rows.units[-1].subject
    residual, covariance, whole = written_out(solution)
    products = np.outer(residual, residual) + whole - covariance
    found, both = variance_over_time(solution, "t"), visit_moments(solution, "t")
    for place, t in enumerate(found.time):
        mine = time == t
        m = mine.sum()
        assert found.rows[place] == m
        assert found.implied[place] == pytest.approx(np.diag(whole)[mine].mean(), rel=1e-9)
        assert found.empirical[place] == pytest.approx(np.diag(products)[mine].mean(), rel=1e-8)
        C = covariance[np.ix_(mine, mine)]
        df = np.trace(C) ** 2 / (C**2).sum()
        low = found.empirical[place] * df / stats.chi2.ppf(0.975, df)
        assert found.conf_low[place] == pytest.approx(low, rel=1e-7)
        for other, s in enumerate(found.time[:place]):
            pairs = [
                (i, j) for i in np.flatnonzero(time == s) for j in np.flatnonzero(mine) if who[i] == who[j]
            ]
            assert both.subjects[other, place] == len(pairs)
            for matrix, ours in ((products, both.correlation), (whole, both.implied_correlation)):
                if pairs:
                    i, j = np.array(pairs).T
                    scale = np.sqrt(matrix[i, i].sum() * matrix[j, j].sum())
                    assert ours[other, place] == pytest.approx(matrix[i, j].sum() / scale, rel=1e-7, abs=1e-9)


def test_classes_of_times():
    rng = np.random.default_rng(1)
    t = rng.uniform(0, 5, 600)
    frame = pl.DataFrame({"id": np.repeat(np.arange(100), 6), "t": t, "y": rng.normal(size=600) * (1 + t)})
    solution = lmm.fit("y ~ t + (1 | id)", frame).solution
    found = variance_over_time(solution, "t")
    assert found.rows.tolist() == [30] * 20 and np.all(np.diff(found.time) > 0)
    assert found.conf_high[0] < found.implied[0] and found.conf_low[-1] > found.implied[-1]
    with pytest.raises(lmm.DataError, match="2 to 12 of them, but the rows have 600"):
        visit_moments(solution, "t")


def test_tests_by_car_and_lmtest(root, raw):
    expected = json.loads((root / "tests/reference/diagnostics_reference.json").read_text())["variance"]
    frame = pl.read_csv(raw / "orthodont.csv").with_columns(visit=pl.col("age") / 2 - 3)
    fit = lmm.fit("distance ~ age * Sex", frame, residual=lmm.AR1("visit", subject="Subject"))
    assert fit.augment()["residual_normalized"].to_numpy() == pytest.approx(expected["residual"], abs=1e-5)
    score, levene = homogeneity(fit.solution).rows(named=True)
    theirs = expected["levene"]
    assert (levene["against"], levene["test"]) == ("Sex", "Brown-Forsythe")
    for name in ("statistic", "num_df", "den_df", "p_value"):
        assert levene[name] == pytest.approx(theirs[name], rel=1e-4)
    theirs = expected["breusch_pagan"]
    assert (score["against"], score["num_df"]) == ("fitted values", theirs["df"])
    assert score["statistic"] == pytest.approx(theirs["statistic"], rel=1e-3)
    assert score["p_value"] == pytest.approx(theirs["p_value"], rel=1e-3)


def test_brown_forsythe_by_scipy():
    rng = np.random.default_rng(3)
    groups = [rng.normal(size=size) * (1 + size / 9) for size in (4, 9, 6, 7)]
    found = brown_forsythe(np.concatenate(groups), np.repeat(np.arange(4), [4, 9, 6, 7]))
    theirs = stats.levene(*groups, center="median")
    assert (found.statistic, found.p_value) == pytest.approx(theirs, rel=1e-10)
    with_rest = np.concatenate([*groups, [1.0, 5.0]]), np.repeat([0, 1, 2, 3, 5], [4, 9, 6, 7, 2])
    assert brown_forsythe(*with_rest) == found  # a group of two rows is left out
    assert brown_forsythe(groups[0], np.zeros(4, dtype=int)) is None
    assert brown_forsythe(np.tile([1.0, 2.0], 6), np.repeat([0, 1], 6)) is None
    assert breusch_pagan(groups[1], np.ones(9)) is None


def test_size_and_power():
    """Of models with random slopes, every parameter estimated: rejections at 5% of 300 true models (standard
    error 1.3%) and of models in which the SD of residuals doubles between arms or grows with the mean."""
    rng = np.random.default_rng(12)
    who, t = np.repeat(np.arange(50), 6), np.tile(np.arange(6.0), 50)
    arm = np.where(who % 2, "a", "b")
    frame = pl.DataFrame({"id": who, "t": t, "arm": arm})
    rejected = {"true": [], "arm": [], "mean": []}
    scales = {"true": 1.0, "arm": np.where(arm == "a", 1, 2), "mean": 0.4 + 0.3 * t}
    for name, count in (("true", 300), ("arm", 20), ("mean", 20)):
        for _ in range(count):
            b = rng.normal(size=(50, 2)) * [2, 0.5]
            y = 1 + t + b[who, 0] + b[who, 1] * t + rng.normal(size=300) * scales[name]
            fit = lmm.fit("y ~ t + arm + (t | id)", frame.with_columns(y=y))
            table = homogeneity(fit.solution, ["arm", "id"])
            rejected[name].append(table["p_value"].to_numpy() < 0.05)
    share = {name: np.mean(values, axis=0) for name, values in rejected.items()}
    assert np.all(share["true"] < 0.09) and np.all(share["true"][:2] > 0.015)
    assert share["arm"][1] > 0.95 and share["mean"][0] > 0.8


def test_columns():
    solution = lmm.fit("y ~ t + c + (1 | b_id)", simulated()).solution
    assert homogeneity(solution)["against"].to_list() == ["fitted values", "c"]
    named = homogeneity(solution, ["t", "b_id"])
    assert named["test"].to_list() == ["Breusch-Pagan (Koenker)"] * 2 + ["Brown-Forsythe"]
    with pytest.raises(lmm.DataError, match="no column 'x'"):
        homogeneity(solution, ["x"])


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("residual", [None, lmm.CompoundSymmetry(subject="id")])
def test_a_time_whose_mean_fits_its_only_row_has_no_limits(residual):
    """With two subjects told apart by arm the fifth visit, of one row, leaves no residual of its own."""
    frame = pl.DataFrame(
        {
            "id": ["a"] * 4 + ["b"] * 5,
            "arm": ["x"] * 4 + ["y"] * 5,
            "t": [0.0, 1, 2, 3, 0, 1, 2, 3, 4],
            "y": [1.0, 2, 3.5, 4, 2, 5, 4, 7, 9],
        }
    )
    fit = lmm.fit(
        "y ~ C(t) + arm + (1 | id)" if residual is None else "y ~ C(t) + arm", frame, residual=residual
    )
    found = variance_over_time(fit.solution, frame["t"].to_numpy())
    for limits in (found.conf_low, found.conf_high):
        assert np.isnan(limits[4]) and np.isfinite(limits[:4]).all()
