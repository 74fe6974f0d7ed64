"""Profile likelihood: limits against lme4, closed forms and the written-out likelihood; ends of the space."""

import json

import numpy as np
import polars as pl
import pytest
from scipy.stats import norm

import lmmcore as lmm
from lmmcore.inference.covariance.components import components
from lmmcore.inference.covariance.confint import confint, profile
from tests.support.inference_fits import DATA, KINDS, REFERENCE, frame, kind, refit
from tests.support.natural_scale import Written
from tests.support.shared_data import needs_shared, reference, shared

QUANTILE = norm.ppf(0.975)


def table(fit, method="profile", **more):
    rows = confint(fit.solution, method, **more)
    return {(row["group"], row["term"]): row for row in rows.iter_rows(named=True)}


# ---- against lme4 ----


def lme4_name(name):
    """(group, term) of a limit's name in lme4, e.g. "cor_Days.(Intercept)|Subject"."""
    plain = name.replace("(Intercept)", "Intercept")
    if plain == "sigma":
        return "Residual", "sd__Observation"
    if "|" not in plain:
        return None, plain.replace("SexMale", "Sex[T.Male]")
    term, group = plain.split("|")
    group = {"cask:batch": "batch:cask"}.get(group, group)
    if term.startswith("cor_"):
        second, first = term[4:].split(".")
        return group, f"cor__{first}.{second}"
    return group, term.replace("sd_", "sd__")


@pytest.mark.parametrize("entry", REFERENCE["profiles"], ids=lambda entry: entry["id"])
def test_limits_against_lme4(entry):
    """lme4 interpolates between points of the profile: good to a thousandth of a standard error."""
    fit = refit(entry)
    rows = table(fit)
    assert len(rows) == len(entry["limits"])
    for name, (low, high) in entry["limits"].items():
        row = rows[lme4_name(name)]
        # Dyestuff2's profile of the mean has a kink, where the variance leaves 0.
        kink = entry["id"] == "dyestuff2" and name == "(Intercept)"
        near = (3e-3 if kink else 1e-3) * (high - low) / (2 * QUANTILE)
        assert row["conf_low"] == pytest.approx(low, abs=near), name
        assert row["conf_high"] == pytest.approx(high, abs=near), name
        assert ("may be as low as 0" in row["note"] or "end of its space" in row["note"]) == (low == 0)


@needs_shared
def test_limits_that_the_seed_prints():
    """Seed 003: confint() of lmer(bright ~ 1 + (1 | operator)), a REML fit profiled by ML."""
    known = {row["id"]: row["value"] for row in json.loads(reference("seed_results.json"))["results"]}
    rows = table(lmm.fit("bright ~ 1 + (1 | operator)", shared("pulp.csv")))
    names = {
        "sig01": ("operator", "sd__Intercept"),
        "sigma": ("Residual", "sd__Observation"),
        "Intercept": (None, "Intercept"),
    }
    for name, key in names.items():
        for side, column in (("lo", "conf_low"), ("hi", "conf_high")):
            # the last printed digits are those of lme4's interpolation
            assert rows[key][column] == pytest.approx(known[f"pulp.m.confint.{name}.{side}"], abs=1e-5)
    assert rows["operator", "sd__Intercept"]["conf_low"] == 0


# ---- exactly ----

# Rows of each kind whose limits are looked at; all rows where none are named.
CHOSEN = {
    "visits": ["sd(12)/sd(8)", "cor(8,14)", "age"],
    "toeplitz by group": ["rho(6)", "sd(Male)/sd(Female)"],
    "three effects": ["cor__Machine[A].Machine[B]", "sd__Machine[B]"],
    "nugget": ["range", "nugget"],
}


@pytest.mark.parametrize("name", KINDS)
def test_the_deviance_at_a_limit_is_at_the_cut_off(name):
    """The ML deviance with one parameter at its limit, minimised anew with V written out."""
    fit = kind(name, "ML")
    found = components(fit.solution)
    names = list(zip(found.group, found.term, strict=True))
    written = Written(fit.solution.model, names)
    cut_off = fit.deviance + QUANTILE**2
    rows = table(fit)
    looked_at = 0
    for (group, term), row in rows.items():
        if term not in CHOSEN.get(name, [term]):
            continue
        for column in ("conf_low", "conf_high"):
            value = row[column]
            if row["note"] and column.split("_")[1] in row["note"]:
                continue  # an end of the space: below
            if group is None:
                least = written.lowest(found.estimate, held=(fit.terms.index(term), value))
            else:
                least = written.lowest(found.estimate, fixed={(group, term): value})
            assert least == pytest.approx(cut_off, abs=1e-5), (term, column)
            looked_at += 1
    assert looked_at >= 2


def test_a_plain_model_has_closed_forms():
    fit = lmm.fit("distance ~ age", frame("data/raw/orthodont.csv"))
    rows = table(fit, conf_level=0.9)
    n, cut = fit.nobs, norm.ppf(0.95) ** 2
    rss = fit.sigma**2 * (n - 2)
    unscaled = fit.vcov[1, 1] / fit.sigma**2
    half = np.sqrt(rss * unscaled * np.expm1(cut / n))
    assert rows[None, "age"]["conf_low"] == pytest.approx(fit.beta["age"] - half, rel=1e-9)
    assert rows[None, "age"]["conf_high"] == pytest.approx(fit.beta["age"] + half, rel=1e-9)
    for column in ("conf_low", "conf_high"):
        variance = rows["Residual", "sd__Observation"][column] ** 2
        rise = n * np.log(variance * n / rss) + rss / variance - n
        assert rise == pytest.approx(cut, rel=1e-9)


def test_a_balanced_one_way_layout_has_closed_forms():
    """k batches of m, residual variance s, batch variance (T - s) / m: -2 log L is, but for constants,

    k log T + k (m - 1) log s + SSW / s + (SSB + k m (mu - ybar)^2) / T.
    """
    data = frame(f"{DATA}/dyestuff.csv")
    rows = table(lmm.fit("Yield ~ 1 + (1 | Batch)", data))
    y = data["Yield"].to_numpy().reshape(6, 5)
    k, m = y.shape
    between, within = m * ((y.mean(axis=1) - y.mean()) ** 2).sum(), ((y.T - y.mean(axis=1)) ** 2).sum()
    best = k * np.log(between / k) + k * (m - 1) * np.log(within / (k * (m - 1))) + k * m
    for column in ("conf_low", "conf_high"):
        shift = rows[None, "Intercept"][column] - y.mean()
        rise = (
            k * np.log((between + k * m * shift**2) / k)
            + k * (m - 1) * np.log(within / (k * (m - 1)))
            + k * m
        )
        assert rise - best == pytest.approx(QUANTILE**2, abs=1e-8)
        s = rows["Residual", "sd__Observation"][column] ** 2
        total = max(between / k, s)  # the batch variance cannot be negative
        rise = k * np.log(total) + between / total + k * (m - 1) * np.log(s) + within / s
        assert rise - best == pytest.approx(QUANTILE**2, abs=1e-8)


# ---- ends of the space ----


def test_limits_at_zero_are_exact_and_said():
    row = table(refit(REFERENCE["profiles"][-1]))["batch", "sd__Intercept"]
    assert row["conf_low"] == 0.0
    assert row["note"] == "The SD of Intercept within batch may be as low as 0."
    fit = kind("nested", "ML")
    found = components(fit.solution)
    names = list(zip(found.group, found.term, strict=True))
    written = Written(fit.solution.model, names)
    at_zero = written.lowest(np.maximum(found.estimate, 0.1), fixed={names[0]: 0.0})
    assert at_zero - fit.deviance < QUANTILE**2


def test_an_estimate_of_zero_has_an_upper_limit():
    row = table(lmm.fit("Yield ~ 1 + (1 | Batch)", frame(f"{DATA}/dyestuff2.csv")))["Batch", "sd__Intercept"]
    assert (row["estimate"], row["conf_low"]) == (0.0, 0.0)
    assert (
        row["note"]
        == "The SD of Intercept within Batch is at the end of its space in the fit by maximum likelihood."
    )


def test_a_correlation_means_nothing_where_an_sd_may_be_zero():
    fit = lmm.fit("distance ~ age * Sex + (age | Subject)", frame("data/raw/orthodont.csv"))
    row = table(fit)["Subject", "cor__Intercept.age"]
    assert (row["conf_low"], row["conf_high"]) == (-1.0, 1.0)
    assert "may have any value, because the SD of age within Subject may be 0" in row["note"]


def test_a_correlation_may_be_one():
    formula = "y ~ time + I(time**2) + group + (time + I(time**2) | id)"
    fit = lmm.fit(formula, frame(f"{DATA}/unbalanced.csv"))
    row = table(fit)["id", "cor__Intercept.time"]
    assert row["conf_high"] == 1.0 and -1 < row["conf_low"] < row["estimate"]
    assert row["note"].endswith("may be as high as 1.")


@pytest.mark.parametrize("seed", [20, 320])
def test_the_way_past_a_correlation_of_one(seed):
    """The search passes a correlation of -1, where its coordinate is singular, on the way to the limit."""
    rng = np.random.default_rng(seed)
    who = np.repeat(np.arange(12), 10)
    b = rng.multivariate_normal([0, 0], [[0.93, 0.015], [0.015, 0.053]], 12)
    t = np.tile(np.arange(10.0), 12)
    y = 10 + b[who, 0] + b[who, 1] * t + rng.normal(size=120)
    fit = lmm.fit("y ~ t + (t | id)", pl.DataFrame({"id": who, "t": t, "y": y}), method="ML")
    found = components(fit.solution)
    names = list(zip(found.group, found.term, strict=True))
    written = Written(fit.solution.model, names)
    row = table(fit)["id", "cor__Intercept.t"]
    assert -1 < row["conf_low"] < row["estimate"]
    least = written.lowest(found.estimate, fixed={("id", "cor__Intercept.t"): row["conf_low"]})
    assert least == pytest.approx(fit.deviance + QUANTILE**2, abs=1e-5)
    assert row["conf_high"] < 1 or "may be as high as 1" in row["note"]


def test_a_range_without_an_upper_limit():
    nugget = lmm.Exponential("age", nugget=True, subject="Subject")
    row = table(lmm.fit("distance ~ age * Sex", frame("data/raw/orthodont.csv"), residual=nugget))[
        "Residual", "range"
    ]
    assert row["conf_high"] == np.inf and row["note"] == "range may be as high as inf."
    # As the range grows the correlation tends to the same between all ages: compound symmetry.
    fit = lmm.fit("distance ~ age * Sex", frame("data/raw/orthodont.csv"), residual=nugget, method="ML")
    limit = kind("compound", "ML")
    assert limit.deviance - fit.deviance < QUANTILE**2


# ---- the frame, and profiles for plots ----


def test_wald_limits_join_those_of_tidy_and_components():
    fit = kind("slope")
    rows = confint(fit.solution, "wald", conf_level=0.9, df="satterthwaite")
    assert rows.columns == "effect group term estimate conf_low conf_high method note".split()
    assert rows["effect"].to_list() == ["fixed"] * 2 + ["ran_pars"] * 4
    known = fit.tidy(conf_level=0.9)
    own = components(fit.solution, 0.9)
    assert rows["conf_low"].to_list() == known["conf_low"].to_list() + own.conf_low.tolist()
    assert set(rows["method"]) == {"wald"} and set(rows["note"]) == {""}


def test_a_profile_for_a_plot():
    fit = kind("slope")
    points = profile(fit.solution, "cor__Intercept.Days", conf_level=0.95)
    limits = table(fit)["Subject", "cor__Intercept.Days"]
    value, zeta = points["value"].to_numpy(), points["zeta"].to_numpy()
    assert len(value) == 41 and np.all(np.diff(value) > 0) and np.all(np.diff(zeta) > 0)
    assert (value[0], value[-1]) == pytest.approx((limits["conf_low"], limits["conf_high"]), rel=1e-8)
    assert (zeta[0], zeta[-1]) == pytest.approx((-QUANTILE, QUANTILE), rel=1e-8)
    place = np.flatnonzero(zeta == 0)
    assert len(place) == 1
    ml = components(kind("slope", "ML").solution)
    assert value[place[0]] == pytest.approx(ml.estimate[2], rel=1e-6)


def test_scale_of_a_predictor_does_not_matter():
    data = frame("data/raw/sleepstudy.csv").with_columns(seconds=pl.col("Days") * 86_400.0)
    days, seconds = (
        table(lmm.fit(f"Reaction ~ {time} + ({time} | Subject)", data)) for time in ("Days", "seconds")
    )
    for column in ("conf_low", "conf_high"):
        ratio = days["Subject", "sd__Days"][column] / seconds["Subject", "sd__seconds"][column]
        assert ratio == pytest.approx(86_400, rel=1e-7)
        assert days["Subject", "cor__Intercept.Days"][column] == pytest.approx(
            seconds["Subject", "cor__Intercept.seconds"][column], rel=1e-7
        )


def test_mistakes_are_said():
    solution = kind("nested").solution
    with pytest.raises(ValueError, match="must be 'wald' or 'profile'"):
        confint(solution, "bootstrap")
    with pytest.raises(ValueError, match="no term 'sd__Days'; the terms are Intercept, sd__Intercept"):
        profile(solution, "sd__Days")
    with pytest.raises(ValueError, match="stands in 2 groups; name one by group=: 'batch', 'batch:cask'"):
        profile(solution, "sd__Intercept")
    assert len(profile(solution, "sd__Intercept", group="batch:cask")) == 41
