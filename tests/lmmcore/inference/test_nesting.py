"""Which model is a special case of which, and what the likelihood ratio's null distribution is."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

import lmmcore as lmm
from lmmcore.inference.models.nesting import step

DATA = Path(__file__).resolve().parents[2] / "reference" / "data"


def visits(seed=1, subjects=40, rho=0.6):
    """Five whole-number visits of each subject, AR(1) residuals; every visit also by name."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(subjects, 5))
    for j in range(1, 5):
        noise[:, j] = rho * noise[:, j - 1] + np.sqrt(1 - rho**2) * noise[:, j]
    frame = {"id": np.repeat(np.arange(subjects), 5), "t": np.tile(np.arange(1.0, 6), subjects)}
    return pl.DataFrame(frame | {"y": noise.ravel(), "site": np.repeat(np.arange(subjects) // 4, 5)})


STRUCTURES = {
    "independent": None,
    "ar1": lmm.AR1("t", subject="id"),
    "car1": lmm.CAR1("t", subject="id"),
    "exponential": lmm.Exponential("t", subject="id"),
    "exponential nugget": lmm.Exponential("t", nugget=True, subject="id"),
    "gaussian": lmm.Gaussian("t", subject="id"),
    "gaussian nugget": lmm.Gaussian("t", nugget=True, subject="id"),
    "compound symmetry": lmm.CompoundSymmetry(subject="id"),
    "toeplitz": lmm.Toeplitz("t", subject="id"),
    "unstructured": lmm.Unstructured("t", subject="id"),
    "random walk": lmm.RandomWalk("t", subject="id"),
    "ante-dependence": lmm.AnteDependence("t", subject="id"),
    "ante-dependence, equal SDs": lmm.AnteDependence("t", heterogeneous=False, subject="id"),
}
NESTED = {
    "ar1": {"independent"},
    "car1": {"independent"},
    "exponential": {"independent"},
    "gaussian": {"independent"},
    "compound symmetry": {"independent"},
    "exponential nugget": {"independent", "car1", "exponential"},
    "gaussian nugget": {"independent", "gaussian"},
    "ante-dependence, equal SDs": {"independent", "ar1", "car1", "exponential"},
    "ante-dependence": {
        *("independent", "ar1", "car1", "exponential"),
        *("random walk", "ante-dependence, equal SDs"),
    },
    "toeplitz": {
        *("independent", "ar1", "car1", "exponential", "exponential nugget"),
        *("gaussian", "gaussian nugget", "compound symmetry"),
    },
    "unstructured": set(STRUCTURES) - {"unstructured"},
}
ONE_SIDED = {
    **{("independent", name): "1/2 chi2(0) + 1/2 chi2(1)" for name in ("car1", "exponential", "gaussian")},
    ("car1", "exponential nugget"): "1/2 chi2(0) + 1/2 chi2(1)",
    ("exponential", "exponential nugget"): "1/2 chi2(0) + 1/2 chi2(1)",
    ("gaussian", "gaussian nugget"): "1/2 chi2(0) + 1/2 chi2(1)",
}
UNKNOWN = {("independent", "exponential nugget"), ("independent", "gaussian nugget")}


@pytest.fixture(scope="module")
def fits():
    frame = visits()
    return {
        name: lmm.fit("y ~ t", frame, method="ML", residual=structure)
        for name, structure in STRUCTURES.items()
    }


def test_every_pair_of_residual_structures(fits):
    comparison = lmm.compare(fits)
    tests = {(test["null"], test["alternative"]): test for test in comparison.tests}
    assert set(tests) == {(small, large) for large, found in NESTED.items() for small in found}
    for pair, test in tests.items():
        # A special case is never the better fit.
        assert fits[pair[0]].loglik <= fits[pair[1]].loglik + 1e-6
        if pair in UNKNOWN:
            assert test["p_value"] is None and test["p_value_naive"] is None
            assert "use lmm.bootstrap_lrt" in test["distribution"]
            assert f"{pair[0]} in {pair[1]}: LRT" in str(comparison)
        else:
            assert test["distribution"] == ONE_SIDED.get(pair, f"chi2({test['df']})")


@pytest.mark.parametrize("structure", [lmm.CAR1, lmm.Gaussian])
def test_half_of_the_statistics_are_zero_without_correlation(structure):
    """p values are uniform below a point mass of one half at 1."""
    p_values = []
    for seed in range(200):
        frame = visits(seed, subjects=30, rho=0.0)
        null = lmm.fit("y ~ t", frame, method="ML")
        serial = lmm.fit("y ~ t", frame, method="ML", residual=structure("t", subject="id"))
        p_values.append(lmm.compare(null, serial).tests[0]["p_value"])
    for level in (0.05, 0.25, 0.5):
        share = np.mean(np.array(p_values) <= level)
        assert abs(share - level) < 3.5 * np.sqrt(level * (1 - level) / 200)


@pytest.mark.parametrize("name", sorted({large for _, large in UNKNOWN}))
def test_the_bootstrap_takes_what_has_no_formula(fits, name):
    found = lmm.bootstrap_lrt(fits["independent"], fits[name], 19, seed=1)
    assert found.statistic == pytest.approx(2 * (fits[name].loglik - fits["independent"].loglik))
    assert found.p_value == pytest.approx(1 / 20)


def test_an_outer_random_effect_and_a_bounded_correlation_are_bounded_by_a_half_space():
    frame = visits()
    both = lmm.fit("y ~ t + (1 | id)", frame, method="ML", residual=lmm.CAR1("t"))
    null = lmm.fit("y ~ t", frame, method="ML")
    assert lmm.compare(null, both).tests[0]["distribution"] == "1/2 chi2(1) + 1/2 chi2(2)"


def test_subjects_are_compared_by_their_rows():
    frame = visits().with_columns(number=pl.col("id") % 4)
    small = lmm.fit("y ~ t", frame, method="ML", residual=lmm.AR1("t", subject=["site", "number"]))
    large = lmm.fit("y ~ t", frame, method="ML", residual=lmm.Toeplitz("t", subject="id"))
    assert lmm.compare(small, large).tests[0]["distribution"] == "chi2(3)"
    by_site = frame.with_columns(t=pl.col("t") + 5 * pl.col("number"))
    other = lmm.fit("y ~ 1", by_site, method="ML", residual=lmm.Exponential("t", subject="site"))
    nugget = lmm.Exponential("t", nugget=True, subject="id")
    within = lmm.fit("y ~ 1", by_site, method="ML", residual=nugget)
    assert not lmm.compare({"other": other, "within": within}).tests


def test_workers_and_machines():
    """nlme 3.1-162 (R 4.2.2): anova(lme(score ~ Machine, random = ~ 1 | Worker/Machine, data = Machines),
    lme(score ~ Machine, random = ~ Machine - 1 | Worker, data = Machines)); Pinheiro & Bates 2000, p. 27."""
    frame = pl.read_csv(DATA / "machines.csv").with_columns(pl.col("Worker").cast(pl.String))
    small = lmm.fit("score ~ Machine + (1 | Worker/Machine)", frame)
    for random in ("(0 + Machine | Worker)", "(Machine | Worker)"):
        large = lmm.fit(f"score ~ Machine + {random}", frame)
        (test,) = lmm.compare(small, large).tests
        assert test["null"] == small.formula and test["df"] == 4
        assert test["statistic"] == pytest.approx(7.37635, abs=2e-5)
        assert test["distribution"] == "chi2(4)" and test["p_value"] == pytest.approx(0.1173, abs=1e-4)


@pytest.mark.parametrize(
    ("null", "alternative", "distribution"),
    [
        ("(1 | Worker:Machine)", "(0 + Machine | Worker)", "chi2(5)"),
        ("(1 | Worker) + (1 | Worker:Machine)", "(Machine | Worker)", "chi2(4)"),
        ("(1 | Worker)", "(1 | Worker/Machine)", "1/2 chi2(0) + 1/2 chi2(1)"),
        ("(1 | Worker/Code)", "(0 + C(Code) | Worker)", "chi2(4)"),
        ("(1 | Worker/Machine)", "(x | Worker)", None),
        ("(1 | Worker/Machine)", "(Machine || Worker)", None),
        ("(x | Worker:Machine)", "(0 + Machine | Worker)", None),
        ("(1 | Worker/Row)", "(0 + Machine | Worker)", None),
    ],
)
def test_random_effects_inside_others(null, alternative, distribution):
    frame = pl.read_csv(DATA / "machines.csv").with_columns(pl.col("Worker").cast(pl.String))
    rng = np.random.default_rng(1)
    frame = frame.with_columns(
        x=rng.normal(size=len(frame)),
        Code=pl.col("Machine").replace_strict({"A": 1, "B": 2, "C": 3}),
        Row=pl.Series([f"r{k}" for k in np.tile([0, 0, 1], len(frame) // 3)]),
    )
    fits = [lmm.fit(f"score ~ Machine + {random}", frame, method="ML") for random in (null, alternative)]
    found = step(fits[0].solution.model, fits[1].solution.model)
    if distribution is None:
        assert found is None
        return
    (test,) = lmm.compare({"null": fits[0], "alternative": fits[1]}).tests
    assert test["distribution"] == distribution and test["statistic"] >= 0


def test_a_random_slope_beside_what_lies_inside():
    """The weights of the cone are found where the null's effects are combinations of others."""
    frame = pl.read_csv(DATA / "machines.csv").with_columns(pl.col("Worker").cast(pl.String))
    frame = frame.with_columns(x=np.random.default_rng(1).normal(size=len(frame)))
    frame = frame.with_columns(z=np.random.default_rng(2).normal(size=len(frame)))
    null = lmm.fit("score ~ Machine + (1 | Worker/Machine)", frame, method="ML")
    more = "(0 + Machine | Worker) + (0 + x | Worker) + (0 + z | Worker)"
    alternative = lmm.fit(f"score ~ Machine + {more}", frame, method="ML")
    (test,) = lmm.compare(null, alternative).tests
    assert test["df"] == 6 and test["distribution"].startswith("0.")
    assert test["distribution"].endswith("chi2(6)")
