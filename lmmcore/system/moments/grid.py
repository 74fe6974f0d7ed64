"""The data summed by pattern of visits, for models in which Z and R depend on the visit alone.

All that the likelihood needs of the subjects who were seen at the visits of pattern P is their number and

    C_P[j, k] = sum_i u_ij' u_ik,     u_ij = [x_ij y_ij]

for each pair of visits: its cost (lmmcore.system.grid) does not depend on the number of subjects.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from lmmcore.system.moments.dense import Matrices
from lmmcore.system.moments.factor import check_spread, factors, log_dets
from lmmcore.system.moments.patterns import Patterns
from lmmcore.system.moments.products import is_one
from lmmcore.system.moments.subjects import SortedRows, blockwise

MOST_VISITS = 40
# Numbers that the sums may hold, and subjects a pattern that make it worth while.
MOST_SUMS = 10_000_000
WORTH = 2
# Patterns that a search on the frequent ones takes at least, and of how many these must be a part.
COMMON = 8
FAR_FEWER = 4
# Whole-numbered visits are looked up in a table that is no wider.
MOST_WIDTH = 10_000
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

    def common(self) -> Grid | None:
        """The subjects of the most frequent patterns, half of all or more; None if they are not far fewer."""
        order = np.argsort(-self.counts, kind="stable")
        enough = int(np.searchsorted(np.cumsum(self.counts[order]), self.counts.sum() / 2)) + 1
        kept = np.sort(order[: max(enough, COMMON)])
        if len(kept) * FAR_FEWER > len(self.counts) or not self.seen[kept].any(axis=0).all():
            return None
        return replace(self, seen=self.seen[kept], counts=self.counts[kept], products=self.products[kept])

    def weights(self, V: np.ndarray, own: np.ndarray | None = None) -> tuple[np.ndarray, float]:
        """V_P^-1 : (P, J, J) of each pattern for V : (J, J) of all visits, 0 where a visit was not seen; and
        the sum of log|V_P| over the subjects.

        own : (J,) variances that V must not be singular beside. Raises LinAlgError where it is.
        """
        own = np.diag(V) if own is None else own
        check_spread(own.min(), own.max())
        lower = factors(self.parts(V), np.where(self.seen > 0, own, 1.0))
        root = np.linalg.inv(lower)
        return (root.mT @ root) * self.pairs, float(self.counts @ log_dets(lower))

    def check(self, R: np.ndarray) -> None:
        """Raise LinAlgError where R : (J, J) is numerically singular for a pattern."""
        try:
            factors(R)
        except np.linalg.LinAlgError:  # perhaps between visits that nobody has both of
            factors(self.parts(R))

    def parts(self, V: np.ndarray) -> np.ndarray:
        """V : (J, J) of all visits cut down to each pattern, 1 on the diagonal elsewhere : (P, J, J)."""
        J = np.arange(len(V))
        parts = V * self.pairs
        parts[:, J, J] += 1 - self.seen
        return parts

    def at(self, phi: np.ndarray) -> Patterns:
        """Moments of the patterns at the parameters of the residual structure.

        Raises LinAlgError where R is numerically singular.
        """
        R = self.matrices(phi).value[0]
        G, log_r = self.weights(R)
        P, J, _, r, _ = self.products.shape
        GZ = G @ self.Z
        half = (GZ.transpose(0, 2, 1) @ self.products.reshape(P, J, -1)).reshape(P, -1, J, r * r)
        T = np.einsum("pakx,pkb->abpx", half, GZ, optimize=True)
        S = (G.reshape(1, -1) @ self.flat).reshape(r, r, 1)
        A = np.ascontiguousarray(np.moveaxis(self.Z.T @ GZ, 0, 2))
        return Patterns(A, np.ascontiguousarray(T).reshape(*T.shape[:3], r, r), S, log_r, self.counts)

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
    # Subjects of a pattern after one another, the rows of each in the order of the visits.
    order = np.argsort(pattern.astype(np.int16) if P < 2**15 else pattern, kind="stable")
    ends = np.cumsum(sizes[order])
    index = np.repeat(rows.starts[order] - ends + sizes[order], sizes[order]) + np.arange(len(visit))
    here = visit[index]
    unit = np.repeat(np.arange(N), sizes[order])
    if np.any((here[1:] <= here[:-1]) & (unit[1:] == unit[:-1])):
        index = index[np.lexsort((here, unit))]
    U = np.empty((r, len(visit)))
    for row, column in zip(U, XY, strict=True):
        if is_one(column):
            row[:] = 1
        else:
            np.take(column, index, out=row, mode="clip")
    products = np.zeros((P, J, J, r, r))
    last = 0
    for which, members in enumerate(counts):
        at = np.flatnonzero(seen[which])
        size = len(at)
        begin, last = last, last + members * size
        block = U[:, begin:last].reshape(r, members, size).transpose(2, 0, 1).reshape(size * r, members)
        sums = (block @ block.T).reshape(size, r, size, r).transpose(0, 2, 1, 3)
        products[which, at[:, None], at] = sums

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
            visit = np.minimum(_places(values, marks[:, 0]), len(values) - 1)
            other = values[visit] != marks[:, 0]
            if not other.any():
                return values[:, None], visit
            values = np.unique(np.concatenate([values, marks[other, 0]]))
        return None
    visits, visit = np.unique(marks, axis=0, return_inverse=True)
    return (visits, visit.reshape(-1)) if len(visits) <= MOST_VISITS else None


def _places(values: np.ndarray, marks: np.ndarray) -> np.ndarray:
    """Places of marks : (n,) among sorted values, by a table where these are whole and near each other."""
    first, width = values[0], values[-1] - values[0]
    if width > MOST_WIDTH or np.any(values != np.round(values)):
        return np.searchsorted(values, marks)
    table = np.searchsorted(values, first + np.arange(width + 1))
    return table[np.clip(marks - first, 0, width).astype(np.intp)]
