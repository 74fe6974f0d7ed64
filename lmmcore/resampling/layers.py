"""The random effects of all levels as one vector of each outermost unit.

It holds the unit's own effects, then those of each smaller unit inside it: q = q_1 + k_2 q_2 + ..., k_l the
most units of level l in any outermost one. Lambda is block diagonal with k_l copies of each level's, still
linear in the parameters, so that nested levels are one level to the batch; that pays while q is small.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lmmcore.covariance.random import PIVOT_RATIO, RandomCovariance
from lmmcore.optimise.certificate import CONE


@dataclass(frozen=True)
class Layers:
    """levels : structure of Psi of each level, outermost first; copies : k of each, 1 for the outermost."""

    levels: tuple[RandomCovariance, ...]
    copies: tuple[int, ...]

    @property
    def q(self) -> int:
        """Length of the vector."""
        return sum(level.q * k for level, k in zip(self.levels, self.copies, strict=True))

    @property
    def size(self) -> int:
        """Number of parameters."""
        return sum(level.size for level in self.levels)

    @property
    def _slices(self) -> list[list[slice]]:
        """Places of each copy of each level."""
        found, start = [], 0
        for level, k in zip(self.levels, self.copies, strict=True):
            found.append([slice(start + j * level.q, start + (j + 1) * level.q) for j in range(k)])
            start += k * level.q
        return found

    @property
    def units(self) -> np.ndarray:
        """(m, q, q) coefficient of each parameter in Lambda."""
        result = np.zeros((self.size, self.q, self.q))
        row = 0
        for level, copies in zip(self.levels, self._slices, strict=True):
            for one in np.eye(level.size):
                for at in copies:
                    result[row, at, at] = level.factor(one)
                row += 1
        return result

    @property
    def ranks(self) -> list[list[int]]:
        """Parameters of each column of Lambda (see Block.columns_of_lambda)."""
        found, start = [], 0
        for level in self.levels:
            found += [[start + index for index in column] for column in level.ranks]
            start += level.size
        return found

    def parameters(self, psis: Sequence[np.ndarray]) -> np.ndarray:
        """theta : (m,) of Psi of each level."""
        return np.concatenate([level.parameters(psi) for level, psi in zip(self.levels, psis, strict=True)])

    def whole(self, psis: Sequence[np.ndarray]) -> np.ndarray:
        """(q, q) covariance of the vector from Psi of each level."""
        result = np.zeros((self.q, self.q))
        for psi, copies in zip(psis, self._slices, strict=True):
            for at in copies:
                result[at, at] = psi
        return result

    def parts(self, psi: np.ndarray) -> list[np.ndarray]:
        """Psi : (q_l, q_l, ...) of each level from that of the vector : (q, q, ...)."""
        return [psi[copies[0], copies[0]] for copies in self._slices]

    def flipped(self, psi: np.ndarray) -> np.ndarray:
        """(R,) whether the pivots of psi : (q, q, R) are out of order."""
        flipped = np.zeros(psi.shape[2], dtype=bool)
        for level, part in zip(self.levels, self.parts(psi), strict=True):
            for block in level.blocks:
                if block.kind == "unstructured" and len(block.columns) > 1:
                    ordered = part[block.columns, block.columns]
                    later = np.maximum.accumulate(ordered[:0:-1], axis=0)[::-1]
                    flipped |= (later > PIVOT_RATIO * ordered[:-1]).any(axis=0)
        return flipped

    def repivoted(self, psi: np.ndarray) -> Layers:
        """The same with the pivots in the order of psi : (q, q)."""
        pairs = zip(self.levels, self.parts(psi), strict=True)
        return Layers(tuple(level.repivoted(part) for level, part in pairs), self.copies)

    def leaves_cone(self, cones: np.ndarray) -> np.ndarray:
        """(R,) whether the deviance falls in an admissible direction of some Psi, D* : (q, q, R)."""
        leaves = np.zeros(cones.shape[2], dtype=bool)
        for level, copies in zip(self.levels, self._slices, strict=True):
            cone = np.sum([cones[at, at] for at in copies], axis=0)
            for block in level.blocks:
                part = cone[np.ix_(block.columns, block.columns)]
                leaves |= ~(block.least(np.moveaxis(part, 2, 0)) > -CONE)
        return leaves
