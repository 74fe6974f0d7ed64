"""Finite-sample test that one variance is zero, by simulating its exact null distribution.

Exact where the model has no other covariance parameter than the one tested and sigma^2: Crainiceanu &
Ruppert (2004), through spectral. The observed statistic is always twice the difference of
the log-likelihoods of the fit and of the model without the random effect. Otherwise, for REML:

- other random effects: the null distribution is that of the model with the tested random effect alone, as if
  the others were known and subtracted from the response (the approximation of Greven, Crainiceanu,
  Kuechenhoff & Peters 2008, which is RLRsim::exactRLRT(m, mA, m0));
- a residual structure R: y, X and Z are replaced by R^-1/2 y, R^-1/2 X and R^-1/2 Z with R as estimated
  under the null hypothesis (Wiencierz, Greven & Kuechenhoff 2011).

Both are good while the data tell the covariance parameters well apart. Simulated at a nominal 0.05 (1000
responses, standard error 0.007): 0.054 for a slope beside an intercept (18 subjects, 10 visits), 0.068 for 6
outer units of 3 inner ones with 3 rows each, 0.043 to 0.063 for an intercept beside AR(1).

RLRsim ends its search at the first decrease of the ratio over its grid. Where eigenvalues differ the ratio
can fall at 0 and rise later, so that RLRsim reports more zeros (0.54 against 0.51 in the tests); upper
quantiles agree.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lmmcore.errors import FitError
from lmmcore.estimate.solution import Fitted, Solution
from lmmcore.formula.parse import parse
from lmmcore.inference.models.chibar import chi_square, half_space
from lmmcore.inference.models.nesting import step
from lmmcore.inference.models.reduced import Reduction, reductions, refitted
from lmmcore.inference.models.spectral import null_statistics, spectra
from lmmcore.model.specification import Model, RandomBlock
from lmmcore.runtime import arguments
from lmmcore.system.moments.patterns import Patterns
from lmmcore.system.moments.subjects import Subjects
from lmmcore.system.nested import NestedMoments

# Deviances agree between two optima to about this: replicates within it of the statistic are ties.
SAME_DEVIANCE = 1e-8
SEED = 20_040_101


@dataclass(frozen=True, eq=False)
class Rlrt:
    """Test that a variance is zero.

    statistic : twice the (restricted) log-likelihood ratio; replicates : (n,) draws of its null distribution.
    p_value : (1 + replicates not smaller than the statistic) / (1 + n), never 0 (Davison & Hinkley 1997,
    section 4.2). p_value_naive : from chi-square(1); p_value_mixture : from 1/2 chi2(0) + 1/2 chi2(1).
    method : whether the distribution is exact, and what it assumes if not.
    """

    statistic: float
    p_value: float
    p_value_naive: float
    p_value_mixture: float
    replicates: np.ndarray
    method: str
    sentence: str

    def __str__(self) -> str:
        return self.sentence


def rlrt(fit: Fitted, term: str, n: int = 10_000, seed: int = SEED) -> Rlrt:
    """Restricted likelihood ratio test of a REML fit (likelihood ratio test of an ML fit) of one variance.

    term : the random effect whose variance is 0 under the null hypothesis, e.g. "(1 | id)", "time | id", or
    the grouping factor "id" where it has one random effect only. n : replicates. The same seed gives the
    same replicates, up to rounding and NumPy's version. Raises FitError if the term is not there, has
    covariances with other effects, or if an ML fit has further covariance parameters.
    """
    arguments.fitted(fit, "The model to test")
    n, seed = arguments.whole_number(n, "n", 0), arguments.whole_number(seed, "seed", 0)
    arguments.name(term, "term")
    if n < 1:
        raise FitError(f"n is {n}, but must be the number of replicates, 1 or more, e.g. 10000.")
    solution = fit.solution
    model = solution.model
    reduction = _chosen(model, term)
    null = refitted(model, reduction.random)
    fewer = solution.npar - null.npar
    if fewer != 1:
        raise FitError(
            f"Without {reduction.label} the model has {fewer} covariance parameters fewer, "
            "but the exact test is for one variance without covariances. Compare the two models by "
            "compare(), whose p is corrected for the boundary, or by a parametric bootstrap, bootstrap_lrt()."
        )
    found = step(null.model, model)
    assert found is not None and len(found.grown) == 1  # one parameter more is one block more
    block = found.grown[0][0]
    method = _method(model, block)
    A, C = _lengths(model, block, null)
    mu, xi = spectra(A, C)
    if not len(mu.values):
        raise FitError(
            f"The fixed effects explain all that {reduction.label} could; there is nothing to test."
        )
    df = model.n - model.p
    reml = model.spec.reml
    rng = np.random.default_rng(seed)
    replicates = null_statistics(mu, mu if reml else xi, df if reml else model.n, df, n, rng)
    statistic = 2 * (solution.loglik - null.loglik)
    statistic = statistic if statistic > SAME_DEVIANCE else 0.0
    p_value = (1 + int((replicates >= statistic - SAME_DEVIANCE).sum())) / (1 + n)
    mixture = half_space(0).p_value(statistic)
    sentence = (
        f"Test of a zero variance of {reduction.label}: {'RLRT' if reml else 'LRT'} = {statistic:.4g}, "
        f"p = {p_value:.4g} ({n} replicates, Monte Carlo standard error "
        f"{np.sqrt(p_value * (1 - p_value) / n):.1g}; asymptotic mixture p = {mixture:.4g}); {method}."
    )
    naive = chi_square(1).p_value(statistic)
    return Rlrt(statistic, p_value, naive, mixture, replicates, method, sentence)


def _chosen(model: Model, term: str) -> Reduction:
    """The reduction that the user's term names."""
    found = reductions(model)
    if not found:
        raise FitError("The model has no random effects to test; add one, e.g. (1 | id).")
    if "|" in term:
        text = term.strip()
        named = parse("y ~ " + (text if text.endswith(")") else f"({text})")).random
        effects = frozenset(named[0].terms)
        here = [one for one in found if set(one.group) == set(named[0].group) and len(named) == 1]
        # "time | id" stands for (0 + time | id) where the intercept is not part of the same effect.
        exact = [one for one in here if one.effects == effects]
        chosen = exact or [one for one in here if one.effects == effects - {()}]
    else:
        chosen = [one for one in found if ":".join(one.group) == term.strip()]
    if len(chosen) != 1:
        listed = ", ".join(one.label for one in found)
        raise FitError(
            f"{term!r} names {'more than one' if chosen else 'no'} random effect that can be left out; write "
            f"one such as (1 | id) or time | id. What can be left out of this model: {listed}."
        )
    return chosen[0]


def _method(model: Model, block: RandomBlock) -> str:
    others = [other for other in model.blocks if other is not block]
    kind = "restricted likelihood ratio" if model.spec.reml else "likelihood ratio"
    if not others and model.structure is None:
        return f"exact null distribution of the {kind} (Crainiceanu & Ruppert 2004)"
    if not model.spec.reml:
        raise FitError(
            "The likelihood ratio of an ML fit has an exact distribution only if the variance tested is its "
            'only covariance parameter; fit by method="REML", for which an approximation is known.'
        )
    known = []
    if others:
        known.append("the other random effects as known (Greven et al. 2008)")
    if model.structure is not None:
        known.append("the residual structure as known, at its estimate without it (Wiencierz et al. 2011)")
    return f"approximate null distribution of the {kind}: takes {' and '.join(known)}"


def _lengths(model: Model, block: RandomBlock, null: Solution) -> tuple[np.ndarray, np.ndarray]:
    """A : (q, q, N) Z_i'R^-1 Z_i and C : (p, q, N) with C'C = Z'R^-1 X (X'R^-1 X)^-1 X'R^-1 Z."""
    cells = _cells(model, block.level, null)
    start = model.columns(block.level).start
    columns = [column - start for column in block.columns]
    p = model.p
    B = cells.B[len(cells.B) - 1 - p : -1, columns]
    S = cells.S.sum(axis=2)[-1 - p : -1, -1 - p : -1]
    C = np.linalg.solve(np.linalg.cholesky(S), B.reshape(p, B[0].size if p else 0))
    return cells.A[np.ix_(columns, columns)], C.reshape(B.shape)


def _cells(model: Model, level: int, null: Solution) -> Subjects:
    """Moments of the level's units under the null's R, every random effect below left out."""
    if model.structure is None:
        return model.cells[level]
    below = model.moments
    for _ in range(level):
        assert isinstance(below, NestedMoments)
        below = below.below
    assert not isinstance(below, Subjects | Patterns)
    inside = sum(covariance.size for covariance in model.covariances[level + 1 :])
    phi = null.optimum.evaluation.theta[null.optimum.objective.residual]
    return below.at(np.concatenate([np.zeros(inside), phi]))
