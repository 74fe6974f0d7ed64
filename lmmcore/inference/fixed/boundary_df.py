"""Degrees of freedom where a variance is estimated as zero: on the active face, and under the full model.

Satterthwaite's method takes the estimate's neighbourhood, where a zero variance stays zero: its rows then
count as if that effect did not exist (Dyestuff2 of lme4: 29 df for 6 batches of 5). Kenward and Roger's takes
the model as planned, the zero variance an estimate like any other (5 df). The truth depends on whether the
variance is zero or only estimated so; the second is the careful answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lmmcore.errors import FitError
from lmmcore.estimate.solution import Solution
from lmmcore.inference.fixed.wald import linear_estimates

# Degrees of freedom that differ by less than this factor are no conflict.
AGREE = 1.05
# With fewer degrees of freedom a standard error is hardly known.
FEWEST = 1.0


@dataclass(frozen=True)
class DfConflict:
    """df of each fixed effect : (p,), zero variances held at 0 (active) or counted as estimated (full).

    sentence : what the difference means, None without a boundary or a difference.
    """

    terms: tuple[str, ...]
    active: np.ndarray
    full: np.ndarray
    sentence: str | None


def df_conflict(solution: Solution) -> DfConflict | None:
    """The two answers for a singular REML fit; None without an estimate on the boundary or a fixed effect."""
    if not solution.boundary or not solution.model.spec.reml or not len(solution.beta):
        return None
    each = np.eye(len(solution.beta))
    active = linear_estimates(solution, each, "satterthwaite").df
    try:
        full = linear_estimates(solution, each, "kenward-roger").df
    except FitError:
        return None
    ratio = active / full
    apart = np.where(np.isfinite(ratio), np.maximum(ratio, 1 / ratio), 0.0)
    worst = int(np.argmax(apart))
    sentence = None
    if apart[worst] > AGREE:
        careful = "which is the careful choice unless the truth is known to lie there"
        if full[worst] < FEWEST:
            careful = "too few for a test or an interval: the data hardly say how exact the estimate is"
        sentence = (
            f"{_capital('; '.join(solution.boundary))}: held there, {solution.model.terms[worst]} has "
            f"{active[worst]:.3g} degrees of freedom (Satterthwaite); counted as estimated, "
            f"{full[worst]:.3g} (Kenward-Roger), {careful}."
        )
    return DfConflict(solution.model.terms, active, full, sentence)


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def few_df(terms: Sequence[str], df: np.ndarray) -> str | None:
    """A sentence about the terms whose df : (p,) are below FEWEST; None without any."""
    few = [term for term, value in zip(terms, df, strict=True) if value < FEWEST]
    if not few:
        return None
    return (
        f"Fewer than {FEWEST:g} degree of freedom for {', '.join(few)}: the data hardly say how exact the "
        "estimate is, so that its test and interval mean little."
    )
