"""Every number the seed documents print for models with one grouping factor, to every printed digit."""

import json
import math

import numpy as np
import polars as pl
import pytest
from scipy import stats

import lmmcore as lmm
from tests.support.engine_seed import common, in_r
from tests.support.shared_data import needs_shared, reference, shared


def irrigation_short(term):
    if term == "Intercept":
        return "Intercept"
    return in_r(term).replace("irrigation", "").replace("variety", "").replace(":", "")


def ladder(prefix, null, alternative, names):
    """The two lines and the test that R's anova() prints."""
    test = lmm.compare({names[0]: null, names[1]: alternative}).tests[0]
    values = {
        f"{prefix}.Chisq": test["statistic"],
        f"{prefix}.ChiDf": test["df"],
        f"{prefix}.p": test["p_value_naive"],
    }
    for name, fit in zip(names, (null, alternative), strict=True):
        values[f"{prefix}.{name}.df"] = fit.npar
        for quantity, value in (
            ("AIC", fit.aic),
            ("BIC", fit.bic),
            ("logLik", fit.loglik),
            ("deviance", fit.deviance),
        ):
            values[f"{prefix}.{name}.{quantity}"] = value
    return values


def coefficients(prefix, fit):
    """coef(), ranef() and predictions of a random-intercept model."""
    values = {}
    for row in fit.ranef().iter_rows(named=True):
        values[f"{prefix}.ranef.{row['level']}"] = row["estimate"]
        values[f"{prefix}.coef.{row['level']}"] = row["estimate"] + fit.beta["Intercept"]
    return values


def computed():
    values = {}
    sleep = shared("sleepstudy.csv")
    slope = "Reaction ~ Days + (Days | Subject)"
    values |= common("sleepstudy.fit.lmm", lmm.fit(slope, sleep))
    null = lmm.fit("Reaction ~ Days + (1 | Subject)", sleep, method="ML")
    values |= ladder("sleepstudy.anova", null, lmm.fit(slope, sleep, method="ML"), ("fit0", "fit.lmm"))

    pulp_data = shared("pulp.csv")
    pulp = lmm.fit("bright ~ 1 + (1 | operator)", pulp_data)
    values |= common("pulp.m", pulp) | coefficients("pulp.m", pulp)
    new = pl.DataFrame({"operator": ["a", "b", "c", "d"]})
    predicted = pulp.predict(new, level="subject")["prediction"]
    values |= {f"pulp.m.predict.{who}": value for who, value in zip("abcd", predicted, strict=True)}
    between, within = pulp.varcorr()["covariance"]
    values["pulp.m.icc"] = between / (between + within)
    values |= {"pulp.m.sd2.operator": between**0.5, "pulp.m.sd2.Residual": within**0.5}
    values |= {"pulp.m.coef2.est": pulp.beta["Intercept"], "pulp.m.coef2.se": pulp.se["Intercept"]}
    values |= {
        f"pulp.m.coef2.{part}": values[f"pulp.m.fixef.(Intercept).{part}"] for part in ("df", "t", "p")
    }

    blends = lmm.fit("yield ~ treat + (1 | blend)", shared("penicillin.csv"))
    values |= common("penicillin.m", blends) | coefficients("penicillin.m", blends)

    field = shared("irrigation.csv")
    split = "yield ~ irrigation * variety + (1 | field)"
    values |= common("irrigation.sp_model", lmm.fit(split, field), irrigation_short)
    additive = lmm.fit("yield ~ irrigation + variety + (1 | field)", field, method="ML")
    values |= ladder(
        "irrigation.lrt", additive, lmm.fit(split, field, method="ML"), ("sp_model_additive", "sp_model")
    )

    rats = shared("rats.csv").with_columns(t=(1 + (pl.col("age") - 45) / 10).log())
    values |= common(
        "rats.m",
        lmm.fit("y ~ t:Treatment + (1 | rat)", rats),
        lambda t: in_r(t).replace("t:Treatment", "").strip("()"),
    )
    values |= common("estrone.m", lmm.fit("logestrone ~ (1 | woman)", shared("estrone.csv")))
    return values


# R prints 3.340265e-08 because its Satterthwaite df is 3.0000002 (a difference quotient). The model is a
# one-way layout: t and df = 3 are textbook results, and p is 3.3402631e-08 (test_textbook_one_way).
WRONG_IN_THE_SEED = {"pulp.m.coef2.p"}


@needs_shared
def test_textbook_one_way():
    """The random one-way layout has closed forms: se^2 = MSB / n, df = groups - 1."""
    data = shared("pulp.csv")
    means = data.group_by("operator").agg(pl.col("bright").mean())["bright"].to_numpy()
    row = lmm.fit("bright ~ 1 + (1 | operator)", data).tidy().row(0, named=True)
    t = 60.4 / np.sqrt(np.var(means, ddof=1) / 4)
    assert row["statistic"] == pytest.approx(t, rel=1e-9)
    assert row["df"] == pytest.approx(3, rel=1e-9)
    assert row["p_value"] == pytest.approx(2 * stats.t.sf(t, 3), rel=1e-9)


@needs_shared
def test_seed_numbers():
    entries = {entry["id"]: entry for entry in json.loads(reference("seed_results.json"))["results"]}
    values = computed()
    compared, wrong = 0, []
    for name, value in values.items():
        entry = entries.get(name)
        if name in WRONG_IN_THE_SEED or entry is None or not isinstance(entry["value"], int | float):
            continue
        compared += 1
        # A printed p such as "<2e-16" is a bound; otherwise half a unit of the last printed digit.
        if str(entry["printed"]).startswith("<"):
            good = value < entry["value"]
        else:
            good = math.isclose(value, entry["value"], rel_tol=0, abs_tol=entry["tolerance"] * (1 + 1e-9))
        if not good:
            wrong.append((name, value, entry["printed"], entry["r_value"]))
    assert not wrong
    assert compared >= 250, f"only {compared} numbers were compared"
