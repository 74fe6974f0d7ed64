"""Profiles of the likelihood: the signed root of the rise of the deviance against each parameter."""

import math
from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from lmmstudy.report.charts import axes, svg
from lmmstudy.report.charts.scales import Panel, numeric_axis

CUTS = {0.5: 0.674, 0.8: 1.282, 0.9: 1.645, 0.95: 1.960, 0.99: 2.576}
"""Levels of intervals with the value of zeta at their limits."""
ACROSS, HEIGHT = 3, 130.0


def likelihoods(
    label: svg.Label, curves: Sequence[tuple[str, np.ndarray, np.ndarray, float]], y: str
) -> Markup:
    """One panel a parameter: (title, value (m,), zeta (m,), estimate), with a bracket at the limits of each
    level of CUTS that the profile reaches, and the chord from end to end to judge the bend by."""
    across = min(len(curves), ACROSS)
    y_axis = numeric_axis(y, [-2.7, 2.7], count=6)
    left, gap, step = axes.left_margin(y_axis), 22.0, HEIGHT + 62.0
    width = (svg.WIDTH - left - 12 - gap * (across - 1)) / across
    parts = [svg.text(2, 14, svg.shorten(y, 500), "label", "start")]
    for k, (title, value, zeta, estimate) in enumerate(curves):
        row, column = divmod(k, across)
        x_axis = numeric_axis(title, value.tolist(), count=5 if across > 1 else 8)
        panel = Panel(left + column * (width + gap), 46 + row * step, width, HEIGHT, x_axis, y_axis)
        parts += axes.grid(panel, y_names=column == 0)
        parts.append(svg.text(panel.left + width / 2, panel.top - 8, svg.shorten(title, width), "strip"))
        parts += _curve(panel, value, zeta, estimate)
    return svg.drawing(label, 46 + math.ceil(len(curves) / across) * step - 24, parts)


def _curve(panel: Panel, value: np.ndarray, zeta: np.ndarray, estimate: float) -> list[str]:
    order = np.argsort(zeta, kind="stable")
    value, zeta = value[order], zeta[order]
    x, y = [panel.px(v) for v in value], [panel.py(v) for v in zeta]
    parts = [svg.line(x[0], y[0], x[-1], y[-1], "zero")]
    for cut in CUTS.values():
        ends = [float(np.interp(side * cut, zeta, value)) for side in (-1, 1)]
        for side, end in zip((-1, 1), ends, strict=True):
            if zeta[0] - 1e-3 <= side * cut <= zeta[-1] + 1e-3:
                across, height = panel.px(end), panel.py(side * cut)
                parts.append(svg.line(across, panel.py(0.0), across, height, "c1 interval thin"))
    parts.append(svg.path(svg.polyline(x, y), "c0 line"))
    at = panel.px(estimate)
    return [*parts, svg.path(svg.marks([at], [panel.py(float(np.interp(estimate, value, zeta)))], 0),
                             svg.mark_class(0))]  # fmt: skip
