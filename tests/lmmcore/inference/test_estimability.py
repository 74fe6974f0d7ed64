"""What the data determine of the fixed effects: means, slopes, contrasts, predictions where X lacks rank.

Patterns of missing means were compared with R 4.2.2, emmeans 1.8.4-1 on 714 random designs (14 formulas with
empty cells, factors that determine others, collinear covariates; 2,044 missing means; nesting=NULL): no
difference but where a covariate's mean is within 1e-4 of a value that would be determined, which R's
tolerance lets pass. Here they come from the definition: l'beta is determined if and only if l lies in the
row space of X.
"""

import numpy as np
import polars as pl
import pytest

import lmmcore as lmm
from lmmcore.data.table import read

A, B = ["A1", "A2", "A3"], ["B1", "B2", "B3"]
CROSSED = pl.DataFrame({"a": A}).join(pl.DataFrame({"b": B}), how="cross")


def design(empty=(), seed=1, subjects=24):
    """Arms a (region g: A3 alone in G2) by visits b, two rows each, without the rows of some cells."""
    rng = np.random.default_rng(seed)
    ids = np.repeat(np.arange(subjects), 6)
    a, b = np.array(A)[ids % 3], np.tile(np.repeat(B, 2), subjects)
    x = rng.normal(size=len(ids))
    y = 10 + rng.normal(size=subjects)[ids] + rng.normal(size=len(ids)) + 2 * (b == "B2") * (a == "A3") + x
    frame = pl.DataFrame({"y": y, "id": ids, "a": a, "b": b, "g": np.where(a == "A3", "G2", "G1"), "x": x})
    frame = frame.with_columns(z=2 * pl.col("x") + 1)
    return frame.filter(~pl.concat_str("a", "b").is_in(["".join(cell) for cell in empty]))


def in_row_space(X, functions):
    """(m,) whether functions : (m, P) are combinations of the rows of X : (n, P), by ranks."""
    rank = np.linalg.matrix_rank
    return np.array([rank(np.vstack([X, row]), tol=1e-6) == rank(X, tol=1e-6) for row in functions])


EMPTY = [
    [],
    [("A2", "B3")],
    [("A1", "B1")],
    [("A1", "B2"), ("A2", "B3")],
    [("A2", "B1"), ("A2", "B2"), ("A3", "B3")],
    [("A1", "B2"), ("A1", "B3"), ("A2", "B1"), ("A3", "B1")],
]
FORMULAS = [
    "a * b",
    "a + b",
    "g + a + b",
    "g * b + a",
    "a * b + x + z",
    "0 + a + b + g",
    "a * b * x",
    "b * x + z",
]


@pytest.mark.parametrize("formula", FORMULAS)
@pytest.mark.parametrize("empty", EMPTY, ids=len)
def test_by_definition(formula, empty):
    """Predictions, whichever level is the reference and in any unit."""
    frame = design(empty)
    seen = []
    for first, (scale, shift) in zip((0, 1, 2), ((1, 0), (1e-6, 0), (1e5, 3e5)), strict=True):
        levels = {"b": [*B[first:], *B[:first]], "a": [*A[first:], *A[:first]]}
        unit = frame.with_columns(x=scale * pl.col("x") + shift, z=scale * pl.col("z") + 2 * shift)
        fit = lmm.fit(f"y ~ {formula} + (1 | id)", unit, categories=levels)
        model = fit.solution.model
        # By definition, in a unit in which ranks are plain to see.
        plain = lmm.fit(f"y ~ {formula} + (1 | id)", frame, categories=levels).solution.model
        X = np.column_stack(plain.fixed.columns(plain.table))
        new = CROSSED.with_columns(
            g=pl.when(pl.col("a") == "A3").then(pl.lit("G2")).otherwise(pl.lit("G1")),
            x=pl.lit(0.5),
            z=pl.lit(2.0),
        )
        apart = new.with_columns(z=pl.lit(0.0))
        for rows in (new, apart):
            moved = rows.with_columns(x=scale * pl.col("x") + shift, z=scale * pl.col("z") + 2 * shift)
            predicted = fit.predict(moved, interval="mean")
            table = read(rows, model.fixed.variables, (), levels)
            expected = in_row_space(X, np.column_stack(plain.fixed.columns(table)))
            for column in ("prediction", "std_error", "conf_low"):
                assert np.isfinite(predicted[column].to_numpy()).tolist() == expected.tolist()
            seen.append(predicted["prediction"].to_numpy())
        assert np.isfinite(fit.predict(unit)["prediction"].to_numpy()).all()
    for one in (2, 4):  # a number never depends on the reference level, or on a unit
        assert seen[one] == pytest.approx(seen[0], rel=1e-6, nan_ok=True)
        assert seen[one + 1] == pytest.approx(seen[1], rel=1e-6, nan_ok=True)


def test_one_missing_cell_loses_one_mean():
    """The reference values come from R 4.2.2: emmeans(lmer(y ~ arm * v + (1 | id)), ~ arm | v)."""
    values = [0.13, -0.13, 0.1, -0.54, 0.36, 1.3, 0.95, -1.27, -0.62, 0.04, -2.33, -0.22, -0.73, -0.54, -0.32]
    values += [0.41, 1.04, 1.37, -0.67, 0.35]
    frame = pl.DataFrame(
        {
            "y": values,
            "id": [0, 0, 1, 1, 1, 2, 2, 3, 3, 3, 4, 4, 5, 5, 5, 6, 6, 7, 7, 7],
            "v": ["v1", "v2", "v1", "v2", "v3"] * 4,
            "arm": ["P", "P", "T", "T", "T"] * 4,
        }
    )
    grid = lmm.fit("y ~ arm * v + (1 | id)", frame).emmeans("arm", by="v")
    expected = [-0.1225, -0.1325, 0.41, -0.5925, np.nan, 0.1075]
    assert grid.frame()["estimate"].to_numpy() == pytest.approx(expected, abs=1e-9, nan_ok=True)
    assert np.isfinite(grid.pairs().frame()["estimate"].to_numpy()).tolist() == [True, True, False]


def test_a_control_beside_a_factorial():
    """Six treated cells and a control without a dose: all seven means are known."""
    rng = np.random.default_rng(4)
    cells = [("none", "0"), *((drug, dose) for drug in ("d1", "d2", "d3") for dose in ("lo", "hi"))]
    rows = [
        (drug, dose, who + 100 * k, rng.normal())
        for k, (drug, dose) in enumerate(cells)
        for who in range(6)
        for _ in range(3)
    ]
    frame = pl.DataFrame(rows, schema=["drug", "dose", "id", "y"], orient="row")
    fit = lmm.fit("y ~ drug * dose + (1 | id)", frame)
    found = fit.emmeans(["drug", "dose"]).frame().filter(pl.col("estimate").is_finite())
    raw = frame.group_by("drug", "dose").agg(pl.col("y").mean())
    assert found.height == 7
    both = found.join(raw, on=["drug", "dose"])
    assert both["estimate"].to_numpy() == pytest.approx(both["y"].to_numpy())


def test_slopes():
    """Of a covariate in an arm without rows in a visit, and of one that goes with another."""
    fit = lmm.fit("y ~ a * b * x + (1 | id)", design([("A2", "B3")]))
    slopes = fit.slopes("x", "a", by="b").frame()
    assert slopes.filter(~pl.col("estimate").is_finite()).select("a", "b").rows() == [("A2", "B3")]
    together = lmm.fit("y ~ x + z + a + (1 | id)", design())
    assert np.isnan(together.slopes("x", "a").frame()["estimate"].to_numpy()).all()
    for scale in (1e-9, 1e9):
        unit = design().with_columns(x=scale * pl.col("x"))
        assert np.isfinite(
            lmm.fit("y ~ x * a + (1 | id)", unit).slopes("x", "a").frame()["estimate"].to_numpy()
        ).all()


def test_a_centred_covariate_stands_at_zero():
    """Its mean is 0 but for rounding, where the columns it makes with a factor do not matter."""
    frame = design().with_columns(x=pl.col("x") - pl.col("x").mean())
    fit = lmm.fit("y ~ b + a:x + g:x + (1 | id)", frame)
    assert fit.dropped and np.isfinite(fit.emmeans("b").frame()["estimate"].to_numpy()).all()


def test_contrasts_of_coefficients():
    """z = 2 x + 1: only x + 2 z is known, by whichever of the two is in the model."""
    fit = lmm.fit("y ~ x + z + (1 | id)", design())
    alone = lmm.fit("y ~ x + (1 | id)", design())
    assert fit.dropped == ("z",)
    # y = a + b x + c z = (a + c) + (b + 2 c) x
    together = fit.contrast({"x": 1, "z": 2}).row(0, named=True)
    expected = alone.contrast({"x": 1}).row(0, named=True)
    for name in ("estimate", "std_error", "df", "p_value"):
        assert together[name] == pytest.approx(expected[name], rel=1e-6)
    for ask in (lambda of: of.contrast({"x": 1}), lambda of: of.contrast([{"x": 1, "z": 2}, {"z": 1}])):
        with pytest.raises(lmm.FitError, match="do not determine whether .* = 0: z was left out"):
            ask(fit)
    with pytest.warns(UserWarning), pytest.raises(lmm.FitError, match="do not determine"):
        lmm.fit("y ~ x + z + (1 | a)", design()).robust().contrast({"z": 1})


def test_streamed_files_know_it_too(monkeypatch, tmp_path):
    """Their rows are not kept, but the sums say what depends on what."""
    from lmmcore.streaming import choice

    design([("A2", "B3")]).write_parquet(tmp_path / "rows.parquet")
    monkeypatch.setattr(choice, "VALUES", 0)
    fit = lmm.fit("y ~ a * b + x + z + (1 | id)", tmp_path / "rows.parquet")
    new = CROSSED.with_columns(x=pl.lit(0.5), z=pl.lit(2.0))
    missing = new.filter(~fit.predict(new)["prediction"].is_finite())
    assert missing.select("a", "b").rows() == [("A2", "B3")]
    assert np.isnan(fit.predict(new.with_columns(z=pl.lit(0.0)))["prediction"].to_numpy()).all()
