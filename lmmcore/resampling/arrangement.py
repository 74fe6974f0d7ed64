"""A model with independent residuals, laid out so that many replicates of it can be fitted at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lmmcore.estimate.solution import SMALL, Solution
from lmmcore.model.assembly import centred_columns
from lmmcore.model.specification import Model
from lmmcore.resampling.cells import Cells
from lmmcore.resampling.layers import Layers
from lmmcore.resampling.simulate import fixed_part
from lmmcore.runtime.memoise import remembered
from lmmcore.system.moments.products import Products, is_one
from lmmcore.system.moments.subjects import Subjects, independent

# Numbers that a replicate may keep in its tables; beyond, one evaluation is long enough to stand alone.
LARGEST_TABLE = 4_000_000


@dataclass(frozen=True)
class Arrangement:
    """Columns, sorted rows times root weights, and their moments, in the model's coordinates.

    layers : structure of the random effects of an outermost unit, Z : (n,) their columns; X : (n,) columns;
    mean : (n,) X beta^; scale : (n,) root weights over sigma; y : (n,) the response less its mean, times
    scale; starts : (N,) first row of each outermost unit; moments : of [Z X y] and these units; psis : Psi of
    each level at the estimate.
    """

    layers: Layers
    X: list[np.ndarray]
    Z: list[np.ndarray]
    mean: np.ndarray
    scale: np.ndarray
    y: np.ndarray
    starts: np.ndarray
    moments: Subjects
    psis: list[np.ndarray]

    def pays(self, cells: int) -> bool:
        """Whether a batch of so many cells is faster than one replicate after the other."""
        return _pays(self.layers.q, len(self.X), cells)

    @property
    def truth(self) -> np.ndarray:
        """(q, q) covariance of the random effects at the estimate."""
        return self.layers.whole(self.psis)

    @property
    def start(self) -> np.ndarray:
        """theta : (m,) to start from: the estimate, a zero variance a little above zero."""
        return self.layers.parameters([psi + SMALL * np.eye(len(psi)) for psi in self.psis])

    def of_responses(self, Y: np.ndarray) -> Cells:
        """Cells of responses Y : (n, R), sorted rows, offset taken off."""
        left = (Y - self.mean[:, None]) * self.scale[:, None]
        p, R = len(self.X), Y.shape[1]
        y = np.empty((len(self.Z), len(self.starts), R))
        for index, column in enumerate(self.Z):
            np.add.reduceat(column[:, None] * left, self.starts, axis=0, out=y[index])
        Xy = np.array(self.X) @ left if p else np.empty((0, R))
        yy = np.einsum("nr,nr->r", left, left)
        A, B, XX = self.moments.A, self.moments.B[:p], self.moments.S[:p, :p]
        return Cells(A, B, y, XX, Xy, yy, np.ones((1, 1)), None, np.array([float(len(left))]))

    def counted(self, times: np.ndarray) -> Cells:
        """Cells of the data with outermost unit i counted times[i, r] times; times : (N, R)."""
        XY = [*self.X, self.y]
        products = Products(lambda values: np.add.reduceat(values, self.starts))
        S = np.tensordot(products.table(XY, XY), times, axes=1)
        rows = np.diff(np.append(self.starts, len(self.y))) @ times
        p = len(self.X)
        A, B = self.moments.A, self.moments.B
        return Cells(A, B[:p], B[p, :, :, None], S[:p, :p], S[:p, p], S[p, p], times, times, rows)


def arranged(solution: Solution, cells: int) -> Arrangement | None:
    """The layout for a batch of so many cells; None where replicates are better fitted one by one."""
    layout = _arranged(solution)
    return layout if layout is not None and layout.pays(cells) else None


@remembered
def _arranged(solution: Solution) -> Arrangement | None:
    """The layout; None under a residual structure, or with too many effects in an outermost unit."""
    model = solution.model
    units = model.rows.units
    if model.structure is not None:
        return None
    # The place of each smaller unit within its outermost one.
    places = [unit.subject - unit.subject[units[0].starts][units[0].subject] for unit in units]
    layers = Layers(model.covariances, tuple(int(place.max()) + 1 for place in places))
    if len(units) > 1 and not _pays(layers.q, model.p, len(units[0].starts)):
        return None
    X, Z = _columns(model)
    if len(units) > 1:
        Z = [
            np.where(place == copy, column, 0.0)
            for level, (place, k) in enumerate(zip(places, layers.copies, strict=True))
            for copy in range(k)
            for column in Z[model.columns(level)]
        ]
    scale = np.full(model.n, 1 / np.sqrt(solution.sigma2))
    if model.rows.weights is not None:
        scale *= np.sqrt(model.rows.weights)
    mean = fixed_part(solution)
    y = (model.rows.y - mean) * scale
    moments = independent(Z, [*X, y], units[0])
    psis = solution.optimum.objective.psis(solution.optimum.evaluation.theta)
    return Arrangement(layers, X, Z, mean, scale, y, units[0].starts, moments, psis)


def _pays(q: int, p: int, cells: int) -> bool:
    return bool(cells * q**2 * (q**2 + p**2) <= LARGEST_TABLE)


def _columns(model: Model) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Columns of X and Z of the sorted rows in the model's coordinates, times root weights."""
    centred = centred_columns(model.rows, model.blocks)
    fixed = np.linalg.solve(centred.fixed, model.coordinates.fixed)
    random = np.linalg.solve(centred.random, model.coordinates.random)
    if model.rows.weights is not None:
        centred = centred.scaled(np.sqrt(model.rows.weights))
    return _combined(centred.X, fixed), _combined(centred.Z, random)


def _combined(columns: Sequence[np.ndarray], coefficients: np.ndarray) -> list[np.ndarray]:
    if not columns:
        return []
    whole = np.array([np.array(column) if is_one(column) else column for column in columns])
    return list(np.ascontiguousarray(coefficients.T @ whole))
