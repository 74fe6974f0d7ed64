"""Degrees of freedom, tests and intervals against lmerTest, pbkrtest, lme4, nlme and RLRsim.

The reference results, their scripts, versions and settings are in tests/reference. R's optima were sharpened
by Newton steps, so that what is left are the difference quotients of lmerTest (1e-7) and of nlme (1e-3).
"""

import json
from functools import cache
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy import stats

import lmmcore as lmm
from lmmcore.inference.fixed.kenward_roger import adjusted_vcov, kenward_roger, scaled_f
from lmmcore.inference.fixed.wald import joint_test

ROOT = Path(__file__).resolve().parents[3]
REFERENCE = json.loads((ROOT / "tests/reference/inference_reference.json").read_text("utf-8"))
ENTRIES = {entry["id"]: entry for entry in REFERENCE["fits"]}

METHODS = pytest.mark.parametrize("method", ["satterthwaite", "kenward-roger"])
FITS = pytest.mark.parametrize("name", ENTRIES)
ENDS = "conf_low", "conf_high"
# Relative: lmerTest takes derivatives by difference quotients, pbkrtest has formulas.
OF_DF = {"satterthwaite": 1e-6, "kenward-roger": 1e-7}


def of(section):
    """One test for each entry of a section."""
    return pytest.mark.parametrize("entry", REFERENCE[section], ids=lambda entry: entry["id"])


def read(entry):
    name = entry["data"]
    if name not in REFERENCE["data"]:
        frame = pl.read_csv(ROOT / name, null_values="NA", infer_schema_length=None)
    else:
        columns = REFERENCE["data"][name]
        texts = {key for key, values in columns.items() if any(isinstance(value, str) for value in values)}
        frame = pl.DataFrame(
            {key: values if key in texts else np.array(values, float) for key, values in columns.items()}
        )
    kept = np.setdiff1d(np.arange(len(frame)), entry.get("drop", []))
    return frame[kept]


@cache
def fitted(name, method="REML"):
    entry = ENTRIES[name]
    return lmm.fit(entry["formula"], read(entry), method=method, categories=entry["categories"] or None)


def in_our_order(name):
    """R's columns in the order of ours."""
    return [ENTRIES[name]["terms"].index(term) for term in fitted(name).terms]


@FITS
def test_the_optimum_is_the_same(name):
    entry, fit = ENTRIES[name], fitted(name)
    assert sorted(fit.terms) == sorted(entry["terms"])
    assert fit.loglik == pytest.approx(entry["loglik"], abs=1e-9)
    assert fit.sigma == pytest.approx(entry["sigma"], rel=1e-7)
    assert fit.certificate.singular == entry["singular"]


@METHODS
@FITS
def test_coefficients(name, method):
    """Estimates, standard errors (those of Kenward and Roger adjusted), df, t and p."""
    table = fitted(name).tidy(df=method)
    known = ENTRIES[name]["coefficients"][method]
    theirs = {key: np.array(values)[in_our_order(name)] for key, values in known.items()}
    ours = {key: table[key].to_numpy() for key in ("estimate", "std_error", "df", "statistic", "p_value")}
    assert ours["estimate"] == pytest.approx(theirs["estimate"], rel=1e-7, abs=1e-7 * theirs["se"].max())
    assert ours["std_error"] == pytest.approx(theirs["se"], rel=1e-7)
    assert ours["df"] == pytest.approx(theirs["df"], rel=OF_DF[method])
    assert ours["statistic"] == pytest.approx(theirs["t"], rel=1e-6, abs=1e-7)
    assert ours["p_value"] == pytest.approx(theirs["p_value"], abs=1e-7)


@FITS
def test_adjusted_covariance(name):
    solution, order = fitted(name).solution, in_our_order(name)
    theirs = np.array(ENTRIES[name]["kr_vcov"])[np.ix_(order, order)]
    scale = np.sqrt(np.outer(np.diag(theirs), np.diag(theirs)))
    ours = adjusted_vcov(solution, kenward_roger(solution))
    assert ours / scale == pytest.approx(theirs / scale, abs=1e-7)


@METHODS
@FITS
def test_joint_hypotheses(name, method):
    """F tests of L beta = rhs: all coefficients, all but the first, random rows, rows that repeat others."""
    solution, order = fitted(name).solution, in_our_order(name)
    for label, hypothesis in ENTRIES[name]["tests"].items():
        L, theirs = np.array(hypothesis["L"], float)[:, order], hypothesis[method]
        ours = joint_test(solution, L, np.array(hypothesis["rhs"], float), method)
        assert ours.num_df == theirs["num_df"], label
        assert ours.statistic == pytest.approx(theirs["statistic"], rel=1e-6), label
        assert ours.den_df == pytest.approx(theirs["den_df"], rel=OF_DF[method]), label
        assert ours.p_value == pytest.approx(theirs["p_value"], abs=1e-7), label
        if method == "kenward-roger" and ours.num_df == len(L):
            scale, _ = scaled_f(solution, kenward_roger(solution), L)
            assert scale == pytest.approx(theirs["f_scaling"], rel=1e-7), label


@METHODS
@pytest.mark.parametrize("kind", [1, 2, 3])
@FITS
def test_anova(name, kind, method):
    ours = {row["term"]: row for row in fitted(name).anova(kind, df=method).iter_rows(named=True)}
    theirs = ENTRIES[name]["anova"][str(kind)][method]
    assert len(ours) == len(theirs)
    for expected in theirs:
        row = ours[expected["term"].replace("^", " ** ")]
        assert row["num_df"] == expected["num_df"], row
        assert row["statistic"] == pytest.approx(expected["statistic"], rel=1e-6), row
        assert row["den_df"] == pytest.approx(expected["den_df"], rel=OF_DF[method]), row
        assert row["p_value"] == pytest.approx(expected["p_value"], abs=1e-7), row


@FITS
def test_ranova(name):
    """Statistic, df and naive p of every random effect left out, in whatever order and words."""
    ours = fitted(name).ranova().select("statistic", "df", "p_value_naive").rows()[1:]
    theirs = [(max(row["statistic"], 0.0), row["df"], row["p_value"]) for row in ENTRIES[name]["ranova"]]
    # lme4 fits the smaller models by its own optimiser: 1e-6 of deviance.
    assert sorted(ours) == [pytest.approx(row, rel=1e-6, abs=1e-6) for row in sorted(theirs)]


# ---- the boundary ----


def test_a_zero_variance_is_not_forgotten():
    """Dyestuff2: the variance between the 6 batches of 5 is estimated as 0.

    lmerTest's 29 df are those of 30 independent rows: at 0 the derivative of every variance by the batches'
    SD is 0, so that it drops out, here as there, and p is that of a t test of the rows. The test that is
    exact whatever the variance between batches is that of their 6 means, on 5 df: Kenward and Roger's. With
    fewer df than rows its p is larger by orders of magnitude, and the fit itself says so.
    """
    fit, frame = fitted("dyestuff2"), read(ENTRIES["dyestuff2"])
    row = {method: fit.tidy(df=method).row(0, named=True) for method in OF_DF}
    rows = stats.ttest_1samp(frame["Yield"], 0)
    means = stats.ttest_1samp(frame.group_by("Batch").agg(pl.col("Yield").mean())["Yield"], 0)
    assert row["satterthwaite"]["df"] == pytest.approx(rows.df)
    assert row["satterthwaite"]["p_value"] == pytest.approx(rows.pvalue, rel=1e-6)
    assert row["kenward-roger"]["df"] == pytest.approx(means.df)
    # The batches happen to differ less than rows do: the exact p lies between the two.
    assert rows.pvalue < means.pvalue / 1000 < means.pvalue < row["kenward-roger"]["p_value"] < 1e-3
    assert "29 degrees of freedom" in str(fit) and "5 (Kenward-Roger)" in str(fit)


# ---- intervals ----


def our_name(name):
    """lme4's names: sigma, sd_Days|Subject, cor_Days.(Intercept)|Subject -> (group, term)."""
    if name == "sigma":
        return "Residual", "sd__Observation"
    kind, rest = name.replace("(Intercept)", "Intercept").split("_", 1)
    effects, group = rest.split("|")
    return ":".join(reversed(group.split(":"))), f"{kind}__{'.'.join(reversed(effects.split('.')))}"


def limits(table):
    """{(group, term): (low, high)}."""
    return {(group, term): ends for group, term, *ends in table.select("group", "term", *ENDS).iter_rows()}


def listed(part):
    """(name, [low, high]) of columns of names and limits."""
    return [(name, ends) for name, *ends in zip(part["names"], *(part[end] for end in ENDS), strict=True)]


@of("profiles")
def test_profile_limits(entry):
    """Against root finding on lme4's deviance, with the other parameters minimised from several starts.

    lme4's confint() interpolates the profile, and is up to 4e-4 of an interval's length away.
    """
    ours = limits(fitted(entry["id"]).confint("profile"))
    exact = {our_name(name): ends for name, ends in listed(entry["variance"])}
    exact |= {(None, term): ends for term, ends in listed(entry["fixed"])}
    assert ours.keys() == exact.keys()
    for place, ends in exact.items():
        assert ours[place] == pytest.approx(ends, rel=1e-7, abs=2e-9), place
    for (place, ends), (_, printed) in zip(exact.items(), listed(entry["lme4"]), strict=True):
        assert ours[place] == pytest.approx(printed, abs=1e-3 * (ends[1] - ends[0])), place


@of("profiles")
def test_wald_limits_of_variances(entry):
    """On the log SD and Fisher's z, from a Richardson-extrapolated Hessian of the REML criterion."""
    ours = limits(fitted(entry["id"]).confint("wald"))
    for name, ends in listed(entry["wald_reml"] | {"names": entry["variance"]["names"]}):
        assert ours[our_name(name)] == pytest.approx(ends, rel=1e-6), name


STRUCTURES = {
    "orthodont_by_sex": {"variance": lmm.ByGroup("Sex")},
    "ovary_intercept_ar1": {"residual": lmm.AR1("Visit")},
    "trial_compound": {"residual": lmm.CompoundSymmetry(subject="id")},
    "dialyzer_power_ar1": {
        "residual": lmm.AR1("index", subject="Subject"),
        "variance": lmm.Power("pressure"),
    },
}
# nlme's names of parameters of the residual.
RESIDUAL = {"sigma": "sd__Observation", "Phi": "rho", "Rho": "rho", "Male": "sd(Male)/sd(Female)"}


@of("intervals")
def test_intervals_of_nlme(entry):
    extras = STRUCTURES.get(entry["id"], {})
    fit = lmm.fit(entry["formula"], read(entry), categories=entry["categories"] or None, **extras)
    for term, df, *ends in zip(entry["terms"], entry["df"], *(entry[end] for end in ENDS), strict=True):
        half = stats.t.ppf(0.975, df) * fit.se[term]  # nlme's inner-outer df
        assert [fit.beta[term] - half, fit.beta[term] + half] == pytest.approx(
            ends, rel=1e-5, abs=1e-5 * half
        )
    ours = limits(fit.confint("wald"))
    for row in entry["covariance"]:
        part, name = row["part"], row["name"]
        if part in ("sigma", "correlation", "variance"):
            place = "Residual", RESIDUAL.get(name, name)
        else:
            kind, effects = name[:-1].replace("(Intercept)", "Intercept").split("(", 1)
            place = {"Wafer": "Lot:Wafer"}.get(part, part), f"{kind}__{effects.replace(',', '.')}"
        # nlme's Hessian is one of difference quotients.
        assert ours[place] == pytest.approx(
            [row[end] for end in ENDS], abs=5e-3 * np.ptp([row[end] for end in ENDS])
        )


# ---- simulation ----


def within_chance(ours, theirs, n, draws):
    """Whether two shares, of n and of `draws` replicates, differ by less than 4.5 standard errors."""
    return abs(ours - theirs) < 4.5 * np.sqrt(theirs * (1 - theirs) * (1 / n + 1 / draws)) + 1 / n


@of("rlrt")
def test_exact_restricted_likelihood_ratio(entry):
    found = lmm.rlrt(fitted(entry["id"]), entry["term"], n=40_000, seed=1)
    assert found.statistic == pytest.approx(entry["statistic"], rel=1e-6)
    assert within_chance(found.p_value, entry["p_value"], 40_000, entry["draws"])


@of("lrt")
def test_exact_likelihood_ratio(entry):
    term = next(test["term"] for test in REFERENCE["rlrt"] if test["id"] == entry["id"])
    found = lmm.rlrt(fitted(entry["id"], "ML"), term, n=40_000, seed=1)
    assert found.statistic == pytest.approx(entry["statistic"], rel=1e-6)
    assert within_chance(found.p_value, entry["p_value"], 40_000, entry["draws"])
