"""The summary that a fit prints, in the layout R users know."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lmmcore.covariance.residual import further
from lmmcore.inference.fixed.wald import linear_estimates
from lmmcore.output.digits import parameter_text

if TYPE_CHECKING:
    from lmmcore.result import Fit

# Balanced data have estimates such as 0.784375: half a digit is rounded away from zero, not by its last bit.
UP = 1 + 1e-12


def text(fit: Fit) -> str:
    """Several lines: model, certificate, criteria, random effects, fixed effects."""
    solution = fit.solution
    model = solution.model
    how = "REML" if model.spec.reml else "maximum likelihood"
    lines = [f"Linear mixed model fit by {how}", f"Formula: {fit.formula}"]
    structures = [given for given in (model.spec.residual, model.spec.variance) if given is not None]
    if structures:
        named = fit.residual_parameters | further(model.structure, solution.natural)
        shown = ", ".join(f"{name} = {parameter_text(name, value)}" for name, value in named.items())
        lines.append(f"Residuals: {', '.join(map(_structure, structures))} ({shown})")
    if model.rows.visits is not None:
        lines.append(model.rows.visits.sentence)
    groups = ", ".join(f"{name} {size}" for name, size in fit.groups.items())
    lines.append(f"Rows: {fit.nobs}" + (f"; groups: {groups}" if groups else ""))
    dropped = sum(fit.rows_dropped.values())
    if dropped:
        lines.append(f"Rows left out for missing values: {dropped}")
    if fit.dropped:
        lines.append(f"Fixed effects left out (dependent on others): {', '.join(fit.dropped)}")
    lines += [
        fit.certificate.sentence,
        "",
        f"log-likelihood {fit.loglik:.4f}   AIC {fit.aic:.2f}   BIC {fit.bic:.2f} (n = rows)   "
        f"parameters {fit.npar}",
        "",
        "Random effects:",
    ]
    lines += [*_random(fit), ""]
    if not fit.certificate.converged:
        told = "Fixed effects (without tests, which a fit that has not converged cannot give):"
        return "\n".join([*lines, told, *_estimates(fit)])
    lines += ["Fixed effects (Satterthwaite):", *_fixed(fit)]
    conflict = fit.df_conflict
    if conflict is not None and conflict.sentence is not None:
        lines += ["", conflict.sentence]
    return "\n".join(lines)


def _structure(structure: Any) -> str:
    """ "AR1 over time", "ByGroup of Sex"."""
    name = type(structure).__name__
    over, of = getattr(structure, "time", None), getattr(structure, "column", getattr(structure, "of", None))
    return name + (f" over {over}" if over else f" of {of}" if of else "")


def _random(fit: Fit) -> list[str]:
    solution = fit.solution
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
    rows.append(["Residual", "", f"{solution.sigma2:.5g}", f"{fit.sigma:.5g}", ""])
    return _aligned(rows, left=2)


def _estimates(fit: Fit) -> list[str]:
    rows = [["term", "estimate"], *([term, f"{value * UP:.5g}"] for term, value in fit.beta.items())]
    return _aligned(rows, left=1)


def _fixed(fit: Fit) -> list[str]:
    found = linear_estimates(fit.solution, np.eye(len(fit.solution.beta)), "satterthwaite")
    statistic, p_value = found.statistics()
    rows = [["term", "estimate", "std. error", "df", "t", "p"]]
    columns = (fit.terms, found.estimate, found.se, found.df, statistic, p_value)
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
