"""The compiled loops over columns and rows, against NumPy and explicit sums."""

import narwhals as nw
import numpy as np
import polars as pl
import pytest

from lmmcore import kernel
from lmmcore.formula.levels import category
from lmmcore.kernel import columns, rows
from lmmcore.system.moments import patterns
from lmmcore.system.moments.gram import gram
from lmmcore.system.moments.products import residuals

needs_loops = pytest.mark.skipif(kernel.loops is None, reason="the installation found no C compiler")


@pytest.mark.usefixtures("loops")
@pytest.mark.parametrize("n", [1, 5, 8191, 70_001])
def test_passes_over_columns(n):
    rng = np.random.default_rng(n)
    one, t, y = np.broadcast_to(1.0, n), rng.normal(size=n), rng.normal(size=n)
    exact = y - 0.5 - 2.0 * t
    assert np.allclose(residuals(y, np.array([0.5, 2.0]), [one, t]), exact, rtol=0, atol=1e-14)
    assert np.array_equal(residuals(y, np.empty(0), []), y)
    exact = np.array([one, t, y, t]) @ np.array([one, t, y, t]).T
    products = gram([one, t, y, t])
    assert np.allclose(products, exact, rtol=0, atol=1e-12 * n)
    assert np.array_equal(products, products.T)


@needs_loops
@pytest.mark.parametrize(
    ("values", "different"),
    [([5], 1), ([0, 0, 1, 1, 2], 3), ([-3, 7, 7], 2), ([0, 2, 1], -1), ([*range(9000), 4], -1)],
)
def test_values_in_rising_order(values, different):
    assert columns.runs(np.array(values)) == different


@pytest.mark.usefixtures("loops")
@pytest.mark.parametrize("codes", [[2, 0], [0, 1], [1, 0], [3, 1, 2, 1], [7, 7, 9], [0, 0, 1, 2]])
def test_numbers_of_groups_in_any_order(codes):
    found, _ = category("id", nw.from_native(pl.Series(codes), series_only=True), None, False)
    assert [found.levels[code] for code in found.codes] == [str(code) for code in codes]
    assert list(found.levels) == [str(code) for code in sorted(set(codes))]


@pytest.mark.usefixtures("loops")
@pytest.mark.parametrize("N", [2, 300, 5000])
def test_subjects_that_are_alike(N):
    """Few patterns are found, in which 0 and -0 are alike; many are not looked for to the end."""
    rng = np.random.default_rng(N)
    entries = [rng.integers(-1, 2, N) * 0.1, rng.integers(0, 2, N) * -0.0, rng.integers(0, 3, N) / 3]
    alike = patterns.compiled_patterns if kernel.loops is not None else patterns._patterns
    pattern, member = alike(entries, N, 256)
    rows = np.array(entries).T
    assert len(member) == len(np.unique(rows + 0.0, axis=0))
    assert np.array_equal(rows[member][pattern], rows)
    assert alike([np.arange(float(N))], N // 2, 256) is None


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
    for i, (first, size) in enumerate(zip(starts, sizes, strict=True)):
        z, xy = np.array(Z)[:, first : first + size], np.array(XY)[:, first : first + size]
        assert np.allclose(A[:, :, i], z @ z.T, rtol=0, atol=1e-12)
        assert np.allclose(B[:, :, i], xy @ z.T, rtol=0, atol=1e-12)
