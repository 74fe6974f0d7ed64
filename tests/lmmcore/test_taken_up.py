"""Variances whose random effects the fixed effects take up: REML does not determine them, and says so."""

import numpy as np
import polars as pl
import pytest

import lmmcore as lmm


def frame() -> pl.DataFrame:
    """3 sites of 2 to 3 subjects with 3 to 5 visits, site number s, weights w."""
    rng = np.random.default_rng(11)
    rows = []
    for site in range(3):
        for subject in range(rng.integers(2, 4)):
            b = rng.normal()
            for visit in range(rng.integers(3, 6)):
                rows.append((f"s{site}", f"p{subject}", float(visit), float(site), b + rng.normal()))
    data = pl.DataFrame(rows, schema=["site", "subject", "t", "s", "y"], orient="row")
    return data.with_columns(
        id=pl.format("{}.{}", "site", "subject"), w=pl.Series(rng.uniform(1, 2, len(data)))
    )


TAKEN_UP = {
    "the subject as both": ("y ~ id + t + (1 | id)", {}),
    "a site for each level": ("y ~ site + t + (1 | site) + (1 | id)", {}),
    "a polynomial of the site": ("y ~ s + I(s ** 2) + (1 | site) + (1 | id)", {}),
    "intercept and slope": ("y ~ id * t + (t | id)", {}),
    "the slope alone": ("y ~ id * t + (t || id)", {}),
    "equal correlations": ("y ~ id * t + cs(1 + t | id)", {}),
    "weights": ("y ~ site + t + (1 | site) + (1 | id)", {"weights": "w"}),
    "serial correlation": ("y ~ site + t + (1 | site)", {"residual": lmm.AR1("t", subject="id")}),
    "variances by group": ("y ~ site + (1 | site) + (1 | id)", {"variance": lmm.ByGroup("site")}),
}


@pytest.mark.parametrize("name", TAKEN_UP)
def test_reml_does_not_determine_it(name, loops):
    formula, given = TAKEN_UP[name]
    fit = lmm.fit(formula, frame(), **given)
    certificate = fit.certificate
    assert not certificate.converged and " is 0" not in certificate.sentence
    assert "the data do not determine all covariance parameters" in certificate.sentence
    assert np.isnan(fit.tidy()["df"].to_numpy()).all()
    with pytest.raises(lmm.FitError, match="do not determine the covariance parameters"):
        fit.tidy(df="kenward-roger")
    assert fit.df_conflict is None and "careful choice" not in str(fit)
    assert "do not determine" in fit.components().sentence


@pytest.mark.parametrize("name", TAKEN_UP)
def test_ml_determines_it(name):
    """log|V| falls to the end: the estimate by maximum likelihood is zero, as it is in lme4."""
    formula, given = TAKEN_UP[name]
    if name in ("intercept and slope", "equal correlations", "the slope alone"):
        formula = formula.replace("id * t", "t")  # as many effects as rows leave nothing
    fit = lmm.fit(formula, frame(), method="ML", **given)
    assert fit.certificate.converged
    assert np.isfinite(fit.tidy()["df"].to_numpy()).all()


def test_an_ordinary_zero_is_one():
    """Dyestuff2 of lme4: a variance of zero from which the deviance rises."""
    rng = np.random.default_rng(2)
    batch = np.repeat(np.arange(6), 5)
    y = rng.normal(size=30)
    y -= np.bincount(batch, y)[batch] / 5 * 0.9
    fit = lmm.fit("y ~ 1 + (1 | batch)", pl.DataFrame({"batch": batch, "y": y}))
    assert fit.certificate.converged and "is 0" in fit.certificate.sentence
    assert fit.tidy()["df"].to_list() == pytest.approx([29])


@pytest.mark.parametrize("name", TAKEN_UP)
def test_an_interval_without_information_is_refused(name):
    """Intervals of responses count every variance as estimated, of which there is no information at all."""
    formula, given = TAKEN_UP[name]
    data = frame()
    for method in ("ML", "REML"):
        fit = lmm.fit(formula, data, method=method, **given)
        with pytest.raises(lmm.FitError, match="do not determine|not converge|exact function"):
            fit.predict(data.head(3), level="subject", interval="observation")
