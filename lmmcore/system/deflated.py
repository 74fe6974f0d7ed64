"""The deviance where random effects are huge beside the residuals: no digits are lost in S - sum B H B'.

With residuals of SD 1 beside units that differ by 1e5 (a response near 1e5 without a fixed intercept), S and
sum B H B' agree to ten digits, and what is left of the other six is no likelihood. So each column u of [X y]
is split into its projection on the Z_i of its unit and the rest, u_i = Z_i c_i + e_i, once, row by row. With
the moments A, B, S of [Z e] and H, M, E as in lmmcore.system.level,

    G = S - sum B H B' + sum (C M B' + B M'C') + sum C E C',     U = M B' + E C',     h - C = H B' - M'C'

in which nothing cancels; with h - C in the place of h all derivatives stay as they are. Levels inside do the
same with what the levels above have left over of [X y], and with Z of these (lmmcore.system.nested). Nor may
y and X cancel: y is taken less X b, which the likelihood does not notice, b by least squares within units at
first and then the estimate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from lmmcore.likelihood.evaluation import Evaluation, Value
from lmmcore.likelihood.objective import Moments, Objective
from lmmcore.likelihood.profile import profile
from lmmcore.system.level import Level, added, contracted, level_at
from lmmcore.system.moments.patterns import PatternProjection, Patterns
from lmmcore.system.moments.subjects import SortedRows, SubjectProjection, Subjects

# Share of the largest eigenvalue of Z_i'Z_i below which a direction of Z_i is one that its rows do not have.
RANK = 1e-10
# Rounds of projecting what is left: each takes away all but the last digits.
ROUNDS = 3
# Share of a column of X, or of a combination, below which it does not vary within units.
WITHIN = 1e-8


@dataclass(frozen=True)
class Deflated:
    """moments : of [Z e]; shift : (r, q, N), C, of the outermost units; within : (p,), b; all in the model's
    coordinates."""

    moments: Moments
    shift: np.ndarray
    within: np.ndarray


@dataclass(frozen=True)
class DeflatedObjective(Objective):
    """An objective whose moments are those of [Z e]."""

    shift: np.ndarray

    def _jet(self, theta: np.ndarray) -> None:
        """The compiled loops know no shift."""

    def _value(self, theta: np.ndarray, cells: Subjects | Patterns) -> Value | None:
        assert isinstance(cells, Subjects)
        level = level_at(self.covariance.factor(theta[: self.split]), cells)
        gram = cells.S[:, :, 0] + added(level, cells.B, self.shift).sum(axis=2)
        best = profile(gram, self.n, self.reml)
        if best is None:
            return None
        deviance = best.deviance + cells.log_r + level.log_det
        return Value(deviance, best, lambda: level) if np.isfinite(deviance) else None

    def _projected(
        self, cells: Subjects | Patterns, level: Level
    ) -> tuple[SubjectProjection | PatternProjection, np.ndarray]:
        assert isinstance(cells, Subjects)
        U, h = contracted(level, cells.B, self.shift)
        return SubjectProjection(U), h


def undone(evaluation: Evaluation, within: np.ndarray) -> Evaluation:
    """The evaluation for y itself, from that for y - X within."""
    turn = np.eye(len(within) + 1)
    turn[:-1, -1] = within
    best, derivatives = evaluation.value.profile, evaluation.derivatives
    lower = best.lower.copy()
    lower[-1, :-1] += within @ lower[:-1, :-1]
    value = replace(evaluation.value, profile=replace(best, lower=lower))
    derivatives = replace(derivatives, gram=turn.T @ derivatives.gram @ turn)
    return Evaluation(evaluation.theta, value, lambda: derivatives)


def within_units(
    Z: Sequence[np.ndarray], XY: Sequence[np.ndarray], rows: SortedRows
) -> tuple[np.ndarray, np.ndarray]:
    """C : (r, q, N) and what is left of the columns of XY : (r, n), which have no part in Z_i."""
    design, left = (
        np.array([np.broadcast_to(column, (rows.n,)) for column in some], dtype=float).reshape(-1, rows.n)
        for some in (Z, XY)
    )
    lengths = np.sqrt((design * design).sum(axis=1))
    lengths[lengths == 0] = 1.0
    design /= lengths[:, None]  # the units of a covariate decide nothing
    A = np.add.reduceat(design[:, None] * design[None], rows.starts, axis=2)
    inverse = np.linalg.pinv(A.transpose(2, 0, 1), rcond=RANK, hermitian=True)
    shift = np.zeros((len(left), len(design), len(rows.starts)))
    for _ in range(ROUNDS if len(design) else 0):
        B = np.add.reduceat(left[:, None] * design[None], rows.starts, axis=2)
        more = np.einsum("nab,rbn->ran", inverse, B)
        shift += more
        left = left - np.einsum("an,ran->rn", design, more[:, :, rows.subject])
    return shift / lengths[:, None], left


def least_squares(left: np.ndarray, XY: np.ndarray) -> np.ndarray:
    """b : (p,) of what is left of y on what is left of X, 0 for columns of which nothing is; (p + 1, n)."""
    lengths = np.sqrt((XY[:-1] ** 2).sum(axis=1))
    vectors, values, turned = np.linalg.svd(left[:-1].T / lengths, full_matrices=False)
    some = values > WITHIN
    return (turned[some].T / values[some]) @ (vectors[:, some].T @ left[-1]) / lengths
