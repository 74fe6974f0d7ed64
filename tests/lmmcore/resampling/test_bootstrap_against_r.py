"""The parametric bootstrap against lme4's bootMer, in distribution, and its limits against boot.ci.

tests/reference/bootstrap.R made the reference. Bands are 4.5 standard errors of the difference of two
empirical distribution functions, so that a true difference is needed to leave one of the 100 or so.
"""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import lmmcore as lmm
from lmmcore.resampling import bootstrap
from lmmcore.resampling.intervals import limits

ROOT = Path(__file__).resolve().parents[3]
REFERENCE = json.loads((ROOT / "tests/reference/bootstrap_reference.json").read_text("utf-8"))
ERRORS = 4.5
# Nested levels are fitted one by one.
REPLICATES = {"pastes": 400}


def terms(entry):
    """The engine's (group, term) of lme4's parameters."""
    names = {"(Intercept)": "Intercept", "grouptreated": "group[T.treated]"}
    names["time:grouptreated"] = "time:group[T.treated]"
    found = [(None, names.get(name, name)) for name in entry["fixed"]]
    for row in entry["random"]:
        group = ":".join(reversed(row["grp"].split(":")))
        first, second = names.get(row["var1"], row["var1"]), row["var2"]
        if group == "Residual":
            found.append(("Residual", "sd__Observation"))
        else:
            found.append((group, f"cor__{first}.{second}" if second else f"sd__{first}"))
    return found


@pytest.mark.parametrize("entry", REFERENCE["entries"], ids=lambda entry: entry["id"])
def test_same_distribution_as_bootmer(entry):
    frame = pl.read_csv(ROOT / entry["data"])
    fit = lmm.fit(entry["formula"], frame, method=entry["method"])
    n = REPLICATES.get(entry["id"], 4000)
    found = bootstrap(fit.solution, n, seed=1)
    assert found.failed == 0
    ours = {(name.group, name.term): k for k, name in enumerate(found.parameters)}
    both = np.sqrt(1 / n + 1 / entry["replicates"])
    quantiles = np.array(entry["quantiles"])
    for k, name in enumerate(terms(entry)):
        drawn = found.replicates[:, ours[name]]
        drawn = drawn[np.isfinite(drawn)]
        assert found.estimate[ours[name]] == pytest.approx(entry["estimate"][k], rel=2e-4)
        zero = entry["zero"][k]
        if zero is not None:
            band = ERRORS * both * np.sqrt(max(zero, 0.001) * (1 - zero))
            assert np.mean(drawn == 0) == pytest.approx(zero, abs=band), name
        for probability, quantile in zip(REFERENCE["probabilities"], quantiles[:, k], strict=True):
            if zero and probability < 1.2 * zero:  # a quantile in the mass at zero
                continue
            band = ERRORS * both * np.sqrt(probability * (1 - probability))
            assert np.mean(drawn <= quantile) == pytest.approx(probability, abs=band), (name, probability)


@pytest.mark.parametrize("type", ["percentile", "basic", "bca"])
def test_same_limits_as_boot_ci(type):
    known = REFERENCE["limits"]
    replicates, left_out = np.array(known["replicates"]), np.array(known["left_out"])
    for level, theirs in zip(known["conf_level"], known[type], strict=True):
        found = limits(replicates, known["estimate"], type, level, left_out)
        # boot.ci interpolates between order statistics on the normal scale: equal to within a small gap
        assert found == pytest.approx(theirs, abs=1e-9 if type != "bca" else 2e-3)
