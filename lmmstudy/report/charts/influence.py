"""What the estimates would be without each unit."""

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from lmmstudy.report.charts import axes, svg
from lmmstudy.report.charts.scales import Axis, Panel, numeric_axis
from lmmstudy.report.refit.diagnostics import Deletion

PITCH, GAP = 15.0, 26.0


def deletions(label: svg.Label, found: Deletion, shown: Sequence[int], terms: int) -> Markup:
    """One row a unit: Cook's distance as a bar from 0, and each of the first `terms` coefficients without the
    unit as a mark, beside the line of the estimate from all rows. shown : the units, from the top."""
    height, top = PITCH * len(shown) + 8, 30.0
    named = [found.levels[k] for k in shown]
    left = min(max(svg.text_width(level) for level in named) * svg.PHONE, 150.0) + 14
    width = (svg.WIDTH - left - 10 - GAP * terms) / (1 + terms)
    rows = Axis("", 0.0, float(len(shown)), (), ())
    middle = [top + 4 + (k + 0.5) * PITCH for k in range(len(shown))]
    parts = []
    for name, y in zip(named, middle, strict=True):
        cut = svg.shorten(name, (left - 14) / svg.PHONE + 0.1)
        parts.append(svg.text(left - 8, y + 4, cut, anchor="end"))
    cook = found.cooks_distance[list(shown)]
    titles = ["Cook's distance", *found.terms[:terms]]
    columns = [np.r_[0.0, cook]] + [
        np.r_[found.estimate[k], found.without[list(shown), k]] for k in range(terms)
    ]
    for k, (title, values) in enumerate(zip(titles, columns, strict=True)):
        finite = values[np.isfinite(values)].tolist()
        axis = numeric_axis(title, finite, count=3 if terms else 6)
        panel = Panel(left + k * (width + GAP), top + 4, width, height - 8, axis, rows)
        parts += axes.grid(panel)
        parts.append(svg.text(panel.left + width / 2, top - 12, svg.shorten(title, width), "strip"))
        start = panel.px(float(values[0]))
        parts.append(svg.line(start, panel.top, start, panel.top + panel.height, "zero"))
        there = [(panel.px(float(v)), y, n) for v, y, n in zip(values[1:], middle, named, strict=True)
                 if np.isfinite(v)]  # fmt: skip
        for x, y, name in there:
            d = f"M{svg.number(start)} {svg.number(y)}H{svg.number(x)}"
            parts.append(svg.path(d, f"c{min(k, 1)} interval", name))
        marks = svg.marks([x for x, *_ in there], [y for _, y, _ in there], min(k, 1))
        parts.append(svg.path(marks, svg.mark_class(min(k, 1)), subjects=[name for *_, name in there]))
    return svg.drawing(label, top + height + 30, parts)
