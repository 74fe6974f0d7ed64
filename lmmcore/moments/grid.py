"""The data summed by pattern of visits, for models in which Z and R depend on the visit alone.

All that the likelihood needs of the subjects who were seen at the visits of pattern P is their number and

    C_P[j, k] = sum_i u_ij' u_ik,     u_ij = [x_ij y_ij]

for each pair of visits: its cost (lmmcore.likelihood.grid) does not depend on the number of subjects.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from lmmcore.moments.dense import Matrices
from lmmcore.moments.patterns import Patterns
from lmmcore.moments.subjects import SortedRows, blockwise

MOST_VISITS = 40
# Numbers that the sums may hold, and subjects a pattern that make it worth while.
MOST_SUMS = 10_000_000
WORTH = 2
# Rows among which the visits are looked for; the others are then compared with these.
FIRST_ROWS = 2_000


@dataclass(frozen=True)
class Grid:
    """Z : (J, q) in the model's coordinates; matrices : R of all visits at the parameters of the residual
    structure; seen : (P, J) 1 or 0; counts : (P,) subjects; products : (P, J, J, r, r), C_P.
    """

    Z: np.ndarray
    matrices: Callable[[np.ndarray], Matrices]
    seen: np.ndarray
    counts: np.ndarray
    products: np.ndarray

    @cached_property
    def pairs(self) -> np.ndarray:
        """(P, J, J) 1 where both visits were seen."""
        return self.seen[:, :, None] * self.seen[:, None, :]

    @cached_property
    def flat(self) -> np.ndarray:
        """(P J J, r r) C_P."""
        P, J, _, r, _ = self.products.shape
        return self.products.reshape(P * J * J, r * r)

    def weights(self, V: np.ndarray) -> np.ndarray:
        """V_P^-1 : (P, J, J) of each pattern for V : (J, J) of all visits, 0 where a visit was not seen."""
        return np.linalg.inv(self.parts(V)) * self.pairs

    def parts(self, V: np.ndarray) -> np.ndarray:
        """V : (J, J) of all visits cut down to each pattern, 1 on the diagonal elsewhere : (P, J, J)."""
        J = np.arange(len(V))
        parts = V * self.pairs
        parts[:, J, J] += 1 - self.seen
        return parts

    def of_response(self, phi: np.ndarray) -> Patterns:
        """Moments of Z and y alone at the parameters of the residual structure."""
        G = self.weights(self.matrices(phi).value[0])
        C = self.products[..., -1, -1]
        GZ = G @ self.Z
        A = self.Z.T @ GZ
        T = GZ.transpose(0, 2, 1) @ C @ GZ
        S = np.array([[[float((G * C).sum())]]])
        return Patterns(
            np.moveaxis(A, 0, 2), np.moveaxis(T, 0, 2)[..., None, None], S, 0.0, self.counts
        )

    @property
    def linear(self) -> Grid:
        """The same with second derivatives of R of 0."""
        matrices = self.matrices
        return replace(self, matrices=lambda phi: matrices(phi).without_second())

    def rotated(self, fixed: np.ndarray, random: np.ndarray) -> Grid:
        """The sums for [Z random, X fixed, y]."""
        full = blockwise([fixed, np.eye(1)])
        products = np.einsum("pjkab,ac,bd->pjkcd", self.products, full, full, optimize=True)
        return replace(self, Z=self.Z @ random, products=np.ascontiguousarray(products))


def grid_of(
    rows: SortedRows,
    marks: np.ndarray,
    matrices: Callable[[np.ndarray, np.ndarray], Matrices],
    Z: Sequence[np.ndarray],
    XY: Sequence[np.ndarray],
) -> Grid | None:
    """The sums of sorted columns (n,) of Z and [X y]; None where the rows make no grid that pays.

    marks : (n, d) what R depends on; matrices : R of cells of marks (c, n, d).
    """
    found = _visits(marks)
    if found is None or rows.outer is not None:
        return None
    visits, visit = found
    J, N, r = len(visits), len(rows.starts), len(XY)
    example = np.zeros(J, dtype=np.intp)
    example[visit] = np.arange(len(visit))  # a row of each visit
    grid_Z = np.array([column[example] for column in Z]).reshape(len(Z), J).T
    if any(np.any(column != values[visit]) for column, values in zip(Z, grid_Z.T, strict=True)):
        return None
    key = np.add.reduceat(np.left_shift(1, visit), rows.starts)
    patterns, pattern, counts = np.unique(key, return_inverse=True, return_counts=True)
    P = len(patterns)
    seen = (patterns[:, None] >> np.arange(J)) & 1
    sizes = np.diff(np.append(rows.starts, len(visit)))
    if P * WORTH > N or P * (J * r) ** 2 > MOST_SUMS or np.any(seen.sum(axis=1)[pattern] != sizes):
        return None
    U = np.column_stack(XY)
    products = np.zeros((P, J, J, r, r))
    order = np.argsort(pattern, kind="stable")
    for index, end in enumerate(np.cumsum(counts)):
        members = rows.starts[order[end - counts[index] : end]]
        size = sizes[order[end - 1]]
        block = U[members[:, None] + np.arange(size)].reshape(len(members), size * r)
        at = np.sort(visit[members[0] : members[0] + size])
        same = visit[members[:, None] + np.arange(size)]
        if np.any(same != at):  # not in the order of the visits
            block = np.take_along_axis(
                block.reshape(len(members), size, r), np.argsort(same, axis=1)[:, :, None], axis=1
            ).reshape(len(members), size * r)
        sums = (block.T @ block).reshape(size, r, size, r).transpose(0, 2, 1, 3)
        products[index][np.ix_(at, at)] = sums

    def of_visits(phi: np.ndarray) -> Matrices:
        return matrices(phi, visits[None])

    return Grid(grid_Z, of_visits, seen.astype(float), counts.astype(float), products)


def _visits(marks: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Distinct marks : (J, d), and which of them a row has : (n,); None for more than MOST_VISITS."""
    if marks.shape[1] == 1 and len(marks) > FIRST_ROWS:
        values = np.unique(marks[:FIRST_ROWS, 0])
        for _ in range(2):
            if len(values) > MOST_VISITS:
                return None
            visit = np.minimum(np.searchsorted(values, marks[:, 0]), len(values) - 1)
            other = values[visit] != marks[:, 0]
            if not other.any():
                return values[:, None], visit
            values = np.unique(np.concatenate([values, marks[other, 0]]))
        return None
    visits, visit = np.unique(marks, axis=0, return_inverse=True)
    return (visits, visit.reshape(-1)) if len(visits) <= MOST_VISITS else None
