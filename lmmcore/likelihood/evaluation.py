"""What an evaluation of the deviance gives: its value, and its derivatives when they are asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from lmmcore.likelihood.profile import Profile
from lmmcore.system.level import Level


@dataclass(frozen=True)
class Value:
    """The deviance at one theta, and what the derivatives need again."""

    deviance: float
    profile: Profile
    make_level: Callable[[], Level]

    @cached_property
    def level(self) -> Level:
        """The outermost level of random effects."""
        return self.make_level()


@dataclass(frozen=True)
class Slopes:
    """Derivatives of log|V| + <W, G>. first : (m,); second : (m, m); gram : (m, p+1, p+1), those of G;
    cones : derivative by the covariance matrix of each level, outermost first."""

    first: np.ndarray
    second: np.ndarray
    gram: np.ndarray
    cones: tuple[np.ndarray, ...]


@dataclass(frozen=True)
class Derivatives:
    """Of the deviance whose beta and sigma^2 follow theta. gradient : (m,); hessian : (m, m);
    gram : (m, p+1, p+1), those of G; cones : as in Slopes."""

    gradient: np.ndarray
    hessian: np.ndarray
    gram: np.ndarray
    cones: tuple[np.ndarray, ...]

    @cached_property
    def finite(self) -> bool:
        """Whether a step can be made of them: far out they may overflow where the deviance does not."""
        parts = (self.gradient, self.hessian, *self.cones)
        return all(bool(np.isfinite(part).all()) for part in parts)

    @staticmethod
    def of(slopes: Slopes, best: Profile) -> Derivatives:
        """Those that slopes for the weight at the best beta and sigma^2 make."""
        N = best.root.T @ slopes.gram @ best.root
        hessian = slopes.second - np.einsum("cd,icd,jcd->ij", best.omega, N, N)
        return Derivatives(slopes.first, hessian, slopes.gram, slopes.cones)


@dataclass(frozen=True)
class Evaluation:
    """The deviance at theta : (m,), parameters of Psi, of inner levels, of R; derivatives when asked for."""

    theta: np.ndarray
    value: Value
    make_derivatives: Callable[[], Derivatives]

    @staticmethod
    def of(theta: np.ndarray, value: Value, make_slopes: Callable[[], Slopes]) -> Evaluation:
        """make_slopes : gives the slopes for the weight at the best beta and sigma^2."""
        return Evaluation(theta, value, lambda: Derivatives.of(make_slopes(), value.profile))

    @property
    def deviance(self) -> float:
        """-2 log (restricted) likelihood with R's constants, in the model's own coordinates."""
        return self.value.deviance

    @cached_property
    def derivatives(self) -> Derivatives:
        """All of them; not finite where numbers overflow, far out or at a nearly singular R."""
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            return self.make_derivatives()

    @property
    def gradient(self) -> np.ndarray:
        """(m,)."""
        return self.derivatives.gradient

    @property
    def hessian(self) -> np.ndarray:
        """(m, m), of the deviance whose beta and sigma^2 follow theta."""
        return self.derivatives.hessian

    @property
    def gram_first(self) -> np.ndarray:
        """(m, p+1, p+1), the derivatives of G."""
        return self.derivatives.gram

    @property
    def cones(self) -> tuple[np.ndarray, ...]:
        """Derivative of the deviance by the covariance matrix of each level, outermost first."""
        return self.derivatives.cones
