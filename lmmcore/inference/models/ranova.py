"""Tests of the random effects: each left out in turn, as lmerTest's ranova does it."""

from __future__ import annotations

from typing import Any

from lmmcore.data.table import to_frame
from lmmcore.errors import FitError
from lmmcore.estimate.solution import Solution
from lmmcore.inference.models.chibar import chi_square
from lmmcore.inference.models.compare import null_distribution
from lmmcore.inference.models.nesting import step
from lmmcore.inference.models.reduced import reductions, refitted, with_intercepts

# Deviances agree between two optima to about this; a smaller difference is none.
SAME_DEVIANCE = 1e-8


def ranova(solution: Solution) -> Any:
    """Frame of likelihood ratio tests of the random effects, by the method (REML or ML) of the fit.

    term : what is left out, "<none>" in the first row, "x in (1 + x | g)" where a term becomes smaller, the
    term itself where it goes as a whole (reduced). npar, loglik, aic : of the model without
    it. statistic : twice the log-likelihood it costs; df : the parameters it has. p_value : by the chi-bar-
    square distribution of a null hypothesis on the boundary, written out in distribution
    (compare.null_distribution; approximate where the smaller model is itself singular);
    p_value_naive : by chi-square with df degrees of freedom, lmerTest's.
    Raises FitError for a model without random effects.
    """
    model = solution.model
    found = reductions(model)
    if not found:
        raise FitError("The model has no random effects to test; add one, e.g. (1 | id).")
    # The same model, its effects named as those of the smaller ones.
    random = with_intercepts(model)
    named = solution if random == model.spec.formula.random else refitted(model, random)
    names = ("term", "npar", "loglik", "aic", "statistic", "df", "p_value", "p_value_naive", "distribution")
    rows: list[tuple[Any, ...]] = [("<none>", solution.npar, solution.loglik, solution.aic, *[None] * 5)]
    for reduction in found:
        null = refitted(model, reduction.random)
        between = step(null.model, named.model)
        assert between is not None  # a model is larger than its reductions
        statistic = 2 * (solution.loglik - null.loglik)
        if statistic < SAME_DEVIANCE:
            statistic = 0.0
        df = solution.npar - null.npar
        distribution = null_distribution(null, named, between)
        p_values = distribution.p_value(statistic), chi_square(df).p_value(statistic)
        rows.append(
            (reduction.label, null.npar, null.loglik, null.aic, statistic, df, *p_values, str(distribution))
        )
    columns = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
    return to_frame(columns, model.table.backend)
