"""Visits with names, visits that are large numbers, and visits that a structure has not seen."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import lmmcore as lmm
from lmmcore.formula.levels import by_numbers, told_apart

LABELS = ("Week 1", "Week 2", "Week 4", "Week 10")
TAKE_VISITS = {
    "ante-dependence": lmm.AnteDependence,
    "unstructured": lmm.Unstructured,
    "toeplitz": lmm.Toeplitz,
    "ar1": lmm.AR1,
    "random walk": lmm.RandomWalk,
}


def trial(seed=1, labels=LABELS):
    """40 subjects, four visits by name and by place, some rows missing, shuffled."""
    rng = np.random.default_rng(seed)
    who, place = np.repeat(np.arange(40), 4), np.tile(np.arange(4), 40)
    frame = pl.DataFrame(
        {
            "y": rng.normal(size=40)[who] + rng.normal(size=160) * (1 + place),
            "id": who,
            "arm": np.where(who % 2, "T", "P"),
            "place": place + 1,
            "visit": np.array(labels)[place],
        }
    )
    return frame.sample(fraction=0.9, shuffle=True, seed=1)


def fit(frame, structure, time="visit", **kwargs):
    return lmm.fit("y ~ arm", frame, residual=structure(time, subject="id"), **kwargs)


@pytest.mark.parametrize("structure", TAKE_VISITS.values(), ids=TAKE_VISITS)
def test_visits_by_name_are_those_by_number(structure):
    frame = trial()
    named, numbered = fit(frame, structure), fit(frame, structure, "place")
    assert named.loglik == pytest.approx(numbered.loglik, abs=1e-9)
    assert [*named.residual_parameters.values()] == pytest.approx([*numbered.residual_parameters.values()])
    for level, interval in (("subject", "observation"), ("population", "observation"), ("subject", None)):
        new = frame.head(9).with_columns(id=pl.lit(3))
        by_name = named.predict(new, level=level, interval=interval).to_numpy()
        assert by_name == pytest.approx(numbered.predict(new, level=level, interval=interval).to_numpy())
    one = pl.DataFrame({"id": [1] * 4, "place": [1, 2, 3, 4], "visit": LABELS, "arm": ["T"] * 4})
    covariance = named.marginal_covariance(one).covariance
    assert covariance == pytest.approx(numbered.marginal_covariance(one).covariance)
    residuals = [each.augment()["residual_normalized"].to_numpy() for each in (named, numbered)]
    assert residuals[0] == pytest.approx(residuals[1])
    assert "in the order Week 1, Week 2, Week 4, Week 10 (that of the numbers in their labels)" in str(named)
    assert "in the order" not in str(numbered)


def test_names_of_parameters_hold_the_labels():
    names = list(fit(trial(), lmm.Unstructured).residual_parameters)
    assert names[:3] == [f"sd({label})/sd(Week 1)" for label in LABELS[1:]]
    assert names[3:6] == ["cor(Week 1,Week 2)", "cor(Week 1,Week 4)", "cor(Week 2,Week 4)"]
    odd = trial(labels=("a,b", "a", "b", "b,b"))
    names = fit(odd, lmm.Unstructured, categories={"visit": ["a,b", "a", "b", "b,b"]}).residual_parameters
    assert len(names) == 9 and "cor('a,b',b)" in names


ORDER = ["Baseline", "Week 2", "Week 4", "Week 10"]
DECLARED = {
    "Enum": lambda f: f.with_columns(pl.col("visit").cast(pl.Enum(ORDER))),
    "pandas ordered": lambda f: _pandas(f, pd.Categorical(f["visit"], ORDER, ordered=True)),
    "pandas in an order of its own": lambda f: _pandas(f, pd.Categorical(f["visit"], ORDER)),
    "arrow ordered": lambda f: _arrow(f),
}


def _pandas(frame, visit):
    return frame.to_pandas().assign(visit=visit)


def _arrow(frame):
    codes = pa.array([ORDER.index(label) for label in frame["visit"]])
    column = pa.DictionaryArray.from_arrays(codes, pa.array(ORDER), ordered=True)
    return frame.drop("visit").to_arrow().append_column("visit", column)


@pytest.mark.parametrize("made", DECLARED.values(), ids=DECLARED)
def test_the_order_of_a_category_is_used(made):
    frame = trial(labels=ORDER)
    expected = fit(frame, lmm.AR1, "place").loglik
    found = fit(made(frame), lmm.AR1)
    assert found.loglik == pytest.approx(expected, abs=1e-9)
    assert f"in the order {', '.join(ORDER)} (the order of its categories)" in str(found)
    given = fit(frame, lmm.AR1, categories={"visit": ORDER})
    assert given.loglik == pytest.approx(expected, abs=1e-9)


def test_what_is_given_comes_first():
    frame = trial()
    back = fit(frame, lmm.RandomWalk, categories={"visit": LABELS[::-1]})
    turned = frame.with_columns(place=5 - pl.col("place"))
    assert back.loglik == pytest.approx(fit(turned, lmm.RandomWalk, "place").loglik, abs=1e-9)
    enum = frame.with_columns(pl.col("visit").cast(pl.Enum(LABELS[::-1])))
    assert fit(enum, lmm.RandomWalk).loglik == pytest.approx(back.loglik, abs=1e-9)
    sorted_by_pandas = frame.to_pandas().assign(visit=lambda f: f["visit"].astype("category"))
    forth = fit(frame, lmm.RandomWalk, "place").loglik
    assert fit(sorted_by_pandas, lmm.RandomWalk).loglik == pytest.approx(forth, abs=1e-9)


def test_a_declared_visit_that_nobody_attended_widens_the_gap():
    frame = trial().filter(pl.col("visit") != "Week 4")
    declared = fit(frame, lmm.AR1, categories={"visit": LABELS}).loglik
    assert declared == pytest.approx(fit(frame, lmm.AR1, "place").loglik, abs=1e-9)
    gone = frame.with_columns(place=pl.col("place").replace({4: 3}))
    assert fit(frame, lmm.AR1).loglik == pytest.approx(fit(gone, lmm.AR1, "place").loglik, abs=1e-9)
    with pytest.raises(lmm.LmmError, match="'Week 4'"):
        fit(frame, lmm.Unstructured, categories={"visit": LABELS}).predict(trial(), level="subject")


@pytest.mark.parametrize(
    "labels",
    [
        ("Baseline", "Week 2", "Week 4", "Week 10"),
        ("first", "second", "third", "last"),
        ("Day 1", "Day 2", "Week 1", "Week 2"),
        ("1/2/2024", "2/2/2024", "1/3/2024", "2/3/2024"),
        ("V1", "v01", "V2", "V3"),
    ],
)
@pytest.mark.parametrize("structure", TAKE_VISITS.values(), ids=TAKE_VISITS)
def test_an_order_that_is_not_known_is_asked_for(structure, labels):
    with pytest.raises(lmm.DataError, match=r"not known.*categories=\{'visit': \[...\]\}"):
        fit(trial(labels=labels), structure)
    with pytest.raises(lmm.DataError, match="not known"):
        fit(trial(labels=labels).with_columns(pl.col("visit").cast(pl.Categorical)), structure)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (("Week 10", "Week 2"), ("Week 2", "Week 10")),
        (("week 10", "Week  9"), ("Week  9", "week 10")),
        (("V-10", "V-9"), ("V-9", "V-10")),
        (("Day 0", "Day -7", "Day 14"), ("Day -7", "Day 0", "Day 14")),
        (("10", "9", "1.5"), ("1.5", "9", "10")),
        (("Part 2, week 10", "Part 2, week 9"), ("Part 2, week 9", "Part 2, week 10")),
        (("only",), None),
        (("a", "b"), None),
    ],
)
def test_numbers_in_labels(labels, expected):
    assert by_numbers(labels) == expected


@pytest.mark.parametrize("structure", [lmm.CAR1, lmm.Exponential, lmm.Gaussian])
def test_continuous_times_are_numbers(structure):
    with pytest.raises(lmm.DataError, match="needs times as numbers, but 'visit' is a category"):
        fit(trial(), structure)


def test_compound_symmetry_needs_no_times():
    frame = trial(labels=ORDER)
    found = lmm.fit("y ~ arm * visit", frame, residual=lmm.CompoundSymmetry(subject="id"))
    assert found.certificate.converged


def test_two_rows_at_a_visit_name_it():
    frame = trial()
    with pytest.raises(lmm.DataError, match="two rows at visit = 'Week"):
        fit(pl.concat([frame, frame.head(1)]), lmm.AR1)


def test_a_saved_fit_keeps_the_order(tmp_path):
    found = fit(trial(labels=ORDER), lmm.Unstructured, categories={"visit": ORDER})
    found.save(tmp_path / "fit.parquet")
    again = lmm.load(tmp_path / "fit.parquet")
    assert again.residual_parameters == found.residual_parameters
    enum = trial(labels=ORDER).with_columns(pl.col("visit").cast(pl.Enum(ORDER)))
    fit(enum, lmm.AR1).save(tmp_path / "ar1.parquet")
    assert "in the order Baseline, Week 2" in str(lmm.load(tmp_path / "ar1.parquet"))


NUMBERS = {
    "dates": (20240101, 20240102, 20240103, 20240104),
    "seconds": (1.7e9, 1.7e9 + 1, 1.7e9 + 2, 1.7e9 + 3),
    "close": (0.1, 0.10000001, 0.10000002, 0.2),
    "plain": (1, 2, 4, 10),
}


@pytest.mark.parametrize("visits", NUMBERS.values(), ids=NUMBERS)
def test_no_two_parameters_have_one_name(visits):
    frame = trial().with_columns(time=np.array(visits)[trial()["place"].to_numpy() - 1])
    found, by_place = (fit(frame, lmm.Unstructured, time) for time in ("time", "place"))
    assert len(found.residual_parameters) == len(found.solution.natural) == 9
    values = [[*each.residual_parameters.values()] for each in (found, by_place)]
    assert values[0] == pytest.approx(values[1], abs=1e-5)


def test_no_two_lags_have_one_name():
    frame = trial().with_columns(time=pl.col("place") * 1_000_001)
    assert list(fit(frame, lmm.Toeplitz, "time").residual_parameters) == [
        "rho(1000001)",
        "rho(2000002)",
        "rho(3000003)",
    ]


def test_visits_and_levels_of_a_category_do_not_share_names():
    frame = trial().with_columns(arm=pl.when(pl.col("arm") == "P").then(pl.lit("1")).otherwise(pl.lit("2")))
    structure = lmm.Unstructured("place", subject="id")
    found = lmm.fit("y ~ arm", frame, residual=structure, variance=lmm.ByGroup("arm"))
    assert len(found.residual_parameters) == len(found.solution.natural) == 10
    assert "sd(2)/sd(1)" in found.residual_parameters
    assert "sd(2)/sd(1) by group" in found.residual_parameters
    assert len(found.confint()["term"].unique()) == len(found.confint()["term"])


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ([1.0, 2.0, 10.0], ("1", "2", "10")),
        ([0.5, 1.25], ("0.5", "1.25")),
        ([0.1 + 0.2], ("0.3",)),
        ([20240101.0, 20240102.0], ("20240101", "20240102")),
        ([1000.001, 1000.002], ("1000.001", "1000.002")),
        ([0.1, np.nextafter(0.1, 1)], ("0.10000000000000001", "0.10000000000000002")),
        ([-1e300, 1e300], ("-1e+300", "1e+300")),
        ([], ()),
    ],
)
def test_numbers_told_apart(values, texts):
    assert told_apart(values) == texts


def test_contrasts_of_means_at_close_values_have_names_of_their_own():
    frame = trial().with_columns(day=20240100.0 + pl.col("place"))
    means = lmm.fit("y ~ day", frame).emmeans("day", at={"day": [20240101.0, 20240102.0, 20240103.0]})
    assert means.pairs().frame()["contrast"].to_list()[0] == "day 20240101 - day 20240102"


UNSEEN = {
    "ante-dependence": (lmm.AnteDependence, "place", {}, (9, 2.5, -1, 0)),
    "unstructured": (lmm.Unstructured, "place", {}, (9, 2.5, -1, 0)),
    "toeplitz": (lmm.Toeplitz, "place", {}, (9, 2.5, -2)),
    "ar1": (lmm.AR1, "place", {}, (2.5,)),
    "random walk": (lmm.RandomWalk, "place", {}, (0, -1)),
}


@pytest.mark.parametrize(("structure", "time", "kwargs", "at"), UNSEEN.values(), ids=UNSEEN)
def test_a_visit_that_was_not_seen_is_a_sentence(structure, time, kwargs, at):
    found = fit(trial(), structure, time, **kwargs)
    for visit in at:
        known = pl.DataFrame({"id": [3], "arm": ["P"], "place": [visit]})
        with pytest.raises(lmm.LmmError):
            found.predict(known, level="subject")
        for level in ("subject", "population"):
            for who in (3, 999):
                for interval in ("subject", "observation"):
                    _error_or_the_same_everywhere(found, known.with_columns(id=pl.lit(who)), level, interval)
        two = pl.DataFrame({"id": [0, 0], "arm": ["P", "P"], "place": [1.0, visit]})
        with pytest.raises(lmm.LmmError):
            found.marginal_covariance(two)


def _error_or_the_same_everywhere(found, new, level, interval):
    """The expected response of a new subject does not depend on the visit; all else is refused."""
    try:
        frame = found.predict(new, level=level, interval=interval)
    except lmm.LmmError:
        return
    assert interval == "subject" and (level == "population" or new["id"][0] == 999)
    seen = found.predict(new.with_columns(place=pl.lit(1)), level=level, interval=interval)
    assert frame.to_numpy() == pytest.approx(seen.to_numpy())


@pytest.mark.parametrize("structure", TAKE_VISITS.values(), ids=TAKE_VISITS)
def test_a_label_that_was_not_seen_is_a_sentence(structure):
    found = fit(trial(), structure)
    new = pl.DataFrame({"id": [3, 3], "arm": ["P", "P"], "visit": ["Week 1", "Week 99"]})
    for interval in (None, "observation"):
        with pytest.raises(lmm.LmmError, match="'Week 99'"):
            found.predict(new, level="subject", interval=interval)
    with pytest.raises(lmm.LmmError, match="'Week 99'"):
        found.marginal_covariance(new)


def test_compound_symmetry_below_zero_has_room_for_so_many_rows():
    """1 + (n - 1) rho > 0: with rho = -0.33 no fifth row has a covariance with the four of a subject."""
    rng = np.random.default_rng(1)
    noise = rng.normal(size=(30, 4))
    noise -= 0.9 * noise.mean(axis=1, keepdims=True)
    frame = pl.DataFrame({"id": np.repeat(np.arange(30), 4), "y": noise.ravel()})
    found = lmm.fit("y ~ 1", frame, residual=lmm.CompoundSymmetry(subject="id"))
    assert -1 / 3 < found.residual_parameters["rho"] < -0.3
    for interval in (None, "subject", "observation"):
        with pytest.raises(lmm.DataError, match="at most 4 rows of a subject, but one would have 5"):
            found.predict(pl.DataFrame({"id": [1, 999]}), level="subject", interval=interval)
    found.predict(pl.DataFrame({"id": [998, 999]}), level="subject", interval="observation")
    with pytest.raises(lmm.DataError, match="at most 4 rows"):
        found.marginal_covariance(pl.DataFrame({"id": [1] * 5}))
    assert found.marginal_covariance(pl.DataFrame({"id": [1] * 4})).sd == pytest.approx([found.sigma] * 4)
    above = lmm.fit("y ~ 1", trial(), residual=lmm.CompoundSymmetry(subject="id"))
    assert above.residual_parameters["rho"] > 0
    assert above.marginal_covariance(pl.DataFrame({"id": [1] * 9})).covariance.shape == (9, 9)


def test_a_level_without_a_variance_is_a_sentence():
    found = lmm.fit("y ~ 1 + (1 | id)", trial(), variance=lmm.ByGroup("visit"))
    new = pl.DataFrame({"id": [3, 3], "visit": ["Week 1", "Week 99"]})
    with pytest.raises(lmm.LmmError, match="'Week 99'"):
        found.predict(new, level="subject", interval="observation")
    with pytest.raises(lmm.LmmError, match="'Week 99'"):
        found.marginal_covariance(new)
    power = lmm.fit("y ~ 1 + (1 | id)", trial(), variance=lmm.Power(of="place"))
    with pytest.raises(lmm.LmmError, match="other than 0"):
        power.predict(pl.DataFrame({"id": [3], "place": [0]}), level="subject", interval="observation")


def test_one_row_at_a_visit_is_named():
    """Its variance cannot be estimated: that is the cause, not a flat likelihood."""
    rng = np.random.default_rng(0)
    who, t = np.repeat(np.arange(30), 3), np.tile([1.0, 2.0, 3.0], 30)
    frame = pl.DataFrame({"id": who, "t": t, "y": rng.normal(size=30)[who] + rng.normal(size=90) + t})
    extra = pl.DataFrame({"id": [3], "t": [4.0], "y": [7.3]})
    for formula in ("y ~ C(t)", "y ~ t"):
        with pytest.raises(lmm.DataError, match="but 4 has one row only"):
            lmm.fit(formula, pl.concat([frame, extra]), residual=lmm.Unstructured("t", subject="id"))
    assert lmm.fit("y ~ C(t)", frame, residual=lmm.Unstructured("t", subject="id")).certificate.converged
