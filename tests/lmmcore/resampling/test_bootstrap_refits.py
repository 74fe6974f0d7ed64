"""Refits of a bootstrap are fits: of the same responses, one by one, by lmmcore.fit."""

import numpy as np
import polars as pl
import pytest

import lmmcore as lmm
from lmmcore.likelihood.objective import Objective
from lmmcore.resampling import bootstrap, simulate
from lmmcore.resampling.arrangement import arranged
from lmmcore.resampling.layers import Layers
from lmmcore.resampling.objective import evaluate
from lmmcore.resampling.parameters import names, values
from lmmcore.resampling.points import Points
from lmmcore.resampling.refit import fit_responses
from lmmcore.resampling.rows import Refits, as_refit
from tests.support.dense import simulated


def grown(subjects=40, seed=1, intercept=1.0, slope=0.2, rows=5):
    """Irregular times; arms; small variances give many replicates on the boundary."""
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(subjects), rows)
    t = rng.uniform(0, 4, len(g))
    y = 5 + t + intercept * rng.normal(size=subjects)[g] + slope * rng.normal(size=subjects)[g] * t
    y += 2 * rng.normal(size=len(g))
    frame = {
        "id": [f"s{i:02d}" for i in g],
        "arm": np.where(g % 2, "a", "b"),
        "half": np.where(t > 2, "u", "v"),
    }
    frame |= {"t": t, "w": rng.uniform(0.5, 2, len(g)), "y": y}
    return pl.DataFrame(frame).sample(fraction=1, shuffle=True, seed=2)


SLEEP = "Reaction ~ Days + (Days | Subject)"
BATCHED = {
    "sleepstudy": (SLEEP, "sleepstudy", {}),
    "sleepstudy, ML": (SLEEP.replace("|", "||"), "sleepstudy", {"method": "ML"}),
    "irregular, boundary": ("y ~ t + (t | id)", grown(), {}),
    "irregular, inside": ("y ~ t * arm + (t | id)", grown(intercept=3, slope=1.5), {"method": "ML"}),
    "almost no variance": ("y ~ t + (1 | id)", grown(intercept=0.1, slope=0), {"weights": "w"}),
    "three effects": ("y ~ t + (t + I(t**2) | id)", grown(subjects=60, rows=6), {}),
    "compound symmetry": ("y ~ t + cs(0 + half | id)", grown(slope=0), {}),
    "no fixed effects": ("y ~ 0 + (1 | id)", grown(), {}),
    "no random effects": ("y ~ t", grown(), {}),
    "nested": ("y ~ t + (1 | a/b)", simulated(), {"weights": "w"}),
    "nested, slopes": ("y ~ t + (t | a) + (t | a:b)", simulated(seed=5), {"method": "ML"}),
    "three levels": ("y ~ t + (1 | a/b/c)", simulated(seed=2), {}),
}
ONE_BY_ONE = {
    "ar1": ("y ~ t + (1 | id)", "rounded", {"residual": lmm.AR1("t")}),
    "visits": ("distance ~ age * Sex", "orthodont", {"residual": lmm.Unstructured("age", "Subject")}),
    "by group": ("y ~ t + (1 | id)", grown(), {"variance": lmm.ByGroup("arm"), "weights": "w"}),
    "fitted": ("distance ~ age + (1 | Subject)", "orthodont", {"variance": lmm.Power(of="fitted")}),
}


def data(name, raw):
    if isinstance(name, pl.DataFrame):
        return name
    if name == "rounded":
        frame = grown(intercept=2).sort("id", "t")
        return frame.with_columns(t=pl.int_range(pl.len()).over("id").cast(float))
    return pl.read_csv(raw / f"{name}.csv")


def compared(formula, frame, options, replicates, seed=7):
    """Deviances and parameters of refits and of fits of the same responses."""
    fit = lmm.fit(formula, frame, **options)
    solution, rows = fit.solution, fit.solution.model.rows
    Y = simulate(solution, replicates, seed)
    order = np.arange(solution.model.n) if rows.order is None else rows.order
    found = Refits.joined(list(fit_responses(solution, Y[order] - rows.offset[:, None])))
    assert found.converged.all()
    response = formula.split("~")[0].strip()
    fits = [lmm.fit(formula, frame.with_columns(pl.Series(response, y)), **options) for y in Y.T]
    theirs = np.concatenate([values(solution, as_refit(other.solution)) for other in fits])
    return fit, found, values(solution, found), fits, theirs


@pytest.mark.parametrize("case", BATCHED)
def test_batch_is_the_fit_of_each_response(case, raw):
    formula, frame, options = BATCHED[case]
    fit, found, ours, fits, theirs = compared(formula, data(frame, raw), options, 40)
    deviances = [other.deviance for other in fits]
    assert -2 * found.loglik == pytest.approx(deviances, rel=0, abs=1e-6)
    assert np.array_equal(np.isnan(ours), np.isnan(theirs))
    spread = np.maximum(np.nanstd(theirs, axis=0), 1e-9)
    assert np.nanmax(np.abs(ours - theirs) / spread) < 1e-4
    zeros = [k for k, name in enumerate(names(fit.solution)) if name.term.startswith("sd__")]
    assert np.array_equal(ours[:, zeros] == 0, theirs[:, zeros] == 0)


def test_the_cases_above_reach_the_boundary():
    fit = lmm.fit(*BATCHED["irregular, boundary"][:2])
    found = bootstrap(fit.solution, 200, seed=1)
    sd, cor = found.replicates[:, 2:4], found.replicates[:, 4]
    assert (sd == 0).any() and (np.abs(cor) == 1).any() and np.isnan(cor).any()
    note = f"undefined in {np.isnan(cor).sum()}, where a variance is 0"
    assert f"id.cor__Intercept.t is {note}" in found.sentence
    assert found.confint()["note"].to_list() == [*[""] * 4, note, ""]


@pytest.mark.parametrize("case", ["irregular, boundary", "nested"])
def test_what_the_batch_cannot_finish_is_fitted_one_by_one(case, monkeypatch):
    formula, frame, options = BATCHED[case]
    fit = lmm.fit(formula, frame, **options)
    with monkeypatch.context() as patch:
        patch.setattr("lmmcore.resampling.newton.MAX_ROUNDS", 2)
        hurried = bootstrap(fit.solution, 30, seed=1)
    found = bootstrap(fit.solution, 30, seed=1)
    assert hurried.failed == found.failed == 0
    assert hurried.loglik == pytest.approx(found.loglik, rel=0, abs=1e-7)


@pytest.mark.parametrize("case", ["irregular, inside", "nested"])
def test_large_data_are_not_batched(case, monkeypatch):
    formula, frame, options = BATCHED[case]
    batched = bootstrap(lmm.fit(formula, frame, **options).solution, 5, seed=1, kind="cases")
    monkeypatch.setattr("lmmcore.resampling.arrangement.LARGEST_TABLE", 0)
    solution = lmm.fit(formula, frame, **options).solution
    assert arranged(solution, 1) is None
    found = bootstrap(solution, 5, seed=1, kind="cases")
    assert found.loglik == pytest.approx(batched.loglik, rel=0, abs=1e-7)
    assert bootstrap(solution, 3, seed=1).failed == 0


@pytest.mark.parametrize("case", ONE_BY_ONE)
def test_other_structures_are_fitted_as_by_fit(case, raw):
    formula, frame, options = ONE_BY_ONE[case]
    _, found, ours, fits, theirs = compared(formula, data(frame, raw), options, 5)
    assert -2 * found.loglik == pytest.approx([other.deviance for other in fits], rel=0, abs=1e-6)
    assert ours == pytest.approx(theirs, rel=1e-4, nan_ok=True)


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("weighted", [True, False])
def test_derivatives_are_those_of_the_engine(reml, weighted):
    fit = lmm.fit("y ~ t * arm + (t + I(t**2) | id)", grown(subjects=20, rows=6))
    model = fit.solution.model
    rng = np.random.default_rng(1)
    layout = arranged(fit.solution, 0)
    cells = layout.of_responses(layout.mean[:, None] + rng.normal(size=(model.n, 3)))
    if weighted:
        times = rng.integers(0, 3, (20, 3)).astype(float)
        scale = np.array([1.2, 1.5, 1.1]) * model.n
        object.__setattr__(cells, "weights", times)
        object.__setattr__(cells, "counts", times)
        object.__setattr__(cells, "rows", scale)
        object.__setattr__(cells, "XX", cells.XX * np.array([3.0, 3.5, 4.0]))
        object.__setattr__(cells, "yy", cells.yy * 5)
    covariance = model.covariances[0]
    theta = covariance.parameters(layout.truth + 0.3 * np.eye(3))
    thetas = theta[:, None] + 0.1 * rng.normal(size=(len(theta), 3))
    points = Points([Layers((covariance,), (1,))], np.zeros(3, dtype=int), thetas)
    found = evaluate(cells, points.theta, points.units, reml)
    for r in range(3):
        moments, rows = cells.one(r)
        theirs = Objective(covariance, moments, rows, reml).evaluate(thetas[:, r])
        assert found.deviance[r] == pytest.approx(theirs.deviance, rel=1e-12)
        assert found.gradient[:, r] == pytest.approx(theirs.gradient, rel=1e-8, abs=1e-8)
        assert found.hessian[..., r] == pytest.approx(theirs.hessian, rel=1e-8, abs=1e-7)
        assert found.cone[..., r] == pytest.approx(theirs.cones[0], rel=1e-8, abs=1e-8)
        assert found.beta[:, r] == pytest.approx(theirs.value.profile.beta, rel=1e-9)
