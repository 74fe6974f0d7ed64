"""Predictions for known and new subjects, against conditional expectations written out."""

import numpy as np
import polars as pl
import pytest

import lmmcore as lmm
from lmmcore.estimate.residuals import marginal_covariance

STRUCTURES = {
    "independent": None,
    "ar1": lmm.AR1("t"),
    "car1": lmm.CAR1("t"),
    "exponential with nugget": lmm.Exponential("t", nugget=True),
    "gaussian": lmm.Gaussian("t", nugget=True),
    "compound symmetry": lmm.CompoundSymmetry(),
    "toeplitz": lmm.Toeplitz("t"),
    "random walk": lmm.RandomWalk("t"),
}
NEW_TIME = 4.0


def panel(seed=1, subjects=40):
    """Visits 1, 2, 3, 5, 6; time 4 is never seen, but lies on the grid."""
    rng = np.random.default_rng(seed)
    times = np.array([1.0, 2.0, 3.0, 5.0, 6.0])
    rows = []
    for who in range(subjects):
        level, walk = rng.normal(0, 1), np.cumsum(rng.normal(0, 0.6, 7))
        for t in times[rng.random(5) < 0.85]:
            rows.append((f"s{who:02d}", t, 2 + 0.5 * t + level + walk[int(t)] + rng.normal(0, 0.5)))
    return pl.DataFrame(rows, schema=["id", "t", "y"], orient="row")


@pytest.mark.parametrize("random", ["(1 | id)", "(t | id)"])
@pytest.mark.parametrize("residual", STRUCTURES.values(), ids=STRUCTURES)
def test_known_subjects_at_a_new_time(residual, random):
    """E(y_new | y) = x beta^ + cov(y_new, y) V^-1 (y - X beta^), with V of the rows seen and the new one."""
    data = panel()
    fit = lmm.fit(f"y ~ t + {random}", data, residual=residual)
    solution = fit.solution
    rows = solution.model.rows
    unit = rows.units[0]
    who = int(np.argmax(np.diff(np.append(unit.starts, len(rows.y)))))
    seen = np.flatnonzero(unit.subject == who)
    V = marginal_covariance(solution, seen[None])[0]
    X = np.column_stack([np.ones(len(seen)), rows.X[1][seen]])
    z = np.array([1.0, NEW_TIME])[: len(solution.psi)]
    Z = np.column_stack([np.ones(len(seen)), rows.X[1][seen]])[:, : len(solution.psi)]
    cross = z @ solution.psi @ Z.T
    if residual is not None:
        structure = solution.model.structure
        assert structure is not None
        cross = cross + structure.law.cross(solution.natural, np.array([NEW_TIME]), unit.times[seen])[0]
    beta = np.array([fit.beta["Intercept"], fit.beta["t"]])
    expected = beta @ [1, NEW_TIME] + cross @ np.linalg.solve(V, rows.y[seen] - X @ beta)
    name = fit.ranef()["level"].unique(maintain_order=True)[who]
    predicted = fit.predict(pl.DataFrame({"id": [name], "t": [NEW_TIME]}), level="subject")
    assert predicted["prediction"][0] == pytest.approx(expected, rel=1e-9)


def test_new_subjects_get_the_population():
    fit = lmm.fit("y ~ t + (t | id)", panel(), residual=lmm.AR1("t"))
    new = pl.DataFrame({"id": ["nobody", "s00"], "t": [3.0, 3.0]})
    subject, population = (fit.predict(new, level=level)["prediction"] for level in ("subject", "population"))
    assert subject[0] == pytest.approx(population[0])
    assert subject[1] != pytest.approx(population[1])
    assert population[0] == pytest.approx(fit.beta["Intercept"] + 3 * fit.beta["t"])


def test_old_rows_give_the_fitted_values():
    """With independent residuals a prediction for the rows of the fit is its fitted value."""
    data = panel()
    fit = lmm.fit("y ~ poly(t, 2) + (t | id)", data)
    assert fit.predict(data, level="subject")["prediction"].to_list() == pytest.approx(
        fit.augment()["fitted"].to_list()
    )


def test_interval_of_the_mean():
    """x beta^ -/+ t x'vcov x, with the Satterthwaite df that the coefficient itself has."""
    fit = lmm.fit("y ~ t + (t | id)", panel())
    at_zero = fit.predict(pl.DataFrame({"t": [0.0]}), interval="mean").row(0, named=True)
    row = fit.tidy().row(0, named=True)
    for ours, theirs in (("prediction", "estimate"), ("conf_low", "conf_low"), ("conf_high", "conf_high")):
        assert at_zero[ours] == pytest.approx(row[theirs], rel=1e-9)
    with pytest.raises(ValueError, match="interval"):
        fit.predict(pl.DataFrame({"t": [0.0]}), interval="tolerance")
    with pytest.raises(ValueError, match="belongs to level='population'"):
        fit.predict(pl.DataFrame({"t": [0.0], "id": ["s1"]}), level="subject", interval="mean")


def test_missing_values_and_unknown_levels():
    data = panel().with_columns(arm=pl.when(pl.col("id") < "s20").then(pl.lit("a")).otherwise(pl.lit("b")))
    fit = lmm.fit("y ~ t * arm + (1 | id)", data)
    predicted = fit.predict(pl.DataFrame({"t": [1.0, None, 2.0], "arm": ["b", "a", "a"]}))["prediction"]
    assert np.isfinite(predicted[0]) and np.isfinite(predicted[2])
    assert predicted[1] is None or np.isnan(predicted[1])
    with pytest.raises(lmm.DataError, match="'c'"):
        fit.predict(pl.DataFrame({"t": [1.0], "arm": ["c"]}))


def test_uncorrelated_factor_is_independent_components():
    """(1 + f || id) estimates a variance for each column and no covariance; lme4 keeps f's correlated."""
    rng = np.random.default_rng(3)
    who, visit = np.repeat(np.arange(60), 6), np.tile(np.arange(6), 60)
    f = np.array(["u", "v", "w"])[visit % 3]
    y = rng.normal(0, 1, 60)[who] + (f == "v") * rng.normal(0, 1, 60)[who] + rng.normal(size=360)
    fit = lmm.fit("y ~ f + (1 + f || id)", pl.DataFrame({"id": who, "f": f, "y": y}))
    rows = fit.varcorr().filter(pl.col("group") == "id")
    assert rows["term1"].to_list() == ["Intercept", "f[T.v]", "f[T.w]"]
    assert rows["term2"].null_count() == 3


def test_a_variance_by_group_knows_its_groups_in_new_rows():
    """Rows of one group alone are predicted with that group's variance, as among rows of all groups."""
    data = panel().with_columns(arm=pl.when(pl.col("id") < "s20").then(pl.lit("a")).otherwise(pl.lit("b")))
    data = data.with_columns(y=pl.col("y") * pl.when(pl.col("arm") == "b").then(3.0).otherwise(1.0))
    fit = lmm.fit("y ~ t + (1 | id)", data, variance=lmm.ByGroup("arm"))
    new = pl.DataFrame({"t": [1.0, 1.0], "arm": ["a", "b"], "id": ["x", "y"]})
    both = fit.predict(new, interval="observation")["std_error"].to_list()
    alone = fit.predict(new.tail(1), interval="observation")["std_error"].to_list()
    assert alone == pytest.approx(both[1:])
    assert both[1] > 1.1 * both[0]


def boundary(units, rows, seed):
    """A random intercept whose variance is estimated as 0, or nearly."""
    rng = np.random.default_rng(seed)
    who = np.repeat(np.arange(units), rows)
    y = rng.normal(size=units * rows) + rng.normal(0, 0.1, units)[who]
    t = np.tile(np.arange(rows, dtype=float), units)
    return pl.DataFrame({"id": [f"s{k}" for k in who], "t": t, "y": y})


@pytest.mark.parametrize("formula", ["y ~ t + (1 | id)", "y ~ t + (1 + t | id)", "y ~ t + (1 + t || id)"])
@pytest.mark.parametrize("residual", [None, lmm.AR1("t")], ids=["independent", "ar1"])
@pytest.mark.parametrize("units", [4, 12, 60])
def test_no_interval_rests_on_fewer_than_two_degrees_of_freedom(formula, residual, units):
    """t with 2 df is the widest quantile; a new subject's interval is no wider than that of a response by
    more than the quantiles differ."""
    for seed in range(4):
        data = boundary(units, 5, seed)
        fit = lmm.fit(formula, data, residual=residual)
        new = pl.DataFrame({"id": ["new"] * 4, "t": [0.0, 1.0, 2.0, 40.0]})
        for level, rows in (("population", new), ("subject", data.head(5))):
            for interval in ("subject", "observation"):
                try:
                    found = fit.predict(rows, level=level, interval=interval)
                except lmm.FitError:  # four subjects do not determine four parameters of the covariance
                    continue
                assert found["df"].min() >= 2
                half = (found["conf_high"] - found["conf_low"]) / 2
                assert (half <= 4.3027 * found["std_error"] * (1 + 1e-4)).all()


def test_intervals_for_a_new_subject_keep_their_level_near_a_variance_of_zero():
    """Share of new subjects inside, known given each fit; variances 0.02 to 0.3 beside a residual of 1."""
    from scipy.stats import norm

    rng = np.random.default_rng(5)
    units, rows = 20, 4
    who, t = np.repeat(np.arange(units), rows), np.tile(np.arange(rows, dtype=float), units)
    names = [f"s{k}" for k in who]
    for variance in (0.02, 0.1, 0.3):
        inside = []
        for _ in range(60):
            y = rng.normal(size=who.size) + rng.normal(0, np.sqrt(variance), units)[who]
            fit = lmm.fit("y ~ t + (1 | id)", pl.DataFrame({"id": names, "t": t, "y": y}))
            row = fit.predict(pl.DataFrame({"t": [1.5]}), interval="subject").row(0, named=True)
            ends = np.array([row["conf_low"], row["conf_high"]]) / np.sqrt(variance)
            inside.append(norm.cdf(ends[1]) - norm.cdf(ends[0]))
        assert np.mean(inside) > 0.93


def test_unknown_subjects_are_marked():
    """A label with a blank in front is another label; a known school does not make an unknown pupil known."""
    fit = lmm.fit("y ~ t + (1 | id)", panel())
    new = pl.DataFrame({"id": ["s00", " s00", "S00", None], "t": [3.0, 3.0, 3.0, 3.0]})
    found = fit.predict(new, level="subject")
    assert found["known_subject"].to_list() == [True, False, False, None]
    assert "known_subject" not in fit.predict(new).columns
    nested = panel().with_columns(school=pl.col("id").str.slice(0, 2), pupil=pl.col("id").str.slice(2))
    fit = lmm.fit("y ~ t + (1 | school / pupil)", nested)
    new = pl.DataFrame({"school": ["s0", "s0", "s9"], "pupil": ["1", "99", "1"], "t": [1.0, 1.0, 1.0]})
    assert fit.predict(new, level="subject")["known_subject"].to_list() == [True, False, False]


@pytest.mark.parametrize("index", ["shuffled", "text", "pairs"])
def test_frames_of_rows_keep_the_index_of_pandas(index):
    """predict: of every row given; augment and influence without a factor: of the rows used."""
    import pandas as pd

    frame = panel().to_pandas().sample(frac=1, random_state=3)
    frame = frame[frame.t != 2].assign(y=lambda rows: rows.y.where(rows.index % 7 > 0))
    if index == "text":
        frame.index = [f"row {number}" for number in frame.index]
    if index == "pairs":
        frame = frame.set_index(["id", "t"], drop=False).rename_axis(["of", "at"])
    fit = lmm.fit("y ~ t + (1 | id)", frame)
    for level, interval in (("population", "mean"), ("subject", None), ("subject", "observation")):
        found = fit.predict(frame, level=level, interval=interval)
        assert found.index.equals(frame.index)
    frame["p"] = fit.predict(frame, level="subject")["prediction"]
    by_hand = fit.predict(pl.from_pandas(frame[["id", "t", "y"]].reset_index(drop=True)), level="subject")
    assert frame["p"].to_numpy() == pytest.approx(by_hand["prediction"].to_numpy())
    used = frame[frame.y.notna()]
    augmented = fit.augment()
    assert augmented.index.equals(used.index) and 0 < len(used) < len(frame)
    assert augmented["fitted"].to_numpy() == pytest.approx(used["p"].to_numpy())
    assert augmented["y"].to_list() == used["y"].to_list()
    rows = lmm.fit("y ~ t", frame.head(30)).diagnostics.influence().frame()
    assert isinstance(rows, pd.DataFrame) and rows.index.equals(used.index[: len(rows)])
    # Rows of one library, a fit of another.
    assert fit.predict(panel(), level="subject").columns[0] == "prediction"
    assert lmm.fit("y ~ t + (1 | id)", panel()).predict(frame).index.equals(frame.index)
