"""The covariance that a fitted model implies between the measurements of one subject, at any rows.

cov(y) = sigma^2 (sum over levels of Z Psi Z', of rows in the same unit, + R)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lmmcore.covariance.residual import by_column
from lmmcore.covariance.visits import visit_label
from lmmcore.data.table import Table, positive_weights, read, to_frame
from lmmcore.errors import DataError
from lmmcore.estimate.new_rows import check_room, new_rows
from lmmcore.estimate.solution import Solution
from lmmcore.model.grouping import combined


@dataclass(frozen=True, eq=False)
class MarginalCovariance:
    """covariance : (n, n) of the responses at n rows of one subject, in squared units of the response."""

    covariance: np.ndarray
    backend: Any

    @property
    def sd(self) -> np.ndarray:
        """(n,)."""
        return np.sqrt(np.diag(self.covariance))

    @property
    def correlation(self) -> np.ndarray:
        """(n, n)."""
        return self.covariance / np.outer(self.sd, self.sd)

    def frame(self) -> Any:
        """Frame: row1, row2 (from 0, row2 not before row1), covariance, correlation."""
        first, second = np.triu_indices(len(self.covariance))
        columns = {
            "row1": first.tolist(),
            "row2": second.tolist(),
            "covariance": self.covariance[first, second],
            "correlation": self.correlation[first, second],
        }
        return to_frame(columns, self.backend)


def marginal_covariance(solution: Solution, new: Any) -> MarginalCovariance:
    """Covariance and correlation of the responses at new rows, all of one (outermost) subject.

    new : a frame or a dict of columns with the variables of the random effects, the time of the residual
    structure, what the variance depends on, the prior weights, and the grouping columns inside the subject,
    as far as the model has them. Raises DataError for a column or a value that is missing, or a time that
    occurs twice.
    """
    table = _read(solution, new)
    model = solution.model
    V = residual_covariance(solution, table)
    for level in range(len(model.groups)):
        spread = random_covariance(solution, table, level)
        V = V + np.where(_same(solution, table, level), spread, 0.0)
    return MarginalCovariance(V, model.table.backend)


def random_covariance(solution: Solution, table: Table, level: int) -> np.ndarray:
    """sigma^2 Z Psi Z' : (n, n) of the rows of a table as if of one unit of the level."""
    columns = solution.model.columns(level)
    Z = np.array(
        [column for _, design in solution.model.random for column in design.columns(table)][columns]
    ).reshape(-1, table.n)
    return solution.sigma2 * Z.T @ solution.psi[columns, columns] @ Z


def residual_covariance(solution: Solution, table: Table) -> np.ndarray:
    """sigma^2 R : (n, n) of the rows of a table of one outermost unit. Raises DataError for a time twice."""
    model, structure = solution.model, solution.model.structure
    R = np.eye(table.n)
    if structure is not None:
        z = solution.optimum.evaluation.theta[solution.optimum.objective.residual]
        new = new_rows(solution, table, _mean(solution, table))
        same = _same(solution, table, len(model.groups) - 1) if model.groups else R.astype(bool)
        twice = np.triu(same & (new.times[:, None] == new.times), 1)
        if model.spec.residual is not None and model.spec.residual.time is not None and twice.any():
            label = visit_label(model.rows.visits, new.times[np.argwhere(twice)[0][0]])
            time = f"{model.spec.residual.time} = {label}"
            raise DataError(f"Two of the rows are at {time}; a residual correlation needs one row a time.")
        if new.levels is not None and np.any(same & (new.levels[:, None] != new.levels)):
            by = by_column(model.spec.residual)
            raise DataError(
                f"The rows of one subject must have the same level of {by!r}, which has a covariance of its "
                "own for each."
            )
        check_room(solution, int(same.sum(axis=1).max()))
        matrices = structure.written_out.matrices(z, structure.new_marks(new)[None])
        R = np.where(same, matrices.value[0], 0.0)
    if model.spec.weights is not None:
        weights = positive_weights(table, model.spec.weights)
        R = R / np.sqrt(np.outer(weights, weights))
    return solution.sigma2 * R


def _mean(solution: Solution, table: Table) -> np.ndarray:
    """Population mean : (n,) of the rows, where a variance depends on fitted values; missing otherwise."""
    model, spec = solution.model, solution.model.spec
    if spec.variance is None or spec.variance.column is not None:
        return np.full(table.n, np.nan)
    X = np.array(model.fixed.columns(table))[list(model.coordinates.kept)]
    mean = solution.beta @ X
    return mean if spec.offset is None else mean + table.columns[spec.offset]


def needed_variables(solution: Solution, constant_residual: bool = False) -> list[str]:
    """Columns that the covariance of rows depends on; without those of a residual of constant variance."""
    spec, model = solution.model.spec, solution.model
    names = {name for _, design in model.random for name in design.variables}
    if constant_residual:
        return sorted(names)
    if spec.residual is not None and spec.residual.time is not None:
        names.add(spec.residual.time)
    if (by := by_column(spec.residual)) is not None:
        names.add(by)
    if spec.variance is not None:
        column, offset = spec.variance.column, spec.offset
        names |= {column} if column else {*model.fixed.variables, *([offset] if offset else [])}
    return sorted(names | ({spec.weights} if spec.weights is not None else set()))


def _read(solution: Solution, new: Any) -> Table:
    model = solution.model
    variables = needed_variables(solution)
    inside = {column for group in model.groups[1:] for column in group.columns}
    outermost = model.groups[0].columns if model.groups else ()
    grouping = sorted(inside - set(outermost)) if variables or len(model.groups) > 1 else list(outermost)
    categories = {name: list(levels) for name, levels in model.levels.items() if name in variables}
    table = read(new, variables, grouping, categories)
    if table.kept is not None:
        reasons = ", ".join(table.dropped)
        raise DataError(f"A covariance needs every value of its rows, but there are some {reasons}.")
    return table


def _same(solution: Solution, table: Table, level: int) -> np.ndarray:
    """(n, n) whether two rows belong to the same unit of a level; all are of one outermost unit."""
    outermost = set(solution.model.groups[0].columns)
    columns = tuple(name for name in solution.model.groups[level].columns if name not in outermost)
    if level == 0 or not columns:
        return np.ones((table.n, table.n), dtype=bool)
    codes = combined(table, columns).codes
    return np.asarray(codes[:, None] == codes[None, :])
