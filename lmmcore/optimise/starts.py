"""A moment estimate of each Psi to start from, given what stands below it.

From a poor start Newton's method needs 11 to 17 evaluations, from this one 2 to 4.  Each unit with enough
rows gives b_i = A_i^-1 (B_i's residual part); the covariance of these less their sampling variance,
mean(A_i^-1), relative to the pooled variance within units, is Psi.  Units inside larger ones count by how far
their b_i are from the mean of their larger unit.  The coordinates are such that the mean A_i for independent
residuals is the identity, so that a floor on the eigenvalues (one standard error) means the same in every
model.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lmmcore.covariance.random import RandomCovariance
from lmmcore.kernel.start import sums as compiled_sums
from lmmcore.likelihood.objective import Moments
from lmmcore.system.batched_linalg import inverse
from lmmcore.system.chunks import blocks
from lmmcore.system.moments.patterns import Patterns
from lmmcore.system.moments.subjects import Subjects, has_loops
from lmmcore.system.nested import NestedMoments

# A subject counts if no pivot of A_i falls below this part of its diagonal.
WELL_CONDITIONED = 1e-3


def starting_psis(
    covariances: Sequence[RandomCovariance],
    moments: Moments,
    phi: np.ndarray,
    n: int,
    reml: bool,
    unit: np.ndarray | None = None,
) -> list[np.ndarray]:
    """Psi : (q, q) of each level, outermost first, positive definite within each block.

    phi : parameters of the residual structure; unit : (N,) the larger unit of each unit of the outermost
    level, sorted. y must be residuals of least squares.
    """
    if not isinstance(moments, NestedMoments):
        cells = moments if isinstance(moments, Subjects | Patterns) else moments.at(phi)
        return [starting_psi(cells, covariances[0], n, reml, unit)]
    below = starting_psis(covariances[1:], moments.below, phi, n, reml, moments.unit)
    inner = [covariance.parameters(psi) for covariance, psi in zip(covariances[1:], below, strict=True)]
    cells = moments.at(np.concatenate([*inner, phi]))
    return [starting_psi(cells, covariances[0], n, reml, unit), *below]


def starting_psi(
    cells: Subjects | Patterns,
    covariance: RandomCovariance,
    n: int,
    reml: bool,
    unit: np.ndarray | None = None,
) -> np.ndarray:
    """Psi of one level from its moments; the arguments are those of starting_psis."""
    q = covariance.q
    if not q:
        return np.zeros((0, 0))
    about, between = float(reml), np.zeros((q, q))
    if unit is None and has_loops(cells):
        usable, explained, effects, sampling = compiled_sums(cells.A, cells.B, WELL_CONDITIONED)
    else:
        usable, explained, effects, sampling, means = _sums(cells, unit)
        seen = means[:, means[q] > 0]
        between = (seen[:q] / seen[q]) @ seen[:q].T
        if unit is not None:
            about = float(seen.shape[1])
    psi = np.eye(q) / 2
    freedom = n - q * usable
    within = (cells.S[-1, -1].sum() - explained) / freedom if freedom > 0 else 0.0
    if usable > max(q, about) and within > 0:
        psi = (effects - between) / (usable - about) / within - sampling / usable
    if not np.isfinite(psi).all():
        psi = np.eye(q) / 2
    floor = np.sqrt(2 / (cells.A.shape[2] if isinstance(cells, Subjects) else cells.counts.sum()))
    result = np.zeros((q, q))
    for block in covariance.blocks:
        own = block.part(psi)
        if len(own) == 1:
            result[block.place] = np.maximum(own, floor)
            continue
        values, vectors = np.linalg.eigh(own)
        result[block.place] = (vectors * np.maximum(values, floor)) @ vectors.T
    return result


def _sums(
    cells: Subjects | Patterns, unit: np.ndarray | None
) -> tuple[float, float, np.ndarray, np.ndarray, np.ndarray]:
    """What lmmcore.kernel.start gives, array by array; and the sums of b_i in each larger unit, with the
    number of subjects they are of : (q + 1, units)."""
    q, _, N = cells.A.shape
    usable, explained, effects, sampling = 0.0, 0.0, np.zeros((q, q)), np.zeros((q, q))
    means = np.zeros((q + 1, 0 if unit is None else unit[-1] + 1))
    counts = np.ones(N) if isinstance(cells, Subjects) else cells.counts
    place = 0
    for part in blocks(cells):
        here = slice(place, place + part.A.shape[2])
        place = here.stop
        inverses, good = inverse(part.A, WELL_CONDITIONED)
        squares = part.squares(inverses)  # b_i b_i', summed over the cell
        usable += float(counts[here] @ good)
        explained += float(np.vdot(part.A, squares))
        effects += squares.sum(axis=2)
        sampling += inverses @ counts[here]
        if unit is not None and isinstance(part, Subjects):
            for row, values in enumerate([*part.solved(inverses), good]):
                means[row] += np.bincount(unit[here], values, means.shape[1])
    return usable, explained, effects, sampling, means
