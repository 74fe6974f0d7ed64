"""Predicted random effects (BLUPs) of every level, with their prediction-error covariance.

At the outermost level b^ = h v with h = Psi (I + A Psi)^-1 B and v = (-beta^, 1), which is
Psi Z'V^-1 (y - X beta^). Given b and v, the next level inside has the same form with v = (-b, v): its errors
contain those of the level above and of beta^ (the four-term formula of Harville 1976; Laird & Ware 1982;
seed 003).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lmmcore.estimate.solution import Solution
from lmmcore.runtime.memoise import remembered
from lmmcore.system.level import level_at
from lmmcore.system.moments.subjects import turned


@dataclass(frozen=True)
class Blups:
    """Predicted random effects of one level, in the user's units.

    effects : (q, N) E(b | y); spread : (q, q, N) var(b^ - b).
    """

    effects: np.ndarray
    spread: np.ndarray


@remembered
def blups(solution: Solution) -> list[Blups]:
    """BLUPs of each level, outermost first."""
    model, evaluation = solution.model, solution.optimum.evaluation
    objective, best = solution.optimum.objective, evaluation.value.profile
    p = model.p
    v = np.append(-best.beta, 1.0)[:, None]  # (r, units above)
    error = np.zeros((p + 1, p + 1, 1))  # relative covariance of v^ - v
    error[:p, :p, 0] = best.unscaled
    result = []
    for number, (cells, covariance, at) in enumerate(
        zip(solution.cells, objective.levels, objective.places, strict=True)
    ):
        outer = model.rows.units[number].outer
        if outer is None:
            outer = np.zeros(cells.B.shape[2], dtype=np.intp)
        v, error = v[:, outer], error[:, :, outer]
        level = level_at(covariance.factor(evaluation.theta[at]), cells)
        h = np.einsum("abn,rbn->ran", level.H, cells.B)
        b = np.einsum("ran,rn->an", h, v)
        through = np.einsum("ran,rsn->asn", h, error)
        spread = level.H + np.einsum("asn,sbn->abn", through, h)
        columns = model.columns(number)
        rotation = model.coordinates.random[columns, columns]
        turned_spread = turned(spread, rotation.T, rotation.T)
        result.append(Blups(rotation @ b, solution.sigma2 * turned_spread))
        v = np.concatenate([-b, v])
        error = np.concatenate(
            [
                np.concatenate([spread, -through], axis=1),
                np.concatenate([-through.transpose(1, 0, 2), error], axis=1),
            ]
        )
    return result
