"""How far a prediction may be off, part by part.

Let x'beta + u be the response of a new row, u its random part, V and c the covariances of the rows y of its
outermost unit among themselves and with u, and h = V^-1 c. The prediction x'beta^ + h'(y - X beta^) has the
error variance

    var(u) - h'c    what is left of u once y is known
    + g'Phi g       beta^, with g = x - X'h; the two together contain var(b^ - b)
    + 2 d'W d       the covariance parameters: d the prediction's derivatives by them, W their covariance

The last is the delta method (Kackar & Harville 1984); twice, because the others, taken at the estimate, are
too small by as much on average (Prasad & Rao 1990). Degrees of freedom are Satterthwaite's, from the exact
derivatives of the first two: 2 / (the variance's relative standard error)^2, and never below LEAST.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lmmcore.covariance.residual import NewRows
from lmmcore.estimate.solution import Solution
from lmmcore.inference.fixed.information import covariance_information

# Part of its own variance below which nothing is left of a measurement that has been made already.
CERTAIN = 1e-10
# Fewest degrees of freedom. Below 2 the standard error of the variance would exceed the variance, which
# cannot be negative, and the chi-square that stands for its estimate has an infinite density at 0: the
# approximation has broken down. It does so wherever a variance between units is estimated as 0, as df is
# then about 1 / units. With 2, intervals for a new unit keep their level (95.0 to 100 % in simulations of 8
# to 50 units with shares of the variance from 0.5 to 23 % between them); with more they do not, with 1 they
# can be wider than the interval of a single response.
LEAST = 2.0


@dataclass(frozen=True)
class NewDesign:
    """a new rows as the model sees them.

    X : (a, p), Z : (a, q) in the user's units; units : (levels, a) unit of each level, -1 if unknown;
    rows : what R depends on, None for R = I; weights : (a,) prior weights.
    """

    X: np.ndarray
    Z: np.ndarray
    units: np.ndarray
    rows: NewRows | None
    weights: np.ndarray


def prediction_error(solution: Solution, new: NewDesign, noise: bool) -> tuple[np.ndarray, np.ndarray]:
    """Standard errors and degrees of freedom, at least LEAST, of predicted responses : (a,) each.

    noise : whether the residual belongs to what is predicted; without it that is the expected response, given
    the subject's random effects and, under a serial correlation, its residuals so far.
    Raises FitError where the data do not determine the covariance parameters.
    """
    information = covariance_information(solution)
    phi, W = information.unscaled, information.covariance
    a, m = len(new.X), len(W)
    own, variance, slope, moved = np.empty(a), np.empty(a), np.empty((a, m)), np.zeros((a, m))
    outer = new.units[0] if len(new.units) else np.full(a, -1)
    for unit in np.unique(outer):
        mine = np.flatnonzero(outer == unit)
        at = _joint(solution, new, mine, int(unit), noise)
        h = np.linalg.solve(at.V, at.c.T).T
        change = at.c1 - np.einsum("ak,rkl->ral", h, at.V1)
        h1 = np.linalg.solve(at.V, change.transpose(0, 2, 1)).transpose(0, 2, 1)
        g, g1 = at.x - h @ at.X, -h1 @ at.X
        gphi = g @ phi
        own[mine] = at.own
        variance[mine] = at.own - (h * at.c).sum(axis=1) + (gphi * g).sum(axis=1)
        slope[mine, :-1] = (
            at.own1
            - np.einsum("ak,rak->ra", h, at.c1 + change)
            + 2 * np.einsum("rap,ap->ra", g1, gphi)
            - np.einsum("ap,rpq,aq->ra", gphi, information.gram[:-1], gphi)
        ).T
        slope[mine, -1] = variance[mine]
        moved[mine] = g @ information.drift.T
        moved[mine, :-1] += (h1 @ at.left).T
    total = solution.sigma2 * variance + 2 * np.einsum("ar,rs,as->a", moved, W, moved)
    spread = np.einsum("ar,rs,as->a", slope, W, slope)
    certain = variance <= CERTAIN * own
    with np.errstate(divide="ignore", invalid="ignore"):
        df = np.where(~certain & (spread > 0), np.maximum(2 * variance**2 / spread, LEAST), np.inf)
    return np.sqrt(np.where(certain, 0, total)), df


@dataclass(frozen=True)
class _Joint:
    """a new rows with the k rows of their unit, relative to sigma^2; a 1 marks the m - 1 derivatives.

    own : (a,) var(u); c : (a, k); V : (k, k); x : (a, p) and X : (k, p); left : (k,) y - X beta^.
    """

    own: np.ndarray
    own1: np.ndarray
    c: np.ndarray
    c1: np.ndarray
    V: np.ndarray
    V1: np.ndarray
    x: np.ndarray
    X: np.ndarray
    left: np.ndarray


def _joint(solution: Solution, new: NewDesign, mine: np.ndarray, unit: int, noise: bool) -> _Joint:
    """unit : the outermost unit of the new rows mine, -1 for unknown ones."""
    model, structure = solution.model, solution.model.structure
    fixed, random = model.coordinates.fixed, model.coordinates.random
    x = new.X[mine] @ fixed
    marks = np.zeros((len(mine), 1))
    if structure is not None:
        assert new.rows is not None
        marks = structure.new_marks(new.rows)[mine]
    fresh = _Rows(new.Z[mine] @ random, new.units[:, mine], marks, 1 / np.sqrt(new.weights[mine]))
    if unit < 0:
        own, own1 = _alone(solution, fresh, noise)
        a, m = len(mine), len(own1)
        empty = np.zeros((a, 0)), np.zeros((m, a, 0)), np.zeros((0, 0)), np.zeros((m, 0, 0))
        return _Joint(own, own1, *empty, x, np.zeros((0, x.shape[1])), np.zeros(0))
    old, X, left = _seen(solution, unit)
    k = len(left)
    both = old.with_rows(fresh)
    u, u1 = _random_part(solution, both)
    e, e1 = _residual_part(solution, both)
    own, own1 = np.diag(u + e)[k:], np.diagonal(u1 + e1, axis1=1, axis2=2)[:, k:]
    if not noise:
        h = np.linalg.solve(e[:k, :k], e[:k, k:]).T
        known1 = np.einsum("ak,rka->ra", h, 2 * e1[:, :k, k:] - e1[:, :k, :k] @ h.T)
        own = own - np.diag(e)[k:] + (h * e[k:, :k]).sum(axis=1)
        own1 = own1 - np.diagonal(e1, axis1=1, axis2=2)[:, k:] + known1
    V, V1 = u + e, u1 + e1
    return _Joint(own, own1, V[k:, :k], V1[:, k:, :k], V[:k, :k], V1[:, :k, :k], x, X, left)


@dataclass(frozen=True)
class _Rows:
    """k rows in the model's coordinates: Z : (k, q); units : (levels, k); marks : (k, d); scale : (k,)."""

    Z: np.ndarray
    units: np.ndarray
    marks: np.ndarray
    scale: np.ndarray

    def with_rows(self, other: _Rows) -> _Rows:
        return _Rows(
            np.concatenate([self.Z, other.Z]),
            np.concatenate([self.units, other.units], axis=1),
            np.concatenate([self.marks, other.marks]),
            np.concatenate([self.scale, other.scale]),
        )

    def same(self, level: int) -> np.ndarray:
        """(k, k) whether two rows belong to the same known unit, or are one."""
        unit = self.units[level]
        return ((unit[:, None] == unit) & (unit >= 0)) | np.eye(len(unit), dtype=bool)


def _seen(solution: Solution, unit: int) -> tuple[_Rows, np.ndarray, np.ndarray]:
    """The rows of an outermost unit, X : (k, p) of them, and y - X beta^ : (k,)."""
    model, rows = solution.model, solution.model.rows
    ends = np.append(rows.units[0].starts[1:], model.n)
    at = np.arange(rows.units[0].starts[unit], ends[unit])
    X = np.array([rows.X[index][at] for index in model.coordinates.kept]).reshape(-1, len(at)).T
    Z = np.array([column[at] for column in rows.Z]).reshape(len(rows.Z), len(at)).T
    structure = model.structure
    marks = np.zeros((len(at), 1)) if structure is None else structure.written_out.marks[at]
    scale = np.ones(len(at)) if rows.weights is None else 1 / np.sqrt(rows.weights[at])
    units = np.array([level.subject[at] for level in rows.units])
    known = _Rows(Z @ model.coordinates.random, units, marks, scale)
    return known, X @ model.coordinates.fixed, rows.y[at] - X @ solution.beta


def _random_part(solution: Solution, rows: _Rows) -> tuple[np.ndarray, np.ndarray]:
    """Covariance by random effects : (k, k), and its derivatives : (m - 1, k, k)."""
    model, k = solution.model, len(rows.Z)
    value, first = np.zeros((k, k)), []
    for level, (covariance, psi) in enumerate(zip(model.covariances, _psis(solution), strict=True)):
        Z = rows.Z[:, model.columns(level)]
        same = rows.same(level) if covariance.q else np.zeros((k, k), dtype=bool)
        value += np.where(same, Z @ psi @ Z.T, 0)
        first.append(np.where(same, Z @ covariance.linear.first(psi) @ Z.T, 0))
    first.append(np.zeros((len(_z(solution)), k, k)))
    return value, np.concatenate(first)


def _residual_part(solution: Solution, rows: _Rows) -> tuple[np.ndarray, np.ndarray]:
    """Covariance by the residuals : (k, k), and its derivatives : (m - 1, k, k)."""
    k, before = len(rows.Z), sum(covariance.size for covariance in solution.model.covariances)
    scale = np.outer(rows.scale, rows.scale)
    if solution.model.structure is None:
        return np.diag(rows.scale**2), np.zeros((before, k, k))
    R = solution.model.structure.written_out.matrices(_z(solution), rows.marks[None])
    mask = rows.same(len(rows.units) - 1) * scale
    return mask * R.value[0], np.concatenate([np.zeros((before, k, k)), mask * R.first[:, 0]])


def _alone(solution: Solution, rows: _Rows, noise: bool) -> tuple[np.ndarray, np.ndarray]:
    """Variance of each of a rows of unknown units : (a,), and its derivatives : (m - 1, a)."""
    model = solution.model
    z, a = _z(solution), len(rows.Z)
    value, first = np.zeros(a), []
    for level, (covariance, psi) in enumerate(zip(model.covariances, _psis(solution), strict=True)):
        Z = rows.Z[:, model.columns(level)]
        value += np.einsum("aq,qs,as->a", Z, psi, Z)
        first.append(np.einsum("aq,rqs,as->ra", Z, covariance.linear.first(psi), Z))
    first.append(np.zeros((len(z), a)))
    if noise and model.structure is None:
        value += rows.scale**2
    elif noise and model.structure is not None:
        R = model.structure.written_out.matrices(z, rows.marks[:, None])
        value += rows.scale**2 * R.value[:, 0, 0]
        first[-1] = rows.scale**2 * R.first[:, :, 0, 0]
    return value, np.concatenate(first)


def _psis(solution: Solution) -> list[np.ndarray]:
    return solution.optimum.objective.psis(solution.optimum.evaluation.theta)


def _z(solution: Solution) -> np.ndarray:
    """Unbounded parameters of the residual structure."""
    return solution.optimum.evaluation.theta[solution.optimum.objective.residual]
