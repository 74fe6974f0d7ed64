"""Chi-bar-square distributions: the null distribution of a likelihood ratio at the boundary.

Under a null hypothesis on the boundary the statistic is the squared length of a normal vector projected on
the cone of admissible directions, sum_j w_j chi2(j) (Self & Liang 1987; Shapiro 1988; Stram & Lee 1994).
One new variance is a half line (weights 1/2, 1/2); a correlated slope beside an intercept is a half space
(1/2 chi2(1) + 1/2 chi2(2)).  For other cones the weights are found by simulating the projection.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

SIMULATIONS = 20_000
ITERATIONS = 200
SEED = 20_040_101


@dataclass(frozen=True)
class ChiBar:
    """sum_j weights[j] chi2(degrees[j]); simulated : whether the weights came from simulation."""

    degrees: tuple[int, ...]
    weights: tuple[float, ...]
    simulated: bool = False

    def p_value(self, statistic: float) -> float:
        """P(T >= statistic); a point mass at 0 counts for statistic <= 0 only."""
        from scipy.special import chdtrc

        if statistic <= 0:
            return 1.0
        tails = [chdtrc(d, statistic) if d else 0.0 for d in self.degrees]
        return float(np.dot(self.weights, tails))

    def __str__(self) -> str:
        if len(self.degrees) == 1:
            return f"chi2({self.degrees[0]})"
        parts = []
        for degree, weight in zip(self.degrees, self.weights, strict=True):
            shown = f"{weight:.3f}" if self.simulated else str(Fraction(weight).limit_denominator(64))
            parts.append(f"{shown} chi2({degree})")
        return " + ".join(parts)


def chi_square(degree: int) -> ChiBar:
    """The ordinary chi-square distribution."""
    return ChiBar((degree,), (1.0,))


def half_space(free: int) -> ChiBar:
    """`free` unconstrained directions and one that cannot be negative."""
    return ChiBar((free, free + 1), (0.5, 0.5))


def cone_weights(information: np.ndarray, sizes: list[int]) -> np.ndarray:
    """w_0..w_m for a product of cones of semidefinite sizes[b] x sizes[b] matrices.

    information : (m, m) metric for the stacked lower triangles (row by row) of the matrices, entries off
    the diagonal multiplied by sqrt(2), so that lengths are those of the matrices.
    """
    rng = np.random.default_rng(SEED)
    lower = np.linalg.cholesky(information)
    points = np.linalg.solve(lower.T, rng.standard_normal((len(information), SIMULATIONS)))
    projected = _project(points, information, sizes)
    inside = np.einsum("is,ij,js->s", projected, information, projected)
    away = points - projected
    outside = np.einsum("is,ij,js->s", away, information, away)
    return _mixture_weights(inside, outside, len(information))


def _project(points: np.ndarray, information: np.ndarray, sizes: list[int]) -> np.ndarray:
    """Nearest points of the cone in the metric, by accelerated projected gradients."""
    step = 1 / np.linalg.eigvalsh(information)[-1]
    current = _to_cone(points, sizes)
    leading, momentum = current, 1.0
    for _ in range(ITERATIONS):
        moved = _to_cone(leading - step * (information @ (leading - points)), sizes)
        following = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
        leading = moved + (momentum - 1) / following * (moved - current)
        if np.max(np.abs(moved - current)) < 1e-9 * np.max(np.abs(points)):
            return moved
        current, momentum = moved, following
    return current


def _to_cone(points: np.ndarray, sizes: list[int]) -> np.ndarray:
    """Nearest semidefinite matrices."""
    result = points.copy()
    position = 0
    for size in sizes:
        count = size * (size + 1) // 2
        part = slice(position, position + count)
        position += count
        if size == 1:
            result[part] = np.maximum(points[part], 0)
            continue
        row, column = np.tril_indices(size)
        stretch = np.where(row == column, 1.0, np.sqrt(2))
        matrices = np.zeros((points.shape[1], size, size))
        matrices[:, row, column] = matrices[:, column, row] = points[part].T / stretch
        values, vectors = np.linalg.eigh(matrices)
        values = np.maximum(values, 0)[:, None]
        positive = (vectors * values) @ vectors.transpose(0, 2, 1)
        result[part] = (positive[:, row, column] * stretch).T
    return result


def _mixture_weights(inside: np.ndarray, outside: np.ndarray, m: int) -> np.ndarray:
    """Weights of the mixture chi2(j) x chi2(m - j) of both squared lengths, by EM.

    Given a face of dimension j, the lengths inside and outside are independent chi-squares
    (McCoy & Tropp 2014, the master Steiner formula).
    """
    from scipy.special import gammaln

    j = np.arange(m + 1)[:, None]
    tiny = 1e-9
    at_zero = inside < tiny
    at_top = outside < tiny

    def log_density(x: np.ndarray, d: np.ndarray) -> np.ndarray:
        d = np.maximum(d, 1)
        return (d / 2 - 1) * np.log(np.maximum(x, tiny)) - x / 2 - d / 2 * np.log(2) - gammaln(d / 2)

    logs = np.where(j > 0, log_density(inside, j), 0.0) + np.where(j < m, log_density(outside, m - j), 0.0)
    possible = np.where(at_zero, j == 0, np.where(at_top, j == m, (j > 0) & (j < m)))
    density = np.where(possible, np.exp(logs), 0.0)
    weights = np.full((m + 1, 1), 1 / (m + 1))
    for _ in range(500):
        share = weights * density
        share /= share.sum(axis=0)
        updated = share.mean(axis=1, keepdims=True)
        if np.max(np.abs(updated - weights)) < 1e-8:
            break
        weights = updated
    return weights[:, 0]
