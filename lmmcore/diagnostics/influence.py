"""Influence of each outermost unit on the estimates.

Every unit is left out by one step from the full estimates (lmmcore.diagnostics.deletion), which costs about
as much as one fit for all of them together. One step is too short for the few units that matter: those are
left out of a fit of their own, started from the full estimates.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from lmmcore.data.table import to_frame
from lmmcore.diagnostics.contributions import contributions, total_contributions
from lmmcore.diagnostics.deletion import LeftOut, left_out
from lmmcore.errors import FitError
from lmmcore.estimate.residuals import marginal_covariance
from lmmcore.estimate.solution import Solution
from lmmcore.estimate.units import batches, inner_columns, outermost
from lmmcore.resampling.refit import fit_counted
from lmmcore.resampling.rows import Refits

# A unit is left out of a fit of its own if one step predicts a displacement above this for each covariance
# parameter, the MOST most influential units at most.
FELT, MOST = 0.03, 100
# With fewer units, what is left without one has no variance between units.
FEWEST = 3


@dataclass(frozen=True, eq=False)
class Influence:
    """Influence of each outermost unit. group : its factor; levels : N names; rows : (N,) numbers of rows."""

    solution: Solution
    group: str
    levels: list[str]
    rows: np.ndarray
    left_out: LeftOut

    @property
    def dfbetas(self) -> np.ndarray:
        """(N, p) beta^ less beta without the unit, in standard errors of the full fit."""
        return (self.solution.beta - self.left_out.beta) / np.sqrt(np.diag(self.solution.vcov))

    @property
    def cooks_distance(self) -> np.ndarray:
        """(N,) squared length of the change of beta in the metric of its covariance, divided by p."""
        change = self.solution.beta - self.left_out.beta
        scaled = np.linalg.solve(self.solution.vcov, change.T).T
        return np.einsum("na,na->n", change, scaled) / max(change.shape[1], 1)

    def frame(self) -> Any:
        """Frame of one row a unit, in the order of the units: group, level, rows, cooks_distance, covratio,
        likelihood_displacement, sigma, refitted, and dfbetas_<term> for each fixed effect."""
        left = self.left_out
        columns: dict[str, Any] = {
            "group": [self.group] * len(self.levels),
            "level": self.levels,
            "rows": self.rows,
            "cooks_distance": self.cooks_distance,
            "covratio": left.covratio,
            "likelihood_displacement": left.displacement,
            "sigma": np.sqrt(left.sigma2),
            "refitted": left.refitted,
        }
        names = [f"dfbetas_{term}" for term in self.solution.model.terms]
        columns |= dict(zip(names, self.dfbetas.T, strict=True))
        table = self.solution.model.table
        rows = None if self.solution.model.groups else table.index_used  # without a factor a row is a unit
        return to_frame(columns, table.backend, rows)


def influence(solution: Solution) -> Influence:
    """Influence of each outermost unit on the estimates; of each row where there is no grouping factor.

    likelihood_displacement is 2 {l(full estimates) - l(estimates without the unit)}, l the (restricted)
    log-likelihood of all rows (Cook 1986). Missing for a unit without which there is no estimate. Raises
    FitError for fewer than FEWEST units.
    """
    sizes = np.diff(np.append(solution.model.rows.units[0].starts, solution.model.n))
    group, levels = outermost(solution)
    if len(levels) < FEWEST:
        raise FitError(
            f"Influence is found by leaving out one level of {group!r} at a time, but there are only "
            f"{len(levels)} of them; look at the residuals of each instead."
        )
    found = _one_step(solution, sizes)
    # A step into nonsense shows by its size, or by a displacement that is not one.
    size = np.nan_to_num(np.abs(found.displacement), nan=np.inf)
    size[np.isnan(found.sigma2_at_theta)] = 0.0
    ranked = np.argsort(-size, kind="stable")[:MOST]
    parameters = len(solution.optimum.evaluation.theta) + 1
    chosen = ranked[size[ranked] > FELT * parameters]
    if len(chosen):
        for unit, refit in zip(chosen.tolist(), _refits(solution, chosen), strict=True):
            _take(solution, found, unit, refit)
    return Influence(solution, group, levels, sizes, found)


def _one_step(solution: Solution, sizes: np.ndarray) -> LeftOut:
    total, columns = total_contributions(solution), inner_columns(solution)
    m = total.log_first.shape[1]
    parts, places = [], []
    for members, index in batches(solution, matrices=(m + 4) ** 2):
        parts.append(left_out(solution, total, contributions(solution, index, columns), sizes[members]))
        places.append(members)
    order = np.argsort(np.concatenate(places))
    return LeftOut(
        *(np.concatenate([getattr(part, f.name) for part in parts])[order] for f in fields(LeftOut))
    )


def _refits(solution: Solution, chosen: np.ndarray) -> Iterator[Refits]:
    """One fit without each of the chosen units."""
    times = np.ones((len(solution.model.rows.units[0].starts), len(chosen)))
    times[chosen, np.arange(len(chosen))] = 0
    for refits in fit_counted(solution, times):
        for place in range(len(refits.beta)):
            yield Refits(*(getattr(refits, f.name)[place : place + 1] for f in fields(Refits)))


def _take(solution: Solution, found: LeftOut, unit: int, refit: Refits) -> None:
    """Put the estimates of a fit without the unit in the place of those by one step."""
    found.refitted[unit] = True
    found.beta[unit], found.sigma2[unit] = refit.beta[0], refit.sigma2[0]
    found.psi[unit], found.natural[unit] = refit.psi[0], refit.natural[0]
    if not np.isfinite(refit.sigma2[0]):
        found.covratio[unit] = found.displacement[unit] = np.nan
        return
    p, reml, nu = solution.model.p, solution.model.spec.reml, solution.nu
    sigma2 = float(refit.sigma2[0])
    moved = replace(solution, psi=refit.psi[0], natural=refit.natural[0])
    log_det, gram, of_unit = _likelihood(moved, unit)
    coordinates = solution.model.coordinates
    best = np.linalg.solve(gram[:p, :p], gram[:p, p])
    rss = gram[p, p] - best @ gram[:p, p]
    if reml:
        log_det += np.linalg.slogdet(gram[:p, :p])[1]
    else:
        away = np.linalg.solve(coordinates.fixed, refit.beta[0] - coordinates.origin) - best
        rss += away @ gram[:p, :p] @ away
    deviance = log_det + nu * (np.log(2 * np.pi * sigma2)) + rss / sigma2
    rest = np.linalg.slogdet((gram - of_unit)[:p, :p])[1]
    full = np.linalg.slogdet(solution.optimum.evaluation.value.profile.unscaled)[1]
    found.covratio[unit] = np.exp(p * np.log(sigma2 / solution.sigma2) - rest - full)
    found.displacement[unit] = deviance - solution.optimum.deviance


def _likelihood(solution: Solution, unit: int) -> tuple[float, np.ndarray, np.ndarray]:
    """log|V|, [X y]'V^-1[X y] : (p+1, p+1) in the model's coordinates, and the unit's part of the latter."""
    columns = inner_columns(solution)
    log_det, gram = 0.0, np.zeros((columns.shape[1],) * 2)
    of_unit = np.zeros_like(gram)
    for members, index in batches(solution, matrices=3):
        lower = np.linalg.cholesky(marginal_covariance(solution, index))
        log_det += 2 * float(np.log(np.einsum("cii->ci", lower)).sum())
        u = np.linalg.solve(lower, columns[index])
        gram += np.einsum("cna,cnb->ab", u, u)
        for place in np.flatnonzero(members == unit):
            of_unit = u[place].T @ u[place]
    return log_det, gram, of_unit
