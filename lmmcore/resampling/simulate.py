"""Rows drawn from a fitted model: y* = X beta^ + Z b* + e*."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from lmmcore.errors import FitError
from lmmcore.estimate.residuals import BATCH
from lmmcore.estimate.solution import Solution
from lmmcore.runtime import arguments

# Elements of the responses that are drawn at once.
BLOCK = 4_000_000


def simulate(solution: Solution, n: int, seed: int) -> np.ndarray:
    """n responses drawn from the fitted model : (rows used, n), rows in the order of the data.

    Random effects of every level and residuals are drawn anew; beta, the covariance parameters and sigma are
    the estimates. The response is on the scale of the model (log y if that is the formula's), with the
    offset. Column r is the same for every n > r. Raises ArgumentError unless n is at least 1.
    """
    model, rows = solution.model, solution.model.rows
    n, seed = arguments.whole_number(n, "n", 1), arguments.whole_number(seed, "seed", 0)
    result = np.empty((model.n, n))
    mean = fixed_part(solution) + rows.offset
    done = 0
    for block in RowSampler(solution, np.random.SeedSequence(seed)).blocks(n):
        result[:, done : done + block.shape[1]] = rows.unsorted(mean[:, None] + block)
        done += block.shape[1]
    return result


def check_converged(solution: Solution) -> None:
    """Raise FitError unless the fit converged: data like those of a wrong model teach nothing."""
    if not solution.certificate.converged:
        raise FitError(
            f"The fit of {solution.model.spec.formula.text!r} did not converge, so that a bootstrap would "
            "draw from the wrong model; fit a simpler covariance first."
        )


def fixed_part(solution: Solution) -> np.ndarray:
    """X beta^ : (n,) of the sorted rows."""
    model = solution.model
    result = np.zeros(model.n)
    for index, coefficient in zip(model.coordinates.kept, solution.beta, strict=True):
        result += coefficient * model.rows.X[index]
    return result


@dataclass(frozen=True)
class RowSampler:
    """Draws Z b* + e* of the sorted rows, replicate after replicate."""

    solution: Solution
    seed: np.random.SeedSequence

    def blocks(self, n: int, size: int | None = None) -> Iterator[np.ndarray]:
        """n replicates in arrays : (rows, at most size); the same numbers whatever the size."""
        rng = np.random.Generator(np.random.PCG64(self.seed))
        model = self.solution.model
        count = model.n + sum(
            covariance.q * len(unit.starts)
            for covariance, unit in zip(model.covariances, model.rows.units, strict=True)
        )
        size = max(1, min(size or n, BLOCK // count))
        for done in range(0, n, size):
            z = rng.standard_normal((min(size, n - done), count)).T
            yield self._turned(z)

    def _turned(self, z: np.ndarray) -> np.ndarray:
        """Z b* + e* of standard normals z : (random effects of each level and n, k)."""
        solution, model = self.solution, self.solution.model
        result = self._residuals(z[-model.n :])
        place = 0
        for level, unit in enumerate(model.rows.units):
            columns = model.columns(level)
            q, N = columns.stop - columns.start, len(unit.starts)
            if not q:
                continue
            root = _root(solution.psi[columns, columns])
            b = np.tensordot(root, z[place : place + q * N].reshape(q, N, -1), axes=1)
            place += q * N
            for column, effect in zip(model.rows.Z[columns], b, strict=True):
                result += column[:, None] * effect[unit.subject]
        result *= np.sqrt(solution.sigma2)
        return result

    def _residuals(self, z: np.ndarray) -> np.ndarray:
        """e* / sigma : (n, k)."""
        solution, model = self.solution, self.solution.model
        result = np.array(z)
        if model.structure is not None:
            starts = model.rows.units[-1].starts
            sizes = np.diff(np.append(starts, model.n))
            for size in np.unique(sizes):
                members = np.flatnonzero(sizes == size)
                for chunk in np.array_split(members, -(-len(members) * int(size) ** 2 // BATCH)):
                    index = starts[chunk][:, None] + np.arange(size)
                    root = _root(model.structure.covariance(solution.natural, index))
                    result[index] = root @ z[index]
        if model.rows.weights is not None:
            result /= np.sqrt(model.rows.weights)[:, None]
        return result


def _root(matrices: np.ndarray) -> np.ndarray:
    """Roots : (..., n, n) of covariance matrices, which may be singular."""
    try:
        return np.asarray(np.linalg.cholesky(matrices))
    except np.linalg.LinAlgError:
        values, vectors = np.linalg.eigh(matrices)
        return np.asarray(vectors * np.sqrt(np.maximum(values, 0))[..., None, :])
