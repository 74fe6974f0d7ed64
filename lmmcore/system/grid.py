"""The deviance on a visit grid: its cost depends on the patterns of visits, not on the number of subjects.

Where the rows of Z and the residual covariance depend on the visit alone, V_i is a part of one matrix of all
J visits, V = Z Psi Z' + R. With the sums C_P of each pattern P of visits (moments.grid), count_P its
subjects, G_P = V_P^-1 (0 elsewhere), W a weight, K_P = <W, C_P> and Q_P = G_P K_P G_P:

    G       = sum_P <G_P, C_P>                    log|V| = sum_P count_P log|V_P|
    G_r     = -<V_r, sum_P G_P C_P G_P>           l_r + <W, G_r> = <D, V_r>,  D = sum_P count_P G_P - Q_P
    second  = sum_P tr(V_r G_P V_s (2 Q_P - count_P G_P)) + <D, V_rs>

and D* = Z'D Z is the derivative by Psi.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from lmmcore.likelihood.evaluation import Evaluation, Slopes, Value
from lmmcore.likelihood.objective import Moments, Objective
from lmmcore.likelihood.profile import profile
from lmmcore.system.level import Level, level_at
from lmmcore.system.moments.dense import Matrices
from lmmcore.system.moments.grid import Grid
from lmmcore.system.moments.patterns import Patterns
from lmmcore.system.moments.subjects import Subjects


@dataclass(frozen=True)
class GridValue(Value):
    """The deviance at one theta. inverse : (P, J, J), G_P; matrices : of R."""

    inverse: np.ndarray
    matrices: Matrices


@dataclass(frozen=True)
class GridObjective(Objective):
    """An objective that is evaluated on a grid; make_moments : those of every subject, if somebody asks."""

    moments: Grid  # type: ignore[assignment]
    make_moments: Callable[[], Moments]

    def given(self, phi: np.ndarray) -> Objective | None:
        """The objective at fixed parameters of the residual structure; it takes the same theta."""
        moments = self._moments_at(phi)
        return None if moments is None else Objective(self.covariance, moments, self.n, self.reml)

    def thinned(self) -> GridObjective | None:
        """The deviance of the subjects of frequent patterns, where these are far fewer patterns."""
        grid = self.moments.common()
        if grid is None:
            return None
        return replace(self, moments=grid, n=int(grid.counts @ grid.seen.sum(axis=1)))

    def full(self) -> Objective:
        """The same objective by the moments of every subject."""
        return Objective(self.covariance, self.make_moments(), self.n, self.reml)

    def subjects(self, theta: np.ndarray) -> Subjects | Patterns:
        """The moments of the outermost units at theta."""
        return self.full().subjects(theta)

    def slopes(
        self, theta: np.ndarray, cells: Subjects | Patterns, make_level: Callable[[], Level], W: np.ndarray
    ) -> Slopes:
        """Derivatives of log|V| + <W, G> for a fixed W : (p+1, p+1), by the moments of every subject."""
        return self.full().slopes(theta, cells, make_level, W)

    def value(self, theta: np.ndarray) -> GridValue | None:
        """The deviance alone; None where V is numerically singular."""
        grid, split = self.moments, self.split
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            try:
                R = grid.matrices(theta[split:])
                grid.check(R.value[0])
                ZL = grid.Z @ self.covariance.factor(theta[:split])
                inverse, log_det = grid.weights(ZL @ ZL.T + R.value[0], np.diag(R.value[0]))
            except np.linalg.LinAlgError:
                return None
            r = grid.products.shape[-1]
            best = profile((inverse.reshape(1, -1) @ grid.flat).reshape(r, r), self.n, self.reml)
        if best is None or not np.isfinite(best.deviance + log_det):
            return None
        return GridValue(best.deviance + log_det, best, lambda: self._level(theta), inverse, R)

    def _level(self, theta: np.ndarray) -> Level:
        return level_at(self.covariance.factor(theta[: self.split]), self.subjects(theta))

    def evaluate(self, theta: np.ndarray) -> Evaluation | None:
        """The deviance and its derivatives; None where V is numerically singular."""
        value = self.value(theta)
        if value is None:
            return None
        return Evaluation.of(theta, value, lambda: self.grid_slopes(theta, value, value.profile.weight))

    def grid_slopes(self, theta: np.ndarray, value: GridValue, W: np.ndarray) -> Slopes:
        """Derivatives of log|V| + <W, G> for a fixed W : (p+1, p+1)."""
        grid, G, split = self.moments, value.inverse, self.split
        P, J, _, r, _ = grid.products.shape
        by_psi = grid.Z @ self.covariance.first(self.covariance.factor(theta[:split])) @ grid.Z.T
        V1 = np.concatenate([by_psi, value.matrices.first[:, 0]]).reshape(-1, J * J)
        Q = G @ (grid.flat @ W.reshape(-1)).reshape(P, J, J) @ G
        counted = grid.counts[:, None, None] * G
        D = (counted - Q).sum(axis=0)
        half = (G @ grid.products.reshape(P, J, -1)).reshape(P, J, J, r * r)
        T = half.transpose(1, 3, 0, 2).reshape(J * r * r, P * J) @ G.reshape(P * J, J)
        T = T.reshape(J, r * r, J).transpose(0, 2, 1).reshape(J * J, r * r)
        gram = -(V1 @ T).reshape(-1, r, r)
        # K[(i, j), (k, l)] = sum_P (2 Q - count G)[l, i] G[j, k]
        K = (2 * Q - counted).reshape(P, J * J).T @ G.reshape(P, J * J)
        second = V1 @ K.reshape(J, J, J, J).transpose(1, 2, 3, 0).reshape(J * J, J * J) @ V1.T
        second = (second + second.T) / 2
        cone = grid.Z.T @ D @ grid.Z
        second[:split, :split] += np.einsum("ab,ijab->ij", cone, self.covariance.second)
        second[split:, split:] += value.matrices.bend(D[None])
        return Slopes(V1 @ D.reshape(-1), second, (gram + gram.transpose(0, 2, 1)) / 2, (cone,))
