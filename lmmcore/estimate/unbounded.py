"""Likelihoods without a maximum: where rows are fitted exactly, a variance goes to 0.

No simpler covariance helps, and no number that a search ends with means anything. So the cause is named.
"""

from __future__ import annotations

import numpy as np

from lmmcore.covariance.scaled import ScaledResidual
from lmmcore.covariance.variance import GroupVariance
from lmmcore.model.specification import Model
from lmmcore.optimise.newton import Optimum
from lmmcore.system.deflated import least_squares, within_units
from lmmcore.system.moments.products import is_one

# Share of the sum of squares of y that is rounding.
EXACT = 1e-22
# An SD this many times smaller than another, and the curvature by its logarithm, that may have run to 0.
SMALL = 1e-2
FLAT = 1e-5
# An SD this many times smaller than another has run to 0 where the search has no end.
VANISHED = 1e-6


def exact_fit(model: Model) -> str | None:
    """Why the residual variance goes to 0: y is an exact function of the fixed effects and the units of a
    grouping factor. None if it is not, or the rows are not at hand."""
    if model.make_deflated is None:
        return None
    rows, response = model.rows, model.spec.formula.response
    X = [rows.X[index] for index in model.coordinates.kept]
    total = float(rows.y @ rows.y)
    for level, group in enumerate(model.groups):
        columns = model.columns(level)
        Z = rows.Z[columns] or [np.broadcast_to(1.0, (model.n,))]
        unit = rows.units[level]
        if len(unit.starts) * len(Z) >= model.n:
            continue
        if any(map(is_one, Z)):
            left = within_units(Z[:1], [rows.y], unit)[1][-1]
            if left @ left <= EXACT * total:
                return (
                    f"{response} does not vary within {group.name}, so that the residual variance is 0 and "
                    f"the likelihood has no maximum; keep one row per {group.name}, or use a response that "
                    "was measured in each of its rows."
                )
        XY = np.array([*X, rows.y])
        b = least_squares(within_units(Z, list(XY), unit)[1], XY)
        left = within_units(Z, [rows.y - b @ XY[:-1]], unit)[1][-1]
        if left @ left <= EXACT * total:
            return (
                f"within {group.name}, {response} is an exact function of the fixed and random effects, so "
                "that the residual variance is 0 and the likelihood has no maximum; look for a response that "
                "was computed, or use fewer effects."
            )
    return None


def vanished_groups(model: Model, optimum: Optimum) -> list[str]:
    """Levels of a variance by group whose SD has run to 0: it is next to nothing, and flat."""
    levels, logs = _logs(model, optimum)
    if not levels:
        return []
    curvature = np.abs(np.diag(optimum.evaluation.hessian))[len(optimum.evaluation.theta) - len(levels) + 1 :]
    # The first level's SD has run to 0 where every other has run to infinity beside it.
    flat = np.concatenate([[curvature.max(initial=0.0)], curvature]) < FLAT
    found = zip(levels, logs < np.log(SMALL), flat, strict=True)
    return [level for level, small, alone in found if small and alone]


def unbounded_group(model: Model, optimum: Optimum) -> str | None:
    """Which level of a variance by group is fitted exactly, where the search has no end."""
    levels, logs = _logs(model, optimum)
    variance = model.spec.variance
    if variance is None or not np.any(logs < np.log(VANISHED)):
        return None
    level = levels[int(np.argmin(logs))]
    return (
        f"the residual SD of {variance.column} = {level} goes to 0, because its rows are fitted exactly, so "
        "that the likelihood has no maximum; give this level an SD in common with another, or use fewer "
        "effects."
    )


def _logs(model: Model, optimum: Optimum) -> tuple[tuple[str, ...], np.ndarray]:
    """Levels of a variance by group, and the logarithm of each one's SD over the largest; () without one."""
    structure = model.structure
    if not isinstance(structure, ScaledResidual) or not isinstance(structure.variance, GroupVariance):
        return (), np.empty(0)
    levels = structure.variance.levels
    logs = np.concatenate(
        [[0.0], optimum.evaluation.theta[len(optimum.evaluation.theta) - len(levels) + 1 :]]
    )
    return levels, logs - logs.max()
