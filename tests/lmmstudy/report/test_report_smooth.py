import numpy as np
import pytest

from lmmstudy.report.refit.smooth import bins, loess


def test_a_straight_line_is_smoothed_to_itself():
    x = np.random.default_rng(0).uniform(0, 10, 200)
    smooth = loess(x, 3 - 2 * x)
    np.testing.assert_allclose(smooth.mean, 3 - 2 * smooth.x, atol=1e-8)


@pytest.mark.parametrize("n", [300, 30_000])
def test_the_band_holds_the_truth_about_as_often_as_it_says(n):
    """Pointwise coverage of a smooth truth over repeated samples, binned (n > 2,000) or not."""
    held = []
    for seed in range(60):
        random = np.random.default_rng(seed)
        x = random.uniform(0, 1, n)
        smooth = loess(x, 2 * x + random.normal(size=n))
        held.append(np.mean((smooth.low < 2 * smooth.x) & (2 * smooth.x < smooth.high)))
    assert np.mean(held) == pytest.approx(0.95, abs=0.03)


def test_too_little_for_a_smoother():
    assert loess(np.array([1.0, 2, 3]), np.array([1.0, 2, 3])) is None
    assert loess(np.array([1.0, 1, 1, 2, 2, 2]), np.arange(6.0)) is None


def test_ties_in_x_are_smoothed():
    x = np.repeat([0.0, 1, 2, 3], 25)
    smooth = loess(x, x + np.tile([-1.0, 1, 0, 2, -2], 20))
    assert np.isfinite(smooth.mean).all()
    np.testing.assert_allclose(smooth.mean, smooth.x, atol=1e-8)


def test_bins_count_every_point():
    counts, x_edges, y_edges = bins(np.arange(100.0), np.arange(100.0))
    assert counts.sum() == 100 and x_edges.size == 61 and y_edges.size == 37
