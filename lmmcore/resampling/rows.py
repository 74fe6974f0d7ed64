"""Fit one model to one data set after the other, each by the engine.

The search starts from the fitted parameters, and the columns of X and Z are taken as they are: nothing is
read, parsed or bound again.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np

from lmmcore.covariance.residual import BoundResidual
from lmmcore.covariance.scaled import ScaledResidual
from lmmcore.errors import FitError, LmmError
from lmmcore.estimate.effects import blups
from lmmcore.estimate.fit import ALTERNATIONS, SETTLED
from lmmcore.estimate.residuals import fitted_values
from lmmcore.estimate.solution import Solution, solve
from lmmcore.model.assembly import Assembly, centred_columns
from lmmcore.model.specification import Model, Rows
from lmmcore.system.moments.products import is_one
from lmmcore.system.moments.subjects import SortedRows


@dataclass(frozen=True)
class Refits:
    """Estimates of R replicates, in the user's units.

    beta : (R, p); sigma2 : (R,); psi : (R, q, q) relative to sigma2; natural : (R, k) parameters of the
    residual structure; loglik : (R,); converged : (R,). A replicate without an estimate is nan.
    """

    beta: np.ndarray
    sigma2: np.ndarray
    psi: np.ndarray
    natural: np.ndarray
    loglik: np.ndarray
    converged: np.ndarray

    def put(self, place: int, one: Refits) -> None:
        """Overwrite a replicate by the only one of another."""
        for f in fields(Refits):
            getattr(self, f.name)[place] = getattr(one, f.name)[0]

    @staticmethod
    def joined(parts: list[Refits]) -> Refits:
        """Replicates one after the other."""
        return Refits(*(np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(Refits)))


def resampled(solution: Solution, times: np.ndarray) -> tuple[Rows, BoundResidual | None]:
    """The rows and the residual structure with outermost unit i there times[i] times, each copy a unit."""
    rows, n = solution.model.rows, solution.model.n
    starts = rows.units[0].starts
    sizes = np.diff(np.append(starts, n))
    taken = np.repeat(np.arange(len(starts)), times)
    copy = np.repeat(np.arange(len(taken)), sizes[taken])
    first = np.cumsum(sizes[taken]) - sizes[taken]
    index = starts[taken][copy] + np.arange(len(copy)) - first[copy]
    units: list[SortedRows] = []
    for unit in rows.units:
        old = unit.subject[index]
        change = np.concatenate([[True], (np.diff(old) != 0) | (np.diff(copy) != 0)])
        begins = np.flatnonzero(change)
        outer = units[-1].subject[begins] if units else None
        units.append(SortedRows(unit.times[index], np.cumsum(change) - 1, begins, outer))

    def at(columns: list[np.ndarray]) -> list[np.ndarray]:
        # A column that occurs twice, or is a broadcast 1, stays so.
        ones = np.broadcast_to(1.0, index.shape)
        made = {id(column): ones if is_one(column) else column[index] for column in columns}
        return [made[id(column)] for column in columns]

    both = at([*rows.X, *rows.Z])
    p = len(rows.X)
    weights = None if rows.weights is None else rows.weights[index]
    y, offset = rows.y[index], rows.offset[index]
    chosen = Rows(None, both[:p], both[p:], y, offset, weights, tuple(units), rows.visits)
    structure = solution.model.structure
    return chosen, None if structure is None else structure.rebound(units[-1], index)


def fit_rows(solution: Solution, rows: Rows, structure: BoundResidual | None) -> Refits:
    """Fit the model of solution to other rows; one replicate."""
    try:
        found = _fitted(solution, rows, structure)
    except (LmmError, np.linalg.LinAlgError):
        none = as_refit(solution)
        lost = Refits(*(np.full_like(getattr(none, f.name), np.nan, dtype=float) for f in fields(Refits)))
        return replace(lost, converged=np.zeros(1, dtype=bool))
    return as_refit(found)


def as_refit(found: Solution) -> Refits:
    """A solution as one replicate."""
    return Refits(
        found.beta[None],
        np.array([found.sigma2]),
        found.psi[None],
        found.natural[None],
        np.array([found.loglik]),
        np.array([found.certificate.converged]),
    )


def _fitted(solution: Solution, rows: Rows, structure: BoundResidual | None) -> Solution:
    """The engine's search from the fitted parameters, or from its own starts where that does not converge."""
    changed = _bound(solution.model, rows, structure)
    found = solve(changed, near=solution)
    if not found.certificate.converged:
        found = solve(changed)
    variance = changed.spec.variance
    return _settled(found) if variance is not None and variance.column is None else found


def _bound(model: Model, rows: Rows, structure: BoundResidual | None) -> Model:
    """The model over other rows. Raises FitError if they do not determine the same fixed effects."""
    centred = centred_columns(rows, model.blocks)
    if centred.kept != model.coordinates.kept:
        raise FitError("The rows drawn do not determine all fixed effects.")
    make = None if structure is None else structure.moments
    assembly = Assembly.of(rows, centred, model.blocks, model.covariances, make)
    return replace(
        model,
        rows=rows,
        coordinates=assembly.coordinates,
        structure=structure,
        grid=None if structure is None else assembly.grid(structure.written_out),
        make_cells=lambda: assembly.cells,
        make_moments=assembly.moments,
    )


def _settled(found: Solution) -> Solution:
    """Alternate between fitted values and a variance that depends on them, as lmmcore.fit does."""
    rows, structure, variance = found.model.rows, found.model.structure, found.model.spec.variance
    assert variance is not None and isinstance(structure, ScaledResidual)
    fitted = fitted_values(found, blups(found))[1] + rows.offset
    for _ in range(ALTERNATIONS):
        scaled = replace(structure, marks=variance.bind(fitted)[1])
        found = solve(_bound(found.model, rows, scaled), near=found)
        last, fitted = fitted, fitted_values(found, blups(found))[1] + rows.offset
        if np.max(np.abs(fitted - last)) < SETTLED * np.std(rows.y):
            return found
    raise FitError("The fitted values and the variance that depends on them did not settle.")
