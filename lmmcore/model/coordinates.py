"""Coordinates in which the digits survive and the user's units do not matter.

The likelihood is invariant when columns of X are combined among themselves, likewise the columns of one
correlated random term, and when y is shifted along X.  So, before any product of columns is made,

- columns of X are centred where the constant lies in the span of X, those of a random term where the term has
  an intercept: y near 1e6 or calendar years as time otherwise cost all digits;
- y is replaced by its residuals from least squares;

and the moments are then rotated to X'X = n I and to a mean A_i of I within each random term.  `Coordinates`
keeps what it takes to go back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from lmmcore.covariance.random import Block
from lmmcore.errors import DataError, FitError
from lmmcore.likelihood.null_space import NullSpace, null_space
from lmmcore.system.moments.gram import gram
from lmmcore.system.moments.products import inner, is_one, residuals

# A column of X is dropped if this part or less of its length is left outside the columns before it.
DEPENDENT = 1e-7
# Below this a Gram matrix cannot tell (its entries are squares): the rows decide.
DOUBTFUL = 1e-4
# A column of whose square less than this is left outside the columns before it is taken without them.
NEARLY = 1e-3


@dataclass(frozen=True)
class Coordinates:
    """From the model's coordinates back to the user's.

    kept : indices of the columns of X that are estimated, leftmost of dependent ones.
    fixed : (p, p); beta = origin + fixed @ beta_internal.
    origin : (p,).
    random : (q, q); b = random @ b_internal.
    null_space : of all columns of X, which says what functions of beta the data determine.
    """

    kept: tuple[int, ...]
    fixed: np.ndarray
    origin: np.ndarray
    random: np.ndarray
    null_space: NullSpace

    @property
    def log_det_fixed(self) -> float:
        """log|det fixed|; the restricted deviance of the user's X is the internal one minus twice this."""
        return float(np.linalg.slogdet(self.fixed)[1])


@dataclass(frozen=True)
class Centred:
    """Columns of X, Z and y after centring: X_centred = X @ fixed, Z_centred = Z @ random.

    y = X_centred @ origin + y_residual; total : y'y; null_space : of all columns of X.
    """

    X: list[np.ndarray]
    Z: list[np.ndarray]
    y: np.ndarray
    kept: tuple[int, ...]
    fixed: np.ndarray
    origin: np.ndarray
    random: np.ndarray
    total: float
    null_space: NullSpace

    def scaled(self, by: np.ndarray) -> Centred:
        """The columns with each row multiplied by (n,); a column that occurs twice stays one object."""
        made: dict[int, np.ndarray] = {}

        def times(column: np.ndarray) -> np.ndarray:
            if id(column) not in made:
                made[id(column)] = by if is_one(column) else by * column
            return made[id(column)]

        X, Z = [times(column) for column in self.X], [times(column) for column in self.Z]
        return replace(self, X=X, Z=Z, y=by * self.y)


def centre(
    X: Sequence[np.ndarray],
    Z: Sequence[np.ndarray],
    y: np.ndarray,
    blocks: Sequence[Sequence[int]],
) -> Centred:
    """Centre the columns, drop dependent ones of X, and take least-squares residuals of y.

    X, Z : columns (n,); an intercept is a broadcast 1.  blocks : columns of Z of each correlated term.
    """
    shifted: dict[int, tuple[np.ndarray, float]] = {}

    def shift(column: np.ndarray) -> tuple[np.ndarray, float]:
        if id(column) not in shifted:
            mean = float(column.mean())
            shifted[id(column)] = column - mean, mean
        return shifted[id(column)]

    constant = _constant(X)
    columns, fixed = list(X), np.eye(len(X))
    if constant is not None:
        for index, column in enumerate(X):
            # A column that makes up the constant itself stays as it is.
            if constant[index] == 0:
                columns[index], mean = shift(column)
                fixed[:, index] -= mean * constant
    products = gram([*columns, y])
    kept = _separate(columns, y, fixed, products)
    if constant is not None and np.any(constant[[i for i in range(len(X)) if i not in kept]]):
        raise DataError("The fixed effects are linearly dependent in a way that leaves no constant column.")
    columns = [columns[index] for index in kept]
    null = NullSpace.empty(len(X))
    if len(kept) < len(X):
        lengths = np.array([np.sqrt(inner(column, column) / len(y)) for column in X])
        null = null_space(fixed, products[:-1, :-1], kept, lengths)
    fixed = fixed[kept][:, kept]
    origin = np.linalg.solve(products[kept][:, kept], products[kept, -1]) if columns else np.empty(0)
    left = residuals(y, origin, columns)

    z_columns, random = list(Z), np.eye(len(Z))
    for block in blocks:
        ones = [index for index in block if is_one(Z[index])]
        for index in block:
            if ones and index != ones[0]:
                z_columns[index], mean = shift(Z[index])
                random[ones[0], index] -= mean
    total = float(products[-1, -1])
    return Centred(columns, z_columns, left, tuple(kept), fixed, origin, random, total, null)


def _constant(X: Sequence[np.ndarray]) -> np.ndarray | None:
    """w : (p,) with X w = 1, from an intercept or a full set of indicators; None if there is none."""
    for index, column in enumerate(X):
        if is_one(column):
            return np.eye(len(X))[index]
    indicators = [index for index, column in enumerate(X) if np.array_equal(column, column.astype(bool))]
    total = np.zeros(len(X[0]) if X else 0)
    weights = np.zeros(len(X))
    for index in indicators:  # the leftmost set of indicators that adds up to 1
        if np.max(total + X[index], initial=0.0) <= 1:
            total = total + X[index]
            weights[index] = 1
    return weights if indicators and total.min(initial=1.0) == 1 else None


def _separate(columns: list[np.ndarray], y: np.ndarray, fixed: np.ndarray, products: np.ndarray) -> list[int]:
    """Indices of columns that are not combinations of earlier ones.

    products : inner products of columns and y. A column that almost is one (arm:time where time is a
    calendar year) is replaced by what is left of it, in columns, fixed and products: its products would have
    no digits.
    """
    kept: list[int] = []
    for index, column in enumerate(columns):
        length = np.sqrt(products[index, index])
        if length == 0:
            continue
        if not kept:
            kept.append(index)
            continue
        lengths = np.sqrt(np.diag(products)[kept])
        cross = products[kept, index] / (lengths * length)
        inside = products[kept][:, kept] / np.outer(lengths, lengths)
        try:
            left = 1 - float(cross @ np.linalg.solve(inside, cross))
        except np.linalg.LinAlgError:  # many columns, each of them half dependent on the others
            left = 0.0
        basis = [columns[i] for i in kept]
        if left < DOUBTFUL**2:
            left = _share_outside(basis, column) ** 2
        if left <= DEPENDENT**2:
            continue
        if left < NEARLY:
            coefficients = np.linalg.lstsq(np.column_stack(basis), column)[0]
            rest = np.array(column)
            for coefficient, other in zip(coefficients, kept, strict=True):
                rest -= coefficient * columns[other]
            columns[index] = rest
            fixed[:, index] -= fixed[:, kept] @ coefficients
            products[index] = products[:, index] = [inner(rest, other) for other in [*columns, y]]
        kept.append(index)
    return kept


def _inverse_root(S: np.ndarray) -> np.ndarray:
    """(p, p) upper triangular T with T'S T = I, for S = X'X. Raises FitError if X has lost its rank."""
    lengths = np.sqrt(np.diag(S))
    try:
        lower = np.linalg.cholesky(S / np.outer(lengths, lengths))
    except np.linalg.LinAlgError:
        raise FitError(
            "The fixed effects are linearly dependent in the rows that count, because the prior weights of "
            "the others are next to nothing; leave those rows out, or use fewer fixed effects."
        ) from None
    return np.asarray(np.linalg.inv(lower * lengths[:, None]).T)


def _share_outside(basis: Sequence[np.ndarray], column: np.ndarray) -> float:
    """Part of a column's length that lies outside the span of basis, by orthogonal factorisation."""
    matrix = np.column_stack([*(b / np.linalg.norm(b) for b in basis), column / np.linalg.norm(column)])
    triangle = np.asarray(np.linalg.qr(matrix, mode="r"))
    return float(abs(triangle[-1, -1]))


def rotations(
    S: np.ndarray, mean_A: np.ndarray, blocks: Sequence[Block], names: Sequence[str], n: int
) -> tuple[np.ndarray, np.ndarray]:
    """(p, p) and (q, q) upper triangular rotations to X'X = n I and mean A_i = I within a block.

    S : (p+1, p+1) moments of [X y]; mean_A : (q, q). A block that is not unstructured may only be scaled as
    a whole. Raises FitError if the columns of an unstructured one are linearly dependent, by names.
    """
    fixed = _inverse_root(S[:-1, :-1]) * np.sqrt(n)
    random = np.zeros_like(mean_A)
    for block in blocks:
        place, part = block.place, block.part(mean_A)
        if block.kind != "unstructured":
            random[place] = np.eye(len(part)) / np.sqrt(np.trace(part) / len(part))
            continue
        lengths = np.sqrt(np.diag(part))
        try:
            lower = np.linalg.cholesky(part / np.outer(lengths, lengths)) if lengths.all() else None
        except np.linalg.LinAlgError:
            lower = None
        if lower is None or np.diag(lower).min() < DEPENDENT**0.5:
            listed = ", ".join(names[index] for index in block.columns)
            raise FitError(
                f"The random effects {listed} of one term are linearly dependent (or one is always 0), so "
                "that their variances cannot be told apart; drop one of them."
            )
        random[place] = np.linalg.inv(lower * lengths[:, None]).T
    return fixed, random
