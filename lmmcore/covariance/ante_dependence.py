"""First-order ante-dependence: each visit depends on the one before, with a correlation of each step its own.

    cor(j, k) = rho_j rho_{j+1} ... rho_{k-1}    of the visits j < k

and a residual SD of each visit, or of all (Gabriel 1962; Zimmerman & Nunez-Anton 2010, chapter 2; SAS
ANTE(1), `adh` and `ad` of the R package mmrm). AR(1), CAR(1) and the random walk are special cases; a visit
that was missed is skipped, the steps over it multiply. The parameters are artanh rho_j and the logarithms of
the SDs relative to that of the first visit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lmmcore.covariance.dense import DenseResidual
from lmmcore.covariance.parameter import StructureParameter, correlation, ratio
from lmmcore.covariance.residual import Subject
from lmmcore.covariance.visits import in_name, texts_of
from lmmcore.errors import DataError
from lmmcore.system.moments.dense import Matrices
from lmmcore.system.moments.subjects import SortedRows

MOST_VISITS = 40
AT_ONE = 1e-6
# A correlation of neighbouring visits in the residuals is not started from nearer to 1 than this.
LARGEST_START = 0.95
# Neighbouring rows across a step that its correlation and the SD behind it can be estimated from.
FEWEST = 3


@dataclass(frozen=True)
class AnteDependence:
    """First-order ante-dependence over the visits `time`: a correlation of its own for each step.

    heterogeneous : a residual SD of its own for each visit; else all are equal.
    """

    time: str
    heterogeneous: bool = True
    subject: Subject = None
    by: str | None = None

    type = "ante_dependence"
    takes_visits = True

    def check(self, times: np.ndarray) -> None:
        """Raise DataError if the times are no visit grid."""
        visits = len(np.unique(times))
        if visits > MOST_VISITS:
            raise DataError(
                f"AnteDependence({self.time!r}) needs a grid of at most {MOST_VISITS} visits, but "
                f"{self.time!r} has {visits} distinct values; use CAR1({self.time!r}) or round the times to "
                "visits."
            )

    def bind(self, rows: SortedRows) -> DenseResidual:
        """The structure for one data set. Raises DataError for steps that too few subjects took."""
        visits = np.unique(rows.times)
        shown = texts_of(visits.tolist(), rows.labels)
        self._check_steps(rows, visits, shown)
        return DenseResidual(AnteDependenceLaw(tuple(visits.tolist()), shown, self.heterogeneous), rows)

    def _check_steps(self, rows: SortedRows, visits: np.ndarray, shown: tuple[str, ...]) -> None:
        """Raise DataError unless enough pairs of neighbouring rows tell every step's correlation.

        A pair over a missed visit tells the product of two correlations only: the steps that the pairs span
        must determine each single one.
        """
        place = np.searchsorted(visits, rows.times)
        same = np.flatnonzero(rows.subject[1:] == rows.subject[:-1])
        pairs, count = np.unique(np.column_stack([place[same], place[same + 1]]), axis=0, return_counts=True)
        step = np.arange(len(visits) - 1)
        spans = (pairs[:, :1] <= step) & (step < pairs[:, 1:])
        each = count @ spans
        rank = [np.linalg.matrix_rank(np.delete(spans, j, axis=1).astype(float)) for j in step]
        whole = np.linalg.matrix_rank(spans.astype(float)) if len(step) else 0
        for j in step:
            if each[j] < FEWEST or rank[j] == whole:
                raise DataError(
                    f"AnteDependence({self.time!r}) estimates a correlation of the visits {shown[j]} and "
                    f"{shown[j + 1]}, but too few subjects have rows at both; leave out rare visits or use "
                    f"CAR1({self.time!r})."
                )


@dataclass(frozen=True)
class AnteDependenceLaw:
    """Covariance between the visits at the times `visits`; shown : these as text."""

    visits: tuple[float, ...]
    shown: tuple[str, ...]
    heterogeneous: bool

    @property
    def ratios(self) -> int:
        """Number of relative SDs among the parameters; they come first."""
        return len(self.visits) - 1 if self.heterogeneous else 0

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """Relative SDs of the later visits, then the correlations of neighbours."""
        shown = [in_name(text) for text in self.shown]
        sds = [f"sd({visit})/sd({shown[0]})" for visit in shown[1:]] if self.heterogeneous else []
        return (*sds, *(f"cor({a},{b})" for a, b in zip(shown, shown[1:], strict=False)))

    @property
    def independence(self) -> np.ndarray:
        """Equal SDs, no correlation."""
        return np.zeros(self.ratios + len(self.visits) - 1)

    def starts(self, rows: SortedRows, residuals: np.ndarray) -> list[np.ndarray]:
        """From the least-squares residuals of each visit and of its neighbours."""
        J, N = len(self.visits), len(rows.starts)
        grid = np.full((N, J), np.nan)
        grid[rows.subject, np.searchsorted(self.visits, rows.times)] = residuals
        sd = np.sqrt(np.nanmean(grid**2, axis=0))
        sd = np.maximum(sd, 1e-3 * sd.max())
        scaled = grid / (sd if self.heterogeneous else np.sqrt(np.mean(sd**2)))
        products = scaled[:, 1:] * scaled[:, :-1]
        seen = np.isfinite(products)
        rho = np.where(seen, products, 0.0).sum(axis=0) / np.maximum(seen.sum(axis=0), 1)
        z = np.arctanh(np.clip(rho, -LARGEST_START, LARGEST_START))
        return [np.concatenate([np.log(sd[1:] / sd[0])[: self.ratios], start]) for start in (0 * z, z)]

    def parameters(self) -> list[StructureParameter]:
        """Relative SDs, then correlations of neighbours."""
        steps = range(self.ratios, len(self.independence))
        return [*map(ratio, range(self.ratios)), *map(correlation, steps)]

    def natural(self, z: np.ndarray) -> np.ndarray:
        """Relative SDs and correlations of neighbours."""
        return np.concatenate([np.exp(z[: self.ratios]), np.tanh(z[self.ratios :])])

    def at_boundary(self, natural: np.ndarray) -> list[str]:
        """A correlation of 1."""
        named = zip(self.parameter_names[self.ratios :], natural[self.ratios :], strict=True)
        return [f"{name} is {np.sign(rho):.0f}" for name, rho in named if 1 - abs(rho) < AT_ONE]

    def _parts(self, natural: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """SDs : (J,), and products of neighbours' correlations from visit j to k >= j : (J, J), else 0."""
        J = len(self.visits)
        sd = np.ones(J)
        sd[1 : self.ratios + 1] = natural[: self.ratios]
        products = np.eye(J)
        for k, rho in enumerate(natural[self.ratios :].tolist(), start=1):
            products[:k, k] = rho * products[:k, k - 1]
        return sd, products

    def _covariance(self, natural: np.ndarray) -> np.ndarray:
        sd, products = self._parts(natural)
        return np.outer(sd, sd) * (products + np.triu(products, 1).T)

    def matrices(self, z: np.ndarray, times: np.ndarray) -> Matrices:
        """R and its derivatives at the visits of each cell.

        The derivative of the product from j to k by rho_l in it is (product from j to l) (product from l + 1
        to k); a second one by rho_m further on cuts the latter part again.
        """
        natural = self.natural(z)
        sd, U = self._parts(natural)
        q, J = self.ratios, len(self.visits)
        rho = natural[q:]
        slope, bend = 1 - rho**2, -2 * rho * (1 - rho**2)
        scale = np.outer(sd, sd)
        cut = np.array([np.outer(U[:, step], U[step + 1]) for step in range(J - 1)]).reshape(J - 1, J, J)
        first = np.concatenate([np.zeros((q, J, J)), slope[:, None, None] * (cut + cut.transpose(0, 2, 1))])
        unit = np.eye(J)[1 : q + 1]  # d log sd of each visit
        both = unit[:, :, None] + unit[:, None, :]
        C = U + np.triu(U, 1).T
        first[:q] = both * C
        place = self._places(times)
        chosen = (place[:, :, None], place[:, None, :])

        def second() -> np.ndarray:
            m = len(z)
            made = np.zeros((m, m, J, J))
            made[:q, :q] = both[:, None] * both * C
            mixed = both[:, None] * first[q:]
            made[:q, q:], made[q:, :q] = mixed, mixed.transpose(1, 0, 2, 3)
            for one in range(J - 1):
                made[q + one, q + one] = bend[one] * (cut[one] + cut[one].T)
                for other in range(one + 1, J - 1):
                    twice = slope[one] * slope[other] * U[one + 1, other]
                    part = twice * np.outer(U[:, one], U[other + 1])
                    made[q + one, q + other] = made[q + other, q + one] = part + part.T
            return (scale * made)[:, :, *chosen]

        return Matrices((scale * C)[chosen], (scale * first)[:, *chosen], second)

    def cross(self, natural: np.ndarray, new: np.ndarray, seen: np.ndarray) -> np.ndarray:
        """Covariance of different measurements : (..., a, b)."""
        a, b = self._places(new), self._places(seen)
        return self._covariance(natural)[a[..., :, None], b[..., None, :]]

    def variance(self, natural: np.ndarray, times: np.ndarray) -> np.ndarray:
        """Relative variance of each visit."""
        return self._parts(natural)[0][self._places(times)] ** 2

    def _places(self, times: np.ndarray) -> np.ndarray:
        place = np.minimum(np.searchsorted(self.visits, times), len(self.visits) - 1)
        if np.any(np.asarray(self.visits)[place] != times):
            raise DataError(
                f"An ante-dependence knows the visits {', '.join(self.shown)} only; predict at one of these."
            )
        return place
