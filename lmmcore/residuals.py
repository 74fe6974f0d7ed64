"""Fitted values and residuals of the rows used, sorted as the model sorts them."""

from __future__ import annotations

import numpy as np

from lmmcore.solution import Blups, Solution

# Elements of the batch of marginal covariance matrices formed at once.
BATCH = 4_000_000


def fitted_values(solution: Solution, predicted: Blups) -> tuple[np.ndarray, np.ndarray]:
    """X beta^ and X beta^ + Z b^ : (n,) each."""
    rows = solution.model.rows
    population = np.zeros(len(rows.y))
    for index, coefficient in zip(solution.model.coordinates.kept, solution.beta, strict=True):
        population += coefficient * rows.X[index]
    subject = population.copy()
    place = rows.index
    for column, effect in zip(rows.Z, predicted.effects, strict=True):
        subject += column * effect[place]
    return population, subject


def normalized_residuals(solution: Solution, marginal: np.ndarray) -> np.ndarray:
    """L_i^-1 (y_i - X_i beta^) with sigma^2 V_i = L_i L_i' : independent N(0, 1) if the model holds.

    marginal : (n,) y - X beta^. Raw residuals of correlated data look correlated even in a true model.
    """
    model, rows = solution.model, solution.model.rows
    sizes = np.diff(np.append(rows.starts, len(rows.y)))
    q = len(rows.Z)
    result = np.empty(len(rows.y))
    for size in np.unique(sizes):
        members = np.flatnonzero(sizes == size)
        for chunk in np.array_split(members, -(-len(members) * int(size) ** 2 // BATCH)):
            index = rows.starts[chunk][:, None] + np.arange(size)
            V = np.zeros((len(chunk), size, size))
            if model.structure is None:
                V += np.eye(size)
            else:
                V += model.structure.covariance(solution.natural, rows.sorted_rows.times[index])
            if q:
                Z = np.stack([column[index] for column in rows.Z], axis=2)
                V += Z @ solution.psi @ Z.transpose(0, 2, 1)
            lower = np.linalg.cholesky(V)
            result[index] = np.linalg.solve(lower, marginal[index][:, :, None])[:, :, 0]
    return result / np.sqrt(solution.sigma2)
