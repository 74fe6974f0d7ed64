"""The relative covariance Psi of the random effects, as a function of unbounded parameters.

Psi = Lambda Lambda' is block diagonal, one block a random term; an uncorrelated term is a row of
1 x 1 blocks.  The parameters are the free entries of Lambda, lower triangular *after a pivot*: within
a block the columns of Z are ordered by their variance, largest first.  Without the pivot a zero first
variance leaves a circle of equivalent solutions on which Newton's method wanders.

Nothing is ever divided by Psi, so that a zero variance is an ordinary point.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

# The order of a block changes only when a later variance exceeds an earlier one by this factor.
PIVOT_RATIO = 4.0


@dataclass(frozen=True)
class RandomCovariance:
    """Blocks of Psi, each given by the indices of its columns of Z in pivot order.

    blocks : one tuple of column indices a block; together they are 0..q-1.
    """

    blocks: tuple[tuple[int, ...], ...]

    @property
    def q(self) -> int:
        """Number of random effects of a subject."""
        return sum(len(block) for block in self.blocks)

    @cached_property
    def entries(self) -> tuple[tuple[int, int], ...]:
        """(row, column) in Lambda of every parameter."""
        return tuple(
            (block[row], block[column])
            for block in self.blocks
            for column in range(len(block))
            for row in range(column, len(block))
        )

    @cached_property
    def _units(self) -> np.ndarray:
        """F : (m, q, q), the unit matrix of each parameter's place in Lambda."""
        units = np.zeros((len(self.entries), self.q, self.q))
        for index, (row, column) in enumerate(self.entries):
            units[index, row, column] = 1.0
        return units

    @cached_property
    def second(self) -> np.ndarray:
        """d2 Psi / d theta_i d theta_j = F_i F_j' + F_j F_i' : (m, m, q, q), a constant."""
        products = np.einsum("iac,jbc->ijab", self._units, self._units)
        return products + products.transpose(1, 0, 2, 3)

    def factor(self, theta: np.ndarray) -> np.ndarray:
        """Lambda : (q, q) at theta : (m,)."""
        return np.tensordot(theta, self._units, axes=1)

    def first(self, factor: np.ndarray) -> np.ndarray:
        """d Psi / d theta_i = F_i Lambda' + Lambda F_i' : (m, q, q)."""
        half = self._units @ factor.T
        return half + half.transpose(0, 2, 1)

    def parameters(self, psi: np.ndarray) -> np.ndarray:
        """theta : (m,) with Lambda Lambda' = the blocks of psi, which may be singular."""
        theta = np.empty(len(self.entries))
        position = 0
        for block in self.blocks:
            size = len(block)
            lower = semidefinite_cholesky(psi[np.ix_(block, block)])
            for column in range(size):
                theta[position : position + size - column] = lower[column:, column]
                position += size - column
        return theta

    def repivoted(self, psi: np.ndarray) -> RandomCovariance:
        """The same structure with each block ordered by psi's diagonal; self if no order flips."""
        variances = np.diag(psi)
        blocks = tuple(_pivot(block, variances) for block in self.blocks)
        return self if blocks == self.blocks else RandomCovariance(blocks)


def _pivot(block: tuple[int, ...], variances: np.ndarray) -> tuple[int, ...]:
    ordered = [variances[index] for index in block]
    largest_later = 0.0
    for value in reversed(ordered):
        if largest_later > PIVOT_RATIO * value:
            return tuple(sorted(block, key=lambda index: -variances[index]))
        largest_later = max(largest_later, value)
    return block


def semidefinite_cholesky(matrix: np.ndarray) -> np.ndarray:
    """Lower factor of a positive semidefinite matrix; a pivot at rounding level gives a zero column."""
    size = len(matrix)
    rest = matrix.copy()
    lower = np.zeros((size, size))
    negligible = 1e-14 * max(np.max(np.diag(matrix), initial=0.0), 0.0)
    for column in range(size):
        pivot = rest[column, column]
        if pivot <= negligible:
            continue
        lower[column:, column] = rest[column:, column] / np.sqrt(pivot)
        rest -= np.outer(lower[:, column], lower[:, column])
    return lower
