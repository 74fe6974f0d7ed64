"""No failure of a fit is anything but a FitError, and no number comes from a likelihood without a maximum."""

import inspect

import numpy as np
import polars as pl
import pytest

import lmmcore as lmm

N, VISITS = 12, 4


def panel(make, seed=1):
    """y = make(effect of the subject, noise, time, row number) of 12 subjects at times 0 to 3."""
    rng = np.random.default_rng(seed)
    subject, t = np.repeat(np.arange(N), VISITS), np.tile(np.arange(float(VISITS)), N)
    row = np.arange(N * VISITS)
    effect, noise = rng.normal(size=N)[subject], rng.normal(size=len(row))
    group = np.where(row % 16 == 0, "rare", "common")
    y = make(effect, noise, t, row)
    return pl.DataFrame({"id": subject, "site": subject // 3, "t": t, "y": y, "g": group})


def ordinary(effect, noise, t, row):
    return effect + noise


def constant(effect, noise, t, row):
    return effect


def exact(effect, noise, t, row):
    return effect + 2 * t


def rare_is_exact(effect, noise, t, row):
    return np.where(row % 16 == 0, 1.0, effect + noise)


SERIAL = {
    "ar1": lmm.AR1("t", subject="id"),
    "car1": lmm.CAR1("t", subject="id"),
    "gaussian": lmm.Gaussian("t", subject="id"),
    "compound symmetry": lmm.CompoundSymmetry(subject="id"),
    "toeplitz": lmm.Toeplitz("t", subject="id"),
    "unstructured": lmm.Unstructured("t", subject="id"),
}
RANDOM = {
    "intercept": ("y ~ t + (1 | id)", {}),
    "slope": ("y ~ t + (t | id)", {}),
    "nested": ("y ~ t + (1 | site/id)", {}),
    "intercept and ar1": ("y ~ t + (1 | id)", {"residual": lmm.AR1("t")}),
    "intercept and group": ("y ~ t + (1 | id)", {"variance": lmm.ByGroup("g")}),
}


@pytest.mark.parametrize("method", ["ML", "REML"])
@pytest.mark.parametrize("made, told", [(constant, "y does not vary within"), (exact, "exact function")])
@pytest.mark.parametrize("formula, given", RANDOM.values(), ids=RANDOM)
def test_a_response_that_random_effects_fit_exactly(formula, given, made, told, method):
    try:
        fit = lmm.fit(formula, panel(made), method=method, **given)
    except lmm.FitError as error:
        assert told in str(error)
    else:  # beside a correlation that has run to 1
        assert told in fit.certificate.sentence and "without tests" in str(fit)


@pytest.mark.parametrize("made, told", [(constant, "y does not vary within id"), (exact, "exact function")])
@pytest.mark.parametrize("residual", SERIAL.values(), ids=SERIAL)
def test_a_response_that_a_correlation_of_1_fits_exactly(residual, made, told):
    fit = lmm.fit("y ~ t", panel(made), residual=residual)
    assert not fit.certificate.converged and told in fit.certificate.sentence
    assert "std. error" not in str(fit) and "simpler covariance" not in str(fit)


def test_a_group_that_is_fitted_exactly():
    fit = lmm.fit("y ~ t * g", panel(rare_is_exact), variance=lmm.ByGroup("g"))
    assert "the residual SD of g = rare goes to 0" in fit.certificate.sentence
    assert "without tests" in str(fit)
    good = lmm.fit("y ~ t * g", panel(rare_is_exact))
    found = lmm.compare({"by group": fit, "one SD": good})
    assert [row["model"] for row in found.ladder] == ["one SD"]
    assert found.unranked == {"by group": fit.certificate.sentence}
    assert "by group is not ranked" in str(found)


def test_a_zero_standard_deviation_with_a_finite_likelihood():
    """The three rows of the rare group lie in three subjects, whose intercepts fit them: an SD of 0, and a
    boundary like any other."""
    frame = panel(ordinary)
    fit = lmm.fit("y ~ t + (1 | id)", frame, variance=lmm.ByGroup("g"))
    assert fit.certificate.converged
    assert fit.certificate.boundary == ("residual SD of rare is 0",)


def many_valleys():
    """33 rows of 10 subjects whose deviance has seven optima."""
    rows = [line.split() for line in VALLEYS.strip().split("\n")]
    return pl.DataFrame(
        {
            "id": [row[0] for row in rows],
            "g": [row[1] for row in rows],
            "t": [float(row[2]) for row in rows],
            "y": [float(row[3]) for row in rows],
        }
    )


VALLEYS = """
s06 a 0.954760396859565 -3.31549004549743
s03 c 1.91513939336841 4.08555326435141
s08 b 1.75139675801885 -2.55834197909775
s01 c 0.554970191735118 1.65443675785309
s04 a 0.00987444728641241 1.34517947472267
s02 b 3.61260220949024 1.2991061756083
s00 b 0.898209108679062 -6.4753247474344
s05 b 2.97447592479283 -1.84289549446937
s07 b 2.28778104227523 2.56904965841214
s03 a 0.680263331765414 2.49809056663194
s05 c 1.05502103640167 -1.21515292742226
s01 b 3.81956033354731 2.40171208695067
s01 c 3.31581232744866 2.64115163220325
s03 b 2.10846981385778 4.79048919030654
s08 a 0.616386811727984 -0.0487683936625682
s05 c 3.7791565083265 -0.849063076570019
s06 b 1.79846077246978 -0.440143507256278
s08 b 2.38790512901495 -1.91923531828563
s02 c 2.92842764820094 2.00380493247733
s04 c 0.00493556739336456 3.79300679194166
s09 b 1.0846902557566 -0.856408911210738
s05 b 2.62486829851473 -1.63085340418337
s03 a 1.86727892305747 3.24045252376643
s08 b 1.21204043643988 -2.10136990743703
s06 b 3.16217538067357 -0.966247715491862
s02 b 0.699600062576512 0.840567109957715
s06 b 2.21430506319924 -1.00299603350056
s07 c 2.63651980056522 1.35818776428729
s01 c 1.84768881700553 2.29032877728311
s02 c 0.255860928728997 0.615428381559732
s09 a 1.60951236385092 -0.520610194989582
s07 c 2.74353392069134 1.19857635298233
s09 b 0.780453347154273 -1.03956400907204
"""


def test_the_highest_of_many_optima():
    """nlme 3.1-162 from the start range 1.2, SD ratios 1.6: gls(y ~ t + I(t^2), correlation = corGaus(form =
    ~ t | id), weights = varIdent(form = ~ 1 | g), method = "ML"); from its own start it ends at -74.22."""
    fit = lmm.fit(
        "y ~ t + I(t ** 2)",
        many_valleys(),
        method="ML",
        residual=lmm.Gaussian("t", subject="id"),
        variance=lmm.ByGroup("g"),
    )
    assert fit.loglik == pytest.approx(-59.1488, abs=1e-3)
    assert fit.certificate.converged


FITS = {
    **{name: ("y ~ t", {"residual": residual}) for name, residual in SERIAL.items()},
    **RANDOM,
    "group": ("y ~ t", {"variance": lmm.ByGroup("g")}),
    "gaussian and nested": ("y ~ t + (1 | site/id)", {"residual": lmm.Gaussian("t")}),
    "nugget": ("y ~ t", {"residual": lmm.Gaussian("t", nugget=True, subject="id")}),
    "walk": ("y ~ t", {"residual": lmm.RandomWalk("t1", subject="id")}),
}
SOLVERS = ("cholesky", "inv", "solve", "eigh", "eigvalsh", "qr", "lstsq", "slogdet", "svd", "pinv")


@pytest.mark.parametrize("formula, given", FITS.values(), ids=FITS)
def test_every_linear_solve_may_fail(formula, given, monkeypatch):
    """Each call of a solver on the way of a fit is made to fail in turn, and all from there on."""
    frame = panel(ordinary).with_columns(t1=pl.col("t") + 1)
    calls, broken = [0], [10**9, 10**9]

    def failing(name, plain):
        def solver(*args, **kwargs):
            calls[0] += 1
            if broken[0] <= calls[0] < broken[1]:
                raise np.linalg.LinAlgError("Singular matrix")
            return plain(*args, **kwargs)

        return solver

    for name in SOLVERS:
        monkeypatch.setattr(np.linalg, name, failing(name, getattr(np.linalg, name)))
    lmm.fit(formula, frame, **given)
    total = calls[0]
    for first in range(1, total + 1, max(1, total // 40)):
        for last in (first + 1, 10**9):
            calls[0], broken[:] = 0, [first, last]
            try:
                lmm.fit(formula, frame, **given)
            except lmm.FitError as error:
                assert "singular" in str(error) or "dependent" in str(error)


def structures(subject):
    found = []
    for name in ("AR1", "CAR1", "Exponential", "Gaussian", "CompoundSymmetry", "Toeplitz", "Unstructured"):
        kind = getattr(lmm, name)
        takes = inspect.signature(kind).parameters
        found.append(kind(**({"time": "t"} if "time" in takes else {}), subject=subject))
        if "nugget" in takes:
            found.append(kind("t", nugget=True, subject=subject))
    return found


@pytest.mark.parametrize("formula", ["y ~ t", "y ~ t + (1 | site/id)", "y ~ t + (t | id)"])
def test_times_that_almost_repeat(formula):
    """Times 0, 1e-6, 1, 2, 3: R is numerically singular at some starting values, and no error escapes."""
    rng = np.random.default_rng(3)
    times = np.array([0.0, 1e-6, 1.0, 2.0, 3.0])
    subject = np.repeat(np.arange(9), 5)
    frame = pl.DataFrame(
        {"id": subject, "site": subject // 3, "t": np.tile(times, 9), "y": rng.normal(size=45)}
    )
    for residual in structures("id"):
        try:
            fit = lmm.fit(formula, frame, residual=residual)
        except lmm.LmmError:
            continue
        assert np.isfinite(fit.loglik) and fit.certificate.sentence
