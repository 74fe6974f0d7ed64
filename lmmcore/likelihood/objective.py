"""The (restricted) deviance of a linear mixed model with its exact gradient and Hessian.

    V_i = sigma^2 (Z_i Psi Z_i' + R_i(phi)),   Psi = Lambda Lambda'

With the moments A, B, S of lmmcore.system.moments and H = Psi (I + A Psi)^-1,

    log|V_i| = log|R_i| + log|I + A_i Psi|,    G = [X y]'V^-1[X y] = S - sum B_i H_i B_i'

and lmmcore.likelihood.profile turns log|V| and G into the deviance at the best beta and sigma^2. Derivatives
by the parameters of Psi are those of lmmcore.system.level; by a parameter of R (a dot)

    l_r = sum tr(H A.) + (log|R|).        G_r = S. - sum (B.'h + h'B. - h'A.h)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate

import numpy as np

from lmmcore.covariance.random import RandomCovariance
from lmmcore.covariance.residual import ResidualMoments
from lmmcore.kernel import evaluate as one_call
from lmmcore.kernel import level as compiled
from lmmcore.likelihood.evaluation import Derivatives, Evaluation, Slopes, Value
from lmmcore.likelihood.profile import freedom, profile, profiled
from lmmcore.system.level import (
    Level,
    LevelSums,
    cross_derivatives,
    gram_derivative,
    level_at,
    log_det_derivative,
    own_curvature,
    own_derivatives,
    weights_below,
)
from lmmcore.system.moments.markov import MarkovMoments
from lmmcore.system.moments.patterns import PatternProjection, Patterns
from lmmcore.system.moments.subjects import Jet, SubjectProjection, Subjects, forms, has_loops
from lmmcore.system.nested import NestedMoments

Moments = Subjects | Patterns | ResidualMoments


@dataclass(frozen=True)
class Objective:
    """The deviance as a function of theta, for one set of moments and one pivot order of each level."""

    covariance: RandomCovariance
    moments: Moments
    n: int
    reml: bool

    @property
    def split(self) -> int:
        """Number of parameters that belong to the outermost Psi."""
        return self.covariance.size

    @cached_property
    def levels(self) -> tuple[RandomCovariance, ...]:
        """Structures of the levels of random effects, outermost first."""
        inner = self.moments.levels if isinstance(self.moments, NestedMoments) else ()
        return (self.covariance, *inner)

    @cached_property
    def places(self) -> tuple[slice, ...]:
        """Places in theta of the parameters of each level."""
        ends = accumulate(level.size for level in self.levels)
        return tuple(slice(end - level.size, end) for level, end in zip(self.levels, ends, strict=True))

    @property
    def residual(self) -> slice:
        """Places in theta of the parameters of the residual structure."""
        return slice(self.places[-1].stop, None)

    def psis(self, theta: np.ndarray) -> list[np.ndarray]:
        """Psi : (q, q) of each level at theta."""
        factors = [level.factor(theta[at]) for level, at in zip(self.levels, self.places, strict=True)]
        return [factor @ factor.T for factor in factors]

    def theta(self, psis: list[np.ndarray], phi: np.ndarray) -> np.ndarray:
        """theta of given covariance matrices of the levels and parameters phi of the residual structure."""
        parts = [level.parameters(psi) for level, psi in zip(self.levels, psis, strict=True)]
        return np.concatenate([*parts, phi])

    def repivoted(self, theta: np.ndarray) -> tuple[Objective, np.ndarray]:
        """The same objective with its pivots in order, and theta in its terms."""
        psis = self.psis(theta)
        turned = [level.repivoted(psi) for level, psi in zip(self.levels, psis, strict=True)]
        if all(new is old for new, old in zip(turned, self.levels, strict=True)):
            return self, theta
        moments = self.moments
        if isinstance(moments, NestedMoments):
            moments = moments.with_levels(turned[1:])
        objective = replace(self, covariance=turned[0], moments=moments)
        return objective, objective.theta(psis, theta[self.residual])

    def given(self, phi: np.ndarray) -> Objective | None:
        """The objective at fixed parameters of the residual structure; it takes the same theta.

        None where R is numerically singular.
        """
        if isinstance(self.moments, Subjects | Patterns | NestedMoments):
            return self
        moments = self._moments_at(phi)
        return None if moments is None else replace(self, moments=moments)

    def _moments_at(self, phi: np.ndarray) -> Subjects | Patterns | None:
        assert not isinstance(self.moments, Subjects | Patterns)
        # A trial point may be far out, where R is singular or numbers overflow: not a value, not an error.
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            try:
                return self.moments.at(phi)
            except np.linalg.LinAlgError:
                return None

    def thinned(self) -> Objective | None:
        """The deviance of a part of the subjects that costs much less; None if there is none."""
        return None

    def subjects(self, theta: np.ndarray) -> Subjects | Patterns:
        """The moments of the outermost units at theta."""
        if isinstance(self.moments, Subjects | Patterns):
            return self.moments
        return self.moments.at(theta[self.split :])

    def value(self, theta: np.ndarray) -> Value | None:
        """The deviance alone; None where V is numerically singular."""
        found = self._cells_and_value(theta, self.subjects)
        return None if found is None else found[1]

    def _cells_and_value(
        self, theta: np.ndarray, subjects: Callable[[np.ndarray], Subjects | Patterns]
    ) -> tuple[Subjects | Patterns, Value] | None:
        # A trial step may be far out, where R is singular or numbers overflow: not a value, not an error.
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            try:
                cells = subjects(theta)
            except np.linalg.LinAlgError:
                return None
            value = self._value(theta, cells)
        return None if value is None else (cells, value)

    def _value(self, theta: np.ndarray, cells: Subjects | Patterns) -> Value | None:
        log_det, quadratic, make_level = outermost(self.covariance.factor(theta[: self.split]), cells)
        best = profile(cells.S[:, :, 0] - quadratic, self.n, self.reml)
        if best is None:
            return None
        deviance = best.deviance + cells.log_r + log_det
        return Value(deviance, best, make_level) if np.isfinite(deviance) else None

    def _jet(self, theta: np.ndarray) -> Jet | None:
        """The moments with their derivatives, where these are made together."""
        moments = self.moments
        return moments.jet(theta[self.split :]) if isinstance(moments, Subjects | MarkovMoments) else None

    def evaluate(self, theta: np.ndarray) -> Evaluation | None:
        """The deviance and its derivatives; None where V is numerically singular."""
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            try:
                jet = self._jet(theta)
            except np.linalg.LinAlgError:
                return None
        if jet is not None and one_call.serves(jet.B):
            return self._in_one_call(theta, jet)
        found = self._cells_and_value(theta, self.subjects if jet is None else lambda _: jet[0])
        if found is None:
            return None
        cells, value = found
        return Evaluation.of(
            theta, value, lambda: self.slopes(theta, cells, lambda: value.level, value.profile.weight)
        )

    def _in_one_call(self, theta: np.ndarray, jet: Jet) -> Evaluation | None:
        factor = self.covariance.factor(theta[: self.split])
        directions, nu = self.covariance.first(factor), freedom(jet.S[0], self.n, self.reml)
        found = one_call.evaluate(factor, directions, self.covariance.second, jet.parts, nu, self.reml)
        if found is None:
            return None
        best = profiled(found.lower, nu, self.reml)
        deviance = best.deviance + found.log_det
        derivatives = Derivatives(found.gradient, found.hessian, found.gram, (found.cone,))
        value = Value(deviance, best, lambda: level_at(factor, jet[0]))
        return Evaluation(theta, value, lambda: derivatives) if np.isfinite(deviance) else None

    def slopes(
        self, theta: np.ndarray, cells: Subjects | Patterns, make_level: Callable[[], Level], W: np.ndarray
    ) -> Slopes:
        """Derivatives of log|V| + <W, G> for a fixed W : (p+1, p+1).

        cells : moments of the outermost units at theta; make_level : gives their level there, if asked.
        """
        if has_loops(cells) and (jet := self._jet(theta)) is not None:
            return self._compiled_slopes(theta, cells, jet, W)
        m, split, level = len(theta), self.split, make_level()
        r = len(cells.S)
        first, second, gram = np.zeros(m), np.zeros((m, m)), np.zeros((m, r, r))
        projection, h = self._projected(cells, level)
        own = own_derivatives(self.covariance, level, cells, projection, W)
        first[:split], second[:split, :split] = own.gradient, own.hessian
        gram[:split] = -projection.forms(self.covariance.first(level.factor))
        cones = [own.cone]
        if isinstance(projection, SubjectProjection) and not isinstance(self.moments, Subjects | Patterns):
            phi, U = theta[split:], projection.U
            assert h is not None
            below = self.moments.first(phi)
            for row, moment in enumerate(below, start=split):
                gram[row] = moment.S[:, :, 0] - gram_derivative(moment, h).sum(axis=2)
                first[row] = log_det_derivative(moment, level.H) + (W * gram[row]).sum()
            weights = weights_below(level, h, W, W[:, :, None])
            mixed, both = cross_derivatives(self.covariance, level, U, h, W, below)
            second[:split, split:], second[split:, :split] = mixed, mixed.T
            second[split:, split:] = both + self.moments.curvature(phi, weights)
            if isinstance(self.moments, NestedMoments):
                cones += self.moments.cones(phi, weights)
        return Slopes(first, second, gram, tuple(cones))

    def _projected(
        self, cells: Subjects | Patterns, level: Level
    ) -> tuple[SubjectProjection | PatternProjection, np.ndarray | None]:
        """U = M B' of every unit, and h = Psi U where what stands below can have parameters."""
        projection = cells.project(level.M)
        if not isinstance(projection, SubjectProjection):
            return projection, None
        return projection, np.einsum("ab,rbn->ran", level.psi, projection.U)

    def _compiled_slopes(self, theta: np.ndarray, cells: Subjects, jet: Jet, W: np.ndarray) -> Slopes:
        split = self.split
        factor = self.covariance.factor(theta[:split])
        directions = self.covariance.first(factor)
        derivatives = (jet.A[1], jet.B[1], jet.A[2], jet.B[2]) if len(jet.A) > 1 else None
        sums = compiled.slopes(factor, cells.A, cells.B, W, derivatives)
        own = own_curvature(self.covariance, factor, LevelSums(sums.E, sums.C, sums.spread))
        gram, below = -forms(directions, sums.outer), sums.below
        if below is None:
            return Slopes(own.gradient, own.hessian, gram, (own.cone,))
        dot, dots = jet[1], jet[2]
        gram = np.concatenate([gram, (dot.S[:, :, 0] - below.gram)[None]])
        second = np.empty((split + 1, split + 1))
        second[:split, :split] = own.hessian
        second[:split, split] = second[split, :split] = np.einsum("iab,ab->i", directions, below.mixed)
        second[split, split] = below.both + below.bend + (W * dots.S[:, :, 0]).sum() + dots.log_r
        slope = below.trace + dot.log_r + (W * gram[split]).sum()
        return Slopes(np.append(own.gradient, slope), second, gram, (own.cone,))


def outermost(
    factor: np.ndarray, cells: Subjects | Patterns
) -> tuple[float, np.ndarray, Callable[[], Level]]:
    """sum log|I + A Psi| and sum B H B' : (r, r) of the outermost level; and what makes its matrices."""
    if has_loops(cells):
        return *compiled.value(factor, cells.A, cells.B), lambda: level_at(factor, cells)
    level = level_at(factor, cells)
    return level.log_det, cells.quadratic(level.H), lambda: level


def lambda_columns(objective: Objective) -> list[list[int]]:
    """Places in theta of the parameters of each column of each level's Lambda."""
    return [
        [at.start + index for index in column]
        for level, at in zip(objective.levels, objective.places, strict=True)
        for column in level.ranks
    ]
