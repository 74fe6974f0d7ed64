"""What a residual structure is: a map from unbounded parameters to R, in two steps.

A user names a `Residual` (AR1("time")); bound to the rows of one data set it becomes a `BoundResidual`, which
makes the moments of the likelihood and knows its parameters. A structure is one small file; it is used
wherever it is passed as `residual=`, nothing has to be registered.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from lmmcore.covariance.parameter import StructureParameter, as_it_is
from lmmcore.errors import FormulaError
from lmmcore.runtime.arguments import short
from lmmcore.system.moments.dense import Matrices
from lmmcore.system.moments.subjects import SortedRows, Subjects, Weights

Subject = str | Sequence[str] | None
"""Column of subjects, or columns whose combinations are subjects; None: the innermost random factor."""


class ResidualMoments(Protocol):
    """Moments of every subject as a function of the structure's parameters phi : (m,)."""

    def rotated(self, fixed: np.ndarray, random: np.ndarray) -> ResidualMoments:
        """Moments of [Z random, X fixed, y] for fixed : (r-1, r-1), random : (q, q)."""

    def at(self, phi: np.ndarray) -> Subjects:
        """The moments."""

    def first(self, phi: np.ndarray) -> list[Subjects]:
        """Their derivative by each parameter."""

    def curvature(self, phi: np.ndarray, weights: Weights) -> np.ndarray:
        """The part of the Hessian linear in second derivatives of R^-1 and log|R| : (m, m)."""


@dataclass(frozen=True)
class NewRows:
    """Rows to predict, as a residual structure sees them.

    times, marks, levels : (a,); marks of the variance, levels : numbers of those that have a covariance of
    their own, None where there are none.
    """

    times: np.ndarray
    marks: np.ndarray | None
    levels: np.ndarray | None = None

    def at(self, places: np.ndarray) -> NewRows:
        """Some of the rows."""
        marks, levels = (None if of is None else of[places] for of in (self.marks, self.levels))
        return NewRows(self.times[places], marks, levels)


@dataclass(frozen=True)
class WrittenOut:
    """R as a function of marks : (n, d) of the sorted rows; matrices(z, marks : (c, n, d)) of c units."""

    marks: np.ndarray
    matrices: Callable[[np.ndarray, np.ndarray], Matrices]


class Law(Protocol):
    """The covariance itself: R as a function of times and unbounded parameters z : (m,)."""

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """Names of the natural parameters."""

    @property
    def independence(self) -> np.ndarray:
        """z of (nearly) independent residuals."""

    def starts(self, rows: SortedRows, residuals: np.ndarray) -> list[np.ndarray]:
        """Values of z to start from, given least-squares residuals : (n,)."""

    def natural(self, z: np.ndarray) -> np.ndarray:
        """Parameters on the natural scale that is computed with; see as_named."""

    def at_boundary(self, natural: np.ndarray) -> list[str]:
        """A phrase for each parameter on the boundary of its space."""

    def matrices(self, z: np.ndarray, times: np.ndarray) -> Matrices:
        """R : (c, n, n) at times : (c, n), with exact derivatives."""

    def cross(self, natural: np.ndarray, new: np.ndarray, seen: np.ndarray) -> np.ndarray:
        """Covariance : (..., a, b) of different measurements at times (..., a) and (..., b)."""

    def variance(self, natural: np.ndarray, times: np.ndarray) -> np.ndarray:
        """Variance of a measurement at each time, relative to sigma^2."""


@dataclass(frozen=True)
class Part:
    """A law of a bound structure, and the place of its parameters; of : the level whose covariance it is."""

    law: Law
    place: slice
    of: str = ""

    def named(self, name: str) -> str:
        """The name of something of this law: "B: rho" for that of level B."""
        return f"{self.of}: {name}" if self.of else name


class BoundResidual(Protocol):
    """A residual structure bound to the sorted rows of one data set; z : (m,) its unbounded parameters."""

    @property
    def parts(self) -> tuple[Part, ...]:
        """The laws, one for each level where each has its own; () for independent residuals."""

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """Names of the natural parameters."""

    @property
    def independence(self) -> np.ndarray:
        """z of (nearly) independent residuals."""

    def starts(self, residuals: np.ndarray) -> list[np.ndarray]:
        """Values of z to start from, given least-squares residuals : (n,) of the sorted rows; those near the
        end of the list explain most by the correlation."""

    def moments(self, Z: Sequence[np.ndarray], XY: Sequence[np.ndarray]) -> ResidualMoments:
        """Moments of sorted columns (n,) of Z and [X y]."""

    @property
    def written_out(self) -> WrittenOut:
        """R as a matrix."""

    def new_marks(self, new: NewRows) -> np.ndarray:
        """(a, d) what R of further measurements depends on, as in written_out."""

    def natural(self, z: np.ndarray) -> np.ndarray:
        """Parameters on the natural scale that is computed with; see as_named."""

    def at_boundary(self, natural: np.ndarray) -> list[str]:
        """A phrase for each parameter on the boundary of its space."""

    def parameters(self) -> list[StructureParameter]:
        """Each natural parameter as a function of z, in the order of parameter_names."""

    def rebound(self, rows: SortedRows, index: np.ndarray) -> BoundResidual:
        """The same laws over other sorted rows, index : (a,) of those of now."""

    def covariance(self, natural: np.ndarray, index: np.ndarray) -> np.ndarray:
        """R : (..., n, n) of the sorted rows index : (..., n) as if of one subject, relative to sigma^2."""

    def cross(self, natural: np.ndarray, new: NewRows, index: np.ndarray) -> np.ndarray:
        """Covariance : (a, b) of further measurements with the sorted rows index : (b,)."""


class Residual(Protocol):
    """A residual structure as the user names it."""

    @property
    def type(self) -> str:
        """Its name in a configuration."""

    @property
    def time(self) -> str | None:
        """Column of times; None if the structure needs none."""

    @property
    def subject(self) -> Subject:
        """Column or columns of subjects; None for the innermost random grouping factor."""

    def check(self, times: np.ndarray) -> None:
        """Raise DataError for times : (n,) that the structure cannot use."""

    def bind(self, rows: SortedRows) -> BoundResidual:
        """The structure for one data set."""


def subject_columns(residual: Residual | None) -> tuple[str, ...]:
    """Columns whose combinations are the subjects; () for the innermost random grouping factor.

    Raises FormulaError for a subject that names no columns.
    """
    subject = None if residual is None else residual.subject
    if subject is None:
        return ()
    columns = (subject,) if isinstance(subject, str) else subject
    if not isinstance(columns, Sequence) or not columns or not all(isinstance(c, str) for c in columns):
        raise FormulaError(
            f"The subject of {type(residual).__name__} is {short(subject)}, but must be a column, "
            "subject='id', or a list of columns whose combinations are the subjects, subject=['site', 'id']."
        )
    return tuple(dict.fromkeys(columns))


def by_column(residual: Residual | None) -> str | None:
    """The category each of whose levels has a covariance of its own; None for one covariance."""
    return getattr(residual, "by", None)


def parameters_of(law: Law) -> list[StructureParameter]:
    """The natural parameters of a law as functions of z; see as_it_is for one that does not state them."""
    if hasattr(law, "parameters"):
        return list(law.parameters())
    return [as_it_is(law.natural, law.independence, place) for place in range(len(law.parameter_names))]


def as_named(structure: BoundResidual | None, natural: np.ndarray) -> np.ndarray:
    """Parameters natural : (..., m) as a user knows them: a law may be computed with others."""
    named = natural
    for part in structure.parts if structure is not None else ():
        law: Any = part.law
        if hasattr(law, "as_named"):
            named = named.copy()
            named[..., part.place] = law.as_named(natural[..., part.place])
    return named


def further(structure: BoundResidual | None, natural: np.ndarray) -> dict[str, float]:
    """The same said in other ways, by name; {} where the parameters say all."""
    found: dict[str, float] = {}
    for part in structure.parts if structure is not None else ():
        law: Any = part.law
        if hasattr(law, "further"):
            found |= {part.named(name): value for name, value in law.further(natural[part.place]).items()}
    return found
