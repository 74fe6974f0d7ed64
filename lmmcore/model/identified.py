"""Whether the covariance matrix of the random effects of one group can be told from the data's.

The data see Psi through Z Psi Z' alone.  Columns of Z that depend on one another are no harm in themselves:
1, x and x + 1 with a variance each make three different covariances.  With independent columns W and Z = W T,
Z Psi Z' = W (T Psi T') W', so that the parameters of Psi are determined only if the matrices T D_i T' of
their directions D_i are linearly independent.  Where they are not, x beside 2 x say, the likelihood is flat:
lme4 gives one point of many, with a warning or none.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lmmcore.covariance.random import RandomCovariance
from lmmcore.errors import FitError

# A column is a combination of those before it if this part or less of its length is left outside them, which
# sums of squares can tell; the same part of a direction.
SAME = 1e-6
# Names of random effects that a message lists.
LISTED = 4


def check_told_apart(ZZ: np.ndarray, covariance: RandomCovariance, names: Sequence[str], group: str) -> None:
    """Raise FitError where parameters of Psi make the same covariance of the data.

    ZZ : (q, q), Z'Z of a group, each column of which has a length; names : (q,) of its random effects.
    """
    lengths = np.sqrt(np.diag(ZZ))
    T = _in_independent_columns(ZZ / np.outer(lengths, lengths))
    if len(T) == len(ZZ):
        return
    made = T @ covariance.linear.first(np.zeros_like(ZZ)) @ T.T
    made = made.reshape(len(made), -1)
    made /= np.linalg.norm(made, axis=1, keepdims=True)
    left, values, _ = np.linalg.svd(made)
    flat = left[:, int(np.sum(values > SAME)) :]
    if not flat.shape[1]:
        return
    involved = np.abs(flat).max(axis=1) > SAME
    directions = covariance.linear.first(np.zeros_like(ZZ))[involved]
    effects = np.flatnonzero(np.any(directions, axis=(0, 1)))
    listed = ", ".join(names[index] for index in effects[:LISTED])
    if len(effects) > LISTED:
        listed += f" and {len(effects) - LISTED} more"
    raise FitError(
        f"The random effects {listed} of {group!r} are linearly dependent, and the data determine only "
        f"{involved.sum() - flat.shape[1]} of their {involved.sum()} variances and covariances: leave out "
        "those that repeat what the others say."
    )


def _in_independent_columns(gram: np.ndarray) -> np.ndarray:
    """T : (k, q), each column as a combination of the leftmost k independent ones, from the inner products
    of columns of length 1 : (q, q)."""
    kept: list[int] = []
    for index in range(len(gram)):
        inside, cross = gram[np.ix_(kept, kept)], gram[kept, index]
        if 1 - cross @ np.linalg.solve(inside, cross) > SAME**2:
            kept.append(index)
    return np.linalg.solve(gram[np.ix_(kept, kept)], gram[kept])
