"""Prediction bands over time, one panel a group."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from markupsafe import Markup

from lmmstudy.report.charts import axes, svg
from lmmstudy.report.charts.scales import Panel, numeric_axis, visit_axis, within
from lmmstudy.report.refit.predictions import Band

ACROSS = 3
CLASSES = {"mean": "c0", "subject": "c1", "observation": "c2"}
"""Colour and dash of each interval; the band of the mean is filled."""


def bands(
    label: svg.Label,
    shown: Sequence[Band],
    rows: Mapping[str, tuple[np.ndarray, np.ndarray]],
    names: tuple[str, str],
    by: str = "",
) -> Markup:
    """The mean with its band, and the limits of the other intervals as lines. rows : time and response of
    the rows of each group, as dots."""
    across = min(len(shown), ACROSS)
    height = 280.0 if across == 1 else 210.0
    kinds = ("mean", "subject", "observation")
    words = {"mean": "mean", "subject": "new subject", "observation": "single response"}
    entries: list[axes.Entry] = [((f"{CLASSES[kind]} line",), words[kind]) for kind in kinds]
    key, key_height = axes.legend([*entries, (("profile mark s0",), "row")], svg.WIDTH)
    ends = [v for band in shown for low, high in band.limits.values() for v in (low.min(), high.max())]
    core = [*(v for band in shown for v in band.mean), *(v for _, y in rows.values() for v in y)]
    y_axis = numeric_axis(names[1], within(core, ends))
    left, gap = axes.left_margin(y_axis), 16.0
    width = (svg.WIDTH - left - 12 - gap * (across - 1)) / across
    x_axis = visit_axis(names[0], [t for band in shown for t in band.x], width)
    top, step = key_height + 46.0, height + 40.0
    parts = [*key, svg.text(2, key_height + 14, svg.shorten(names[1], 400), "label", "start")]
    for k, band in enumerate(shown):
        row, column = divmod(k, across)
        panel = Panel(left + column * (width + gap), top + row * step, width, height, x_axis, y_axis)
        parts += axes.grid(panel, x_names=k + across >= len(shown), y_names=column == 0)
        if len(shown) > 1:
            title = svg.shorten(f"{by}: {band.group}", width / svg.PHONE)
            parts.append(svg.text(panel.left + width / 2, panel.top - 8, title, "strip"))
        if band.group in rows:
            x, y = rows[band.group]
            marks = svg.marks([panel.px(v) for v in x], [panel.py(v) for v in y], 0)
            parts.append(svg.path(marks, "profile mark small s0"))
        parts += _band(panel, band)
    bottom = top + (math.ceil(len(shown) / across) - 1) * step + height
    parts.append(svg.text(left + (svg.WIDTH - left) / 2, bottom + 36, svg.shorten(names[0], 400), "label"))
    return svg.drawing(label, bottom + axes.BOTTOM, parts)


def _band(panel: Panel, band: Band) -> list[str]:
    x, parts = [panel.px(v) for v in band.x], []
    for kind, (low, high) in band.limits.items():
        ends = [[panel.py(v) for v in values] for values in (low, high)]
        if len(x) == 1:
            parts.append(svg.line(x[0], ends[0][0], x[0], ends[1][0], f"{CLASSES[kind]} interval"))
        elif kind == "mean":
            parts.append(svg.path(svg.band(x, *ends), "c0 band"))
        else:
            parts += [svg.path(svg.polyline(x, end), f"{CLASSES[kind]} line thin") for end in ends]
    return [*parts, svg.path(svg.polyline(x, [panel.py(v) for v in band.mean]), "c0 line")]
