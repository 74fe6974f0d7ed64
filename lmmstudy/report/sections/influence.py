"""Influence: what the estimates would be without each subject."""

import numpy as np

from lmmstudy.report.blocks import Block, Figure, Heading, Table, Text
from lmmstudy.report.charts import svg
from lmmstudy.report.charts.influence import deletions
from lmmstudy.report.refit.diagnostics import Deletion
from lmmstudy.report.sections.figures import MOST
from lmmstudy.report.words.numbers import count, decimals_for, fixed, fmt
from lmmstudy.report.words.ranking import largest_first

SHOWN = 20
"""Units that are drawn, those of the largest Cook's distance."""
DRAWN = 2
"""Coefficients that are drawn; the table has all in question."""
EXPECTED = (
    "Cook's distance is the squared change of all coefficients without one unit, in the metric of their "
    "covariance and divided by their number: 1 is a change by about one standard error each. All covariance "
    "parameters are estimated anew."
)


def influence(found: Deletion) -> list[Block]:
    """The chart of the units that matter most, with the table."""
    order = largest_first(found.cooks_distance)
    known = order[np.isfinite(found.cooks_distance[order])]
    if known.size < 2:
        return []
    words = _words(found, int(known[0]))
    shown = known[:SHOWN].tolist()
    label = svg.Label("fig-influence", f"Estimates without each {found.group}", words)
    which = f"All {count(len(shown), 'unit')} of {found.group}"
    if len(shown) < len(found.levels):
        which = f"The {len(shown)} of {len(found.levels):,} units of {found.group} with the largest distance"
    caption = f"{which}: Cook's distance, and the estimate without the unit (line: of all rows)."
    chart = deletions(label, found, shown, min(len(found.terms), DRAWN))
    figure = Figure("fig-influence", chart, caption, _table(found, known))
    return [Heading(f"Influence of each {found.group}"), Text(f"{EXPECTED} Seen: {words}"), figure]


def _words(found: Deletion, first: int) -> str:
    distance = fmt(float(found.cooks_distance[first]), 3)
    largest = f"the largest distance is {distance}, of {found.group} {found.levels[first]}"
    change = np.abs(np.nan_to_num(found.change))
    if not change.size:
        return f"{largest}."
    unit, term = np.unravel_index(np.argmax(change), change.shape)
    decimals = decimals_for(float(found.std_error[term]))
    whole, without = (fixed(float(v), decimals) for v in (found.estimate[term], found.without[unit, term]))
    without_it = f"without {found.group} {found.levels[unit]} it is {without}"
    moved = f"the estimate of {found.terms[term]} is {whole}, {without_it}"
    far = fixed(float(change[unit, term]), 2)
    return f"{largest}; {moved}, the farthest that any moves it ({far} standard errors)."


def _table(found: Deletion, order: np.ndarray) -> Table:
    decimals = [decimals_for(float(se)) for se in found.std_error]
    rows = []
    for k in order[:MOST]:
        without = zip(found.without[k], decimals, strict=True)
        values = (fmt(float(found.cooks_distance[k]), 3), fmt(float(found.displacement[k]), 3))
        coefficients = (fixed(float(v), d) for v, d in without)
        rows.append((found.levels[k], f"{found.rows[k]:,}", *values, *coefficients))
    heads = (found.group, "Rows", "Cook's distance", "Likelihood displacement", *found.terms)
    note = f"The {MOST} largest of {len(found.levels):,}." if order.size > MOST else ""
    caption = "Influence, and the coefficients in question without the unit"
    return Table(caption, heads, tuple(rows), "lrrr" + "r" * len(found.terms), note)
