"""Estimated marginal means and slopes, and comparisons among them.

A marginal mean is the mean of the model's predictions over the points of a reference grid, a linear function
l'beta (Searle, Speed & Milliken 1980); a slope is the derivative of the prediction by a covariate there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lmmcore.errors import ArgumentError
from lmmcore.estimate.solution import Solution
from lmmcore.inference.emmeans.grid import EmmGrid, estimates
from lmmcore.inference.emmeans.nesting import nesting_of
from lmmcore.inference.emmeans.reference_grid import At, Grid, Weighting, is_category, reference_grid
from lmmcore.inference.fixed.wald import DfMethod
from lmmcore.model.specification import Model
from lmmcore.runtime.arguments import name, names

# Part of a covariate's range that a slope is taken over.
STEP = 1e-4
# Cells that a sentence names.
NAMED = 3


def emmeans(
    solution: Solution,
    specs: str | Sequence[str],
    by: str | Sequence[str] | None = None,
    at: At | None = None,
    df: DfMethod = "satterthwaite",
    conf_level: float = 0.95,
    weights: Weighting = "equal",
    nesting: Mapping[str, Any] | None = None,
) -> EmmGrid:
    """Estimated marginal means for the combinations of specs and by; by divides the comparisons.

    The other categories are averaged over, weights : "equal"; "proportional" to the rows of their
    combinations in the data; or "flat", equal but 0 for combinations without rows. nesting : {factor: the
    factors it is nested in}, found from data and formula if None, {} for none; a nested factor comes with its
    outer ones, and is averaged over within them first. Covariates stand at their mean over the rows used, or
    where `at` says, {variable: value or values}. "kenward-roger" adjusts the covariance too. Raises
    ArgumentError for unknown variables, values, df or level, FitError for "kenward-roger" after ML.
    """
    grid, by_names = _grid(solution.model, specs, by, at, weights, nesting)
    what = f"Means of {solution.model.spec.formula.response}"
    rows = grid.rows()
    functions, size = grid.means(rows), grid.means(np.abs(rows))
    return _estimated(solution, grid, by_names, functions, size, grid.offsets(), df, conf_level, what)


def slopes(
    solution: Solution,
    covariate: str,
    specs: str | Sequence[str],
    by: str | Sequence[str] | None = None,
    at: At | None = None,
    df: DfMethod = "satterthwaite",
    conf_level: float = 0.95,
    weights: Weighting = "equal",
    nesting: Mapping[str, Any] | None = None,
) -> EmmGrid:
    """Slopes of the mean over a covariate, for the combinations of specs and by; otherwise as emmeans.

    The slope is the derivative of the prediction where the covariate stands (its mean, or `at`), whatever
    functions of it the formula has, to about 1e-8 of itself. Raises ArgumentError as well if the fixed
    effects do not use the covariate as a number.
    """
    model = solution.model
    name(covariate, "covariate")
    if covariate not in model.fixed.variables or is_category(model, covariate):
        raise ArgumentError(f"The fixed effects do not use a number {covariate!r}, so that it has no slope.")
    grid, by_names = _grid(model, specs, by, at, weights, nesting)
    seen, here = np.asarray(model.table.columns[covariate]), np.asarray(grid.table.columns[covariate])
    low, high = float(seen.min()), float(seen.max())
    step = STEP * (high - low)
    # The parabola through three points, inside the range of the rows where possible: bs() ends there.
    centre = np.where((here < low) | (here > high), here, np.clip(here, low + step, high - step))
    u = (here - centre) / step
    rows = grid.rows()
    derivative, size = np.zeros_like(rows), np.zeros_like(rows)
    for shift, weight in ((-1, u - 0.5), (0, -2 * u), (1, u + 0.5)):
        change = grid.moved(covariate, centre + shift * step).rows() - rows
        derivative += (weight / step)[:, None] * change
        size += np.abs(weight / step)[:, None] * np.abs(change)
    what = f"Slopes of {model.spec.formula.response} over {covariate}"
    functions, no_offset = grid.means(derivative), np.zeros(grid.size)
    return _estimated(solution, grid, by_names, functions, grid.means(size), no_offset, df, conf_level, what)


def _grid(
    model: Model,
    specs: str | Sequence[str],
    by: str | Sequence[str] | None,
    at: At | None,
    weights: Weighting,
    nesting: Mapping[str, Any] | None,
) -> tuple[Grid, tuple[str, ...]]:
    """The reference grid, with the outer factors of those asked for, and by."""
    asked, by_names = names(specs, "specs"), names(by, "by")
    nested = nesting_of(model, [of for of in model.fixed.variables if is_category(model, of)], nesting)
    outer = dict.fromkeys(of for one in (*by_names, *asked) for of in nested.get(one, ()))
    added = [of for of in outer if of not in (*by_names, *asked)]
    return reference_grid(model, [*by_names, *added, *asked], at, weights, nesting), by_names


def _estimated(
    solution: Solution,
    grid: Grid,
    by: tuple[str, ...],
    functions: np.ndarray,
    size: np.ndarray,
    offsets: np.ndarray,
    df: DfMethod,
    conf_level: float,
    what: str,
) -> EmmGrid:
    """The functions of the cells, estimated and described."""
    found = estimates(solution, functions, size, offsets, df)
    low, high = found.interval(conf_level)
    sentence = ", ".join([part for part in (what, grid.sentence()) if part]) + "."
    missing = np.flatnonzero(np.isnan(found.estimate)).tolist()
    if missing:
        named = "; ".join(
            ", ".join(f"{name} {values[index]}" for name, values in grid.cells.items())
            for index in missing[:NAMED]
        )
        more = f" and {len(missing) - NAMED} more" if len(missing) > NAMED else ""
        sentence += (
            f" Missing for {named}{more}: the data do not determine it, as combinations of levels without "
            "rows enter it, or covariates apart that go together in the data."
        )
    return EmmGrid(
        solution, grid.cells, by, functions, size, offsets, df, found, low, high, conf_level, sentence
    )
