"""The quiet parts of a chart: grid, tick labels, axis titles and legend."""

from collections.abc import Sequence

from lmmstudy.report.charts import svg
from lmmstudy.report.charts.scales import Axis, Panel, fits, thinned

TOP = 24.0
"""Room above a panel for the title of y."""
BOTTOM = 44.0
"""Room below a panel for tick labels and the title of x."""


def left_margin(axis: Axis) -> float:
    """Room for the tick labels of y."""
    widest = max((svg.text_width(name) for name in axis.names), default=0.0)
    return widest * svg.PHONE + 10


def grid(panel: Panel, x_names: bool = True, y_names: bool = True) -> list[str]:
    """Horizontal grid lines, the x axis with its ticks, and the tick labels. The axis carries the scales of
    the panel, from which the script reads the values of marks back."""
    parts = []
    right, bottom = panel.left + panel.width, panel.top + panel.height
    for tick, name in zip(panel.y.ticks, panel.y.names, strict=True):
        y = panel.py(tick)
        parts.append(svg.line(panel.left, y, right, y, "grid"))
        if y_names:
            parts.append(svg.text(panel.left - 6, y + 4, name, anchor="end"))
    d = f"M{svg.number(panel.left)} {svg.number(bottom)}H{svg.number(right)}"
    place = (panel.left, panel.top, panel.width, panel.height)
    scales = (panel.x.low, panel.x.high, panel.y.low, panel.y.high)
    box = " ".join(f"{v:.10g}" for v in (*place, *scales))
    named = {"data_x": panel.x.label, "data_y": panel.y.label}
    told = {key: label for key, label in named.items() if label}
    parts.append(svg.element("path", class_="axis", d=d, data_box=box, **told))
    shown = panel.x if fits(panel.x, panel.width) else thinned(panel.x, panel.width)
    for tick, name in zip(shown.ticks, shown.names, strict=True):
        x = panel.px(tick)
        parts.append(svg.line(x, bottom, x, bottom + 4, "axis"))
        if x_names:
            parts.append(svg.text(x, bottom + 17, name))
    return parts


def titles(panel: Panel, x: bool = True, y: bool = True) -> list[str]:
    """The title of y above the panel at its left edge, that of x below it in the middle."""
    parts = []
    if y:
        parts.append(svg.text(2, panel.top - 10, svg.shorten(panel.y.label, 400), "label", "start"))
    if x:
        name = svg.shorten(panel.x.label, panel.width)
        parts.append(svg.text(panel.left + panel.width / 2, panel.top + panel.height + 36, name, "label"))
    return parts


Entry = tuple[tuple[str, ...], str]
"""Classes of the sample of a legend's entry, and its text."""


def series_entries(by: str, groups: Sequence[str]) -> list[Entry]:
    """One entry a group, its line with its mark, after the name of the grouping column."""
    shown = [((f"c{k % svg.SERIES} line", svg.mark_class(k)), group) for k, group in enumerate(groups)]
    return [((), by), *shown]


def legend(entries: Sequence[Entry], width: float) -> tuple[list[str], float]:
    """Entries in rows from the top left that do not exceed the width; returns the parts and their height.

    A class with "mark" (which ends with its shape, s0 ... s3) is drawn as one mark, any other as a short
    line; two classes share one sample; without a class an entry is text alone.
    """
    parts: list[str] = []
    x, y = 0.0, 12.0
    for classes, name in entries:
        sample = 30.0 if classes else 0.0
        room = sample + svg.text_width(name) * svg.PHONE + 14
        if x and x + room > width:
            x, y = 0.0, y + 20
        for cls in classes:
            if "mark" in cls:
                parts.append(svg.path(svg.marks([x + 12], [y - 4], int(cls[-1])), cls))
            else:
                parts.append(svg.line(x, y - 4, x + 24, y - 4, cls))
        parts.append(svg.text(x + sample, y, svg.shorten(name, width - 44), "label", "start"))
        x += room
    return parts, y + 8
