"""What each outermost unit adds to the likelihood, with exact derivatives by the covariance parameters.

log|V| and G = [X y]'V^-1[X y] are sums over the outermost units. With V_i = L L', u = L^-1 [X_i y_i], v =
L^-T u and S_r = L^-1 V_r L^-T, where V_r are derivatives by theta,

    G_i = u'u                   log|V_i|_r  = tr S_r                                 G_r  = -u'S_r u
    log|V_i|_rs = tr(V_i^-1 V_rs) - <S_r, S_s>                     G_rs = u'(S_r S_s + S_s S_r) u - v'V_rs v
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lmmcore.estimate.residuals import marginal_covariance
from lmmcore.estimate.solution import Solution
from lmmcore.inference.fixed.information import slopes_of


@dataclass(frozen=True, eq=False)
class Contributions:
    """Of c units in the model's coordinates; m parameters, r = p + 1.

    gram : (c, r, r); log_first : (c, m); gram_first : (c, m, r, r); log_second : (c, m, m).
    weighted : of W (c, r, r), <W, G_rs> : (c, m, m); along : of steps (c, m), sum_rs step_r step_s G_rs :
    (c, r, r). G_rs itself, (m, m, r, r) a unit, is not formed. log|V| is not needed.
    """

    gram: np.ndarray
    log_first: np.ndarray
    gram_first: np.ndarray
    log_second: np.ndarray
    weighted: Callable[[np.ndarray], np.ndarray]
    along: Callable[[np.ndarray], np.ndarray]

    def without(self, part: Contributions) -> Contributions:
        """These less part."""
        return Contributions(
            self.gram - part.gram,
            self.log_first - part.log_first,
            self.gram_first - part.gram_first,
            self.log_second - part.log_second,
            lambda W: self.weighted(W) - part.weighted(W),
            lambda step: self.along(step) - part.along(step),
        )


def contributions(solution: Solution, index: np.ndarray, columns: np.ndarray) -> Contributions:
    """Of units, each with the sorted rows index : (c, n); columns : (rows, r), those of inner_columns."""
    V = marginal_covariance(solution, index)
    derivatives = covariance_derivatives(solution, index)
    inverse = np.linalg.inv(np.linalg.cholesky(V))
    u = inverse @ columns[index]
    v = inverse.mT @ u
    S = (inverse[None] @ derivatives.first @ inverse.mT[None]).transpose(1, 0, 2, 3)  # (c, m, n, n)
    flat = S.reshape(*S.shape[:2], S.shape[2] ** 2)

    def weighted(W: np.ndarray) -> np.ndarray:
        felt = S @ (u @ W @ u.mT)[:, None]
        twice = 2 * felt.reshape(flat.shape) @ flat.mT
        return twice - derivatives.contracted(v @ W @ v.mT)

    def along(step: np.ndarray) -> np.ndarray:
        Su = np.einsum("cr,crij->cij", step, S) @ u
        return 2 * Su.mT @ Su - v.mT @ derivatives.bent(step) @ v

    return Contributions(
        u.mT @ u,
        np.einsum("crii->cr", S),
        -(u.mT[:, None] @ S @ u[:, None]),
        derivatives.contracted(inverse.mT @ inverse) - flat @ flat.mT,
        weighted,
        along,
    )


def total_contributions(solution: Solution) -> Contributions:
    """Sums over all units, as those of one unit (c = 1), from the moments: no row is touched."""
    evaluation = solution.optimum.evaluation
    slopes = slopes_of(solution.optimum.objective, evaluation.theta)
    m, r = len(evaluation.theta), solution.model.p + 1
    plain = slopes(np.zeros((r, r)))
    second = np.empty((m * m, r, r))
    for a in range(r):
        for b in range(a + 1):
            unit = np.zeros((r, r))
            unit[a, b] += 0.5
            unit[b, a] += 0.5
            second[:, a, b] = second[:, b, a] = (slopes(unit).second - plain.second).ravel()
    flat = second.reshape(m * m, r * r)
    lower = np.linalg.inv(evaluation.value.profile.root.T)  # of G, its last column over the root of nu
    lower[:, -1] *= np.sqrt(solution.nu)

    def along(step: np.ndarray) -> np.ndarray:
        pairs = (step[:, :, None] * step[:, None, :]).reshape(len(step), m * m)
        return (pairs @ flat).reshape(len(step), r, r)

    return Contributions(
        (lower @ lower.T)[None],
        plain.first[None],
        plain.gram[None],
        plain.second[None],
        lambda W: (W.reshape(len(W), -1) @ flat.T).reshape(len(W), m, m),
        along,
    )


@dataclass(frozen=True, eq=False)
class CovarianceDerivatives:
    """Of V_i / sigma^2 by theta. first : (m, c, n, n); second : (k, c, n, n), by the pairs of parameters for
    which it is not 0; pairs : (k, 2), the larger one first."""

    first: np.ndarray
    pairs: np.ndarray
    second: np.ndarray

    def contracted(self, D: np.ndarray) -> np.ndarray:
        """<D, V_rs> : (c, m, m) for D : (c, n, n)."""
        m, c = self.first.shape[:2]
        result = np.zeros((c, m, m))
        i, j = self.pairs.T
        result[:, i, j] = result[:, j, i] = np.einsum("cij,kcij->ck", D, self.second)
        return result

    def bent(self, step: np.ndarray) -> np.ndarray:
        """sum_rs step_r step_s V_rs : (c, n, n) for steps (c, m)."""
        i, j = self.pairs.T
        return np.einsum("ck,kcij->cij", (1.0 + (i != j)) * step[:, i] * step[:, j], self.second)


def covariance_derivatives(solution: Solution, index: np.ndarray) -> CovarianceDerivatives:
    """At the estimate, for units with the sorted rows index : (c, n)."""
    model, rows = solution.model, solution.model.rows
    objective, theta = solution.optimum.objective, solution.optimum.evaluation.theta
    c, n = index.shape
    first = np.zeros((len(theta), c, n, n))
    pairs, second = [], []
    for number, (level, at) in enumerate(zip(objective.levels, objective.places, strict=True)):
        columns = model.columns(number)
        Z = (
            np.stack([column[index] for column in rows.Z[columns]], axis=2)
            if level.q
            else np.zeros((c, n, 0))
        )
        Z = Z @ model.coordinates.random[columns, columns]
        same = 1.0 if number == 0 else _same(rows.units[number].subject[index])
        for i, direction in enumerate(level.first(level.factor(theta[at]))):
            first[at.start + i] = (Z @ direction @ Z.mT) * same
            for j in range(i + 1):
                if level.second[i, j].any():
                    pairs.append((at.start + i, at.start + j))
                    second.append((Z @ level.second[i, j] @ Z.mT) * same)
    if model.structure is not None:
        start = objective.residual.start
        R = model.structure.written_out
        found = R.matrices(theta[start:], R.marks[index])
        scale = _same(rows.units[-1].subject[index])
        if rows.weights is not None:
            root = 1 / np.sqrt(rows.weights[index])
            scale = scale * root[:, :, None] * root[:, None, :]
        first[start:] = found.first * scale
        for i in range(len(theta) - start):
            for j in range(i + 1):
                if found.second[i, j].any():
                    pairs.append((start + i, start + j))
                    second.append(found.second[i, j] * scale)
    found_pairs = np.array(pairs, dtype=int).reshape(-1, 2)
    return CovarianceDerivatives(first, found_pairs, np.array(second).reshape(-1, c, n, n))


def _same(unit: np.ndarray) -> np.ndarray:
    return (unit[:, :, None] == unit[:, None, :]).astype(float)
