"""Correlations between visits as heat maps."""

import math
from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from lmmstudy.report.charts import svg
from lmmstudy.report.words.numbers import fixed

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
