"""Products of many small matrices, whose last axes are cells and replicates."""

from __future__ import annotations

import numpy as np


def product(left: np.ndarray, right: np.ndarray, symmetric: bool = False) -> np.ndarray:
    """left right' : (a, b, ...) for left : (a, d, ...), right : (b, d, ...), d >= 1; last axes may broadcast.

    symmetric : whether the result is, so that half of it suffices. Loops run over the small axes, into one
    contiguous array: einsum picks an order of memory that makes the next product up to six times slower.
    """
    shape = np.broadcast_shapes(left.shape[2:], right.shape[2:])
    result, term = np.empty((len(left), len(right), *shape)), np.empty(shape)
    for a in range(len(left)):
        for b in range(a + 1 if symmetric else len(right)):
            into = result[a, b]
            np.multiply(left[a, 0], right[b, 0], out=into)
            for d in range(1, left.shape[1]):
                np.multiply(left[a, d], right[b, d], out=term)
                into += term
            if symmetric and a != b:
                result[b, a] = into
    return result
