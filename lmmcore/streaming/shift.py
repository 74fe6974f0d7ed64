"""Coordinates that keep the digits, before all rows have been seen and after.

Any invertible combination of X's columns, and any shift of y along them, is an exact reparametrisation:
only the digits of the sums depend on it. So a sample decides how the columns are centred and which
least-squares fit is taken from y before products are made (lmmcore.model.coordinates does both with all
rows); what the sample missed is small, and is made good by algebra on the sums.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lmmcore.errors import DataError
from lmmcore.likelihood.null_space import NullSpace, null_space
from lmmcore.model.coordinates import centre
from lmmcore.system.moments.products import is_one, residuals

# Share of a column's square outside the columns before it that sums of products can tell from none.
DEPENDENT = 1e-11


@dataclass(frozen=True)
class Shift:
    """X_shifted = X @ fixed, (p, p); Z_shifted = Z @ random, (q, q); y_shifted = y - X_shifted @ origin."""

    fixed: np.ndarray
    origin: np.ndarray
    random: np.ndarray

    @staticmethod
    def learn(
        X: Sequence[np.ndarray], Z: Sequence[np.ndarray], y: np.ndarray, blocks: Sequence[Sequence[int]]
    ) -> Shift:
        """From sampled columns (n,). blocks : columns of Z of each correlated term."""
        p, q = len(X), len(Z)
        plain = Shift(np.eye(p), np.zeros(p), np.eye(q))
        some = [index for index, column in enumerate(X) if is_one(column) or column.any()]
        if not len(y):
            return plain
        try:
            found = centre([X[index] for index in some], Z, y, blocks)
        except DataError:  # dependent in the sample, which says nothing about all rows
            return plain
        kept = [some[index] for index in found.kept]
        plain.fixed[np.ix_(kept, kept)] = found.fixed
        plain.origin[kept] = found.origin
        return Shift(plain.fixed, plain.origin, found.random)

    def apply(
        self, X: Sequence[np.ndarray], Z: Sequence[np.ndarray], y: np.ndarray
    ) -> tuple[list[np.ndarray], list[np.ndarray], np.ndarray]:
        """The shifted columns; what X and Z share stays one object."""
        made: dict[tuple[tuple[int, float], ...], np.ndarray] = {}

        def combined(columns: Sequence[np.ndarray], index: int, weights: np.ndarray) -> np.ndarray:
            others = [int(other) for other in np.flatnonzero(weights) if other != index]
            if not others:
                return columns[index]
            key = tuple((id(columns[other]), float(weights[other])) for other in (index, *others))
            if key not in made:
                made[key] = _combination([columns[other] for other in (index, *others)], key)
            return made[key]

        shifted = [combined(X, index, self.fixed[:, index]) for index in range(len(X))]
        terms = [(0, 1.0), *enumerate(-self.origin, start=1)]
        left = _combination([y, *shifted], terms)
        return shifted, [combined(Z, index, self.random[:, index]) for index in range(len(Z))], left


def _combination(columns: Sequence[np.ndarray], terms: Sequence[tuple[int, float]]) -> np.ndarray:
    """Sum of the columns by the second numbers of terms, of which the first one is 1."""
    return residuals(columns[0], -np.array([weight for _, weight in terms[1:]]), columns[1:])


@dataclass(frozen=True)
class Settled:
    """What the sums say about shifted columns. kept : columns of X that are estimated, leftmost of dependent
    ones; origin : (kept,), least squares in shifted columns; turn : (p+1, kept+1), [X y] @ turn are the kept
    columns and the residuals; total : sum of squares of y.
    """

    kept: tuple[int, ...]
    origin: np.ndarray
    turn: np.ndarray
    total: float


def settle(S: np.ndarray, shift: Shift) -> Settled:
    """S : (p+1, p+1), the inner products of shifted [X y]."""
    p = len(S) - 1
    kept: list[int] = []
    for index in range(p):
        cross, inside = S[kept, index], S[np.ix_(kept, kept)]
        scale = np.sqrt(np.diag(inside))
        shares = np.linalg.solve(inside / np.outer(scale, scale), cross / scale)
        if S[index, index] > 0 and S[index, index] - shares @ (cross / scale) > DEPENDENT * S[index, index]:
            kept.append(index)
    gone = [index for index in range(p) if index not in kept]
    inside = S[np.ix_(kept, kept)]
    # What the sample gave to columns that are dropped goes to those that make them up.
    more = np.linalg.solve(inside, S[kept, p])
    origin = shift.origin[kept] + more
    if gone:
        origin += np.linalg.solve(inside, S[np.ix_(kept, gone)] @ shift.origin[gone])
    turn = np.zeros((p + 1, len(kept) + 1))
    turn[kept, np.arange(len(kept))] = 1
    turn[kept, -1], turn[p, -1] = -more, 1
    left = float(turn[:, -1] @ S @ turn[:, -1])
    return Settled(tuple(kept), origin, turn, left + float(origin @ inside @ origin))


def null_space_of(products: np.ndarray, fixed: np.ndarray, kept: Sequence[int], n: int) -> NullSpace:
    """Of all columns of X. products : (p, p) of the shifted columns X @ fixed; n : rows."""
    back = np.linalg.inv(fixed)
    lengths = np.sqrt(np.maximum(np.einsum("ji,jk,ki->i", back, products, back), 0) / n)
    return null_space(fixed, products, kept, lengths)
