"""What the moment estimate of Psi is made of, by the compiled loops."""

from __future__ import annotations

import numpy as np

from lmmcore import kernel
from lmmcore.kernel.blocks import by_block


def sums(A: np.ndarray, B: np.ndarray, least: float) -> tuple[float, float, np.ndarray, np.ndarray]:
    """Subjects whose A_i is well conditioned; and over these the sums of b'A^-1 b, (A^-1 b)(A^-1 b)' : (q, q)
    and A^-1 : (q, q), for the moments b : (q,) of y.

    A : (q, q, N), B : (r, q, N); least : part of its diagonal entry that each pivot of A_i must leave.
    """
    assert kernel.loops is not None
    _, q, N = B.shape
    A, B, call = np.ascontiguousarray(A), np.ascontiguousarray(B), kernel.loops.start

    def of(first: int, last: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        made = np.empty(2), np.empty((q, q)), np.empty((q, q))
        call(A, B, least, first, last, *made)
        return made

    found = by_block(of, N, q * q + q)
    count, effects, sampling = (np.sum(each, axis=0) for each in zip(*found, strict=True))
    return float(count[0]), float(count[1]), effects, sampling
