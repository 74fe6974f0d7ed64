"""P values and confidence limits for a family of estimates.

    holm        Holm (1979), step-down, valid for any dependence; its limits are Bonferroni's
    bonferroni  each test at the level divided by the number of tests
    tukey       studentized range (Tukey 1953; Kramer 1956), for all pairwise comparisons of means

A family is what is asked together: its tests are those with an estimate.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from lmmcore.inference.emmeans.studentized_range import quantile, upper_tail
from lmmcore.runtime.arguments import one_of, share

Adjust = Literal["none", "holm", "tukey", "bonferroni"]
ADJUSTMENTS = ("none", "holm", "tukey", "bonferroni")


def adjusted(
    statistic: np.ndarray, df: np.ndarray, adjust: Adjust, conf_level: float, means: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """P values (m,) of a family of t tests, and the quantiles (m,) that make its confidence limits.

    statistic : (m,), nan where there is no estimate; df : (m,), may be fractional or infinite;
    means : how many are compared, for "tukey". Raises ArgumentError for an unknown adjustment or level.
    """
    one_of(adjust, "adjust", ADJUSTMENTS)
    share(conf_level, "conf_level")
    present = ~np.isnan(statistic) & ~np.isnan(df)
    p, limit = np.full(len(statistic), np.nan), np.full(len(statistic), np.nan)
    if present.any():
        p[present], limit[present] = _adjusted(
            np.abs(statistic[present]), np.minimum(df[present], 1e300), adjust, 1 - conf_level, means
        )
    return p, limit


def _adjusted(
    size: np.ndarray, df: np.ndarray, adjust: Adjust, level: float, means: int
) -> tuple[np.ndarray, np.ndarray]:
    """The same for |t| of the tests with an estimate."""
    from scipy.special import stdtr, stdtrit

    m = len(size)
    if adjust == "tukey" and means > 2:
        return _range(size, df, level, means)
    p = 2 * stdtr(df, -size)
    tests = 1 if adjust in ("none", "tukey") else m  # two means make one comparison
    limit = -stdtrit(df, level / tests / 2)
    if adjust == "holm":
        order = np.argsort(p, kind="stable")
        p[order] = np.maximum.accumulate(p[order] * np.arange(m, 0, -1))
    else:
        p = p * tests
    return np.minimum(p, 1), limit


def _range(size: np.ndarray, df: np.ndarray, level: float, means: int) -> tuple[np.ndarray, np.ndarray]:
    """P(|t|) and quantile by the range of some means: q = sqrt(2) t."""
    p = [upper_tail(np.sqrt(2) * t, means, d) for t, d in zip(size.tolist(), df.tolist(), strict=True)]
    # Comparisons mostly share their df, up to rounding.
    shared = [float(f"{d:.9g}") for d in df]
    known = {d: quantile(level, means, d) for d in set(shared)}
    return np.array(p), np.array([known[d] for d in shared]) / np.sqrt(2)


def family_sentence(adjust: Adjust, tests: Sequence[int], means: Sequence[int], by: Sequence[str]) -> str:
    """How families were adjusted. tests, means : the sizes of each; by : what divides them."""
    where = f" in each {' and '.join(by)}" if by else ""
    if adjust == "none" or max(tests, default=0) <= 1:
        return f"P values and confidence limits are not adjusted, for {_sizes(tests, 'test')}{where}."
    family = f"a family of {_sizes(tests, 'test')}{where}."
    if adjust == "tukey":
        family = f"all comparisons in a family of {_sizes(means, 'estimate')}{where}."
    if adjust == "holm":
        return f"P values are adjusted by Holm's method, confidence limits by Bonferroni's, for {family}"
    return f"P values and confidence limits are adjusted by {adjust.capitalize()}'s method for {family}"


def _sizes(sizes: Sequence[int], of: str) -> str:
    """ "3 tests", "1 or 3 tests"."""
    distinct = sorted(set(sizes))
    return f"{' or '.join(map(str, distinct))} {of}{'' if distinct == [1] else 's'}"
