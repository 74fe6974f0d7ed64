"""The compiled loops against explicit matrices of every subject, and fits with and without them."""

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import lmmcore as lmm
from lmmcore import kernel
from lmmcore.kernel import blocks, evaluate, level, start
from lmmcore.system.moments.subjects import Subjects, has_loops

ROOT = Path(__file__).resolve().parents[3]
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
    found = level.value(factor, cells.A, cells.B)
    assert found[0] == pytest.approx(log_det, rel=1e-11, abs=1e-12)
    assert np.allclose(found[1], quadratic, rtol=0, atol=1e-11 * (1 + abs(quadratic).max()))
    sums = level.slopes(factor, cells.A, cells.B, W)
    for ours, exact in zip(
        (sums.E, sums.C, sums.spread, sums.outer), (E_sum, C_sum, spread, outer), strict=True
    ):
        assert np.allclose(ours, exact, rtol=0, atol=1e-10 * (1 + abs(exact).max()))


@needs_loops
@pytest.mark.parametrize("N", [1, 4, 1001, blocks.BLOCK + 3])
@pytest.mark.parametrize("q", [1, 2])
def test_sums_of_the_start_against_each_subject(q, N):
    cells = cells_of(q, 3, N)
    if q == 2 and N > 4:
        cells.A[:, :, 2] = [[1, 1], [1, 1 + 1e-5]]  # too close to singular
    least, count, explained = 1e-3, 0, 0.0
    effects, sampling = np.zeros((q, q)), np.zeros((q, q))
    for A, b in zip(cells.A.transpose(2, 0, 1), cells.B[-1].T, strict=True):
        if A[0, 0] > 0 and np.linalg.det(A) > least * np.prod(np.diag(A)):
            solved = np.linalg.solve(A, b)
            count, explained = count + 1, explained + b @ solved
            effects += np.outer(solved, solved)
            sampling += np.linalg.inv(A)
    found = start.sums(cells.A, cells.B, least)
    assert found[0] == count
    assert found[1] == pytest.approx(explained, rel=1e-10)
    assert np.allclose(found[2], effects, rtol=0, atol=1e-10 * abs(effects).max())
    assert np.allclose(found[3], sampling, rtol=0, atol=1e-10 * abs(sampling).max())


@pytest.mark.usefixtures("loops")
@pytest.mark.parametrize("N", [1, 6, blocks.BLOCK + 3])
@pytest.mark.parametrize("r", [1, 3, 5])
@pytest.mark.parametrize("q", [1, 2, 3])
def test_moments_in_other_coordinates(q, r, N):
    cells, rng = cells_of(q, r, N), np.random.default_rng(3)
    fixed, random = rng.normal(size=(r - 1, r - 1)), rng.normal(size=(q, q))
    full = np.eye(r)
    full[:-1, :-1] = fixed
    found = cells.rotated(fixed, random)
    for i in {0, N // 2, N - 1}:
        assert np.allclose(found.A[:, :, i], random.T @ cells.A[:, :, i] @ random, rtol=0, atol=1e-12)
        assert np.allclose(found.B[:, :, i], full.T @ cells.B[:, :, i] @ random, rtol=0, atol=1e-12)


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
            patch.setattr(evaluate, "serves", lambda B: False)
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
        log_det, quadratic = level.value(factor, cells.A, cells.B)
        spread = level.slopes(factor, cells.A, cells.B, np.eye(3)).spread
        return log_det, quadratic.tobytes(), spread.tobytes()

    monkeypatch.setattr(blocks, "MANY", 1)
    assert found(1) == found(3)


@needs_loops
def test_what_is_left_to_numpy():
    assert has_loops(cells_of(2, 16, 5))
    assert not has_loops(cells_of(2, 17, 5))
    assert not has_loops(cells_of(3, 3, 5))


@pytest.mark.parametrize(
    "entry", [entry for entry in ENTRIES if not entry["residual"]], ids=lambda entry: entry["id"]
)
def test_without_a_compiler(monkeypatch, entry):
    """The same optimum, as exactly as rounding allows, by the formulas of lmmcore.system.level."""
    frame = pl.read_csv(ROOT / entry["data"], null_values="NA")
    categories = dict(entry["categories"]) if entry["categories"] else None
    compiled = lmm.fit(entry["formula"], frame, method=entry["method"], categories=categories)
    monkeypatch.setattr(kernel, "loops", None)
    plain = lmm.fit(entry["formula"], frame, method=entry["method"], categories=categories)
    assert plain.loglik >= entry["loglik"] - 1e-6
    assert plain.loglik == pytest.approx(compiled.loglik, abs=1e-8)
    for name, error in plain.se.items():
        assert plain.beta[name] == pytest.approx(compiled.beta[name], abs=1e-6 * error)
