"""The summary that a fit prints, in the layout R users know."""

from __future__ import annotations

from typing import Any

import numpy as np

from lmmcore.covariance.residual import further
from lmmcore.estimate.solution import Solution
from lmmcore.inference.fixed.boundary_df import df_conflict, few_df
from lmmcore.inference.fixed.wald import Estimates, linear_estimates
from lmmcore.output.digits import parameter_text
from lmmcore.output.frames import group_sizes

# Balanced data have estimates such as 0.784375: half a digit is rounded away from zero, not by its last bit.
UP = 1 + 1e-12


def text(solution: Solution) -> str:
    """Several lines: model, certificate, criteria, random effects, fixed effects."""
    model = solution.model
    how = "REML" if model.spec.reml else "maximum likelihood"
    lines = [f"Linear mixed model fit by {how}", f"Formula: {solution.formula}"]
    structures = [given for given in (model.spec.residual, model.spec.variance) if given is not None]
    if structures:
        named = solution.residual_parameters | further(model.structure, solution.natural)
        shown = ", ".join(f"{name} = {parameter_text(name, value)}" for name, value in named.items())
        lines.append(f"Residuals: {', '.join(map(_structure, structures))} ({shown})")
    if model.rows.visits is not None:
        lines.append(model.rows.visits.sentence)
    groups = ", ".join(f"{name} {size}" for name, size in group_sizes(solution).items())
    lines.append(f"Rows: {model.n}" + (f"; groups: {groups}" if groups else ""))
    dropped = sum(model.table.dropped.values())
    if dropped:
        lines.append(f"Rows left out for missing values: {dropped}")
    if model.dropped:
        lines.append(f"Fixed effects left out (dependent on others): {', '.join(model.dropped)}")
    lines += [
        solution.certificate.sentence,
        "",
        f"log-likelihood {solution.loglik:.4f}   AIC {solution.aic:.2f}   "
        f"BIC {solution.bic:.2f} (n = rows)   parameters {solution.npar}",
        "",
        "Random effects:",
    ]
    lines += [*_random(solution), ""]
    if not solution.certificate.converged:
        told = "Fixed effects (without tests, which a fit that has not converged cannot give):"
        return "\n".join([*lines, told, *_estimates(solution)])
    found = linear_estimates(solution, np.eye(len(solution.beta)), "satterthwaite")
    lines += ["Fixed effects (Satterthwaite):", *_fixed(solution, found)]
    if (few := few_df(solution.model.terms, found.df)) is not None:
        lines += ["", few]
    conflict = df_conflict(solution)
    if conflict is not None and conflict.sentence is not None:
        lines += ["", conflict.sentence]
    return "\n".join(lines)


def _structure(structure: Any) -> str:
    """ "AR1 over time", "ByGroup of Sex"."""
    name = type(structure).__name__
    over, of = getattr(structure, "time", None), getattr(structure, "column", getattr(structure, "of", None))
    by = f" by {structure.by}" if getattr(structure, "by", None) else ""
    return name + (f" over {over}" if over else f" of {of}" if of else "") + by


def _random(solution: Solution) -> list[str]:
    covariance = solution.sigma2 * solution.psi
    rows = [["group", "term", "variance", "sd", "correlation"]]
    for block in solution.model.blocks:
        for position, (name, place) in enumerate(zip(block.names, block.columns, strict=True)):
            variance = covariance[place, place]
            correlations = []
            for other in block.columns[:position]:
                scale = np.sqrt(variance) * np.sqrt(covariance[other, other])
                correlations.append(f"{covariance[place, other] / scale:.2f}" if scale > 0 else "-")
            group = block.group if position == 0 else ""
            rows.append([group, name, f"{variance:.5g}", f"{np.sqrt(variance):.5g}", " ".join(correlations)])
    rows.append(["Residual", "", f"{solution.sigma2:.5g}", f"{solution.sigma:.5g}", ""])
    return _aligned(rows, left=2)


def _estimates(solution: Solution) -> list[str]:
    named = zip(solution.model.terms, solution.beta, strict=True)
    rows = [["term", "estimate"], *([term, f"{value * UP:.5g}"] for term, value in named)]
    return _aligned(rows, left=1)


def _fixed(solution: Solution, found: Estimates) -> list[str]:
    statistic, p_value = found.statistics()
    rows = [["term", "estimate", "std. error", "df", "t", "p"]]
    columns = (solution.model.terms, found.estimate, found.se, found.df, statistic, p_value)
    for term, estimate, se, df, t, p in zip(*columns, strict=True):
        rows.append([term, f"{estimate * UP:.5g}", f"{se:.4g}", f"{df:.2f}", f"{t:.3f}", f"{p:.4g}"])
    return _aligned(rows, left=1)


def _aligned(rows: list[list[str]], left: int) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [
            cell.ljust(width) if column < left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  " + "  ".join(cells).rstrip())
    return lines
