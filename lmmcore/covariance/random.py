"""The relative covariance Psi of the random effects, as a function of unbounded parameters.

Psi = Lambda Lambda' is block diagonal, one block a random term, and Lambda is linear in the parameters:

    unstructured        lower triangular after a pivot, the free entries are the parameters
    compound symmetry   theta_1 P + theta_2 (I - P), P = 11'/m: one variance and one correlation
    identity            theta I: one variance, no correlation

(an uncorrelated term is a row of 1 x 1 blocks). Nothing is ever divided by Psi, so that a zero variance is an
ordinary point. The pivot orders the columns of Z of an unstructured block by their variance, largest first:
without it a zero first variance leaves a circle of equivalent solutions on which Newton's method wanders.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

# The order of a block changes only when a later variance exceeds an earlier one by this factor.
PIVOT_RATIO = 4.0
# Part of a matrix that rounding leaves of a zero.
ROUNDING = 1e-14


@dataclass(frozen=True)
class Block:
    """Columns of Z with a covariance matrix of their own, in pivot order; kind : see the module."""

    columns: tuple[int, ...]
    kind: str = "unstructured"

    def units(self) -> list[np.ndarray]:
        """(m, m) coefficient of each parameter in Lambda."""
        m = len(self.columns)
        if self.kind == "unstructured":
            found = []
            for column in range(m):
                for row in range(column, m):
                    found.append(np.zeros((m, m)))
                    found[-1][row, column] = 1.0
            return found
        if self.kind == "identity":
            return [np.eye(m)]
        common = np.full((m, m), 1 / m)
        return [common, np.eye(m) - common] if m > 1 else [common]

    @property
    def place(self) -> tuple[np.ndarray, np.ndarray]:
        """Index of the block's rows and columns in a matrix : (q, q)."""
        return _place(self.columns)

    def part(self, matrix: np.ndarray) -> np.ndarray:
        """The block's rows and columns of a matrix : (q, q)."""
        return matrix[self.place]

    def parameters(self, psi: np.ndarray) -> np.ndarray:
        """Parameters whose Psi is psi : (m, m) in pivot order, or the nearest of this kind."""
        m = len(self.columns)
        if m == 1:
            return np.sqrt(np.maximum(psi[0], 0.0))
        if self.kind == "unstructured":
            lower = semidefinite_cholesky(psi)
            return np.concatenate([lower[column:, column] for column in range(m)])
        variances = [max(float((unit * psi).sum() / np.trace(unit)), 0.0) for unit in self.units()]
        return np.sqrt(variances)

    def columns_of_lambda(self) -> list[list[int]]:
        """Parameters that together make a rank of Psi: they are zero together or not at all."""
        if self.kind != "unstructured":
            return [[index] for index in range(len(self.units()))]
        m, found, start = len(self.columns), [], 0
        for column in range(m):
            found.append(list(range(start, start + m - column)))
            start += m - column
        return found

    def _directions(self) -> np.ndarray:
        """(k, m, m) of unit size, the admissible ones of a block that is not unstructured."""
        return np.array([unit / np.linalg.norm(unit) for unit in self.units()])

    def least(self, cones: np.ndarray) -> np.ndarray:
        """The least <cone, direction> over admissible directions of unit size, for cones : (..., m, m)."""
        if self.kind == "unstructured":
            return np.linalg.eigvalsh(cones)[..., 0]
        return np.tensordot(cones, self._directions(), axes=((-2, -1), (1, 2))).min(axis=-1)

    def steepest(self, cone: np.ndarray) -> np.ndarray:
        """The direction of that least value for one cone : (m, m)."""
        if self.kind == "unstructured":
            vector = np.linalg.eigh(cone)[1][:, 0]
            return np.outer(vector, vector)
        directions = self._directions()
        return np.asarray(directions[int(np.argmin(np.tensordot(directions, cone, axes=2)))])

    def rises_from_zero(self, factor: np.ndarray, cone: np.ndarray) -> np.ndarray:
        """<cone, direction> of admissible directions of unit size in which Psi is zero.

        factor : (m, m), Lambda; cone : (m, m).
        """
        if self.kind == "unstructured":
            used = factor[:, np.any(factor != 0, axis=0)]
            vectors = np.linalg.svd(used / np.linalg.norm(used, axis=0))[0]
            null = vectors[:, used.shape[1] :]
            return np.linalg.eigvalsh(null.T @ cone @ null)
        directions = self._directions()
        sizes = np.abs(np.tensordot(directions, factor, axes=2))
        return np.asarray(np.tensordot(directions[sizes <= ROUNDING * sizes.max()], cone, axes=2))

    def repivoted(self, variances: np.ndarray) -> Block:
        """The block with its columns ordered by variances : (q,); self if no order flips."""
        if self.kind != "unstructured":
            return self
        largest_later = 0.0
        for column in reversed(self.columns):
            if largest_later > PIVOT_RATIO * variances[column]:
                return Block(tuple(sorted(self.columns, key=lambda index: -variances[index])))
            largest_later = max(largest_later, variances[column])
        return self


@dataclass(frozen=True)
class RandomCovariance:
    """Blocks of Psi; together their columns are 0..q-1."""

    blocks: tuple[Block, ...]

    @property
    def q(self) -> int:
        """Number of random effects of a unit."""
        return sum(len(block.columns) for block in self.blocks)

    @cached_property
    def _units(self) -> np.ndarray:
        """F : (m, q, q), the coefficient of each parameter in Lambda."""
        return _units(self.blocks)

    @property
    def size(self) -> int:
        """Number of parameters."""
        return len(self._units)

    @cached_property
    def _rigid(self) -> bool:
        """Whether there is no order of columns to choose."""
        return all(block.kind != "unstructured" or len(block.columns) == 1 for block in self.blocks)

    @cached_property
    def ranks(self) -> list[list[int]]:
        """Parameters of each column of Lambda (see Block.columns_of_lambda)."""
        found, start = [], 0
        for block in self.blocks:
            found += [[start + index for index in column] for column in block.columns_of_lambda()]
            start += len(block.units())
        return found

    @cached_property
    def second(self) -> np.ndarray:
        """d2 Psi / d theta_i d theta_j = F_i F_j' + F_j F_i' : (m, m, q, q), a constant."""
        return _second(self.blocks)

    def factor(self, theta: np.ndarray) -> np.ndarray:
        """Lambda : (q, q) at theta : (m,)."""
        m, q, _ = self._units.shape
        return (theta @ self._units.reshape(m, q * q)).reshape(q, q)

    def first(self, factor: np.ndarray) -> np.ndarray:
        """d Psi / d theta_i = F_i Lambda' + Lambda F_i' : (m, q, q)."""
        half = self._units @ factor.T
        return half + half.transpose(0, 2, 1)

    def parameters(self, psi: np.ndarray) -> np.ndarray:
        """theta : (m,) with Lambda Lambda' = the blocks of psi, which may be singular."""
        parts = [block.parameters(block.part(psi)) for block in self.blocks]
        return np.concatenate([np.empty(0), *parts])

    def repivoted(self, psi: np.ndarray) -> RandomCovariance:
        """The same structure with each block ordered by psi's diagonal; self if no order flips."""
        if self._rigid:
            return self
        variances = np.diag(psi)
        blocks = tuple(block.repivoted(variances) for block in self.blocks)
        unchanged = all(new is old for new, old in zip(blocks, self.blocks, strict=True))
        return self if unchanged else RandomCovariance(blocks)

    @cached_property
    def linear(self) -> LinearCovariance:
        """The same blocks with Psi itself as the parameter."""
        return LinearCovariance(self.blocks)


# A fit of a small data set spends more on these constants than on its data.
@lru_cache(maxsize=256)
def _place(columns: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    rows, across = np.ix_(columns, columns)
    return rows, across


@lru_cache(maxsize=256)
def _units(blocks: tuple[Block, ...]) -> np.ndarray:
    q = sum(len(block.columns) for block in blocks)
    found = []
    for block in blocks:
        for part in block.units():
            unit = np.zeros((q, q))
            # Rows and columns both follow the pivot order.
            unit[block.place] = part
            found.append(unit)
    return np.array(found).reshape(len(found), q, q)


@lru_cache(maxsize=256)
def _second(blocks: tuple[Block, ...]) -> np.ndarray:
    units = _units(blocks)
    products = np.einsum("iac,jbc->ijab", units, units)
    return np.ascontiguousarray(products + products.transpose(1, 0, 2, 3))


class LinearCovariance(RandomCovariance):
    """Derivatives by Psi instead of Lambda: by its free entries, or the variances along fixed projections.

    Each parameter of Lambda has one counterpart, so that places in theta stay as they are. A zero variance is
    a point like any other here, which Lambda's derivative (0 at 0) cannot see.
    """

    def first(self, factor: np.ndarray) -> np.ndarray:
        """Constant directions : (m, q, q): F where the coefficient F is symmetric, F + F' elsewhere."""
        across = np.any(self._units != self._units.transpose(0, 2, 1), axis=(1, 2))
        return self._units + np.where(across[:, None, None], self._units.transpose(0, 2, 1), 0.0)

    @property
    def second(self) -> np.ndarray:
        """0 : (m, m, q, q)."""
        return np.zeros((self.size, self.size, self.q, self.q))


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
