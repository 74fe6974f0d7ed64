"""The deviance and its derivatives at one theta, by the compiled loops in one call.

Fits of few subjects spend more on calls than on numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lmmcore import kernel
from lmmcore.kernel.blocks import BLOCK


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


def serves(B: np.ndarray) -> bool:
    """Whether there are compiled loops for moments B : (sets, r, q, N), of one block of subjects or less."""
    _, r, q, N = B.shape
    return N <= BLOCK and kernel.has_room(q, r)


def evaluate(
    factor: np.ndarray,
    directions: np.ndarray,
    bends: np.ndarray,
    moments: Sequence[np.ndarray],
    nu: int,
    reml: bool,
) -> Evaluated | None:
    """None where [X y]'V^-1[X y] has no factor.

    factor : (q, q), Lambda; directions : (k, q, q) and bends : (k, k, q, q), derivatives of Psi; moments :
    A : (sets, q, q, N), B : (sets, r, q, N), S : (sets, r, r, 1) and log|R| : (sets,), with their derivatives
    if anything below the level has a parameter; nu : degrees of freedom.
    """
    assert kernel.loops is not None
    sets, r, q, _ = moments[1].shape
    m = len(directions) + (sets > 1)
    made = np.empty((r, r)), np.empty(m), np.empty((m, m)), np.empty((m, r, r)), np.empty((q, q))
    A, B, S, log_r, factor, directions, bends = map(
        np.ascontiguousarray, (*moments, factor, directions, bends)
    )
    log_det = kernel.loops.evaluate(A, B, S, log_r, factor, directions, bends, nu, reml, *made)
    return None if np.isnan(log_det) else Evaluated(log_det, *made)
