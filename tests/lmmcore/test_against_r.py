"""Fits against lme4 and nlme: never a lower log-likelihood, the same estimates at the same optimum.

The reference results, their scripts, versions and optimiser settings are in tests/reference.
"""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import lmmcore as lmm

ROOT = Path(__file__).resolve().parents[2]
ENTRIES = json.loads((ROOT / "tests/reference/lmm_reference.json").read_text("utf-8"))["entries"]


def refit(entry):
    frame = pl.read_csv(ROOT / entry["data"], null_values="NA")
    categories = dict(entry["categories"]) if entry["categories"] else None
    residual = entry["residual"]
    structure = lmm.AR1(residual["time"], subject=residual["subject"]) if residual else None
    return lmm.fit(entry["formula"], frame, method=entry["method"], residual=structure, categories=categories)


def close(ours, theirs, relative):
    """Equal within a relative tolerance of the largest of the values."""
    return np.allclose(ours, theirs, rtol=0, atol=relative * np.max(np.abs(theirs)))


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry["id"])
def test_against_r(entry):
    fit = refit(entry)
    assert fit.certificate.converged, fit.certificate.sentence
    assert (fit.npar, fit.nobs) == (entry["npar"], entry["nobs"])
    assert fit.loglik >= entry["loglik"] - 1e-6
    if fit.loglik > entry["loglik"] + 1e-5 or entry["id"] in HIGHER:
        assert entry["id"] in HIGHER, f"{fit.loglik - entry['loglik']:.2g} above R: say why in HIGHER"
        assert fit.loglik == pytest.approx(entry["loglik"] + HIGHER[entry["id"]][0], abs=1e-4)
        return
    assert list(fit.terms) == entry["terms"]
    assert fit.aic == pytest.approx(entry["aic"], abs=1e-4)
    for ours, theirs in zip(fit.beta.values(), entry["beta"], strict=True):
        # A coefficient near 0 is known to a fraction of its standard error only.
        assert ours == pytest.approx(theirs, rel=1e-4, abs=1e-4 * max(entry["se"]))
    assert list(fit.se.values()) == pytest.approx(entry["se"], rel=1e-4)
    assert fit.sigma == pytest.approx(entry["sigma"], rel=1e-4)
    if entry["rho"] is not None:
        assert fit.residual_parameters["rho"] == pytest.approx(entry["rho"], rel=1e-4, abs=1e-6)
    if entry["program"] == "lme4":  # nlme's log-Cholesky cannot reach a singular covariance
        assert fit.certificate.singular == entry["singular"], fit.certificate.sentence
    rows = {(row["term1"], row["term2"]): row["covariance"] for row in fit.varcorr().iter_rows(named=True)}
    scale = {row["term1"]: row["covariance"] for row in entry["varcorr"] if row["term2"] is None}
    for row in entry["varcorr"]:
        if (
            row["term2"] is not None and row["covariance"] == 0
        ):  # R lists what an uncorrelated term leaves out
            continue
        size = np.sqrt(scale[row["term1"]] * scale[row["term2"] or row["term1"]])
        found = rows.get((row["term1"], row["term2"]), rows.get((row["term2"], row["term1"])))
        assert found == pytest.approx(row["covariance"], abs=1e-3 * size + 1e-6 * fit.sigma**2)
    augmented = fit.augment()
    for column in ("fitted", "fitted_population"):
        assert close(augmented[column].to_numpy()[entry["rows"]], entry[column], 1e-4)
    predicted = {(row["level"], row["term"]): row["estimate"] for row in fit.ranef().iter_rows(named=True)}
    known = np.array([predicted[row["level"], row["term"]] for row in entry["ranef"] or ()])
    if len(known):
        theirs = np.array([row["estimate"] for row in entry["ranef"]])
        sd = np.array([max(scale[row["term"]], 1e-12) ** 0.5 for row in entry["ranef"]])
        assert np.all(np.abs(known - theirs) <= 1e-3 * sd + 1e-6 * fit.sigma)


# Fits where our log-likelihood is higher: by how much, and why.
HIGHER: dict[str, tuple[float, str]] = {}
