"""What the moment estimate of Psi is made of, by the compiled loops."""

from __future__ import annotations

import numpy as np

from lmmcore import kernel
from lmmcore.kernel import address
from lmmcore.kernel.blocks import BLOCK, by_block
from lmmcore.kernel.level import spaced
from lmmcore.moments.subjects import Subjects


def sums(cells: Subjects, least: float) -> tuple[float, float, np.ndarray, np.ndarray]:
    """Subjects whose A_i is well conditioned; and over these the sums of b'A^-1 b, (A^-1 b)(A^-1 b)' : (q, q)
    and A^-1 : (q, q), for the moments b : (q,) of y.

    least : part of its diagonal entry that each pivot of A_i must leave.
    """
    assert kernel.loops is not None
    r, q, N = cells.B.shape
    (A, B), stride = spaced(cells.A, cells.B)
    call, at_A, at_b = kernel.loops.lmm_start, address(A), address(B) + 8 * (r - 1) * q * stride

    def of(start: int) -> np.ndarray:
        found = np.empty(2 + 2 * q * q)
        size, begin, to = min(BLOCK, N - start), 8 * start, address(found)
        call(
            *(q, size, stride, at_A + begin, at_b + begin, least),
            *(to, to + 8, to + 16, to + 16 + 8 * q * q),
        )
        return found

    found = np.sum(by_block(of, N, q * q + q), axis=0)
    return (
        float(found[0]),
        float(found[1]),
        found[2 : 2 + q * q].reshape(q, q),
        found[2 + q * q :].reshape(q, q),
    )
