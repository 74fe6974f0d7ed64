"""Residual and variance structures, random terms, nesting, designs and weights against lme4 and nlme.

The reference results, their scripts, versions and optimiser settings are in tests/reference.
"""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import lmmcore as lmm

ROOT = Path(__file__).resolve().parents[3]
ENTRIES = json.loads((ROOT / "tests/reference/structures_reference.json").read_text("utf-8"))["entries"]

TIMED = {
    "ar1": lmm.AR1,
    "car1": lmm.CAR1,
    "toeplitz": lmm.Toeplitz,
    "unstructured": lmm.Unstructured,
    "random_walk": lmm.RandomWalk,
}
SPATIAL = {"exponential": lmm.Exponential, "gaussian": lmm.Gaussian}

# Fits where our log-likelihood is higher: by how much, and why.
HIGHER: dict[str, tuple[float, str]] = {}

# Nobody is of both sexes, so that no pair of rows says anything about the covariance of these two effects.
UNIDENTIFIED = {
    "crossover_sex_ml": ("sex[female]", "sex[male]"),
    "crossover_sex_reml": ("sex[female]", "sex[male]"),
}


def residual_of(entry):
    residual = entry["residual"]
    if residual is None:
        return None
    kind, subject = residual["type"], residual["subject"]
    if kind == "compound_symmetry":
        return lmm.CompoundSymmetry(subject=subject)
    if kind in SPATIAL:
        return SPATIAL[kind](residual["time"], nugget=residual["nugget"], subject=subject)
    return TIMED[kind](residual["time"], subject=subject)


def extras(entry):
    """The arguments that only some entries need."""
    made = {name: entry[name] for name in ("weights", "offset") if entry[name] is not None}
    variance = entry["variance"]
    if variance is not None:
        kind = lmm.ByGroup if variance["type"] == "by_group" else lmm.Power
        made["variance"] = kind(variance["of"])
    return made


def refit(entry):
    frame = pl.read_csv(ROOT / entry["data"], null_values="NA", infer_schema_length=None)
    categories = dict(entry["categories"]) if entry["categories"] else None
    return lmm.fit(
        entry["formula"],
        frame,
        method=entry["method"],
        residual=residual_of(entry),
        categories=categories,
        **extras(entry),
    )


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry["id"])
def test_structures_against_r(entry):
    fit = refit(entry)
    certificate = fit.certificate
    if entry["id"] in UNIDENTIFIED:
        assert not certificate.converged and "do not determine" in certificate.sentence
    else:
        assert certificate.converged, certificate.sentence
    assert (fit.npar, fit.nobs) == (entry["npar"], entry["nobs"])
    assert fit.loglik >= entry["loglik"] - 1e-6
    if fit.loglik > entry["loglik"] + 1e-5 or entry["id"] in HIGHER:
        assert entry["id"] in HIGHER, f"{fit.loglik - entry['loglik']:.2g} above R: say why in HIGHER"
        assert fit.loglik == pytest.approx(entry["loglik"] + HIGHER[entry["id"]][0], abs=1e-4)
        return
    assert sorted(fit.terms) == sorted(entry["terms"])
    for term, theirs, se in zip(entry["terms"], entry["beta"], entry["se"], strict=True):
        # A coefficient near 0 is known to a fraction of its standard error only.
        assert fit.beta[term] == pytest.approx(theirs, rel=1e-4, abs=1e-4 * se), term
        assert fit.se[term] == pytest.approx(se, rel=1e-3), term
    assert fit.sigma == pytest.approx(entry["sigma"], rel=1e-3)
    parameters = {**entry["residual_parameters"], **entry["variance_parameters"]}
    assert fit.residual_parameters == pytest.approx(parameters, rel=1e-3, abs=1e-4)
    if entry["program"] != "nlme":  # nlme's log-Cholesky cannot reach a singular covariance
        assert certificate.singular == entry["singular"], certificate.sentence
    check_variances(entry, fit)
    fitted = fit.augment()["fitted"].to_numpy()[entry["rows"]]
    assert np.allclose(fitted, entry["fitted"], rtol=0, atol=1e-3 * fit.sigma)


def check_variances(entry, fit):
    """Covariances of the random effects, to 1e-3 of the product of the standard deviations."""
    ours = {
        (row["group"], row["term1"], row["term2"]): row["covariance"]
        for row in fit.varcorr().iter_rows(named=True)
    }
    scale = {
        (row["group"], row["term1"]): row["covariance"] for row in entry["varcorr"] if row["term2"] is None
    }
    for row in entry["varcorr"]:
        group, first, second = row["group"], row["term1"], row["term2"]
        uncorrelated = second is not None and row["covariance"] == 0  # listed by nlme's pdDiag
        if uncorrelated or UNIDENTIFIED.get(entry["id"]) == (first, second):
            continue
        size = np.sqrt(scale[group, first] * scale[group, second or first])
        found = ours.get((group, first, second), ours.get((group, second, first)))
        assert found == pytest.approx(row["covariance"], abs=1e-3 * size + 1e-6 * fit.sigma**2), row
