"""Likelihood-ratio test with its null distribution simulated from the null model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lmmcore.errors import FitError
from lmmcore.estimate.solution import Fitted
from lmmcore.inference.models.compare import check_comparable
from lmmcore.inference.models.nesting import step
from lmmcore.resampling.refit import fit_responses
from lmmcore.resampling.result import Progress
from lmmcore.resampling.rows import Refits
from lmmcore.resampling.simulate import RowSampler, check_converged, fixed_part
from lmmcore.runtime import arguments

# Responses drawn at once.
BLOCK = 250
# Two optima of the same response agree to this in the deviance; a smaller statistic is 0.
SAME = 1e-8


@dataclass(frozen=True, eq=False)
class BootstrapTest:
    """statistic : 2 (log-likelihood of the alternative - of the null); p_value : (1 + replicates at or
    above it) / (1 + replicates); replicates : (n,), nan where a fit failed; sentence : what was done."""

    statistic: float
    p_value: float
    replicates: np.ndarray
    sentence: str


def bootstrap_lrt(
    null: Fitted, alternative: Fitted, n: int = 1000, *, seed: int, progress: Progress | None = None
) -> BootstrapTest:
    """Likelihood-ratio test of nested fits of the same rows by the same method.

    n responses are drawn from the null model and both models fitted to each (Davison & Hinkley 1997, section
    4.2.3), which is right on the boundary and in small samples, where tables of chi-square are not. ML, or
    REML for models with the same fixed part. progress(done, n) is called now and then. Raises FitError if the
    models cannot be compared or are not nested, ArgumentError unless n is at least 1.
    """
    for fit, which in ((null, "The null model"), (alternative, "The alternative model")):
        arguments.fitted(fit, which)
    n, seed = arguments.whole_number(n, "n", 1), arguments.whole_number(seed, "seed", 0)
    arguments.progress(progress)
    small, large = null.solution, alternative.solution
    check_comparable([small, large])
    if step(small.model, large.model) is None:
        raise FitError(
            f"The model {small.formula!r} is not a special case of {large.formula!r}, so that there is "
            "no likelihood-ratio test between them; pass the smaller model first, or compare them by AIC."
        )
    for solution in (small, large):
        check_converged(solution)
    rows, others = small.model.rows, large.model.rows
    mean = fixed_part(small)
    statistics: list[np.ndarray] = []
    done = 0
    for block in RowSampler(small, np.random.SeedSequence(seed)).blocks(n, BLOCK):
        Y = mean[:, None] + block
        again = rows.unsorted(Y) if others.order is None else rows.unsorted(Y)[others.order]
        below = Refits.joined(list(fit_responses(small, Y)))
        above = Refits.joined(list(fit_responses(large, again)))
        found = 2 * (above.loglik - below.loglik)
        found = np.where(found < SAME, 0.0, found)
        statistics.append(np.where(below.converged & above.converged, found, np.nan))
        done += len(found)
        if progress is not None:
            progress(done, n)
    replicates = np.concatenate(statistics)
    statistic = max(0.0, 2 * (large.loglik - small.loglik))
    known = replicates[np.isfinite(replicates)]
    p_value = (1 + int((known >= statistic - SAME).sum())) / (1 + len(known))
    told = f"{n} responses were simulated from {small.formula!r} (seed {seed}) and fitted by both models"
    failed = n - len(known)
    told += f"; {failed} of them are left out because a fit did not converge" if failed else ""
    return BootstrapTest(statistic, p_value, replicates, f"{told}.")
