"""The workshop of seed 004 and further reference fits (R 4.2.2, lme4 1.1-31, nlme 3.1-162)."""

import json

import polars as pl
import pytest

import lmmcore as lmm
from tests.support.engine_seed import common
from tests.support.shared_data import needs_shared, reference, shared

pytestmark = needs_shared


@pytest.fixture(scope="module")
def values():
    return json.loads(reference("seed_results.json"))["extra_reference"]["values"]


def check(found, values, relative):
    known = [name for name in found if name in values]
    for name in known:
        # A residual quantile near 0 is known on the scale of the residuals.
        floor = relative if "sresid" in name else 0
        assert found[name] == pytest.approx(values[name], rel=relative, abs=floor), name
    return len(known)


def test_blood_pressure(values):
    fit = lmm.fit("bp ~ sex + (1 | subject)", shared("statlab_bp.csv"))
    found = common("statlab_bp.m", fit)
    assert check(found, values, 2e-5) >= 15


def test_schools(values):
    """The 'Newton-polished' lme4 fit is matched to six digits, lmerTest's to three."""
    fit = lmm.fit("sat ~ log_income + (log_income | school)", shared("statlab_sat.csv"))
    found = common("statlab_sat.m", fit)
    assert check(found, values, 1e-6) >= 15
    satterthwaite = {name.replace("statlab_sat.m.", "statlab_sat.mSat."): v for name, v in found.items()}
    assert check(satterthwaite, values, 1e-3) >= 8


def test_trees(values):
    """Slopes without intercepts and AR(1); sigma, rho and the SD of the slopes as nlme prints them."""
    data = shared("statlab_trees.csv")
    fit = lmm.fit("height ~ treatment:age - 1 + (age - 1 | tree)", data, residual=lmm.AR1("age"))
    assert fit.loglik >= values["statlab_trees.m.logLik"] - 1e-6
    assert fit.sigma == pytest.approx(values["statlab_trees.m.sigma"], rel=1e-5)
    assert fit.residual_parameters["rho"] == pytest.approx(values["statlab_trees.m.phi"], rel=1e-4)
    assert fit.varcorr()["sd"][0] == pytest.approx(values["statlab_trees.m.sd.age"], rel=1e-5)
    for arm in "ABC":
        term = f"treatment[{arm}]:age"
        assert fit.beta[term] == pytest.approx(
            values[f"statlab_trees.m.fixef.treatment{arm}:age.est"], rel=1e-6
        )
        assert fit.se[term] == pytest.approx(values[f"statlab_trees.m.fixef.treatment{arm}:age.se"], rel=1e-5)
    walk = lmm.fit("height ~ treatment:age - 1 + (age - 1 | tree)", data, residual=lmm.RandomWalk("age"))
    assert walk.certificate.converged and walk.npar == fit.npar - 1


def test_ovary(values):
    """nlme: pdDiag(~ sin(2 pi Time)) and AR(1) by row order; the daily order is numbered here."""

    data = shared("nlme_ovary.csv").with_columns(day=pl.int_range(pl.len()).over("Mare"))
    fit = lmm.fit(
        "follicles ~ sin(2*pi*Time) + cos(2*pi*Time) + (sin(2*pi*Time) || Mare)",
        data,
        residual=lmm.AR1("day"),
    )
    assert fit.loglik >= values["ovary.m.logLik"] - 1e-6
    assert fit.residual_parameters["rho"] == pytest.approx(values["ovary.m.phi"], rel=1e-4)
    assert fit.sigma == pytest.approx(values["ovary.m.sigma"], rel=1e-4)


def test_orthodont(values):
    fit = lmm.fit("distance ~ age * Sex + (age | Subject)", shared("nlme_orthodont.csv"))
    assert fit.loglik == pytest.approx(values["orthodont.m.logLik"], abs=1e-6)
    assert fit.beta["age:Sex[T.Male]"] == pytest.approx(values["orthodont.m.fixef.age:SexMale"], rel=1e-8)
    assert fit.sigma == pytest.approx(values["orthodont.m.sigma"], rel=1e-5)
