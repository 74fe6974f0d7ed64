"""Compare fitted models: the ladder of information criteria, and tests of every nested pair."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lmmcore.covariance.random import Block
from lmmcore.covariance.residual import by_column
from lmmcore.errors import FitError
from lmmcore.estimate.solution import Fitted, Solution
from lmmcore.inference.models.chibar import ChiBar, chi_square, cone_weights, half_space
from lmmcore.inference.models.cone import cone_information
from lmmcore.inference.models.nesting import Step, step
from lmmcore.runtime import arguments


@dataclass(frozen=True)
class Comparison:
    """ladder : a dict a model, lowest AIC first (model, formula, npar, loglik, deviance, aic, aicc, bic,
    delta, weight). tests : a dict a nested pair (null, alternative, statistic, df, distribution, p_value,
    p_value_naive), the naive p from chi-square with df parameters. Where parameters of the alternative mean
    nothing under the null, both p are None and distribution says what to do instead. unranked : models whose
    fit has not converged, so that their likelihood is that of no estimate, with the reason."""

    ladder: list[dict[str, Any]]
    tests: list[dict[str, Any]]
    unranked: dict[str, str]

    def __str__(self) -> str:
        lines = [f"{'model':<28}{'npar':>5}{'loglik':>13}{'AIC':>11}{'AICc':>11}{'BIC':>11}{'weight':>9}"]
        for row in self.ladder:
            lines.append(
                f"{row['model']:<28}{row['npar']:>5}{row['loglik']:>13.3f}{row['aic']:>11.2f}"
                f"{row['aicc']:>11.2f}{row['bic']:>11.2f}{row['weight']:>9.3f}"
            )
        for test in self.tests:
            told = f"{test['null']} in {test['alternative']}: LRT {test['statistic']:.3f}, "
            if test["p_value"] is None:
                lines.append(f"{told}{test['distribution']}")
                continue
            naive = f"naive p = {test['p_value_naive']:.4g}"
            lines.append(f"{told}p = {test['p_value']:.4g} ({test['distribution']}), {naive}")
        lines += [f"{name} is not ranked. {reason}" for name, reason in self.unranked.items()]
        return "\n".join(lines)


def compare(*fits: Fitted | Mapping[str, Fitted]) -> Comparison:
    """Compare fits of the same rows by the same method; a mapping gives them names (else their formulas).

    Fits that have not converged are not ranked. Raises FitError if the fits use different rows or methods, or
    are REML fits with different fixed parts.
    """
    given = _named(fits)
    check_comparable(list(given.values()))
    named = {name: fit for name, fit in given.items() if fit.certificate.converged}
    unranked = {name: fit.certificate.sentence for name, fit in given.items() if name not in named}
    lowest = min((fit.aic for fit in named.values()), default=np.nan)
    relative = {name: np.exp((lowest - fit.aic) / 2) for name, fit in named.items()}
    total = sum(relative.values())
    ladder = [
        {
            "model": name,
            "formula": fit.formula,
            "npar": fit.npar,
            "loglik": fit.loglik,
            "deviance": fit.deviance,
            "aic": fit.aic,
            "aicc": fit.aicc,
            "bic": fit.bic,
            "delta": fit.aic - lowest,
            "weight": float(relative[name] / total),
        }
        for name, fit in sorted(named.items(), key=lambda item: (item[1].aic, item[0]))
    ]
    by_size = sorted(named, key=lambda name: (named[name].npar, name))
    tests = [
        _test(name, other, named[name], named[other], found)
        for position, name in enumerate(by_size)
        for other in by_size[position + 1 :]
        if (found := step(named[name].model, named[other].model)) is not None
    ]
    return Comparison(ladder, tests, unranked)


def _named(fits: tuple[Fitted | Mapping[str, Fitted], ...]) -> dict[str, Solution]:
    named: dict[str, Solution] = {}
    for entry in fits:
        pairs = entry.items() if isinstance(entry, Mapping) else [(None, entry)]
        for given, fit in pairs:
            arguments.fitted(fit, "A model to compare")
            name = _label(fit.solution) if given is None else given
            if name in named:
                raise FitError(f"Two of the models are called {name!r}; pass a mapping with distinct names.")
            named[name] = fit.solution
    if not named:
        raise FitError("There is no model to compare; pass at least one fit.")
    return named


def _label(solution: Solution) -> str:
    residual = solution.model.spec.residual
    if residual is None:
        return solution.formula
    by = by_column(residual)
    return f"{solution.formula} + {residual.type}({residual.time}{'' if by is None else f', by={by}'})"


def check_comparable(fits: Sequence[Solution]) -> None:
    first = fits[0]
    for fit in fits[1:]:
        if fit.method != first.method:
            raise FitError(
                "Some of the models were fitted by REML and some by ML; fit all by the same method."
            )
        mine, others = fit.model, first.model
        same = fit.nobs == first.nobs and np.array_equal(
            mine.rows.unsorted(mine.rows.y), others.rows.unsorted(others.rows.y)
        )
        if not same:
            raise FitError(
                f"The models use different rows ({first.nobs} and {fit.nobs}) or responses, so that their "
                "likelihoods are not comparable; drop the rows with missing values before fitting."
            )
        if fit.method == "REML" and mine.fixed.atoms != others.fixed.atoms:
            raise FitError(
                "REML likelihoods of models with different fixed effects are not comparable (they belong to "
                'different contrasts of the data); fit both with method="ML".'
            )


def _test(name: str, other: str, null: Solution, alternative: Solution, found: Step) -> dict[str, Any]:
    df = alternative.npar - null.npar
    # Both optima are exact to 1e-9 or so; a smaller difference is rounding.
    statistic = max(0.0, 2 * (alternative.loglik - null.loglik))
    told: dict[str, Any] = {"null": name, "alternative": other, "statistic": statistic, "df": df}
    if found.unidentified:
        named = " and ".join(found.unidentified)
        why = f"no p value by a formula: without correlation {named} mean nothing; use lmm.bootstrap_lrt"
        return told | {"distribution": why, "p_value": None, "p_value_naive": None}
    distribution = null_distribution(null, alternative, found)
    return told | {
        "distribution": str(distribution),
        "p_value": distribution.p_value(statistic),
        "p_value_naive": chi_square(df).p_value(statistic),
    }


def null_distribution(null: Solution, alternative: Solution, found: Step) -> ChiBar:
    """Distribution of the likelihood ratio under the null, by the cone the alternative adds.

    Exact asymptotics while at most one direction is bounded (one new variance, alone or with its
    covariances, or one nugget or correlation that cannot be negative); otherwise the weights of the cone
    are simulated in the metric of the information at the null. A null that itself stands on the boundary
    makes all of this approximate.
    """
    free = found.fixed + found.residual + found.merged
    sizes = []
    for block, new in found.grown:
        if block.kind == "unstructured":
            sizes.append(len(new))
            free += (len(block.columns) - len(new)) * len(new)  # covariances of new with old effects
        else:  # each parameter is a variance of its own
            sizes += [1] * len(Block(block.columns, block.kind).units())
    if found.bounded:
        # Beside new variances, the half space that holds the cone: an upper bound.
        return half_space(free - 1 + sum(size * (size + 1) // 2 for size in sizes))
    if not sizes:
        return chi_square(free)
    if sizes == [1]:
        return half_space(free)
    weights = cone_weights(cone_information(null, alternative.model, found), sizes)
    degrees = [free + index for index, weight in enumerate(weights) if weight > 0]
    return ChiBar(tuple(degrees), tuple(float(weight) for weight in weights if weight > 0), simulated=True)
