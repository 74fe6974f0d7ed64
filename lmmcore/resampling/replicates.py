"""Fits to replicates of the data, block by block: simulated responses, or subjects drawn again."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from lmmcore.estimate.solution import Solution
from lmmcore.resampling.arrangement import arranged
from lmmcore.resampling.draws import sampler
from lmmcore.resampling.refit import batch_size, fit_cells, fit_counted, fit_responses
from lmmcore.resampling.rows import Refits
from lmmcore.resampling.simulate import RowSampler, fixed_part


def parametric(solution: Solution, n: int, seed: np.random.SeedSequence) -> Iterator[Refits]:
    """Fits to n responses drawn from the fitted model."""
    model = solution.model
    layout = arranged(solution, 0)
    if layout is not None and len(layout.layers.levels) == 1:
        draws = sampler(layout.moments, layout.truth, model.n, seed)
        cells = len(draws.layout.counts)
        if layout.pays(cells):
            size = batch_size(layout, cells)
            logs = 0.0 if model.rows.weights is None else float(np.log(model.rows.weights).sum())
            for done in range(0, n, size):
                yield fit_cells(solution, layout, draws.draw(min(size, n - done)), logs)
            return
    mean = fixed_part(solution)[:, None]
    for block in RowSampler(solution, seed).blocks(n):
        yield from fit_responses(solution, mean + block)


def cases(solution: Solution, n: int, seed: np.random.SeedSequence) -> Iterator[Refits]:
    """Fits to n samples of the outermost units, with replacement."""
    N = len(solution.model.rows.units[0].starts)
    rng = np.random.Generator(np.random.PCG64(seed))
    size = batch_size(arranged(solution, N), N)
    for done in range(0, n, size):
        drawn = rng.integers(0, N, (min(size, n - done), N))
        times = np.array([np.bincount(one, minlength=N) for one in drawn]).T
        yield from fit_counted(solution, times.astype(float))
