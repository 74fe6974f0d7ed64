"""How many subjects are observed when: attrition and patterns of missing visits."""

import math
from collections.abc import Sequence

from markupsafe import Markup

from lmmstudy.report.charts import axes, svg
from lmmstudy.report.charts.scales import Panel, numeric_axis, visit_axis
from lmmstudy.report.refit.series import Counts


def attrition(label: svg.Label, counts: Sequence[Counts], names: tuple[str, str], by: str = "") -> Markup:
    """Subjects observed at each time, one line with marks a group; y starts at 0."""
    entries = axes.series_entries(by, [c.group for c in counts]) if len(counts) > 1 else []
    key, key_height = axes.legend(entries, svg.WIDTH) if entries else ([], 0.0)
    highest = max(float(c.subjects.max()) for c in counts)
    y_axis = numeric_axis(names[1], [0.0, highest * 1.06], count=4, share=0.0)
    left, top = axes.left_margin(y_axis), key_height + axes.TOP
    width = svg.WIDTH - left - 12
    panel = Panel(
        left, top, width, 180, visit_axis(names[0], [t for c in counts for t in c.x], width), y_axis
    )
    parts = key + axes.grid(panel) + axes.titles(panel)
    for k, c in enumerate(counts):
        x, y = [panel.px(t) for t in c.x], [panel.py(v) for v in c.subjects]
        parts.append(svg.path(svg.polyline(x, y), f"c{k % svg.SERIES} line"))
        name = c.group if len(counts) > 1 else None
        parts.append(svg.path(svg.marks(x, y, k), svg.mark_class(k), name=name))
    return svg.drawing(label, top + 180 + axes.BOTTOM, parts)


def patterns(label: svg.Label, visits: Sequence[str], rows: Sequence[tuple[Sequence[int], int]]) -> Markup:
    """The matrix of missing visits: one row a pattern, filled where the visit was made, with its subjects
    as a bar.

    rows = ((0/1 for each visit), subjects), the most frequent first.
    """
    pitch, top, left = 19.0, 30.0, 6.0
    width = min(26.0, 360.0 / len(visits))
    side = min(width - 3, 13.0)
    right = left + len(visits) * width + 14
    most = max(subjects for _, subjects in rows)
    room = svg.WIDTH - right - svg.text_width(f"{most:,}") * svg.PHONE - 12
    widest = max(svg.text_width(v) for v in visits) * svg.PHONE + 4
    step = min(len(visits), math.ceil(widest / width))
    parts = [svg.text(left + (k + 0.5) * width, top - 10, v) for k, v in enumerate(visits) if k % step == 0]
    parts.append(svg.text(right, top - 10, "Subjects", "label", "start"))
    for row, (made, subjects) in enumerate(rows):
        y = top + row * pitch
        for k, here in enumerate(made):
            x = left + (k + 0.5) * width - side / 2
            parts.append(
                svg.element("rect", x=x, y=y, width=side, height=side, class_="made" if here else "missed")
            )
        length = max(2.0, room * subjects / most)
        parts.append(svg.element("rect", x=right, y=y, width=length, height=side, class_="c0 bar"))
        parts.append(svg.text(right + length + 6, y + side - 2, f"{subjects:,}", anchor="start"))
    return svg.drawing(label, top + len(rows) * pitch + 4, parts)
