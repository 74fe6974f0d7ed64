"""Simultaneous band of a normal quantile plot.

The band holds all n sorted values of a normal sample together with probability conf_level, when mean and SD
are those of the sample: the i-th may lie between the eta/2 and 1 - eta/2 quantiles of its own distribution,
Beta(i, n + 1 - i) of Phi. One local level eta for all ranks makes it as watchful in the tails as in the
middle, unlike Kolmogorov's (Aldor-Noiman, Brown, Buja, Rolke & Stine 2013; Gontscharuk, Landwehr & Finner
2015).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from lmmcore.runtime.arguments import share

# Ranks are thinned beyond ALL values: TAIL at either end, then each a share WIDER further in.
ALL, TAIL, WIDER = 1000, 100, 1.02
# Simulated samples behind eta: the level of the band is met to 0.4%.
SAMPLES, SEED = 4000, 20130901


def ranks(n: int) -> np.ndarray:
    """Ranks to look at : (k,), from 1 to n; about 1,000 of a million."""
    if n <= ALL:
        return np.arange(1, n + 1)
    half = (n + 1) // 2
    steps = int(np.log(half / TAIL) / np.log(WIDER))
    inner = np.round(TAIL * WIDER ** np.arange(1, steps + 1)).astype(int)
    lower = np.union1d(np.arange(1, TAIL + 1), inner)
    return np.union1d(lower, n + 1 - lower)


def limits(n: int, rank: np.ndarray, eta: float) -> tuple[np.ndarray, np.ndarray]:
    """Normal quantiles between which the order statistics of each rank lie with probability 1 - eta."""
    from scipy.special import betaincinv, ndtri

    low = ndtri(betaincinv(rank, n + 1 - rank, eta / 2))
    return low, -ndtri(betaincinv(n + 1 - rank, rank, eta / 2))


def middle(n: int, rank: np.ndarray) -> np.ndarray:
    """Normal quantiles of the medians of the order statistics, to about three digits."""
    from scipy.special import ndtri

    return np.asarray(ndtri((rank - 1 / 3) / (n + 1 / 3)))


@lru_cache(maxsize=64)
def local_level(n: int, conf_level: float) -> float:
    """eta : the level of each rank at which a share conf_level of normal samples, scaled to mean 0 and SD 1,
    lies within the band throughout; by simulation with a fixed seed."""
    share(conf_level, "conf_level")
    rank = ranks(n)
    samples = _standardised(n, rank)
    # Scaled values vary less than the band of their rank says: eta may exceed 1 - conf_level.
    lowest, highest = np.log(1e-3 * (1 - conf_level) / n), 0.0
    while highest - lowest > 1e-3:
        tried = (lowest + highest) / 2
        low, high = limits(n, rank, float(np.exp(tried)))
        inside = np.mean(np.all((samples >= low) & (samples <= high), axis=1))
        lowest, highest = (tried, highest) if inside > conf_level else (lowest, tried)
    return float(np.exp(lowest))


def _standardised(n: int, rank: np.ndarray) -> np.ndarray:
    """Order statistics : (SAMPLES, k) of normal samples less their mean, over their SD."""
    from scipy.special import ndtri

    rng = np.random.Generator(np.random.PCG64(SEED))
    if len(rank) == n:
        samples = np.sort(rng.standard_normal((SAMPLES, n)), axis=1)
        return (samples - samples.mean(axis=1)[:, None]) / samples.std(axis=1, ddof=1)[:, None]
    # Uniform order statistics are ratios of sums of gamma variables; mean and SD by the trapezoidal rule.
    gaps = np.diff(np.concatenate([[0], rank, [n + 1]]))
    sums = np.cumsum(rng.standard_gamma(gaps, (SAMPLES, len(gaps))), axis=1)
    samples = ndtri(sums[:, :-1] / sums[:, -1:])
    weight = np.concatenate([[1], rank[2:] - rank[:-2], [1]]) / 2
    weight[[0, -1]] += 0.5
    weight /= weight.sum()
    centre = samples @ weight
    exact = middle(n, rank)
    spread = (samples**2 @ weight - centre**2) / (exact**2 @ weight)
    return (samples - centre[:, None]) / np.sqrt(spread)[:, None]
