"""Kenward and Roger's method and prediction errors against the formulas with V written out.

V and its derivatives are formed here in the user's own parameters (the entries of each covariance matrix;
rho, range, nugget ... by central differences), which are not the engine's: the method takes V by its tangent
and must not depend on the parameters.
"""

import numpy as np
import polars as pl
import pytest

import lmmcore as lmm
from lmmcore.inference.fixed.kenward_roger import adjusted_vcov, kenward_roger, scaled_f
from lmmcore.inference.fixed.wald import joint_test, linear_estimates
from lmmcore.prediction.uncertainty import LEAST
from tests.support.dense import dense_covariance, simulated

MODELS = [
    ("y ~ t + x + (1 | b_id)", {}),
    ("y ~ t + x + (t | b_id)", {}),
    ("y ~ t + x + (t || a)", {}),
    ("y ~ t + (1 | a/b)", {}),
    ("y ~ t + (t | a) + (1 | b_id)", {}),
    ("y ~ t + cs(0 + c | a)", {}),
    ("y ~ t + (1 | b_id)", {"weights": "w"}),
    ("y ~ t + x", {"residual": lmm.AR1("t", subject="b_id")}),
    ("y ~ t + x + (1 | a)", {"residual": lmm.AR1("t", subject="b_id")}),
    ("y ~ t + (1 | b_id)", {"residual": lmm.CAR1("t")}),
    ("y ~ t", {"residual": lmm.Exponential("t", nugget=True, subject="b_id")}),
    ("y ~ t + x", {"residual": lmm.CompoundSymmetry(subject="b_id")}),
    ("y ~ t + x", {"variance": lmm.ByGroup("c")}),
    ("y ~ t + (1 | b_id)", {"variance": lmm.Power("x"), "weights": "w"}),
    ("y ~ t + x", {"residual": lmm.AR1("t", subject="b_id"), "variance": lmm.ByGroup("c")}),
    ("y ~ t + (1 | b_id)", {"residual": lmm.AR1("t"), "weights": "w"}),
    ("y ~ t", {"residual": lmm.Exponential("t", nugget=True, subject="b_id"), "weights": "w"}),
    ("y ~ t", {"residual": lmm.CAR1("t", subject="b_id"), "variance": lmm.Power("x"), "weights": "w"}),
    ("y ~ t", {"residual": lmm.Toeplitz("t", subject="id")}),
    ("y ~ t + x", {"residual": lmm.Unstructured("t", subject="id")}),
]


def complete(seed=1):
    """12 subjects with most of 3 visits."""
    rng = np.random.default_rng(seed)
    own = rng.normal(size=12)
    rows = [
        (f"s{i}", float(t), own[i] + 0.3 * t + rng.normal(), rng.normal())
        for i in range(12)
        for t in range(3)
        if rng.random() < 0.9
    ]
    return pl.DataFrame(rows, schema=["id", "t", "y", "x"], orient="row")


def fitted(formula, options):
    residual = options.get("residual")
    return lmm.fit(formula, complete() if residual and residual.subject == "id" else simulated(5), **options)


class Dense:
    """V / sigma^2 and its derivatives in the user's parameters, the last one log sigma^2."""

    def __init__(self, solution, V_of):
        model = solution.model
        self.V = V_of(solution.psi, solution.natural)
        directions = []
        for block in model.blocks:
            at = np.array(block.columns)
            m = len(at)
            if block.kind == "unstructured":
                pairs = [(i, j) for i in range(m) for j in range(i + 1)]
                parts = [np.zeros((m, m)) for _ in pairs]
                for part, (i, j) in zip(parts, pairs, strict=True):
                    part[i, j] = part[j, i] = 1
            else:
                parts = [np.eye(m), np.ones((m, m))][: 1 if block.kind == "identity" else 2]
            for part in parts:
                whole = np.zeros_like(solution.psi)
                whole[np.ix_(at, at)] = part
                directions.append(whole)
        zero = V_of(np.zeros_like(solution.psi), solution.natural)
        self.first = [V_of(whole, solution.natural) - zero for whole in directions]
        for index, value in enumerate(solution.natural):
            step = np.zeros(len(solution.natural))
            step[index] = 1e-5 * max(abs(value), 1e-2)
            ahead, behind = (
                V_of(solution.psi, solution.natural + step),
                V_of(solution.psi, solution.natural - step),
            )
            self.first.append((ahead - behind) / (2 * step[index]))
        self.first.append(self.V)


def written_out(solution):
    model = solution.model
    dense = Dense(solution, lambda psi, natural: dense_covariance(model, psi, natural))
    X = np.column_stack([model.rows.X[index] for index in model.coordinates.kept])
    G = np.linalg.inv(dense.V)
    phi = np.linalg.inv(X.T @ G @ X)
    P = G - G @ X @ phi @ X.T @ G
    information = np.array([[np.trace(P @ a @ P @ b) for b in dense.first] for a in dense.first])
    return dense, X, G, phi, P, 2 * np.linalg.inv(information)


@pytest.mark.parametrize("formula, options", MODELS, ids=lambda value: str(value)[:60])
def test_adjusted_covariance_and_f(formula, options):
    solution = fitted(formula, options).solution
    dense, X, G, phi, _, W = written_out(solution)
    slopes = [-X.T @ G @ V1 @ G @ X for V1 in dense.first]
    excess = sum(
        W[r, s] * (X.T @ G @ a @ G @ b @ G @ X - slopes[r] @ phi @ slopes[s])
        for r, a in enumerate(dense.first)
        for s, b in enumerate(dense.first)
    )
    expected = solution.sigma2 * (phi + 2 * phi @ excess @ phi)
    found = adjusted_vcov(solution, kenward_roger(solution))
    assert found == pytest.approx(expected, rel=2e-6, abs=1e-6 * np.abs(expected).max())
    assert np.all(np.diag(found) >= np.diag(solution.vcov) * (1 - 1e-12))

    L = np.random.default_rng(3).normal(size=(2, len(phi)))
    inner = np.linalg.inv(L @ phi @ L.T)
    theta = L.T @ inner @ L
    turned = [theta @ phi @ slope @ phi for slope in slopes]
    a1 = sum(W[r, s] * np.trace(a) * np.trace(b) for r, a in enumerate(turned) for s, b in enumerate(turned))
    a2 = sum(W[r, s] * np.trace(a @ b) for r, a in enumerate(turned) for s, b in enumerate(turned))
    scale, df = by_kenward_and_roger(2, a1, a2)
    assert scaled_f(solution, kenward_roger(solution), L) == pytest.approx((scale, df), rel=1e-5)
    left = L @ solution.beta
    expected_f = scale * left @ np.linalg.solve(L @ expected @ L.T, left) / 2
    assert joint_test(solution, L, df="kenward-roger").statistic == pytest.approx(expected_f, rel=1e-5)


def by_kenward_and_roger(size, a1, a2):
    """lambda and m, as the paper's section 3 has them."""
    b = (a1 + 6 * a2) / (2 * size)
    g = ((size + 1) * a1 - (size + 4) * a2) / ((size + 2) * a2)
    c = 3 * size + 2 * (1 - g)
    c1, c2, c3 = g / c, (size - g) / c, (size + 2 - g) / c
    e = 1 / (1 - a2 / size)
    v = 2 / size * (1 + c1 * b) / ((1 - c2 * b) ** 2 * (1 - c3 * b))
    m = 4 + (size + 2) / (size * v / (2 * e**2) - 1)
    return m / (e * (m - 2)), m


@pytest.mark.parametrize("formula, options", MODELS, ids=lambda value: str(value)[:60])
@pytest.mark.parametrize("level", ["subject", "population"])
def test_prediction_error(formula, options, level):
    """New rows as further rows of the data, whose response is not known."""
    fit = fitted(formula, options)
    solution, model = fit.solution, fit.solution.model
    frame = complete() if "id" in model.table.groups else simulated(5)
    new = frame.sample(4, seed=8).with_columns(
        t=pl.Series([0.0, 1.0, 2.0, 1.0]) if "id" in model.table.groups else pl.Series([6.0, 7.0, 6.0, 8.0])
    )
    if level == "population":
        new = new.with_columns(
            pl.lit("nobody").alias(name) for name in ("a", "b", "b_id", "id") if name in new.columns
        )
    found = fit.predict(new, level="subject", interval="observation")
    assert fit.predict(new, level=level, interval="observation")["std_error"].to_list() == pytest.approx(
        found["std_error"].to_list()
    )
    if "id" in model.table.groups and level == "subject":
        return  # measured already: see below
    dense, X, G, phi, P, W = written_out(solution)
    y = model.rows.y
    for row, (prediction, se, df) in enumerate(found.select("prediction", "std_error", "df").iter_rows()):
        both = pl.concat([frame, new[row].with_columns(y=0.0)], how="vertical")
        wider = bound_like(fit, both)
        sorted_as = wider.rows.order if wider.rows.order is not None else np.arange(wider.n)
        place = int(np.flatnonzero(sorted_as == len(frame))[0])
        rest = np.delete(np.arange(wider.n), place)

        def covariance(psi, natural, wider=wider, place=place, rest=rest):
            V = dense_covariance(wider, psi, natural)
            return np.concatenate([V[place, rest], [V[place, place]]])

        own = Dense(solution, covariance)
        # Rows with the same keys may be sorted otherwise in the wider data.
        order = np.argsort(sorted_as[rest])
        back = order[np.argsort(np.argsort(model.rows.order))] if model.rows.order is not None else order
        x = np.array([wider.rows.X[index][place] for index in model.coordinates.kept])

        def error(shift, own=own, x=x, back=back):
            V = dense.V + sum(s * V1 for s, V1 in zip(shift, dense.first[:-1], strict=True))
            both = own.V + sum(s * V1 for s, V1 in zip(shift, own.first[:-1], strict=True))
            c = both[:-1][back]
            inverse = np.linalg.inv(V)
            middle = np.linalg.inv(X.T @ inverse @ X)
            beta = middle @ X.T @ inverse @ y
            g = x - X.T @ inverse @ c
            predicted = x @ beta + c @ inverse @ (y - X @ beta)
            return np.array([predicted, both[-1] - c @ inverse @ c + g @ middle @ g])

        at, slopes = error(np.zeros(len(W) - 1)), []
        for index in range(len(W) - 1):
            step = np.zeros(len(W) - 1)
            step[index] = 1e-5
            slopes.append((error(step) - error(-step)) / 2e-5)
        moved = np.array([*(slope[0] for slope in slopes), 0.0])
        slope = np.array([*(slope[1] for slope in slopes), at[1]])
        assert prediction == pytest.approx(at[0], rel=1e-9)
        assert se**2 == pytest.approx(solution.sigma2 * at[1] + 2 * moved @ W @ moved, rel=1e-5)
        assert df == pytest.approx(max(2 * at[1] ** 2 / (slope @ W @ slope), LEAST), rel=1e-5)


def bound_like(fit, frame):
    from lmmcore.data.table import read
    from lmmcore.model.build import build

    model = fit.solution.model
    table = read(frame, list(model.table.columns), list(model.table.groups))
    return build(model.spec, table)


def test_a_measurement_made_already_is_certain():
    fit = lmm.fit("y ~ t", complete(), residual=lmm.AR1("t", subject="id"))
    row = complete().head(1)
    found = fit.predict(row, level="subject", interval="observation").row(0, named=True)
    assert found["prediction"] == pytest.approx(row["y"][0])
    assert found["std_error"] == 0 and found["conf_low"] == found["conf_high"]


def test_expected_response_of_a_subject_leaves_the_noise_out():
    """R = I: the interval of a subject's expected response has sigma^2 less variance."""
    fit = lmm.fit("y ~ t + (t | b_id)", simulated(5))
    new = simulated(5).sample(5, seed=2)
    subject = fit.predict(new, level="subject", interval="subject")["std_error"].to_numpy()
    observation = fit.predict(new, level="subject", interval="observation")["std_error"].to_numpy()
    assert observation**2 - subject**2 == pytest.approx(fit.sigma**2, rel=1e-9)


def test_known_covariance_gives_the_prediction_error_of_the_random_effects():
    """The intercept of a subject alone: without the parameters' part, ranef's standard error."""
    frame = simulated(5)
    fit = lmm.fit("y ~ 0 + x + (1 | b_id)", frame)
    new = frame.unique("b_id", maintain_order=True).with_columns(x=pl.lit(0.0))
    found = fit.predict(new, level="subject", interval="subject")["std_error"].to_numpy()
    alone = dict(fit.ranef().select("level", "std_error").iter_rows())
    assert np.all(found >= np.array([alone[name] for name in new["b_id"]]))


def test_ml_is_refused():
    fit = lmm.fit("y ~ t + (1 | b_id)", simulated(5), method="ML")
    with pytest.raises(lmm.FitError, match="method='REML'"):
        linear_estimates(fit.solution, np.eye(2), "kenward-roger")
