"""Fit one model to many responses, or with subjects counted any number of times.

Independent residuals: all replicates at once (lmmcore.resampling.newton), unless there are too many subjects,
or effects in one of them, for that to pay. Everything else one by one (lmmcore.resampling.rows).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from lmmcore.estimate.solution import Solution
from lmmcore.resampling.arrangement import Arrangement, arranged
from lmmcore.resampling.cells import Cells
from lmmcore.resampling.newton import minimise
from lmmcore.resampling.rows import Refits, fit_rows, resampled

# Numbers of a batch: few enough for the processor's cache, enough to be worth a batch.
BATCH = 40_000


def batch_size(layout: Arrangement | None, cells: int) -> int:
    """Replicates of a batch of so many cells; 1 without a layout."""
    if layout is None:
        return 1
    q, p = layout.layers.q, len(layout.X)
    return max(1, BATCH // max(1, cells * max(1, q**2 // 4), (p * q) ** 2 // 4, q**4 // 16))


def fit_cells(
    solution: Solution, layout: Arrangement, cells: Cells, log_weights: np.ndarray | float
) -> Refits:
    """Fit the model of solution to cells whose y is the response less X beta^, over sigma.

    log_weights : sum of the logarithms of the prior weights, (R,) or one number.
    """
    model = solution.model
    reml = model.spec.reml
    found = minimise(cells, layout.layers, layout.start, reml)
    coordinates, R = model.coordinates, cells.replicates
    beta = solution.beta[:, None] + np.sqrt(solution.sigma2) * (coordinates.fixed @ found.beta)
    nu = cells.rows - model.p * reml
    deviance = found.deviance + nu * np.log(solution.sigma2) - log_weights
    if reml:
        deviance -= 2 * coordinates.log_det_fixed
    psi = np.zeros((R, *coordinates.random.shape))
    for level, part in enumerate(layout.layers.parts(found.psi)):
        at = model.columns(level)
        rotation = coordinates.random[at, at]
        psi[:, at, at] = np.einsum("ab,bcr,dc->rad", rotation, part, rotation)
    exists = np.isfinite(found.deviance)
    beta[:, ~exists] = psi[~exists] = np.nan
    sigma2 = np.where(exists, found.sigma2 * solution.sigma2, np.nan)
    loglik = np.where(exists, -deviance / 2, np.nan)
    return Refits(beta.T, sigma2, psi, np.empty((R, 0)), loglik, found.converged & exists)


def fit_responses(solution: Solution, Y: np.ndarray) -> Iterator[Refits]:
    """Fit the model of solution to responses Y : (n, R), sorted rows, offset taken off; block by block."""
    rows, structure = solution.model.rows, solution.model.structure
    N = len(rows.units[0].starts)
    layout = arranged(solution, N)
    logs = 0.0 if rows.weights is None else float(np.log(rows.weights).sum())
    size = batch_size(layout, N)

    def one(replicate: int) -> Refits:
        return fit_rows(solution, replace(rows, y=Y[:, replicate]), structure)

    for done in range(0, Y.shape[1], size):
        block = Y[:, done : done + size]
        if layout is None:
            yield one(done)
        else:
            found = fit_cells(solution, layout, layout.of_responses(block), logs)
            yield _completed(found, layout, done, one)


def fit_counted(solution: Solution, times: np.ndarray) -> Iterator[Refits]:
    """Fit with outermost unit i counted times[i, r] times in replicate r, times : (N, R); block by block."""
    rows = solution.model.rows
    layout = arranged(solution, len(times))
    logs = np.zeros(times.shape[1])
    if rows.weights is not None:
        logs = np.add.reduceat(np.log(rows.weights), rows.units[0].starts) @ times
    size = batch_size(layout, len(times))

    def one(replicate: int) -> Refits:
        return fit_rows(solution, *resampled(solution, times[:, replicate].astype(np.intp)))

    for done in range(0, times.shape[1], size):
        block = slice(done, done + size)
        if layout is None:
            yield one(done)
        else:
            found = fit_cells(solution, layout, layout.counted(times[:, block]), logs[block])
            yield _completed(found, layout, done, one)


def _completed(found: Refits, layout: Arrangement, done: int, one: Callable[[int], Refits]) -> Refits:
    """Nested levels: what the batch could not finish, fitted one by one."""
    if len(layout.layers.levels) > 1:
        for place in np.flatnonzero(~found.converged).tolist():
            found.put(place, one(done + place))
    return found
