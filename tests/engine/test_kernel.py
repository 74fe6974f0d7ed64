"""The compiled loops against explicit matrices of every subject, and fits with and without them."""

import json
import shutil
import subprocess
from decimal import Decimal, localcontext
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import lmmcore as lmm
from lmmcore import kernel
from lmmcore.kernel import blocks, evaluate, level, rows
from lmmcore.moments.markov import markov_moments
from lmmcore.moments.subjects import SortedRows, Subjects

ROOT = Path(__file__).resolve().parents[2]
ENTRIES = json.loads((ROOT / "tests/reference/lmm_reference.json").read_text("utf-8"))["entries"]

needs_loops = pytest.mark.skipif(kernel.loops is None, reason="the installation found no C compiler")


def test_a_compiler_is_used(tmp_path):
    if shutil.which("cc") is None:
        pytest.skip("there is no C compiler")
    (tmp_path / "x.c").write_text("#include <math.h>\n#include <string.h>\nint x;\n")
    command = ["cc", "-shared", "-fPIC", "-o", tmp_path / "x.so", tmp_path / "x.c"]
    if subprocess.run(command, capture_output=True).returncode:
        pytest.skip("the C compiler has no headers")
    assert kernel.loops is not None, "install the package anew: python -m pip install -e ."


def cells_of(q, r, N, seed=1):
    rng = np.random.default_rng(seed)
    design = rng.normal(size=(q + 2, q, N))
    A = np.einsum("kan,kbn->abn", design, design)
    A[:, :, 0] = 0  # a subject without information on its effects
    return Subjects(A, rng.normal(size=(r, q, N)), np.zeros((r, r, 1)), 0.0)


@needs_loops
@pytest.mark.parametrize("N", [1, 3, 4, 18, 1001])
@pytest.mark.parametrize("r", [1, 3, 16])
@pytest.mark.parametrize("singular", [False, True])
@pytest.mark.parametrize("q", [1, 2])
def test_against_explicit_matrices(q, r, N, singular):
    cells = cells_of(q, r, N)
    rng = np.random.default_rng(2)
    factor, W = np.tril(rng.normal(size=(q, q))), rng.normal(size=(r, r))
    if singular:
        factor[:, -1] = 0
    W, psi = W + W.T, factor @ factor.T
    log_det, quadratic = 0.0, np.zeros((r, r))
    E_sum, C_sum, spread, outer = (np.zeros(size) for size in ((q, q), (q, q), (q,) * 4, (r, q, r, q)))
    for A, B in zip(cells.A.transpose(2, 0, 1), cells.B.transpose(2, 0, 1), strict=True):
        whole = np.eye(q) + A @ psi
        log_det += np.linalg.slogdet(whole)[1]
        quadratic += B @ psi @ np.linalg.solve(whole, B.T)
        E, U = np.linalg.solve(whole, A), np.linalg.solve(whole, B.T)
        C = U @ W @ U.T
        E_sum += E
        C_sum += C
        spread += np.multiply.outer(2 * C - E, E)
        outer += np.multiply.outer(U.T, U.T)
    found = level.value(factor, cells)
    assert found[0] == pytest.approx(log_det, rel=1e-11, abs=1e-12)
    assert np.allclose(found[1], quadratic, rtol=0, atol=1e-11 * (1 + abs(quadratic).max()))
    sums, products, _ = level.slopes(factor, cells, W)
    for ours, exact in zip(
        (sums.E, sums.C, sums.spread, products), (E_sum, C_sum, spread, outer), strict=True
    ):
        assert np.allclose(ours, exact, rtol=0, atol=1e-10 * (1 + abs(exact).max()))


@needs_loops
@pytest.mark.parametrize("columns", [2, 3, 4])
def test_rows_against_explicit_matrices(columns):
    """Subjects of 1 to 9 rows, rows beyond a subject's last one must not count; columns used twice."""
    rng = np.random.default_rng(columns)
    sizes = rng.integers(1, 10, 37)
    starts, n = np.cumsum(sizes) - sizes, int(sizes.sum())
    one, *others = np.broadcast_to(1.0, n), *rng.normal(size=(columns - 1, n))
    Z, XY = [others[0], one], [one, *others]
    A, B, S = rows.moments(Z, XY, starts, n)
    assert np.allclose(S, np.array(XY) @ np.array(XY).T, rtol=0, atol=1e-11)
    for i, (start, size) in enumerate(zip(starts, sizes, strict=True)):
        z, xy = np.array(Z)[:, start : start + size], np.array(XY)[:, start : start + size]
        assert np.allclose(A[:, :, i], z @ z.T, rtol=0, atol=1e-12)
        assert np.allclose(B[:, :, i], xy @ z.T, rtol=0, atol=1e-12)


def inverse(matrix):
    """By Gauss and Jordan, in the precision of its entries; with its determinant."""
    rows, determinant = [list(row) for row in np.hstack([matrix, np.eye(len(matrix), dtype=int)])], Decimal(1)
    for i, pivot in enumerate(rows):
        determinant *= pivot[i]
        pivot[:] = [value / pivot[i] for value in pivot]
        for j, row in enumerate(rows):
            if j != i:
                row[:] = [value - row[i] * other for value, other in zip(row, pivot, strict=True)]
    return np.array(rows)[:, len(rows) :], determinant


def of_a_correlation(columns, times, decay):
    """columns' R^-1 columns, log|R| and their first two derivatives by -log(decay), to 50 digits."""
    with localcontext(prec=50):
        columns, times = np.vectorize(Decimal)(columns), np.vectorize(Decimal)(times)
        u = abs(times[:, None] - times) * Decimal(decay)
        R = np.vectorize(lambda value: (-value).exp(), otypes=[object])(u)
        first, second = u * R, u * (u - 1) * R
        K, determinant = inverse(R)
        K1 = -K @ first @ K
        K2 = -2 * K1 @ first @ K - K @ second @ K
        log_r = determinant.ln(), np.trace(K @ first), np.trace(K @ second) + np.trace(K1 @ first)
        return [(columns.T @ k @ columns).astype(float) for k in (K, K1, K2)], np.array(log_r, dtype=float)


@pytest.mark.usefixtures("loops")
@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("effects", [0, 1, 2, 3])
@pytest.mark.parametrize("decay", [1e-9, 0.7, 40.0, 1e4])
def test_neighbours_against_explicit_matrices(effects, decay, nested):
    """Subjects of 1 to 10 rows, gaps from far below to far above the range."""
    rng = np.random.default_rng(effects)
    sizes = rng.integers(1, 11, 10)
    n, subject = int(sizes.sum()), np.repeat(np.arange(len(sizes)), sizes)
    outer = np.arange(len(sizes)) // 4 if nested else None
    times = np.concatenate([np.sort(rng.uniform(0, 9, size)) for size in sizes])
    one, t, y, x = np.broadcast_to(1.0, n), times - 4.5, rng.normal(size=n), rng.normal(size=n)
    Z, XY = [one, t, x][:effects], [one, t, y]
    unit = SortedRows(times, subject, np.cumsum(sizes) - sizes, outer)
    turn, scale = np.triu(rng.normal(size=(2, 2))), np.triu(rng.normal(size=(effects, effects)))
    moments = markov_moments(Z, XY, unit).rotated(turn, scale)
    z = np.array(Z).reshape(effects, n).T @ scale
    xy = np.column_stack([np.array(XY[:2]).T @ turn, y])
    jet = moments.jet(np.array([-np.log(decay)]))
    S, log_r = np.zeros_like(jet.S), np.zeros(3)
    for i in range(len(sizes)):
        here = subject == i
        both, logs = of_a_correlation(np.column_stack([z, xy])[here], times[here], decay)
        log_r += logs
        for order, exact in enumerate(both):
            size = 1e-12 * abs(exact).max() + 1e-300  # subnormal numbers have fewer digits
            A, B = exact[:effects, :effects], exact[effects:, :effects]
            assert np.allclose(jet.A[order, :, :, i], A, rtol=0, atol=size)
            assert np.allclose(jet.B[order, :, :, i], B, rtol=0, atol=size)
            S[order, :, :, outer[i] if nested else 0] += exact[effects:, effects:]
    assert np.allclose(jet.S, S, rtol=0, atol=1e-12 * abs(S).max())
    assert np.allclose(jet.log_r, log_r, rtol=1e-13, atol=1e-13)
    alone = moments.at(np.array([-np.log(decay)]))
    assert np.allclose(alone.B, jet.B[0], rtol=1e-14) and alone.log_r == pytest.approx(
        jet.log_r[0], rel=1e-14
    )


@needs_loops
@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("residual", [None, lmm.CAR1("Days", "Subject")])
@pytest.mark.parametrize("random", ["1 |", "Days |", "Days ||"])
def test_one_call_against_array_by_array(monkeypatch, random, residual, reml):
    """The deviance and its derivatives at the optimum and away from it; a variance of zero among them."""
    frame = pl.read_csv(ROOT / "data/raw/sleepstudy.csv")
    fit = lmm.fit(
        f"Reaction ~ Days + ({random} Subject)", frame, method="REML" if reml else "ML", residual=residual
    )
    objective, best = fit.solution.optimum.objective, fit.solution.optimum.evaluation.theta
    zero = best.copy()
    zero[0] = 0
    for theta in (best, 0.6 * best + 0.1, zero):
        ours = objective.evaluate(theta)
        with monkeypatch.context() as patch:
            patch.setattr(evaluate, "serves", lambda jet: False)
            theirs = objective.evaluate(theta)
        assert ours.deviance == pytest.approx(theirs.deviance, rel=1e-13)
        for name in ("gradient", "hessian", "gram_first", "cones"):
            a, b = np.array(getattr(ours, name)), np.array(getattr(theirs, name))
            assert np.allclose(a, b, rtol=0, atol=1e-12 * (1 + abs(b).max())), name


@needs_loops
def test_any_number_of_threads_gives_the_same_bytes(monkeypatch):
    cells = cells_of(2, 3, 3 * blocks.BLOCK + 5)
    factor = np.array([[0.8, 0.0], [0.3, 0.5]])

    def found(threads):
        monkeypatch.setattr(blocks, "allowed_threads", lambda: threads)
        log_det, quadratic = level.value(factor, cells)
        return log_det, quadratic.tobytes(), level.slopes(factor, cells, np.eye(3))[0].spread.tobytes()

    monkeypatch.setattr(blocks, "MANY", 1)
    assert found(1) == found(3)


@needs_loops
def test_what_is_left_to_numpy():
    assert level.serves(cells_of(2, 16, 5))
    assert not level.serves(cells_of(2, 17, 5))
    assert not level.serves(cells_of(3, 3, 5))


@pytest.mark.parametrize(
    "entry", [entry for entry in ENTRIES if not entry["residual"]], ids=lambda entry: entry["id"]
)
def test_without_a_compiler(monkeypatch, entry):
    """The same optimum, as exactly as rounding allows, by the formulas of lmmcore.likelihood.level."""
    frame = pl.read_csv(ROOT / entry["data"], null_values="NA")
    categories = dict(entry["categories"]) if entry["categories"] else None
    compiled = lmm.fit(entry["formula"], frame, method=entry["method"], categories=categories)
    monkeypatch.setattr(kernel, "loops", None)
    plain = lmm.fit(entry["formula"], frame, method=entry["method"], categories=categories)
    assert plain.loglik >= entry["loglik"] - 1e-6
    assert plain.loglik == pytest.approx(compiled.loglik, abs=1e-8)
    for name, error in plain.se.items():
        assert plain.beta[name] == pytest.approx(compiled.beta[name], abs=1e-6 * error)
