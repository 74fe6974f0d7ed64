"""The summary that a notebook shows for a fit: two small tables in HTML, in the colours of the notebook."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

import numpy as np

from lmmcore.covariance.residual import further
from lmmcore.estimate.solution import Solution
from lmmcore.inference.fixed.wald import linear_estimates
from lmmcore.output.digits import parameter_text
from lmmcore.output.frames import group_sizes

CELL = "padding: 0.2em 0.7em; border: 0; border-bottom: 1px solid rgba(128, 128, 128, 0.35); background: none"
MINUS = "\u2212"
LEVEL = 0.95


def html(solution: Solution) -> str:
    """The fit as HTML: formula, certificate, fixed effects with 95% intervals, random effects.

    Names of columns and levels are escaped; there is no script and no style but that of the elements.
    """
    how = "REML" if solution.model.spec.reml else "maximum likelihood"
    groups = ", ".join(f"{size:,} {name}" for name, size in group_sizes(solution).items())
    head = f"Linear mixed model by {how}: {solution.model.n:,} rows" + (f", {groups}" if groups else "")
    facts = [f"log-likelihood {_number(solution.loglik, 6)}", f"AIC {_number(solution.aic, 6)}"]
    told = solution.residual_parameters | further(solution.model.structure, solution.natural)
    facts += [f"{name} {parameter_text(name, value)}" for name, value in told.items()]
    lines = [
        f"<strong>{escape(head)}</strong>",
        f"<code>{escape(solution.formula)}</code>",
        escape(f"{'; '.join(facts)}. {solution.certificate.sentence}"),
    ]
    if solution.model.dropped:
        lines.append(escape(f"Left out, because others determine them: {', '.join(solution.model.dropped)}."))
    paragraphs = "".join(f'<p style="margin: 0.2em 0">{line}</p>' for line in lines)
    return f"<div>{paragraphs}{_fixed(solution)}{_random(solution)}</div>"


def _fixed(solution: Solution) -> str:
    found = linear_estimates(solution, np.eye(len(solution.model.terms)), "satterthwaite")
    statistic, p_value = found.statistics()
    low, high = found.interval(LEVEL)
    rows = []
    for k, term in enumerate(solution.model.terms):
        interval = f"{_number(low[k])} to {_number(high[k])}"
        values = [_number(v) for v in (found.estimate[k], found.se[k], found.df[k], statistic[k])]
        rows.append([term, *values, _p(p_value[k]), interval])
    heads = ("Term", "Estimate", "SE", "df", "t", "p", f"{LEVEL:.0%} interval")
    return _table("Fixed effects (Satterthwaite)", heads, rows, left=1)


def _random(solution: Solution) -> str:
    covariance = solution.sigma2 * solution.psi
    rows = []
    for block in solution.model.blocks:
        for position, (name, place) in enumerate(zip(block.names, block.columns, strict=True)):
            sd = np.sqrt(covariance[place, place])
            shown = []
            for other in block.columns[:position]:
                scale = sd * np.sqrt(covariance[other, other])
                r = covariance[place, other] / scale if scale > 0 else np.nan
                shown.append("–" if np.isnan(r) else f"{r:.2f}".replace("-", MINUS))
            rows.append([block.group, name, _number(sd), _number(sd**2), " ".join(shown)])
    rows.append(["Residual", "", _number(solution.sigma), _number(solution.sigma2), ""])
    return _table("Random effects", ("Group", "Term", "SD", "Variance", "Correlation"), rows, left=2)


def _table(caption: str, heads: Sequence[str], rows: Iterable[Sequence[str]], left: int) -> str:
    """A table whose first `left` columns are text."""

    def line(cells: Sequence[str], tag: str) -> str:
        made = []
        for k, cell in enumerate(cells):
            style = f'style="{CELL}; text-align: {"left" if k < left else "right"}"'
            name = tag if k else "th"
            scope = {"td": "", "th": f' scope="{"col" if tag == "th" else "row"}"'}[name]
            made.append(f"<{name}{scope} {style}>{escape(cell)}</{name}>")
        return f"<tr>{''.join(made)}</tr>"

    title = f'<caption style="text-align: left; font-weight: bold">{escape(caption)}</caption>'
    body = "".join(line(row, "td") for row in rows)
    style = "border-collapse: collapse; margin: 0.6em 0"
    return f'<table style="{style}">{title}<thead>{line(heads, "th")}</thead><tbody>{body}</tbody></table>'


def _number(value: float, digits: int = 4) -> str:
    """Significant digits; an infinite number (of degrees of freedom) as ∞, none as a dash."""
    if not np.isfinite(value):
        return "–" if np.isnan(value) else "∞" if value > 0 else f"{MINUS}∞"
    return f"{value:#.{digits}g}".rstrip(".").replace("-", MINUS)


def _p(p: float) -> str:
    return "< 0.0001" if p < 0.0001 else f"{p:.4f}" if np.isfinite(p) else "–"
