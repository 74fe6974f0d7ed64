"""Shares of the variance: intraclass correlations and R squared.

Both rest on one decomposition of the variance of a response whose row is drawn at random from the data:

    fixed      variance of X beta^ over the rows
    group g    mean over the rows of z'Psi_g z, for random slopes too (Johnson 2014)
    residual   mean over the rows of the residual variance (it may differ by group, weight, or fitted value)

Averaging over the rows does not depend on where a covariate has its zero, as the variance at an arbitrary
value would; the shares at a value that matters are those of `at`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lmmcore.data.table import Table, read, to_frame
from lmmcore.errors import ArgumentError
from lmmcore.estimate.residuals import residual_scale
from lmmcore.estimate.solution import Solution
from lmmcore.inference.covariance.marginal import needed_variables, random_covariance, residual_covariance
from lmmcore.runtime import arguments


@dataclass(frozen=True)
class VarianceShares:
    """Variance between the units of each grouping factor, outermost first, then of the residual.

    variance, share : (k+1,), share of the total without the fixed effects. icc : (k,) correlation of two rows
    of the same unit of that factor (and so of those outside it): the shares added up from the outermost one.
    """

    group: tuple[str, ...]
    variance: np.ndarray
    share: np.ndarray
    icc: np.ndarray
    sentence: str
    backend: Any

    def frame(self) -> Any:
        """Frame: group ("Residual" last), variance, share, icc (missing for the residual)."""
        columns = {
            "group": [*self.group, "Residual"],
            "variance": self.variance,
            "share": self.share,
            "icc": np.append(self.icc, np.nan),
        }
        return to_frame(columns, self.backend)


@dataclass(frozen=True)
class RSquared:
    """Shares of the variance that the fixed effects explain (marginal), with the random ones (conditional).

    fixed, residual : variances; random : by grouping factor, outermost first.
    """

    marginal: float
    conditional: float
    fixed: float
    random: Mapping[str, float]
    residual: float
    sentence: str


def icc(solution: Solution, at: Mapping[str, Any] | None = None) -> VarianceShares:
    """Intraclass correlations at each level (Snijders & Bosker 2012, sections 3.3 and 5.1).

    at : values of the variables that the variances depend on, e.g. {"Days": 0}; by default variances are
    averaged over the rows of the data. Raises ArgumentError for a variable that has no value in `at`,
    DataError for a value that the model does not know.
    """
    model = solution.model
    at = None if at is None else arguments.mapping(at, "at")
    if at is None:
        random, residual = _row_variances(solution)
        where = "averaged over the rows of the data"
        if not any(block.names != ("Intercept",) for block in model.blocks):
            where = "from the variances of the random effects"
    else:
        random, residual = _variances_at(solution, at)
        where = "at " + (", ".join(f"{name} = {value}" for name, value in at.items()) or "any row")
    variance = np.append(random, residual)
    share = variance / variance.sum()
    names = tuple(model.groups[level].name for level in _levels(solution))
    sentence = f"Shares of the variance that the fixed effects leave, {where}."
    if model.spec.residual is not None:
        sentence += " The correlation of residuals within a subject is counted as residual variance."
    return VarianceShares(names, variance, share, np.cumsum(share[:-1]), sentence, model.table.backend)


def r_squared(solution: Solution) -> RSquared:
    """Marginal and conditional R squared (Nakagawa & Schielzeth 2013; random slopes: Johnson 2014)."""
    model = solution.model
    X = np.array([model.rows.X[index] for index in model.coordinates.kept]).reshape(model.p, model.n)
    fixed = float(np.var(solution.beta @ X, ddof=1))
    random, residual = _row_variances(solution)
    explained = fixed + float(random.sum())
    total = explained + residual
    names = [model.groups[level].name for level in _levels(solution)]
    sentence = (
        "Marginal: variance of the fixed part over the total; conditional: of the fixed part and the random "
        "effects. Variances are averaged over the rows of the data."
    )
    if model.spec.residual is not None:
        sentence += " What a serial correlation would predict counts as residual."
    by_group = dict(zip(names, random.tolist(), strict=True))
    return RSquared(fixed / total, explained / total, fixed, by_group, residual, sentence)


def _levels(solution: Solution) -> list[int]:
    """Grouping factors that have random effects; a residual structure may have one without."""
    model = solution.model
    return [level for level in range(len(model.groups)) if model.covariances[level].q]


def _row_variances(solution: Solution) -> tuple[np.ndarray, float]:
    """Mean over the rows of each level's variance : (levels,), and of the residual variance."""
    model, rows = solution.model, solution.model.rows
    found = []
    for level in _levels(solution):
        columns = model.columns(level)
        Z = np.array(rows.Z[columns])
        found.append(float((solution.sigma2 * solution.psi[columns, columns] * (Z @ Z.T / model.n)).sum()))
    return np.array(found), float(np.mean(residual_scale(solution) ** 2))


def _variances_at(solution: Solution, at: Mapping[str, Any]) -> tuple[np.ndarray, float]:
    """The same at one row."""
    model = solution.model
    scale = residual_scale(solution)
    constant = bool(np.ptp(scale) <= 1e-12 * scale.max())
    needed = needed_variables(solution, constant_residual=constant)
    for name in needed:
        if name not in at:
            raise ArgumentError(f"The variances depend on {name!r}, for which `at` has no value.")
    for name in at:
        if name not in needed:
            known = ", ".join(needed) or "nothing"
            raise ArgumentError(
                f"The variances do not depend on {name!r}, but on {known}; leave it out of `at`."
            )
    categories = {name: list(levels) for name, levels in model.levels.items() if name in needed}
    table = Table({}, 1, 1, {}, None, model.table.backend)
    if needed:
        table = read({name: [at[name]] for name in needed}, needed, (), categories)
    random = [float(random_covariance(solution, table, level)[0, 0]) for level in _levels(solution)]
    residual = float(scale[0] ** 2) if constant else float(residual_covariance(solution, table)[0, 0])
    return np.array(random), residual
