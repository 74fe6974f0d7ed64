"""Which linear functions l'beta of the fixed effects the data determine.

Where columns of X depend on each other, beta is known only up to a null vector n, X n = 0, and l'beta is
determined (estimable) exactly if l'n = 0 for every one of them (Searle 1971, section 5.4). Which columns were
left out of the fit, and which level is the reference, does not matter to that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# Part of the terms of l'n that may be left of their sum by rounding. Columns that agree to seven digits count
# as dependent (lmmcore.model.coordinates.DEPENDENT); no row of theirs may come out as undetermined.
OUTSIDE = 1e-6
# An entry of a null vector, or of a function in units of the columns, below this is a zero that rounding has
# moved: the mean of a centred covariate.
ROUNDING = 1e-10


@dataclass(frozen=True, eq=False)
class NullSpace:
    """scale : (P,) root mean square of each column of X, 0 for one that is 0 in every row.

    basis : (P, k) orthonormal, X / scale @ basis = 0 (columns of zeros not divided).
    """

    scale: np.ndarray
    basis: np.ndarray

    @staticmethod
    def of(vectors: np.ndarray, scale: np.ndarray) -> NullSpace:
        """vectors : (P, k) linearly independent, X @ vectors = 0."""
        basis = np.linalg.qr(vectors * np.where(scale > 0, scale, 1)[:, None])[0]
        return NullSpace(scale, np.where(np.abs(basis) > ROUNDING, basis, 0))

    @staticmethod
    def empty(columns: int) -> NullSpace:
        """Of columns that are independent: everything is determined."""
        return NullSpace(np.ones(columns), np.empty((columns, 0)))

    def determines(self, functions: np.ndarray, size: np.ndarray | None = None) -> np.ndarray:
        """(m,) whether each l'beta is determined, for l in the rows of functions : (m, P).

        size : magnitude of the terms that the functions were summed from, (m, P); by default their own.
        """
        if not self.basis.shape[1]:
            return np.ones(len(functions), dtype=bool)
        size = np.abs(functions) if size is None else size
        # A column of zeros has no size of its own: any weight on it counts in full.
        scale = np.where(
            self.scale > 0, self.scale, np.maximum(size.max(axis=0, initial=0), np.finfo(float).tiny)
        )
        size = size / scale
        outside = np.abs(functions / scale @ self.basis)
        floor = ROUNDING * np.minimum(1, np.linalg.norm(size, axis=1))[:, None]
        return np.asarray((outside <= OUTSIDE * size @ np.abs(self.basis) + floor).all(axis=1))


def null_space(
    fixed: np.ndarray, products: np.ndarray, kept: Sequence[int], lengths: np.ndarray
) -> NullSpace:
    """Of P columns of which some are kept.

    fixed : (P, P), X @ fixed are other columns that span the same, with inner products : (P, P), of which
    the kept ones are well apart; lengths : (P,) root mean squares of X.
    """
    chosen = list(kept)
    gone = [index for index in range(len(fixed)) if index not in set(chosen)]
    if not gone:
        return NullSpace.empty(len(fixed))
    size = np.sqrt(np.diag(products)[chosen])[:, None]  # so that no unit of a column spoils the digits
    inside, cross = products[np.ix_(chosen, chosen)], products[np.ix_(chosen, gone)]
    made_up = np.linalg.solve(inside / size / size.T, cross / size) / size
    return NullSpace.of(fixed[:, gone] - fixed[:, chosen] @ made_up, lengths)
