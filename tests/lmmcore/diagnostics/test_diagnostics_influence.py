"""Leaving out one unit: against definitions with n x n matrices, and against refits by lme4 and nlme.

Accuracy of what the report shows, over every subject of four models (sleepstudy, with and without rows
missing; orthodont with random slopes, and with a random intercept and AR(1)): beta to 0.001 standard errors,
sigma to 0.1%, SDs of random effects to 0.5% and rho to 0.003, though single subjects change sigma by 25% and
an SD by 69%.
"""

import json

import numpy as np
import polars as pl
import pytest

import lmmcore as lmm
from lmmcore.diagnostics.contributions import contributions, total_contributions
from lmmcore.diagnostics.influence import _one_step, influence
from lmmcore.estimate.residuals import chunks
from lmmcore.estimate.units import batches, inner_columns
from tests.support.dense import dense_covariance, simulated

STRUCTURES = [
    ("y ~ t + x + (t | b_id)", {}),
    ("y ~ t + x + (t || b_id)", {"method": "ML"}),
    ("y ~ t + (t | a) + (1 | b_id)", {}),
    ("y ~ t + cs(0 + c | a)", {}),
    ("y ~ t + (1 | b_id)", {"weights": "w"}),
    ("y ~ t + x", {}),
    ("y ~ t + x", {"residual": lmm.AR1("t", subject="b_id")}),
    ("y ~ t + x + (1 | a)", {"residual": lmm.CAR1("t", subject="b_id")}),
    ("y ~ t", {"residual": lmm.Exponential("t", nugget=True, subject="b_id"), "method": "ML"}),
    ("y ~ t", {"residual": lmm.CompoundSymmetry(subject="b_id")}),
    ("y ~ t", {"residual": lmm.Toeplitz("t", subject="b_id")}),
    ("y ~ t + (1 | b_id)", {"variance": lmm.Power("x"), "weights": "w"}),
    ("y ~ t + x", {"residual": lmm.AR1("t", subject="b_id"), "variance": lmm.ByGroup("c")}),
]


@pytest.fixture(scope="module")
def expected(root):
    return json.loads((root / "tests/reference/diagnostics_reference.json").read_text())


@pytest.mark.parametrize("formula, options", STRUCTURES)
def test_contributions_add_up(formula, options):
    """The units' parts, from V written out, make up the totals, which come from the moments."""
    solution = lmm.fit(formula, simulated(), **options).solution
    total, columns = total_contributions(solution), inner_columns(solution)
    parts = [contributions(solution, index, columns) for _, index in batches(solution)]
    rng = np.random.default_rng(1)
    W = rng.normal(size=total.gram.shape)
    step = rng.normal(size=total.log_first.shape)

    def shown(part):
        c = len(part.gram)
        weighted = part.weighted(np.repeat(W + W.mT, c, axis=0))
        sums = (part.gram, part.log_first, part.gram_first, part.log_second, weighted)
        return [each.sum(axis=0) for each in (*sums, part.along(np.repeat(step, c, axis=0)))]

    whole = shown(total)
    for place, summed in enumerate(map(sum, zip(*map(shown, parts), strict=True))):
        scale = max(1, np.abs(whole[place]).max(initial=0))
        assert summed / scale == pytest.approx(whole[place] / scale, abs=1e-10)


@pytest.mark.parametrize("formula, options", STRUCTURES)
def test_estimates_given_theta(formula, options):
    """beta and sigma^2 are those of generalised least squares without the unit's rows."""
    solution = lmm.fit(formula, simulated(), **options).solution
    found = influence(solution)
    model = solution.model
    V = dense_covariance(model, solution.psi, solution.natural)
    X = np.column_stack([model.rows.X[index] for index in model.coordinates.kept])
    y, unit = model.rows.y, model.rows.units[0].subject
    for number in range(unit[-1] + 1):
        rest = np.flatnonzero(unit != number)
        inverse = np.linalg.inv(V[np.ix_(rest, rest)])
        beta = np.linalg.solve(X[rest].T @ inverse @ X[rest], X[rest].T @ inverse @ y[rest])
        left = y[rest] - X[rest] @ beta
        nu = len(rest) - (len(beta) if model.spec.reml else 0)
        assert found.left_out.beta_at_theta[number] == pytest.approx(beta, rel=1e-10, abs=1e-10)
        assert found.left_out.sigma2_at_theta[number] == pytest.approx(left @ inverse @ left / nu, rel=1e-9)


def models(raw, expected):
    sleep = pl.read_csv(raw / "sleepstudy.csv")
    orthodont = pl.read_csv(raw / "orthodont.csv").with_columns(visit=pl.col("age") / 2 - 3)
    slope = "Reaction ~ Days + (Days | Subject)"
    unbalanced = sleep.with_row_index().filter(~pl.col("index").is_in(expected["holes"]))
    return {
        "sleepstudy_slope": (slope, sleep, {}),
        "sleepstudy_unbalanced": (slope, unbalanced, {}),
        "orthodont_slope": ("distance ~ age * Sex + (age | Subject)", orthodont, {}),
        "orthodont_intercept_ar1": (
            "distance ~ age * Sex + (1 | Subject)",
            orthodont,
            {"residual": lmm.AR1("visit")},
        ),
    }


def errors(solution, left, refits):
    """Largest distance to the refits: beta in SE, sigma and SDs relative to the full fit's, rho."""
    scale = np.sqrt(np.diag(solution.vcov))
    beta = np.array([refit["beta"] for refit in refits])
    sigma = np.array([refit["sigma"] for refit in refits])
    sd = np.array([np.atleast_1d(refit["sd"]) for refit in refits])
    full = np.sqrt(np.diag(solution.psi) * solution.sigma2)
    ours = np.sqrt(np.einsum("nii->ni", left.psi) * left.sigma2[:, None])
    rho = [[refit["rho"]] for refit in refits] if "rho" in refits[0] else np.zeros((len(refits), 0))
    return (
        np.abs((left.beta - beta) / scale).max(),
        np.abs(np.sqrt(left.sigma2) / sigma - 1).max(),
        np.abs((ours - sd) / full).max(),
        np.abs(left.natural - rho).max(initial=0),
    )


@pytest.mark.parametrize(
    "name", ["sleepstudy_slope", "sleepstudy_unbalanced", "orthodont_slope", "orthodont_intercept_ar1"]
)
def test_refits_by_r(name, raw, expected):
    formula, frame, options = models(raw, expected)[name]
    fit = lmm.fit(formula, frame, **options)
    found = influence(fit.solution)
    refits = {str(refit["level"]): refit for refit in expected["influence"][name]}
    assert sorted(found.levels) == sorted(refits)
    ordered = [refits[level] for level in found.levels]
    beta, sigma, sd, rho = errors(fit.solution, found.left_out, ordered)
    assert beta < 1e-3 and sigma < 1e-3 and sd < 5e-3 and rho < 3e-3
    ratio = np.linalg.det([refit["vcov"] for refit in ordered]) / np.linalg.det(fit.vcov)
    assert found.left_out.covratio == pytest.approx(ratio, rel=0.007)
    assert 0 < found.left_out.refitted.sum() < len(ordered)


@pytest.mark.parametrize(
    "name, bounds",
    [
        ("sleepstudy_slope", (1e-5, 0.01, 0.06)),
        ("sleepstudy_unbalanced", (0.011, 0.02, 0.07)),
        ("orthodont_slope", (1e-5, 0.08, 0.35)),
    ],
)
def test_one_step_alone(name, bounds, raw, expected):
    """For every subject, also those that one step does not reach.

    The largest changes of sigma are 15%, 20% and 25%, of an SD 15%, 14% and 69%. In a balanced design beta
    does not depend on theta.
    """
    formula, frame, options = models(raw, expected)[name]
    solution = lmm.fit(formula, frame, **options).solution
    sizes = np.diff(np.append(solution.model.rows.units[0].starts, solution.model.n))
    refits = {str(refit["level"]): refit for refit in expected["influence"][name]}
    ordered = [refits[level] for level in influence(solution).levels]
    assert np.all(np.array(errors(solution, _one_step(solution, sizes), ordered)[:3]) < bounds)


def test_cooks_distance_by_lme4(raw, expected):
    fit = lmm.fit("Reaction ~ Days + (Days | Subject)", pl.read_csv(raw / "sleepstudy.csv"))
    found = influence(fit.solution)
    theirs = dict(zip(expected["cooks"]["level"], expected["cooks"]["distance"], strict=True))
    assert found.cooks_distance == pytest.approx([theirs[level] for level in found.levels], abs=1e-5)


@pytest.mark.parametrize("formula, options", STRUCTURES[:3] + STRUCTURES[7:8])
def test_displacement(formula, options):
    """Twice the log-likelihood lost, with the density of all rows written out."""
    solution = lmm.fit(formula, simulated(), **options).solution
    model, left = solution.model, influence(solution).left_out
    X = np.column_stack([model.rows.X[index] for index in model.coordinates.kept])

    def deviance(beta, sigma2, psi, natural):
        V = dense_covariance(model, psi, natural)
        inverse = np.linalg.inv(V)
        gram = X.T @ inverse @ X
        if model.spec.reml:
            beta = np.linalg.solve(gram, X.T @ inverse @ model.rows.y)
        r = model.rows.y - X @ beta
        whole = np.linalg.slogdet(V)[1] + solution.nu * np.log(sigma2) + r @ inverse @ r / sigma2
        return whole + (np.linalg.slogdet(gram)[1] if model.spec.reml else 0)

    best = deviance(solution.beta, solution.sigma2, solution.psi, solution.natural)
    for number in np.flatnonzero(left.refitted):
        found = deviance(left.beta[number], left.sigma2[number], left.psi[number], left.natural[number])
        assert left.displacement[number] == pytest.approx(found - best, rel=1e-7, abs=1e-8)
    for number in np.flatnonzero(~left.refitted):
        found = deviance(left.beta[number], left.sigma2[number], left.psi[number], left.natural[number])
        assert left.displacement[number] == pytest.approx(found - best, abs=0.02)
    assert left.refitted.any()


def test_frame_and_missing():
    """A unit that alone has a level of a fixed effect cannot be left out."""
    frame = simulated().with_columns(only=(pl.col("b_id") == "a1.b0").cast(pl.Float64))
    solution = lmm.fit("y ~ t + only + (1 | b_id)", frame).solution
    table = influence(solution).frame()
    assert table.columns == [
        *(
            "group",
            "level",
            "rows",
            "cooks_distance",
            "covratio",
            "likelihood_displacement",
            "sigma",
            "refitted",
        ),
        *("dfbetas_Intercept", "dfbetas_t", "dfbetas_only"),
    ]
    needed = table["cooks_distance"].is_nan()
    assert table.filter(needed)["level"].to_list() == ["a1.b0"]
    assert table["rows"].to_list() == frame.group_by("b_id").len().sort("b_id")["len"].to_list()
    assert (
        table.filter(~needed).select(pl.col("cooks_distance", "covratio", "sigma").is_finite().all()).row(0)
    )
    assert table.filter(~needed)["likelihood_displacement"].min() > -1e-9
    two = frame.filter(pl.col("a").is_in(["a1", "a3"]))
    with pytest.raises(lmm.FitError, match="there are only 2 of them"):
        influence(lmm.fit("y ~ t + (1 | a)", two).solution)


def test_visit_grid():
    """Unstructured covariance of visits, whose likelihood is evaluated by pattern."""
    rng = np.random.default_rng(4)
    keep = rng.random((40, 4)) < 0.9
    Y = np.cumsum(rng.normal(size=(40, 4)), axis=1)
    Y[7] += [0, 6, -6, 0]
    who, visit = np.nonzero(keep)
    frame = pl.DataFrame({"id": who, "t": visit.astype(float), "v": visit.astype(str), "y": Y[keep]})
    residual = lmm.Unstructured("t", subject="id")
    found = influence(lmm.fit("y ~ v", frame, residual=residual).solution)
    worst = int(np.argmax(found.left_out.displacement))
    again = lmm.fit("y ~ v", frame.filter(pl.col("id") != 7), residual=residual).solution
    assert found.levels[worst] == "7" and found.left_out.refitted[worst]
    assert found.left_out.beta[worst] == pytest.approx(again.beta, abs=1e-6)
    assert found.left_out.natural[worst] == pytest.approx(again.natural, abs=1e-5)
    solution = found.solution
    total, columns = total_contributions(solution), inner_columns(solution)
    parts = [contributions(solution, index, columns) for _, index in batches(solution)]
    assert sum(part.gram_first.sum(axis=0) for part in parts) == pytest.approx(total.gram_first[0], abs=1e-7)
    assert sum(part.log_second.sum(axis=0) for part in parts) == pytest.approx(total.log_second[0], abs=1e-7)


def schools():
    """6 schools x 100 children x 4 times: few outer units, each of 400 rows."""
    rng = np.random.default_rng(0)
    rows = []
    for s in range(6):
        school = rng.normal(0, 2)
        for c in range(100):
            child = rng.normal(0, 1)
            for t in range(4):
                y = 10 + school + child + 0.5 * t + rng.normal()
                rows.append((f"s{s}", f"s{s}c{c}", float(t), y))
    return pl.DataFrame(rows, schema=["school", "child", "t", "y"], orient="row")


def test_few_large_units():
    """lme4 1.1, lmer(y ~ t + (1 | school/child)) of all rows and without each school in turn: Cook's distance
    e'V^-1 e / 2 with e the change of beta, and sigma."""
    found = lmm.fit("y ~ t + (1 | school/child)", schools()).diagnostics.influence().frame()
    cook = [0.01418183, 0.08328754, 0.05810271, 0.02085588, 0.5027746, 0.1578847]
    sigma = [0.9923676, 1.015824, 0.9988949, 0.9907297, 1.007801, 0.9974984]
    np.testing.assert_allclose(found["cooks_distance"], cook, rtol=1e-4)
    np.testing.assert_allclose(found["sigma"], sigma, rtol=1e-4)


@pytest.mark.parametrize("size", [1, 7, 400, 1_500, 3_000])
@pytest.mark.parametrize("members", [1, 2, 6, 500])
def test_chunks_are_never_empty_and_say_what_does_not_fit(size, members):
    for matrices in (1, 3, 36, 200):
        if size**2 * matrices > 300_000_000:
            with pytest.raises(lmm.FitError, match=f"A unit of {size:,} rows"):
                chunks(np.arange(members), size, matrices)
            continue
        found = chunks(np.arange(members), size, matrices)
        assert all(len(part) for part in found)
        assert np.array_equal(np.concatenate(found), np.arange(members))
