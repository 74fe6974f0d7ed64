"""An estimate over the runs of a study, small enough for a cell of a table."""

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from lmmstudy.report.charts import svg
from lmmstudy.report.charts.scales import Axis, Panel
from lmmstudy.report.refit.series import Interval

SHOWN = 40
"""The latest runs that are drawn."""


def sparkline(label: svg.Label, runs: Sequence[Interval | None]) -> Markup:
    """Estimates joined by a line and their intervals, one place a run, the latest at the right, 180 x 24; a
    gap where a run had no result. The scale is the drawing's own."""
    runs = runs[-SHOWN:]
    known = [(k, run) for k, run in enumerate(runs) if run is not None]
    low = min((run.low for _, run in known), default=0.0)
    high = max((run.high for _, run in known), default=1.0)
    reach = (high - low) or 1.0
    rows = Axis("", low - 0.1 * reach, high + 0.1 * reach, (), ())
    panel = Panel(4, 2, 172, 20, Axis("", 0.0, float(max(len(runs) - 1, 1)), (), ()), rows)
    x = [panel.px(float(k)) for k, _ in known]
    y = [panel.py(run.estimate) for _, run in known]
    parts = [
        svg.line(place, panel.py(run.low), place, panel.py(run.high), "c0 interval thin")
        for place, (_, run) in zip(x, known, strict=True)
    ]
    if known:
        joined = np.array([True] + [b - a == 1 for (a, _), (b, _) in zip(known, known[1:], strict=False)])
        parts.append(svg.path(svg.polyline(x, y, joined), "c0 line thin"))
        parts.append(svg.path(svg.marks(x[-1:], y[-1:], 0), "c0 mark s0"))
    return svg.drawing(label, 24, parts, width=180)
