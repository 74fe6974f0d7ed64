"""The estimates in the user's terms: what an optimum says once its coordinates are undone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol, runtime_checkable

import numpy as np

from lmmcore.covariance.residual import as_named
from lmmcore.errors import FitError
from lmmcore.estimate.criteria import Convention, Information, information
from lmmcore.estimate.unbounded import exact_fit, unbounded_group, vanished_groups
from lmmcore.likelihood.objective import Objective
from lmmcore.model.specification import Model
from lmmcore.optimise.certificate import Certificate, certify
from lmmcore.optimise.newton import Optimum
from lmmcore.optimise.search import estimate, starting_points
from lmmcore.system.chunks import objective_of
from lmmcore.system.deflated import DeflatedObjective, undone
from lmmcore.system.grid import GridObjective
from lmmcore.system.moments.patterns import Patterns
from lmmcore.system.moments.subjects import Subjects, blockwise
from lmmcore.system.nested import NestedMoments

# A variance or determinant below this part of its scale is a zero.
ZERO = 1e-10
# Added to the relative variances of a solution that another search starts from.
SMALL = 1e-3
# Share of the squared response, or of a column of X, that is left given everything else, with which so many
# digits of the deviance are lost that it is evaluated by other moments; ROUGHLY : whatever R and weights are.
LOST = 1e-5
ROUGHLY = 1e-3


@runtime_checkable
class Fitted(Protocol):
    """A fit, as those functions see it that take several: what holds a solution."""

    @property
    def solution(self) -> Solution: ...


@dataclass(frozen=True, eq=False)
class Solution:
    """Estimates of a model, in the user's units.

    beta : (p,); vcov : (p, p); sigma2 : residual variance; psi : (q, q) covariance of all random
    effects relative to sigma2, block diagonal; natural : parameters of the residual structure, on their
    natural scale.
    """

    model: Model
    optimum: Optimum
    beta: np.ndarray
    vcov: np.ndarray
    sigma2: float
    psi: np.ndarray
    natural: np.ndarray
    loglik: float

    @property
    def solution(self) -> Solution:
        """Itself: functions of several fits take solutions too."""
        return self

    @property
    def method(self) -> str:
        """ "REML" or "ML"."""
        return self.model.spec.method

    @property
    def formula(self) -> str:
        """The formula as given."""
        return self.model.spec.formula.text

    @property
    def deviance(self) -> float:
        """-2 log-likelihood."""
        return -2 * self.loglik

    @property
    def covariance_parameters(self) -> int:
        """Parameters of the covariance, sigma included."""
        return len(self.optimum.evaluation.theta) + 1

    @property
    def npar(self) -> int:
        """Estimated parameters: fixed effects, covariance parameters, sigma."""
        return len(self.beta) + self.covariance_parameters

    @property
    def sigma(self) -> float:
        """Residual standard deviation."""
        return float(np.sqrt(self.sigma2))

    @property
    def residual_parameters(self) -> dict[str, float]:
        """Parameters of the residual structure, e.g. {"rho": 0.4}."""
        structure = self.model.structure
        if structure is None:
            return {}
        values = as_named(structure, self.natural)
        return dict(zip(structure.parameter_names, values.tolist(), strict=True))

    def information(self, convention: Convention = "lme4") -> Information:
        """AIC, AICc and BIC by the convention of "lme4", "nlme" or "sas"; see lmmcore.estimate.criteria."""
        model = self.model
        return information(
            self.loglik,
            p=model.p,
            covariance=self.covariance_parameters,
            rows=model.n,
            subjects=len(model.rows.units[0].starts),
            reml=model.spec.reml,
            convention=convention,
        )

    @property
    def aic(self) -> float:
        """Akaike's criterion (all parameters counted)."""
        return self.information().aic

    @property
    def aicc(self) -> float:
        """AIC corrected for small samples, n = rows."""
        return self.information().aicc

    @property
    def bic(self) -> float:
        """Bayesian criterion, n = rows (lme4's convention)."""
        return self.information().bic

    @property
    def nobs(self) -> int:
        """Rows used."""
        return self.model.n

    @property
    def nu(self) -> int:
        """Divisor of sigma^2: n - p for REML, n for ML."""
        return self.model.n - self.model.p if self.model.spec.reml else self.model.n

    @cached_property
    def cells(self) -> list[Subjects]:
        """Moments of the units of each level at the estimate, outermost first, in the model's coordinates."""
        phi = self.optimum.evaluation.theta[self.optimum.objective.split :]
        objective = self.optimum.objective
        below = self.model.moments if isinstance(objective, GridObjective) else objective.moments
        if isinstance(below, Patterns):
            return list(self.model.cells)
        found = [below if isinstance(below, Subjects) else below.at(phi)]
        while isinstance(below, NestedMoments):
            found.append(below.cells(phi))
            phi, below = phi[below.split :], below.below
        return found

    @cached_property
    def boundary(self) -> tuple[str, ...]:
        """One phrase for each estimate on the boundary of its space."""
        phrases = []
        rotation = self.model.coordinates.random
        scale = np.sqrt(np.diag(rotation @ rotation.T)) if len(rotation) else np.empty(0)
        scaled = self.psi / np.outer(scale, scale)
        for block in self.model.blocks:
            places = np.array(block.columns)
            zero = np.diag(scaled)[places] < ZERO
            for name in np.array(block.names)[zero]:
                phrases.append(f"the variance of {name} within {block.group} is 0")
            left = places[~zero]
            if len(left) < 2:
                continue
            part = scaled[np.ix_(left, left)]
            lengths = np.sqrt(np.diag(part))
            correlation = part / np.outer(lengths, lengths)
            rank = int((np.linalg.eigvalsh(correlation) > ZERO).sum())
            names = [name for name, is_zero in zip(block.names, zero, strict=True) if not is_zero]
            if rank == len(left):
                continue
            if len(left) == 2:
                sign = "1" if correlation[0, 1] > 0 else "-1"
                phrases.append(f"the correlation of {names[0]} and {names[1]} within {block.group} is {sign}")
            else:
                phrases.append(
                    f"the covariance matrix of {', '.join(names)} within {block.group} has rank "
                    f"{rank} of {len(left)}"
                )
        return (*phrases, *self.residual_boundary)

    @property
    def residual_boundary(self) -> tuple[str, ...]:
        """Those of the parameters of the residual."""
        structure = self.model.structure
        if structure is None:
            return ()
        gone = vanished_groups(self.model, self.optimum)
        return (*structure.at_boundary(self.natural), *(f"residual SD of {level} is 0" for level in gone))

    @cached_property
    def certificate(self) -> Certificate:
        """Convergence, in facts."""
        at_end = bool(self.residual_boundary)
        return certify(self.optimum, self.boundary, at_end, self._names(), self._unbounded)

    def _unbounded(self) -> str | None:
        """Why the likelihood has no maximum, if it has none."""
        return unbounded_group(self.model, self.optimum) or exact_fit(self.model)

    def _names(self) -> dict[int, tuple[str, str]]:
        """(part of the model, phrase) of entries of theta that stand for one parameter of the user's."""
        objective = self.optimum.objective
        found: dict[int, tuple[str, str]] = {}
        for number, (level, at) in enumerate(zip(objective.levels, objective.places, strict=True)):
            blocks = [block for block in self.model.blocks if block.level == number]
            start = at.start
            for block, named in zip(level.blocks, blocks, strict=True):
                for column, place in zip(block.columns, block.columns_of_lambda(), strict=False):
                    name = self.model.effects(number)[column]
                    phrase = f"the SD of {name} within {named.group}"
                    found[start + place[0]] = (f"{number}.{named.columns}", phrase)
                start += len(block.units())
        if self.model.structure is not None:
            for index, name in enumerate(self.model.structure.parameter_names):
                found[objective.residual.start + index] = (f"residual.{index}", name)
        return found


def solve(model: Model, near: Solution | None = None) -> Solution:
    """Estimate the model by the method of its specification.

    near : a solution to start from, of the same model with perhaps fewer residual parameters (the last ones
    missing are started at 0); by default several starts are tried. Raises FitError where no estimate exists.
    """
    objective = _objective(model)
    starts = starting_points(objective, model.tries) if near is None else [_from(near, objective, model)]
    # Means or slopes that no fixed effect explains may be far larger than their differences between units.
    wide = not all(design.atoms <= model.fixed.atoms for _, design in model.random)
    optimum = estimate(objective, starts, wide)
    if _loses_digits(model, optimum):
        if cause := exact_fit(model):
            raise FitError(f"The model cannot be fitted: {cause}")
        optimum = _deflated(model, objective, [optimum.evaluation.theta, *starts])
    coordinates, best = model.coordinates, optimum.evaluation.value.profile
    theta, objective = optimum.evaluation.theta, optimum.objective
    beta = coordinates.origin + coordinates.fixed @ best.beta
    vcov = best.sigma2 * coordinates.fixed @ best.unscaled @ coordinates.fixed.T
    psi = coordinates.random @ blockwise(objective.psis(theta)) @ coordinates.random.T
    natural = np.empty(0)
    if model.structure is not None:
        natural = model.structure.natural(theta[objective.residual])
    deviance = optimum.deviance - (2 * coordinates.log_det_fixed if model.spec.reml else 0)
    if model.rows.weights is not None:
        deviance -= float(np.log(model.rows.weights).sum())
    return Solution(model, optimum, beta, vcov, best.sigma2, psi, natural, -deviance / 2)


def _loses_digits(model: Model, optimum: Optimum) -> bool:
    """Whether so little is left of y, or of a column of X, given everything else, that noise drowns it."""
    if model.make_deflated is None or not any(covariance.q for covariance in model.covariances):
        return False
    lower = optimum.evaluation.value.profile.lower
    left = np.append((lower[:-1] ** 2).sum(axis=1), lower[-1, -1] ** 2)
    # X'X = n I where rows are independent.
    if np.all(left > ROUGHLY * np.append(np.full(model.p, model.n), model.variation)):
        return False
    theta, phi = optimum.evaluation.theta, optimum.evaluation.theta[optimum.objective.split :]
    given = optimum.objective.given(theta[optimum.objective.residual])
    assert given is not None  # its deviance is known
    moments = given.moments
    while isinstance(moments, NestedMoments):
        phi, moments = phi[moments.split :], moments.below
    cells = moments if isinstance(moments, Subjects | Patterns) else moments.at(phi)
    return bool(np.any(left < LOST * np.diagonal(cells.S.sum(axis=2))[-len(left) :]))


def _deflated(model: Model, objective: Objective, starts: Sequence[np.ndarray]) -> Optimum:
    """The optimum by the moments of lmmcore.system.deflated, as one of the objective."""
    assert model.make_deflated is not None
    b = None
    for _ in range(2):
        made = model.make_deflated(b)
        deflated = DeflatedObjective(objective.covariance, made.moments, model.n, objective.reml, made.shift)
        optimum = estimate(deflated, starts)
        b = made.within + optimum.evaluation.value.profile.beta
        psis = optimum.objective.psis(optimum.evaluation.theta)
        theta = objective.theta(psis, optimum.evaluation.theta[objective.residual])
        starts = [theta]
    turned, _ = objective.repivoted(theta)
    return replace(optimum, objective=turned, evaluation=undone(optimum.evaluation, made.within))


def _objective(model: Model) -> Objective:
    """The deviance in the cheapest form that the data allow."""
    covariance, reml = model.covariances[0], model.spec.reml
    if model.grid is not None:
        return GridObjective(covariance, model.grid, model.n, reml, lambda: model.moments)
    return objective_of(covariance, model.moments, model.n, reml)


def _from(near: Solution, objective: Objective, model: Model) -> np.ndarray:
    """theta of a nearby solution; a zero variance is started a little above zero, to be free to grow."""
    old = near.optimum
    psis = [psi + SMALL * np.eye(len(psi)) for psi in old.objective.psis(old.evaluation.theta)]
    phi = old.evaluation.theta[old.objective.residual]
    size = 0 if model.structure is None else len(model.structure.independence)
    return objective.theta(psis, np.concatenate([phi, np.zeros(size - len(phi))]))
