"""A residual structure from outside the package: a law of a dozen lines, passed as residual=."""

from dataclasses import dataclass

import numpy as np
import polars as pl
import pytest

import lmmcore as lmm
from lmmcore.covariance.dense import DenseResidual
from lmmcore.covariance.parameter import End, StructureParameter, entry, on_own_scale
from lmmcore.system.moments.dense import Matrices
from lmmcore.system.moments.subjects import SortedRows
from tests.support.dense import bound, check_against_dense, simulated


@dataclass(frozen=True)
class MA1:
    """First-order moving average: correlation rho, |rho| < 1/2, between neighbouring whole-number times."""

    time: str
    subject: str | None = None
    by: str | None = None

    type = "ma1"

    def check(self, times: np.ndarray) -> None:
        if np.any(times != np.round(times)):
            raise lmm.DataError("MA1 needs whole-number times.")

    def bind(self, rows: SortedRows) -> DenseResidual:
        return DenseResidual(MA1Law(), rows)


class MA1Law:
    parameter_names = ("rho",)
    independence = np.zeros(1)

    def parameters(self):
        scale = on_own_scale(
            "half Fisher's z", lambda t: float(np.tanh(t) / 2), lambda t: float((1 - np.tanh(t) ** 2) / 2)
        )
        return [StructureParameter(scale, (End(-8.0, -0.5), End(8.0, 0.5)), entry(0))]

    def starts(self, rows, residuals):
        return [np.array([z]) for z in (-0.5, 0.0, 0.5)]

    def natural(self, z):
        return np.tanh(z) / 2

    def at_boundary(self, natural):
        return ["rho is at its bound of 1/2"] if 0.5 - abs(natural[0]) < 1e-8 else []

    def matrices(self, z, times):
        near = (np.abs(times[:, :, None] - times[:, None, :]) == 1).astype(float)
        rho, slope = np.tanh(z[0]) / 2, (1 - np.tanh(z[0]) ** 2) / 2
        bend = -2 * np.tanh(z[0]) * slope
        R = np.eye(times.shape[1]) + rho * near
        return Matrices(R, (slope * near)[None], (bend * near)[None, None])

    def cross(self, natural, new, seen):
        return natural[0] * (np.abs(new[..., :, None] - seen[..., None, :]) == 1)

    def variance(self, natural, times):
        return np.ones(times.shape)


@pytest.mark.parametrize("formula", ["y ~ t", "y ~ t + (1 | a/b)"])
def test_likelihood(formula):
    check_against_dense(
        bound(formula, MA1("t", subject="b_id" if "|" not in formula else None), "REML", simulated())
    )


def test_a_whole_fit():
    rng = np.random.default_rng(2)
    subjects, visits = 400, 6
    shocks = rng.normal(size=(subjects, visits + 1))
    noise = (shocks[:, 1:] + 0.5 * shocks[:, :-1]) / np.sqrt(1.25)  # correlation 0.5 / 1.25 = 0.4
    frame = pl.DataFrame(
        {
            "id": np.repeat(np.arange(subjects), visits),
            "t": np.tile(np.arange(visits), subjects),
            "y": noise.ravel(),
        }
    )
    fit = lmm.fit("y ~ t", frame, residual=MA1("t", subject="id"))
    assert fit.certificate.converged
    assert fit.residual_parameters["rho"] == pytest.approx(0.4, abs=0.03)
    assert "MA1" in str(fit)
    assert fit.augment()["residual_normalized"].std() == pytest.approx(1, abs=0.02)
    with pytest.raises(lmm.FitError, match="cannot be saved"):
        fit.save("unused")


def test_intervals_and_levels():
    """Intervals follow from the parameters that the structure states, on its own scale; by= needs no more."""
    rng = np.random.default_rng(2)
    shocks = rng.normal(size=(60, 7))
    frame = pl.DataFrame(
        {
            "b_id": np.repeat(np.arange(60), 6),
            "arm": np.repeat(["arm0", "arm1"], 180),
            "t": np.tile(np.arange(6), 60),
            "y": (shocks[:, 1:] + 0.4 * shocks[:, :-1]).ravel(),
        }
    )
    fit = lmm.fit("y ~ t", frame, residual=MA1("t", subject="b_id"))
    (row,) = (row for row in fit.confint().to_dicts() if row["term"] == "rho")
    z = np.arctanh(2 * np.array([row["conf_low"], row["estimate"], row["conf_high"]]))
    assert -0.5 < row["conf_low"] < row["estimate"] < row["conf_high"] < 0.5
    assert z[1] - z[0] == pytest.approx(z[2] - z[1], rel=1e-6)
    profile = next(row for row in fit.confint("profile").to_dicts() if row["term"] == "rho")
    assert profile["conf_low"] == pytest.approx(row["conf_low"], abs=0.03)
    both = lmm.fit("y ~ 0 + arm", frame, method="ML", residual=MA1("t", subject="b_id", by="arm"))
    alone = [
        lmm.fit("y ~ 1", frame.filter(arm=arm), method="ML", residual=MA1("t", subject="b_id"))
        for arm in ("arm0", "arm1")
    ]
    assert both.loglik == pytest.approx(sum(fit.loglik for fit in alone), abs=1e-7)
    assert {"arm0: rho", "arm1: rho"} <= set(both.confint()["term"])
