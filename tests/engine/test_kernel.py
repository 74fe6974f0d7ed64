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
from lmmcore.kernel import blocks, level, rows
from lmmcore.moments.subjects import Subjects

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
