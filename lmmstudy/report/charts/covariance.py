"""The covariance over time: variances, autocorrelations and semivariances, of the rows and of the model."""

from collections.abc import Callable, Sequence

import numpy as np
from markupsafe import Markup

from lmmcore.diagnostics.semivariogram import Semivariogram
from lmmcore.diagnostics.serial import Autocorrelation
from lmmcore.diagnostics.spread import VarianceOverTime
from lmmstudy.report.charts import axes, svg
from lmmstudy.report.charts.scales import Axis, Panel, numeric_axis, visit_axis, within

HEIGHT = 200.0
AT = 12
"""Up to this many lags or distances each has a tick."""


def variances(label: svg.Label, found: VarianceOverTime, names: tuple[str, str]) -> Markup:
    """Variance at each time: the model's as a line, that of the rows as marks with intervals; y starts at
    0."""
    parts, panel, height = _from_zero(
        [(("c0 line",), "implied by the model"), ((svg.mark_class(1),), "of the rows, with interval")],
        np.array(within([*found.empirical, *found.implied], found.conf_high)),
        names,
        lambda width: visit_axis(names[0], found.time.tolist(), width),
    )
    x = [panel.px(t) for t in found.time]
    parts.append(svg.path(svg.polyline(x, [panel.py(v) for v in found.implied]), "c0 line"))
    for a, low, high in zip(x, found.conf_low, found.conf_high, strict=True):
        if np.isfinite(low):
            parts.append(svg.line(a, panel.py(low), a, panel.py(high), "c1 interval thin"))
    parts.append(svg.path(svg.marks(x, [panel.py(v) for v in found.empirical], 1), svg.mark_class(1)))
    return svg.drawing(label, height, parts)


def semivariances(label: svg.Label, found: Semivariogram, names: tuple[str, str]) -> Markup:
    """Semivariance by distance: the model's as a line with the limits of the rows', which are marks; the
    total variance as a thin line; y starts at 0."""
    entries = [(("c0 line",), "implied by the model"), ((svg.mark_class(1),), "of the rows")]
    parts, panel, height = _from_zero(
        [*entries, (("zero",), "total variance")],
        np.r_[found.empirical, found.high, found.variance],
        names,
        lambda width: _distance_axis(names[0], found.distance),
    )
    x = [panel.px(d) for d in found.distance]
    if len(x) > 1:
        limits = ([panel.py(max(v, 0.0)) for v in values] for values in (found.low, found.high))
        parts.append(svg.path(svg.band(x, *limits), "c0 band"))
    total = panel.py(found.variance)
    parts.append(svg.line(panel.left, total, panel.left + panel.width, total, "zero"))
    parts.append(svg.path(svg.polyline(x, [panel.py(v) for v in found.implied]), "c0 line"))
    parts.append(svg.path(svg.marks(x, [panel.py(v) for v in found.empirical], 1), svg.mark_class(1)))
    return svg.drawing(label, height, parts)


def autocorrelation(label: svg.Label, lags: Autocorrelation, names: tuple[str, str]) -> Markup:
    """A stem from 0 at each lag, with the limits of independence for all lags together."""
    reach = float(max(np.max(np.abs(lags.correlation)), np.max(lags.simultaneous))) * 1.1
    y_axis = numeric_axis(names[1], [-reach, reach], count=6)
    left = axes.left_margin(y_axis)
    width = svg.WIDTH - left - 12
    panel = Panel(left, axes.TOP, width, HEIGHT, _distance_axis(names[0], lags.lag), y_axis)
    x = [panel.px(v) for v in lags.lag]
    low, high = ([panel.py(s * v) for v in lags.simultaneous] for s in (-1, 1))
    parts = axes.grid(panel) + axes.titles(panel)
    if len(x) > 1:
        parts.append(svg.path(svg.band(x, low, high), "c0 band"))
    parts.append(svg.line(left, panel.py(0.0), left + width, panel.py(0.0), "zero"))
    y = [panel.py(v) for v in lags.correlation]
    parts += [svg.line(a, panel.py(0.0), a, b, "c0 interval") for a, b in zip(x, y, strict=True)]
    parts.append(svg.path(svg.marks(x, y, 0), svg.mark_class(0)))
    return svg.drawing(label, axes.TOP + HEIGHT + axes.BOTTOM, parts)


def _distance_axis(title: str, distance: np.ndarray) -> Axis:
    ticks = distance.tolist() if distance.size <= AT and np.all(distance == np.round(distance)) else ()
    return numeric_axis(title, [0.0, float(distance.max())], count=8, share=0.04, at=ticks)


def _from_zero(
    entries: Sequence[axes.Entry], values: np.ndarray, names: tuple[str, str], x: Callable[[float], Axis]
) -> tuple[list[str], Panel, float]:
    """Legend, grid and titles of a panel whose y starts at 0, the panel, and the height of the drawing."""
    key, key_height = axes.legend(entries, svg.WIDTH)
    highest = float(values[np.isfinite(values)].max())
    y_axis = numeric_axis(names[1], [0.0, highest * 1.06], share=0.0)
    left, top = axes.left_margin(y_axis), key_height + axes.TOP
    width = svg.WIDTH - left - 12
    panel = Panel(left, top, width, HEIGHT, x(width), y_axis)
    return key + axes.grid(panel) + axes.titles(panel), panel, top + HEIGHT + axes.BOTTOM
