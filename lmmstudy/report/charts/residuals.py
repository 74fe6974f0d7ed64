"""Residuals against fitted values, and normal quantiles with their band."""

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from lmmcore.diagnostics.qq import Quantiles
from lmmstudy.report.charts import axes, svg
from lmmstudy.report.charts.scales import Panel, numeric_axis
from lmmstudy.report.refit.smooth import Smooth, bins

DOTS = 2000
"""Above this many points they are counted in bins, and only those beyond 3 are drawn."""
FAR = 3.0


def residuals(
    label: svg.Label,
    fitted: np.ndarray,
    residual: np.ndarray,
    smooth: Smooth | None,
    names: tuple[str, str],
    subjects: Sequence[str] = (),
) -> Markup:
    """Residuals against fitted values with the smoother and its band. fitted, residual : (n,); subjects : of
    the rows, (n,)."""
    reach = max(float(np.max(np.abs(residual))), 3.2) if residual.size else 1.0
    y_axis = numeric_axis(names[1], [-reach, reach], count=6)
    left = axes.left_margin(y_axis)
    panel = Panel(left, axes.TOP, svg.WIDTH - left - 12, 250, numeric_axis(names[0], fitted, count=7), y_axis)
    parts = axes.grid(panel)
    if fitted.size > DOTS:
        parts += _binned(panel, fitted, residual)
        far = np.flatnonzero(np.abs(residual) > FAR)[:500]
        fitted, residual = fitted[far], residual[far]
        subjects = [subjects[k] for k in far] if subjects else ()
    x, y = [panel.px(v) for v in fitted], [panel.py(v) for v in residual]
    parts.append(svg.path(svg.marks(x, y, 0), "c0 mark open s0", subjects=subjects))
    parts.append(svg.line(left, panel.py(0.0), left + panel.width, panel.py(0.0), "zero"))
    if smooth is not None:
        clip = np.clip(np.array([smooth.low, smooth.mean, smooth.high]), y_axis.low, y_axis.high)
        at = [panel.px(v) for v in smooth.x]
        low, mean, high = ([panel.py(v) for v in row] for row in clip)
        parts.append(svg.path(svg.band(at, low, high), "c1 band"))
        parts.append(svg.path(svg.polyline(at, mean), "c1 line"))
    parts += axes.titles(panel)
    return svg.drawing(label, axes.TOP + 250 + axes.BOTTOM, parts)


def _binned(panel: Panel, x: np.ndarray, y: np.ndarray) -> list[str]:
    """Cells of a grid in five steps of darkness by the root of their share of the largest count."""
    counts, x_edges, y_edges = bins(x, y)
    steps = np.ceil(np.sqrt(counts / counts.max()) * 5).astype(int)
    parts = []
    for step in range(1, 6):
        cells = []
        for i, j in np.argwhere(steps == step):
            left, right = panel.px(x_edges[i]), panel.px(x_edges[i + 1])
            top, bottom = panel.py(y_edges[j + 1]), panel.py(y_edges[j])
            cells.append(
                f"M{svg.number(left)} "
                f"{svg.number(top)}H{svg.number(right)}V{svg.number(bottom)}H{svg.number(left)}z"
            )
        if cells:
            parts.append(svg.path("".join(cells), f"c0 density d{step}"))
    return parts


def quantiles(label: svg.Label, q: Quantiles, names: tuple[str, str]) -> Markup:
    """Values against normal quantiles with their simultaneous band and the line mean + SD x quantile."""
    reach = float(max(np.max(np.abs(q.theoretical)), 2.0))
    line = q.mean + q.sd * np.array([-reach, reach])
    y_axis = numeric_axis(names[1], [*q.observed.tolist(), *line.tolist()], count=6)
    left = axes.left_margin(y_axis)
    x_axis = numeric_axis(names[0], [-reach, reach], count=8)
    panel = Panel(left, axes.TOP, svg.WIDTH - left - 12, 300, x_axis, y_axis)
    x = [panel.px(v) for v in q.theoretical]
    low, high = (np.clip(v, y_axis.low, y_axis.high) for v in (q.low, q.high))
    inside = (q.observed >= q.low) & (q.observed <= q.high)
    parts = axes.grid(panel)
    parts.append(svg.path(svg.band(x, [panel.py(v) for v in low], [panel.py(v) for v in high]), "c0 band"))
    ends = [panel.py(v) for v in line]
    parts.append(svg.line(panel.px(-reach), ends[0], panel.px(reach), ends[1], "zero"))
    for keep, cls, series in ((inside, "c0 mark open s0", 0), (~inside, "c1 mark s3", 3)):
        if keep.any():
            across, up = (map(to, v[keep]) for to, v in ((panel.px, q.theoretical), (panel.py, q.observed)))
            parts.append(svg.path(svg.marks(across, up, series), cls))
    parts += axes.titles(panel)
    return svg.drawing(label, axes.TOP + 300 + axes.BOTTOM, parts)
