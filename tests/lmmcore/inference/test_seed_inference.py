"""Every number of the seed documents about inference that test_seed_numbers.py and its neighbours leave out.

Analyses of variance and KRmodcomp, profile intervals, exactRLRT, ranova, the nested SAT model, the contrast
of the trees, and the p values of nlme.
"""

import json
import math

import numpy as np
import polars as pl
import pytest
from scipy import optimize, stats

import lmmcore as lmm
from lmmcore.inference.fixed.kenward_roger import kenward_roger, scaled_f
from lmmcore.inference.fixed.wald import joint_test
from tests.support.engine_seed import common
from tests.support.shared_data import needs_shared, reference, shared

pytestmark = needs_shared


@pytest.fixture(scope="module")
def entries():
    return {entry["id"]: entry for entry in json.loads(reference("seed_results.json"))["results"]}


@pytest.fixture(scope="module")
def values():
    return json.loads(reference("seed_results.json"))["extra_reference"]["values"]


@pytest.fixture(scope="module")
def irrigation():
    return lmm.fit("yield ~ irrigation * variety + (1 | field)", shared("irrigation.csv"))


@pytest.fixture(scope="module")
def blends():
    return lmm.fit("yield ~ treat + (1 | blend)", shared("penicillin.csv"))


@pytest.fixture(scope="module")
def rats():
    frame = shared("rats.csv").with_columns(t=(1 + (pl.col("age") - 45) / 10).log())
    return lmm.fit("y ~ t:Treatment + (1 | rat)", frame)


@pytest.fixture(scope="module")
def pulp():
    return lmm.fit("bright ~ 1 + (1 | operator)", shared("pulp.csv"))


def as_printed(found, entries):
    """Every number equals R's to the last digit printed; all must be known."""
    for name, value in found.items():
        entry = entries[name]
        if str(entry["printed"]).startswith("<"):
            assert value < entry["value"], name
        else:
            close = math.isclose(value, entry["value"], rel_tol=0, abs_tol=entry["tolerance"] * (1 + 1e-9))
            assert close, (name, value, entry["printed"])


def table(prefix, fit, method):
    """lmerTest's anova table; the mean square is F times sigma^2, where F is not scaled."""
    found = {}
    for row in fit.anova(3, df=method).iter_rows(named=True):
        place = f"{prefix}.{row['term'].replace(':', '_')}"
        mean_square = row["statistic"] * fit.sigma**2
        found |= {f"{place}.SS": mean_square * row["num_df"], f"{place}.MS": mean_square}
        found |= {f"{place}.NumDF": row["num_df"], f"{place}.DenDF": row["den_df"]}
        found |= {f"{place}.F": row["statistic"], f"{place}.p": row["p_value"]}
    return found


def test_analyses_of_variance(entries, irrigation, blends, rats):
    found = table("irrigation.anovaKR", irrigation, "kenward-roger")
    found |= table("penicillin.anova", blends, "satterthwaite")
    found |= table("rats.anova", rats, "satterthwaite")
    as_printed(found, entries)
    assert len(found) == 30


def test_kr_modcomp(entries, blends):
    """KRmodcomp(yield ~ treat + (1 | blend), yield ~ 1 + (1 | blend))."""
    L = np.eye(4)[1:]
    test = joint_test(blends.solution, L, df="kenward-roger")
    scale, _ = scaled_f(blends.solution, kenward_roger(blends.solution), L)
    parts = {"stat": test.statistic, "ndf": test.num_df, "ddf": test.den_df, "p": test.p_value}
    as_printed({f"penicillin.KRmodcomp.{name}": value for name, value in parts.items()}, entries)
    as_printed({"penicillin.KRmodcomp.F.scaling": scale}, entries)
    null = lmm.fit("yield ~ 1 + (1 | blend)", shared("penicillin.csv"))
    row = lmm.compare_fixed(null, blends).row(0, named=True)
    assert row["statistic"] == pytest.approx(test.statistic, rel=1e-9)
    assert row["p_value"] == pytest.approx(test.p_value, rel=1e-9)


def test_slopes_of_the_rats_are_compared(rats):
    """The seed's F(3, 223) = 734 is a test of zero slopes; tests of equal ones are in the file's notes."""
    L = np.array([[0.0, 1, -1, 0], [0, 1, 0, -1]])
    for method, f, df, p in (
        ("satterthwaite", 2.316, 228.75, 0.1010),
        ("kenward-roger", 2.264, 228.95, 0.1062),
    ):
        test = joint_test(rats.solution, L, df=method)
        assert test.num_df == 2
        assert test.statistic == pytest.approx(f, abs=5e-4)
        assert test.den_df == pytest.approx(df, abs=5e-3)
        assert test.p_value == pytest.approx(p, abs=5e-5)


def test_profile_intervals(entries, pulp):
    """lme4 interpolates its profiles: its limits are right to 2e-5 of an interval's length.

    In a balanced one-way layout of a groups of n the profiles are known: by ML the variance of group means is
    tau = sigma^2 + n sigma_b^2 = SSB(mu) / a, so that the deviance rises by a log(SSB(mu) / SSB) along mu.
    """
    found = {
        name: limits
        for name, *limits in pulp.confint("profile").select("term", "conf_low", "conf_high").iter_rows()
    }
    places = {
        "confint.sig01": "sd__Intercept",
        "confint.sigma": "sd__Observation",
        "confint.Intercept": "Intercept",
        "confint2.Intercept": "Intercept",
    }
    for name, term in places.items():
        for end, limit in zip(("lo", "hi"), found[term], strict=True):
            entry = entries[f"pulp.m.{name}.{end}"]
            assert limit == pytest.approx(entry["value"], abs=entry["tolerance"] + 2e-5 * np.ptp(found[term]))
    assert found["sd__Intercept"][0] == 0

    by_operator = shared("pulp.csv").sort("operator")["bright"].to_numpy().reshape(4, 5)
    means = by_operator.mean(axis=1)
    a, n = by_operator.shape
    between = n * ((means - means.mean()) ** 2).sum()
    within = ((by_operator - means[:, None]) ** 2).sum()
    cut = stats.chi2.ppf(0.95, 1)
    half = np.sqrt(between / (a * n) * np.expm1(cut / a))
    assert found["Intercept"] == pytest.approx([means.mean() - half, means.mean() + half], rel=1e-10)

    def rise(s2):
        def deviance(s2):
            tau = max(between / a, s2)
            return a * (n - 1) * np.log(s2) + within / s2 + a * np.log(tau) + between / tau

        return deviance(s2) - deviance(best) - cut

    best = within / (a * (n - 1))
    variances = [optimize.brentq(rise, best / 5, best), optimize.brentq(rise, best, best * 5)]
    assert found["sd__Observation"] == pytest.approx(np.sqrt(variances), rel=1e-9)


def test_exact_restricted_likelihood_ratio(entries, irrigation):
    """p = 0.0103 of 10,000 draws; 200,000 here (r_value) give 0.00933."""
    n = 100_000
    found = lmm.rlrt(irrigation, "(1 | field)", n=n, seed=1)
    as_printed({"irrigation.exactRLRT.stat": found.statistic}, entries)
    entry = entries["irrigation.exactRLRT.p"]
    share = entry["r_value"]
    assert found.p_value == pytest.approx(share, abs=4 * np.sqrt(share * (1 / n + 1 / 200_000)))
    assert found.p_value == pytest.approx(entry["value"], abs=4 * np.sqrt(share * (1 / n + 1 / 10_000)))


def test_ranova(values):
    row = lmm.fit("bp ~ sex + (1 | subject)", shared("statlab_bp.csv")).ranova().row(1, named=True)
    assert row["statistic"] == pytest.approx(values["statlab_bp.ranova.LRT"], rel=1e-6)
    assert row["p_value_naive"] == pytest.approx(values["statlab_bp.ranova.p"], rel=1e-6)
    schools = shared("statlab_sat.csv")
    slope = lmm.fit("sat ~ log_income + (log_income | school)", schools)
    row = slope.ranova().row(1, named=True)
    assert (row["df"], row["term"]) == (2, "log_income in (log_income | school)")
    assert row["statistic"] == pytest.approx(values["statlab_sat.ranova_slope.LRT"], rel=1e-6)
    assert row["p_value_naive"] == pytest.approx(values["statlab_sat.ranova_slope.p"], rel=1e-6)
    # ranova(reduce.terms = FALSE): the whole term against ordinary least squares.
    X = np.column_stack([np.ones(len(schools)), schools["log_income"]])
    left = schools["sat"].to_numpy() - X @ np.linalg.lstsq(X, schools["sat"].to_numpy())[0]
    nu = len(X) - 2
    plain = nu * (1 + np.log(2 * np.pi * (left @ left) / nu)) + np.linalg.slogdet(X.T @ X)[1]
    statistic = plain - slope.deviance
    assert statistic == pytest.approx(values["statlab_sat.ranova_all.LRT"], rel=1e-7)
    assert stats.chi2.sf(statistic, 3) == pytest.approx(values["statlab_sat.ranova_all.p"], rel=1e-6)


def test_nested_sat(values):
    """Estimates to lme4's own precision, and the tests of both variances."""
    fit = lmm.fit("sat ~ sex + (1 | school/student)", shared("statlab_sat_repeat.csv"))
    found = common("statlab_sat_repeat.m", fit).items()
    found = {name.replace("school:student", "student_school"): value for name, value in found}
    known = {name: value for name, value in found.items() if name in values}
    assert len(known) >= 24
    for name, value in known.items():
        # lme4 stops early: its variances are good to 1e-4, and a small p moves several times as much.
        relative = 1e-3 if name.endswith(".p") else 1e-4
        assert value == pytest.approx(values[name], rel=relative, abs=2e-5 if "sresid" in name else 0), name
    statistics = {row["term"]: row["statistic"] for row in fit.ranova().rows(named=True)[1:]}
    assert statistics == {
        "(1 | school)": pytest.approx(values["statlab_sat_repeat.ranova_school.LRT"], rel=1e-6),
        "(1 | school:student)": pytest.approx(values["statlab_sat_repeat.ranova_student.LRT"], rel=1e-6),
    }


def test_contrast_of_the_trees(values):
    """Treatment C against the mean of A and B at the mean age of 2.5 years.

    The author's p = .064 (emmeans) has nlme's 22 df, those of rows within trees, although the treatments
    differ between the 8 trees only. Estimate and t are the same; the df are not.
    """
    data = shared("statlab_trees.csv")
    fit = lmm.fit("height ~ treatment:age - 1 + (age - 1 | tree)", data, residual=lmm.AR1("age"))
    weights = {"treatment[A]:age": -1.25, "treatment[B]:age": -1.25, "treatment[C]:age": 2.5}
    row = fit.contrast(weights).row(0, named=True)
    assert row["estimate"] == pytest.approx(values["statlab_trees.contrast.est"], rel=1e-6)
    assert 2 * stats.t.sf(row["statistic"], 22) == pytest.approx(values["statlab_trees.contrast.p"], rel=1e-4)
    for method in ("satterthwaite", "kenward-roger"):
        assert 4 < fit.contrast(weights, df=method)["df"][0] < 8
    for arm in "ABC":
        prefix = f"statlab_trees.m.fixef.treatment{arm}:age"
        t = fit.tidy().filter(pl.col("term") == f"treatment[{arm}]:age")["statistic"][0]
        assert t == pytest.approx(values[f"{prefix}.t"], rel=1e-5)
        assert values[f"{prefix}.df"] == 22
        assert 2 * stats.t.sf(t, 22) == pytest.approx(values[f"{prefix}.p"], rel=1e-4)


@pytest.mark.parametrize(
    "prefix, random, residual",
    [("harris.m1n", "(1 + ti + ti2 || tree)", None), ("harris.m2n", "(1 | tree)", lmm.Exponential("day"))],
)
def test_water_use_p_values(entries, prefix, random, residual):
    """nlme's p, printed as 0, with its own df: rows less trees less slopes. Ours print as 0 too."""
    data = shared("harris_wateruse.csv").filter(
        (pl.col("age") == "A2") & (pl.col("species") == "S2") & (pl.col("day") != 268)
    )
    data = data.with_columns(ti=pl.col("day") / 100).with_columns(ti2=pl.col("ti") ** 2)
    fit = lmm.fit(f"water ~ 1 + ti + ti2 + {random}", data, residual=residual)
    df = fit.nobs - fit.groups["tree"] - 2
    for row in fit.tidy().iter_rows(named=True):
        place = f"{prefix}.fixef.{row['term'].replace('Intercept', '(Intercept)')}"
        as_printed({f"{place}.df": df, f"{place}.p": row["p_value"]}, entries)
        theirs = 2 * stats.t.sf(abs(row["statistic"]), df)
        assert theirs == pytest.approx(entries[f"{place}.p"]["r_value"], rel=1e-2)
    assert (fit.tidy(df="kenward-roger")["p_value"].to_numpy() < 1e-6).all()
