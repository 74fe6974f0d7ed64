"""Correlations between visits as heat maps, SDs over visits, and autocorrelation by lag."""

import math
from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from lmmstudy.report.charts import axes, svg
from lmmstudy.report.charts.scales import Panel, numeric_axis, visit_axis
from lmmstudy.report.numbers import fixed
from lmmstudy.report.series import Lags, VisitMoments

ABREAST = 6
"""Up to this many visits the two maps stand side by side, above one below the other."""
DARKEST = 0.6
"""Opacity of a correlation of 1 or -1, which leaves the number on it readable."""


def heat(
    label: svg.Label, visits: Sequence[str], maps: Sequence[tuple[str, np.ndarray]], time: str
) -> Markup:
    """Correlation matrices : (T, T) with their titles, on one scale: positive in the first colour, negative
    in the second, the darker the nearer to 1 or -1. Entries that are not a number stay empty.

    time : title of rows and columns.
    """
    T, abreast = len(visits), len(visits) <= ABREAST
    margin = max(svg.text_width(v) for v in visits) * svg.PHONE + 10
    across = len(maps) if abreast else 1
    width = (svg.WIDTH - across * margin - (across - 1) * 14) / across
    cell, row = width / T, min(width / T, 34.0)
    block = 46 + T * row + 12
    parts = [svg.text(2, 12, svg.shorten(time, 400), "label", "start")]
    for k, (title, matrix) in enumerate(maps):
        left = margin + (k % across) * (width + margin + 14)
        top = 60 + (k // across) * block
        parts.append(svg.text(left + width / 2, top - 24, title, "strip"))
        for i, name in enumerate(visits):
            parts.append(svg.text(left - 6, top + (i + 0.5) * row + 4, name, anchor="end"))
            parts.append(svg.text(left + (i + 0.5) * cell, top - 6, name))
        for i, j in np.ndindex(T, T):
            if i != j and math.isfinite(matrix[i, j]):
                parts += _cell(float(matrix[i, j]), left + j * cell, top + i * row, cell, row)
    return svg.drawing(label, 20 + math.ceil(len(maps) / across) * block, parts)


def _cell(value: float, x: float, y: float, width: float, height: float) -> list[str]:
    opacity = f"{min(abs(value), 1.0) * DARKEST:.2f}"
    box = svg.element(
        "rect", x=x + 1, y=y + 1, width=width - 2, height=height - 2, fill_opacity=opacity,
        class_=f"c{int(value < 0)} bar",
    )  # fmt: skip
    return [box, svg.text(x + width / 2, y + height / 2 + 4, fixed(value, 2), "label")]


def spreads(label: svg.Label, moments: VisitMoments, names: tuple[str, str]) -> Markup:
    """SD at each visit: the model's as a line, that of the rows as marks; y starts at 0."""
    implied, empirical = moments.implied.sd, moments.empirical.sd
    key, key_height = axes.legend(
        [(("c0 line",), "implied by the model"), ((svg.mark_class(1),), "of the rows")], svg.WIDTH
    )
    y_axis = numeric_axis(names[1], [0.0, float(max(implied.max(), empirical.max())) * 1.06], share=0.0)
    left, top = axes.left_margin(y_axis), key_height + axes.TOP
    width = svg.WIDTH - left - 12
    times = moments.times.tolist()
    panel = Panel(left, top, width, 180, visit_axis(names[0], times, width), y_axis)
    x = [panel.px(t) for t in times]
    parts = key + axes.grid(panel) + axes.titles(panel)
    parts.append(svg.path(svg.polyline(x, [panel.py(v) for v in implied]), "c0 line"))
    parts.append(svg.path(svg.marks(x, [panel.py(v) for v in empirical], 1), svg.mark_class(1)))
    return svg.drawing(label, top + 180 + axes.BOTTOM, parts)


def autocorrelation(label: svg.Label, lags: Lags, names: tuple[str, str]) -> Markup:
    """A stem from 0 at each lag, and the 95% limits of independence."""
    reach = float(max(np.max(np.abs(lags.correlation)), np.max(lags.limit))) * 1.1
    y_axis = numeric_axis(names[1], [-reach, reach], count=6)
    left = axes.left_margin(y_axis)
    width = svg.WIDTH - left - 12
    x_axis = numeric_axis(names[0], [0.0, float(lags.lag.max())], count=8, share=0.04)
    if lags.lag.size <= 12:
        x_axis = numeric_axis(names[0], [0.0, float(lags.lag.max())], share=0.04, at=lags.lag.tolist())
    panel = Panel(left, axes.TOP, width, 200, x_axis, y_axis)
    x = [panel.px(v) for v in lags.lag]
    low, high = ([panel.py(s * v) for v in lags.limit] for s in (-1, 1))
    parts = axes.grid(panel) + axes.titles(panel)
    if len(x) > 1:
        parts.append(svg.path(svg.band(x, low, high), "c0 band"))
    parts.append(svg.line(left, panel.py(0.0), left + width, panel.py(0.0), "zero"))
    y = [panel.py(v) for v in lags.correlation]
    parts += [svg.line(a, panel.py(0.0), a, b, "c0 interval") for a, b in zip(x, y, strict=True)]
    parts.append(svg.path(svg.marks(x, y, 0), svg.mark_class(0)))
    return svg.drawing(label, axes.TOP + 200 + axes.BOTTOM, parts)
