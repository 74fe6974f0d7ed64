"""Cases that were wrong once, a few of each kind that random cases had found."""

import pytest

from tests.fuzz.checks import checked
from tests.fuzz.generate import case

FOUND = {
    "a variance that the fixed effects take up": [(4, 34), (4, 234), (5, 81), (6, 380), (6, 416)],
    "nested random effects of very different size": [(4, 175), (6, 408), (6, 474), (6, 519)],
    "three random effects that are huge": [(2026, 372)],
    "several optima of an unstructured or Toeplitz covariance": [(2026, 402), (6, 1022)],
    "a correlation near -1 beside a random intercept": [(2026, 0)],
    "rho of CAR(1) that rounds to 0 or 1": [(6, 160), (6, 280), (7, 36)],
    "warnings and errors of NumPy": [(6, 986), (8, 108)],
}


@pytest.mark.parametrize("kind", FOUND)
def test_it_is_right_now(kind):
    for seed, number in FOUND[kind]:
        assert not checked(case(seed, number), seed, number).faults, (seed, number)
