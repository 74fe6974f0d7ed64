"""Any covariance between the visits of a grid: the residual model of the MMRM.

R = L L' with L lower triangular, L_11 = 1 (sigma is the residual SD of the first visit) and the logarithms
of the other diagonal entries as parameters, so that R is always positive definite.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np

from lmmcore.covariance.dense import DenseResidual
from lmmcore.covariance.parameter import FISHER, FISHER_ENDS, LOG, RATIO_ENDS, Jet, StructureParameter, fisher
from lmmcore.covariance.residual import Subject
from lmmcore.covariance.visits import in_name, texts_of
from lmmcore.errors import DataError
from lmmcore.system.moments.dense import Matrices
from lmmcore.system.moments.subjects import SortedRows

# More visits have more parameters than any trial can estimate.
MOST_VISITS = 40
# Eigenvalues of the starting covariance are raised to this part of the largest.
FLOOR = 1e-3
# Equal correlations to start from as well, in up to so many rows.
EQUAL = (-0.3, 0.5, 0.9)
FEW_ROWS = 100


@dataclass(frozen=True)
class Unstructured:
    """Unstructured covariance over the visits `time`, as in a mixed model for repeated measures."""

    time: str
    subject: Subject = None
    by: str | None = None

    type = "unstructured"
    takes_visits = True

    def check(self, times: np.ndarray) -> None:
        """Raise DataError if the times are no visit grid."""
        visits = len(np.unique(times))
        if visits > MOST_VISITS:
            raise DataError(
                f"Unstructured({self.time!r}) needs a grid of at most {MOST_VISITS} visits, but "
                f"{self.time!r} has {visits} distinct values; use Exponential({self.time!r}) or round the "
                "times to visits."
            )

    def bind(self, rows: SortedRows) -> DenseResidual:
        """The structure for one data set. Raises DataError where its likelihood has no maximum."""
        visits = np.unique(rows.times)
        shown = texts_of(visits.tolist(), rows.labels)
        self._check_subjects(rows, visits, shown)
        return DenseResidual(UnstructuredLaw(tuple(visits.tolist()), shown), rows)

    def _check_subjects(self, rows: SortedRows, visits: np.ndarray, shown: tuple[str, ...]) -> None:
        """Raise DataError for fewer subjects than visits, and for a pair of visits that no subject has.

        k subjects at k + 1 visits have a combination of these visits that is 0 in all of them: the likelihood
        grows without end as its variance goes to 0.
        """
        N, J = len(rows.starts), len(visits)
        if J > N:
            raise DataError(
                f"Unstructured({self.time!r}) estimates {J * (J + 1) // 2} variances and covariances of {J} "
                f"visits and needs at least as many subjects, but there {'is' if N == 1 else 'are'} {N}; use "
                f"AR1({self.time!r}) or Exponential({self.time!r})."
            )
        seen = np.zeros((N, J))
        seen[rows.subject, np.searchsorted(visits, rows.times)] = 1
        alone = np.flatnonzero(seen.sum(axis=0) == 1)
        if len(alone):
            raise DataError(
                f"Unstructured({self.time!r}) estimates a variance for each visit, but {shown[alone[0]]} has "
                "one row only, of which none can be estimated; leave that row out or join the visit to its "
                "neighbour."
            )
        apart = np.argwhere(seen.T @ seen == 0)
        if len(apart):
            first, second = (shown[index] for index in apart[0])
            raise DataError(
                f"Unstructured({self.time!r}) estimates a covariance for each pair of visits, but no subject "
                f"has rows at both {first} and {second}; leave out rare visits or use "
                f"Exponential({self.time!r})."
            )


@dataclass(frozen=True)
class CholeskyMatrices(Matrices):
    """R = L L' of each cell; the parameters move L[row, column] by slope : (m,). place : (c, n) visits.

    The second derivatives are sparse: there are m^2 n^2 of them, so that they are not written out.
    """

    lower: np.ndarray
    row: np.ndarray
    column: np.ndarray
    slope: np.ndarray
    place: np.ndarray

    def bend(self, weight: np.ndarray) -> np.ndarray:
        """sum of second * weight : (m, m); D_i D_j' + D_j D_i' where columns agree, d2 L = d L in L_kk."""
        lower, row, column, slope, place = self.lower, self.row, self.column, self.slope, self.place
        J = len(lower)
        total = np.zeros((J, J))
        np.add.at(total, (place[:, :, None], place[:, None, :]), weight)
        same = column[:, None] == column
        bent = 2 * np.outer(slope, slope) * np.where(same, total[np.ix_(row, row)], 0.0)
        curved = 2 * slope * (total @ lower)[row, column]
        bent[np.diag_indices(len(row))] += np.where(row == column, curved, 0.0)
        return bent


@dataclass(frozen=True)
class UnstructuredLaw:
    """Covariance between the visits at the times `visits`; shown : these as text."""

    visits: tuple[float, ...]
    shown: tuple[str, ...]

    @cached_property
    def _entries(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows and columns of the free entries of L."""
        row, column = np.tril_indices(len(self.visits))
        return row[1:], column[1:]

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """Relative SDs of the later visits, then the correlations."""
        shown = [in_name(text) for text in self.shown]
        pairs = [f"cor({a},{b})" for j, b in enumerate(shown) for a in shown[:j]]
        return (*(f"sd({visit})/sd({shown[0]})" for visit in shown[1:]), *pairs)

    @property
    def independence(self) -> np.ndarray:
        """L = I."""
        return np.zeros(len(self._entries[0]))

    def starts(self, rows: SortedRows, residuals: np.ndarray) -> list[np.ndarray]:
        """From the covariances of least-squares residuals over the pairs of visits available.

        Small samples, which have several optima more often, are also started from the SDs alone.
        """
        J, N = len(self.visits), len(rows.starts)
        grid = np.full((N, J), np.nan)
        grid[rows.subject, np.searchsorted(self.visits, rows.times)] = residuals
        seen = np.isfinite(grid)
        filled = np.where(seen, grid, 0.0)
        together = seen.T.astype(float) @ seen
        V = filled.T @ filled / np.maximum(together, 1)
        values, vectors = np.linalg.eigh(V)
        V = (vectors * np.maximum(values, FLOOR * values[-1])) @ vectors.T
        scale = np.sqrt(np.outer(np.diag(V), np.diag(V)))
        equal = [max(rho, -0.9 / max(J - 1, 1)) for rho in EQUAL] if rows.n <= FEW_ROWS else []
        return [self._internal(C) for C in (V, *(scale * np.where(np.eye(J) > 0, 1.0, rho) for rho in equal))]

    def _internal(self, V: np.ndarray) -> np.ndarray:
        """z of a covariance matrix : (J, J)."""
        lower = np.linalg.cholesky(V / V[0, 0])
        row, column = self._entries
        return np.where(row == column, np.log(np.maximum(lower[row, column], 1e-300)), lower[row, column])

    def _factor(self, z: np.ndarray) -> np.ndarray:
        row, column = self._entries
        lower = np.zeros((len(self.visits),) * 2)
        lower[0, 0] = 1
        lower[row, column] = np.where(row == column, np.exp(z), z)
        return lower

    def parameters(self) -> list[StructureParameter]:
        """Relative SDs of the later visits, then the correlations; functions of several entries of L."""
        J = len(self.visits)
        pairs = [(i, j) for j in range(J) for i in range(j)]
        sds = [StructureParameter(LOG, RATIO_ENDS, partial(self._log_sd, j)) for j in range(1, J)]
        return sds + [
            StructureParameter(FISHER, FISHER_ENDS, partial(self._correlation, i, j)) for i, j in pairs
        ]

    def _log_sd(self, visit: int, z: np.ndarray) -> Jet:
        jet = self._jet(visit, visit, z)
        return jet.through(0.5 * float(np.log(jet.value)), 0.5 / jet.value, -0.5 / jet.value**2)

    def _correlation(self, i: int, j: int, z: np.ndarray) -> Jet:
        correlation = self._jet(i, j, z)
        for visit in (i, j):
            log = self._log_sd(visit, z)
            inverse = float(np.exp(-log.value))
            correlation = correlation * log.through(inverse, -inverse, inverse)
        return fisher(correlation)

    def _jet(self, i: int, j: int, z: np.ndarray) -> Jet:
        R = self.matrices(z, np.array([[self.visits[i], self.visits[j]]]))
        return Jet(float(R.value[0, 0, 1]), R.first[:, 0, 0, 1], R.second[:, :, 0, 0, 1])

    def natural(self, z: np.ndarray) -> np.ndarray:
        """Relative SDs and correlations, in the order of parameter_names."""
        lower = self._factor(z)
        R = lower @ lower.T
        sd = np.sqrt(np.diag(R))
        correlation = R / np.outer(sd, sd)
        pairs = [correlation[i, j] for j in range(len(sd)) for i in range(j)]
        return np.concatenate([sd[1:], pairs])

    def at_boundary(self, natural: np.ndarray) -> list[str]:
        """The parameterisation keeps R positive definite."""
        return []

    def _covariance(self, natural: np.ndarray) -> np.ndarray:
        J = len(self.visits)
        sd = np.concatenate([[1.0], natural[: J - 1]])
        R = np.eye(J)
        place = J - 1
        for j in range(J):
            R[:j, j] = R[j, :j] = natural[place : place + j]
            place += j
        return R * np.outer(sd, sd)

    def matrices(self, z: np.ndarray, times: np.ndarray) -> Matrices:
        """R and its derivatives at the visits of each cell."""
        row, column = self._entries
        lower = self._factor(z)
        m, J = len(z), len(self.visits)
        D = np.zeros((m, J, J))  # derivative of L by each parameter
        D[np.arange(m), row, column] = np.where(row == column, lower[row, column], 1.0)
        first = D @ lower.T
        first = first + first.transpose(0, 2, 1)
        place = self._places(times)
        chosen = (place[:, :, None], place[:, None, :])

        def second() -> np.ndarray:
            products = np.einsum("iac,jbc->ijab", D, D)
            products = products + products.transpose(1, 0, 2, 3)
            diagonal = np.flatnonzero(row == column)  # d2 L = d L there
            bent = D[diagonal] @ lower.T
            products[diagonal, diagonal] += bent + bent.transpose(0, 2, 1)
            return products[:, :, *chosen]

        value, slope = lower @ lower.T, D[np.arange(m), row, column]
        return CholeskyMatrices(value[chosen], first[:, *chosen], second, lower, row, column, slope, place)

    def cross(self, natural: np.ndarray, new: np.ndarray, seen: np.ndarray) -> np.ndarray:
        """Covariance of different measurements : (..., a, b)."""
        a, b = self._places(new), self._places(seen)
        return self._covariance(natural)[a[..., :, None], b[..., None, :]]

    def variance(self, natural: np.ndarray, times: np.ndarray) -> np.ndarray:
        """Relative variance of each visit."""
        return np.diag(self._covariance(natural))[self._places(times)]

    def _places(self, times: np.ndarray) -> np.ndarray:
        place = np.minimum(np.searchsorted(self.visits, times), len(self.visits) - 1)
        if np.any(np.asarray(self.visits)[place] != times):
            raise DataError(
                f"An unstructured covariance knows the visits {', '.join(self.shown)} only; predict at one "
                "of these."
            )
        return place
