"""Confidence limits from bootstrap replicates (Davison & Hinkley 1997, chapter 5).

    percentile   the quantiles of the replicates
    basic        2 estimate - quantiles: the replicates' error turned round
    bca          quantiles at levels corrected for bias and acceleration (Efron 1987)

The quantile at level a of R replicates is the order statistic number (R + 1) a, interpolated.
"""

from __future__ import annotations

import numpy as np

TYPES = ("percentile", "basic", "bca")


def limits(
    replicates: np.ndarray, estimate: float, type: str, conf_level: float, influence: np.ndarray | None
) -> tuple[float, float]:
    """Limits for one parameter; nan without an estimate or with fewer than two replicates.

    replicates : (R,), nan where there is none; influence : (G,) leave-out estimates for type="bca".
    """
    known = replicates[np.isfinite(replicates)]
    if len(known) < 2 or not np.isfinite(estimate):
        return float("nan"), float("nan")
    levels = np.array([(1 - conf_level) / 2, (1 + conf_level) / 2])
    if type == "bca":
        assert influence is not None
        levels = _corrected(levels, known, estimate, _acceleration(influence))
    low, high = np.quantile(known, levels, method="weibull").tolist()
    return (2 * estimate - high, 2 * estimate - low) if type == "basic" else (low, high)


def _corrected(levels: np.ndarray, known: np.ndarray, estimate: float, acceleration: float) -> np.ndarray:
    """Efron's levels; a replicate equal to the estimate counts half on each side."""
    from scipy.special import ndtr, ndtri

    close = np.isclose(known, estimate, rtol=1e-9, atol=0)
    below = (np.sum((known < estimate) & ~close) + close.sum() / 2) / len(known)
    bias = float(ndtri(np.clip(below, 0.5 / len(known), 1 - 0.5 / len(known))))
    shifted = bias + ndtri(levels)
    return np.asarray(ndtr(bias + shifted / np.maximum(1 - acceleration * shifted, 1e-6)))


def _acceleration(left_out: np.ndarray) -> float:
    """Skewness of the jackknife's influence values over 6; 0 where the estimate never moves."""
    known = left_out[np.isfinite(left_out)]
    if len(known) < 2:
        return 0.0
    influence = known.mean() - known
    spread = float((influence**2).sum())
    return float((influence**3).sum()) / (6 * spread**1.5) if spread > 0 else 0.0
