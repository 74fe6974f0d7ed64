"""The studentized range: the range of k independent normal means over an independent estimate of their SD.

    P(Q > q) = integral f(s) W(q s) ds
    W(w) = k integral phi(z) {Phi(z)^(k-1) - (Phi(z) - Phi(z-w))^(k-1)} dz

with s^2 nu distributed as chi-square on nu degrees of freedom, which may be fractional or infinite. With x =
log s, log f = -(nu/2) (e^2x - 1 - 2x) up to a constant, and the trapezoidal rule in x converges
exponentially: milliseconds, where the general quadrature of scipy.stats takes a fifth of a second a quantile.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

# exp(-DECAY) of the peak of f is left out at either end.
DECAY = 40.0
# Largest step in log s, and fewest steps.
STEP, STEPS = 0.1, 64
# Normal deviates beyond this do not matter.
WIDE = 9.0


def upper_tail(q: float, means: int, df: float) -> float:
    """P(Q > q) for q >= 0 and means >= 2; df > 0."""
    from scipy.special import ndtr

    s, weight = _scales(df)
    z, dz = _deviates()
    below = ndtr(z)
    with np.errstate(divide="ignore"):  # q = 0
        inside = np.log1p(-ndtr(z - q * s[:, None]) / below)
    beyond = means * (-np.expm1((means - 1) * inside) * below ** (means - 1)) @ dz
    return float(min(weight @ beyond, 1.0))


def quantile(level: float, means: int, df: float) -> float:
    """q with P(Q > q) = level, to about 1e-10 of itself; 0 < level < 1."""
    from scipy.special import stdtrit

    # One comparison alone, and Bonferroni's inequality for all of them.
    low, high = (
        -np.sqrt(2) * float(stdtrit(df, level / 2 / tests)) for tests in (1, means * (means - 1) // 2)
    )
    above, below = (np.log(upper_tail(q, means, df) / level) for q in (low, high))
    while high - low > 1e-10 * high and above > 0 > below:
        q = (low * below - high * above) / (below - above)
        value = np.log(upper_tail(q, means, df) / level)
        # Regula falsi; halving the value at the end that stays makes it superlinear (Illinois).
        if value > 0:
            low, above, below = q, value, below / 2
        else:
            high, below, above = q, value, above / 2
    return float(low if above <= 0 else high)


def _scales(df: float) -> tuple[np.ndarray, np.ndarray]:
    """Nodes s : (N,) and their probabilities."""
    spread = DECAY / df
    if spread < 1e-16:
        return np.ones(1), np.ones(1)
    low, high = -(spread + np.sqrt(spread**2 + 4 * spread)) / 2, np.sqrt(spread)
    x = np.linspace(low, high, max(STEPS, int((high - low) / STEP)) + 1)
    weight = np.exp(-df / 2 * (np.expm1(2 * x) - 2 * x))
    return np.exp(x), weight / weight.sum()


@lru_cache(maxsize=1)
def _deviates() -> tuple[np.ndarray, np.ndarray]:
    """Nodes z : (M,) of a Gauss-Legendre rule and their weights, times the normal density."""
    nodes, weights = np.polynomial.legendre.leggauss(120)
    z = WIDE * nodes
    return z, WIDE * weights * np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
