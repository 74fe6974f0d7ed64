"""Chi-bar-square weights against closed forms of convex cones."""

import numpy as np
import pytest
from scipy import stats

from lmmcore.inference.models.chibar import ChiBar, chi_square, cone_weights, half_space


def test_half_space_and_chi_square():
    statistic = 42.139298542028
    expected = (stats.chi2.sf(statistic, 1) + stats.chi2.sf(statistic, 2)) / 2
    assert half_space(1).p_value(statistic) == pytest.approx(expected, rel=1e-12)
    assert str(half_space(1)) == "1/2 chi2(1) + 1/2 chi2(2)"
    assert chi_square(2).p_value(statistic) == pytest.approx(stats.chi2.sf(statistic, 2), rel=1e-12)
    assert half_space(0).p_value(0.0) == 1.0
    assert half_space(0).p_value(1e-12) == pytest.approx(0.5, abs=1e-6)


@pytest.mark.parametrize("correlation", [-0.7, 0.0, 0.5])
def test_quadrant(correlation):
    """Two variances: w_2 = P(both positive after the metric's rotation), Self & Liang 1987 case 7."""
    information = np.linalg.inv(np.array([[1, correlation], [correlation, 1]]))
    # The cone is the quadrant in coordinates with this covariance; its angle is arccos(-correlation).
    both = np.arccos(-correlation) / (2 * np.pi)
    weights = cone_weights(information, [1, 1])
    assert weights == pytest.approx([0.5 - both, 0.5, both], abs=0.012)


def test_semidefinite_two_by_two():
    """The cone of 2 x 2 semidefinite matrices is a circular cone of half-angle 45 degrees."""
    corner = (1 - np.cos(np.pi / 4)) / 2
    weights = cone_weights(np.eye(3), [2])
    assert weights == pytest.approx([corner, 0.5 - corner, 0.5 - corner, corner], abs=0.015)


def test_orthant_of_three_is_binomial():
    assert cone_weights(np.diag([1.0, 4.0, 0.2]), [1, 1, 1]) == pytest.approx(
        [1 / 8, 3 / 8, 3 / 8, 1 / 8], abs=0.012
    )


def test_mixture_is_a_distribution():
    mixture = ChiBar((0, 1, 2), (0.25, 0.5, 0.25))
    values = [mixture.p_value(x) for x in (0.0, 0.1, 1.0, 5.0, 50.0)]
    assert values[0] == 1.0 and all(a > b for a, b in zip(values, values[1:], strict=False))
