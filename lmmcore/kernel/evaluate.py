"""The deviance and its derivatives at one theta, by the compiled loops in one call.

Fits of few subjects spend more on calls than on numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lmmcore import kernel
from lmmcore.kernel import address, level
from lmmcore.kernel.blocks import BLOCK
from lmmcore.moments.subjects import Jet


@dataclass(frozen=True)
class Evaluated:
    """log_det : log|V|; lower : (r, r), factor of [X y]'V^-1[X y]; gradient : (m,), hessian : (m, m),
    gram : (m, r, r), cone : (q, q), as in lmmcore.likelihood.evaluation.Derivatives."""

    log_det: float
    lower: np.ndarray
    gradient: np.ndarray
    hessian: np.ndarray
    gram: np.ndarray
    cone: np.ndarray


def serves(jet: Jet) -> bool:
    """Whether there are compiled loops for such moments: no more than one block of subjects."""
    return jet.B.shape[3] <= BLOCK and level.serves(jet[0])


def evaluate(
    factor: np.ndarray, directions: np.ndarray, bends: np.ndarray, jet: Jet, nu: int, reml: bool
) -> Evaluated | None:
    """None where [X y]'V^-1[X y] has no factor.

    factor : (q, q), Lambda; directions : (k, q, q) and bends : (k, k, q, q), derivatives of Psi; jet : the
    moments, with their derivatives if anything below the level has a parameter; nu : degrees of freedom.
    """
    assert kernel.loops is not None
    sets, r, q, N = jet.B.shape
    k = len(directions)
    m = k + (sets > 1)
    a, b, c = r * r, r * r + m, r * r + m + m * m
    d = c + m * r * r
    out = np.empty(d + q * q)
    given = [np.ascontiguousarray(part) for part in (*jet.parts, factor, directions, bends)]
    to = address(out)
    log_det = kernel.loops.lmm_evaluate(
        *(q, r, k, sets, N, nu, reml, *map(address, given)),
        *(to, to + 8 * a, to + 8 * b, to + 8 * c, to + 8 * d),
    )
    if np.isnan(log_det):
        return None
    return Evaluated(
        log_det,
        out[:a].reshape(r, r),
        out[a:b],
        out[b:c].reshape(m, m),
        out[c:d].reshape(m, r, r),
        out[d:].reshape(q, q),
    )
