"""The tables of a fit, in the columns of broom (tidy, glance, augment) and lme4 (varcorr, ranef)."""

from __future__ import annotations

from typing import Any

import numpy as np

from lmmcore.data.table import Factor, to_frame
from lmmcore.estimate.effects import blups
from lmmcore.estimate.residuals import fitted_values, normalized_residuals, residual_scale
from lmmcore.estimate.solution import Solution
from lmmcore.estimate.units import unit_names
from lmmcore.inference.fixed.wald import DfMethod, coefficients, linear_estimates
from lmmcore.runtime import arguments


def tidy(solution: Solution, effects: str, df: DfMethod, conf_level: float) -> Any:
    """One row a fixed effect, or a covariance parameter with its Wald limits."""
    arguments.one_of(effects, "effects", ("fixed", "ran_pars"))
    if effects == "ran_pars":
        from lmmcore.inference.covariance.components import components  # start-up time

        known = components(solution, conf_level)
        k = len(known.term)
        none = np.full(k, np.nan)
        return to_frame(
            {
                "effect": ["ran_pars"] * k,
                "group": list(known.group),
                "term": list(known.term),
                "estimate": known.estimate,
                "std_error": known.std_error,
                "statistic": none,
                "df": none,
                "p_value": none,
                "conf_low": known.conf_low,
                "conf_high": known.conf_high,
            },
            solution.model.table.backend,
        )
    p = len(solution.beta)
    found = linear_estimates(solution, np.eye(p), df)
    columns = {"effect": ["fixed"] * p, "group": [None] * p}
    return to_frame(
        columns | coefficients(solution.model.terms, found, conf_level), solution.model.table.backend
    )


def varcorr(solution: Solution) -> Any:
    """Variances and covariances of the random effects, then the residual variance."""
    rows: list[tuple[str, str | None, str | None, float, float | None, float | None]] = []
    covariance = solution.sigma2 * solution.psi
    for block in solution.model.blocks:
        named = list(zip(block.names, block.columns, strict=True))
        for name, place in named:
            variance = float(covariance[place, place])
            rows.append((block.group, name, None, variance, variance**0.5, None))
        for second, (name2, place2) in enumerate(named):
            for name1, place1 in named[:second]:
                between = float(covariance[place1, place2])
                scale = float(np.sqrt(covariance[place1, place1]) * np.sqrt(covariance[place2, place2]))
                correlation = max(-1.0, min(1.0, between / scale)) if scale > 0 else float("nan")
                rows.append((block.group, name1, name2, between, None, correlation))
    rows.append(("Residual", None, None, solution.sigma2, solution.sigma2**0.5, None))
    names = ("group", "term1", "term2", "covariance", "sd", "correlation")
    columns = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
    return to_frame(columns, solution.model.table.backend)


def ranef(solution: Solution) -> Any:
    """One row a level and random effect."""
    model = solution.model
    columns: dict[str, list[Any]] = {name: [] for name in ("group", "level", "term", "estimate", "std_error")}
    for number, (group, predicted) in enumerate(zip(model.groups, blups(solution), strict=False)):
        q, N = predicted.effects.shape
        if not q:
            continue
        spread = predicted.spread[np.arange(q), np.arange(q)]
        columns["group"] += [group.name] * (q * N)
        columns["level"] += [level for level in unit_names(solution, number) for _ in range(q)]
        columns["term"] += model.effects(number) * N
        columns["estimate"] += predicted.effects.T.ravel().tolist()
        columns["std_error"] += np.sqrt(np.maximum(spread, 0)).T.ravel().tolist()
    return to_frame(columns, model.table.backend)


def group_sizes(solution: Solution) -> dict[str, int]:
    """Levels of each grouping factor, {} if the rows are independent."""
    model = solution.model
    return {group.name: len(unit.starts) for group, unit in zip(model.groups, model.rows.units, strict=False)}


def glance(solution: Solution) -> Any:
    """One row: criteria with the n they used, sigma, rows, certificate."""
    information = solution.information()
    return to_frame(
        {
            "method": [solution.method],
            "nobs": [solution.model.n],
            "subjects": [len(solution.model.rows.units[0].starts)],
            "npar": [solution.npar],
            "sigma": [solution.sigma],
            "loglik": [solution.loglik],
            "deviance": [solution.deviance],
            "aic": [information.aic],
            "aicc": [information.aicc],
            "bic": [information.bic],
            "n_aicc": [information.n_aicc],
            "n_bic": [information.n_bic],
            "df_residual": [solution.model.n - solution.model.p],
            "converged": [solution.certificate.converged],
            "singular": [solution.certificate.singular],
        },
        solution.model.table.backend,
    )


def augment(solution: Solution) -> Any:
    """The rows used, in the order of the data, with fitted values and residuals."""
    model = solution.model
    columns: dict[str, Any] = {}
    for name, column in model.table.columns.items():
        columns[name] = (
            np.array(column.levels, dtype=object)[column.codes] if isinstance(column, Factor) else column
        )
    population, subject = fitted_values(solution, blups(solution))
    residual = model.rows.y - subject
    normalized = normalized_residuals(solution, model.rows.y - population)
    made = {
        "fitted": subject + model.rows.offset,
        "fitted_population": population + model.rows.offset,
        "residual": residual,
        "residual_pearson": residual / residual_scale(solution),
        "residual_normalized": normalized,
    }
    columns |= {name: model.rows.unsorted(values) for name, values in made.items()}
    return to_frame(columns, model.table.backend, model.table.index_used)
