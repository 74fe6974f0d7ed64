"""Tables of the numbers that a chart shows."""

import numpy as np

from lmmcore.diagnostics.qq import Quantiles
from lmmstudy.report.blocks import Table
from lmmstudy.report.words.numbers import fixed

MOST = 200
"""Most rows of the table of a chart's points; above, evenly spaced ones."""


def spaced(n: int, most: int = MOST) -> np.ndarray:
    """Places of at most `most` of n points, evenly spaced, the first and the last among them."""
    return np.unique(np.linspace(0, n - 1, min(n, most)).round().astype(int))


def capped(shown: int, total: int) -> str:
    """The note under a table that does not show all points."""
    return f"{shown:,} of {total:,} points, evenly spaced." if shown < total else ""


def quantile_table(q: Quantiles) -> Table:
    """The points of a normal quantile plot and their band."""
    k = len(q.rank)
    chosen = spaced(k)
    rows = tuple(
        (f"{q.rank[i]:,}", *(fixed(float(v[i]), 3) for v in (q.theoretical, q.observed, q.low, q.high)))
        for i in chosen
    )
    heads = ("Rank", "Normal quantile", "Value", "Band from", "to")
    return Table(f"Normal quantiles of the {q.name}", heads, rows, "rrrrr", capped(len(rows), q.n))
