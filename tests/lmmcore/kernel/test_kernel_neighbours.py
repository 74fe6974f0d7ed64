"""Moments under a correlation of neighbouring rows, against matrices written out to 250 digits."""

from decimal import Decimal, localcontext

import numpy as np
import pytest

from lmmcore.system.moments.markov import markov_moments
from lmmcore.system.moments.subjects import SortedRows


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
    """columns' R^-1 columns, log|R| and their first two derivatives by -log(decay), to 250 digits."""
    with localcontext(prec=250):
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
@pytest.mark.parametrize("decay", [1e-60, 1e-9, 0.7, 40.0, 1e4])
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
