"""Charts of the documentation: files of SVG with a style of their own, legible on light and dark pages."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from lmmstudy.report.charts import svg
from lmmstudy.report.charts.axes import grid, legend, titles
from lmmstudy.report.charts.scales import Axis, Panel

STYLE = """
svg{background:#fff;font:11.5px system-ui,sans-serif}text{fill:#222}.tick{fill:#555}
.end{font-size:10.5px;paint-order:stroke;stroke:#fff;stroke-width:3px}
path{fill:none;stroke:#bbb}.grid{stroke:#e6e6e6}.bar{fill:#1f6f8b;stroke:none}.aim{stroke:#b5402a;stroke-width:2}
.line{stroke-width:1.8}.mark{stroke-width:6;stroke-linecap:round}.s1{stroke-linecap:square}
.s2,.s3{stroke-width:1}.c0{stroke:#1f6f8b}.c1{stroke:#b5402a}.c2{stroke:#4f7a28;fill:#4f7a28}
.c3{stroke:#7a4fa3;fill:#7a4fa3}.line{fill:none}
"""
Points = Sequence[tuple[float, float]]


def bars(path: Path, title: str, ratios: Sequence[tuple[str, float, float]]) -> None:
    """ratios : (name, ratio, the ratio aimed at or nan), drawn on a logarithmic scale."""
    step, top = 20.0, 30.0
    left = 1.12 * max(svg.text_width(name) for name, _, _ in ratios) + 8
    x = _logarithmic(title, [1.0, *(ratio for _, ratio, _ in ratios)])
    panel = Panel(left, top, svg.WIDTH - left + 250, step * len(ratios), x, Axis("", 0, 1, (), ()))
    parts = grid(panel) + titles(panel, y=False)
    for place, (name, ratio, aim) in enumerate(ratios):
        y = top + step * place + 4
        start, end = panel.px(0), panel.px(math.log10(max(ratio, 1.0)))
        parts.append(svg.text(left - 6, y + 10, name, anchor="end"))
        parts.append(svg.element("rect", class_="bar", x=start, y=y, width=end - start, height=12.0))
        if math.isfinite(aim):
            at = panel.px(math.log10(aim))
            parts.append(svg.line(at, y - 3, at, y + 15, "aim"))
        parts.append(svg.text(end + 4, y + 10, f"{ratio:,.0f}x", "end", "start"))
    parts.append(svg.text(left, 14, "red: the ratio aimed at", "label", "start"))
    _write(path, title, top + step * len(ratios) + 44, parts, panel.left + panel.width + 40)


def curves(path: Path, title: str, x: str, y: str, series: Mapping[str, Points]) -> None:
    """Lines through points, both axes logarithmic."""
    entries = [((f"c{k % svg.SERIES} line", svg.mark_class(k)), name) for k, name in enumerate(series)]
    parts, height = legend(entries, svg.WIDTH)
    points = [point for line in series.values() for point in line]
    horizontal = _logarithmic(x, [a for a, _ in points])
    panel = Panel(60, height + 26, svg.WIDTH - 80, 230, horizontal, _logarithmic(y, [b for _, b in points]))
    parts += grid(panel) + titles(panel)
    for k, line in enumerate(series.values()):
        across = [panel.px(math.log10(a)) for a, _ in line]
        down = [panel.py(math.log10(b)) for _, b in line]
        parts.append(svg.path(svg.polyline(across, down), f"c{k % svg.SERIES} line"))
        parts.append(svg.path(svg.marks(across, down, k), svg.mark_class(k)))
    _write(path, title, panel.top + panel.height + 44, parts, svg.WIDTH)


def _logarithmic(label: str, values: Sequence[float]) -> Axis:
    """An axis over powers of ten; a short one has ticks at 2 and 5 too."""
    low, high = math.log10(min(values)), math.log10(max(values))
    factors = (1, 2, 5) if high - low < 2 else (1,)
    powers = range(math.floor(low), math.ceil(high) + 1)
    ticks = [math.log10(factor * 10.0**power) for power in powers for factor in factors]
    low, high = low - 0.03 * (high - low), high + 0.03 * (high - low)
    shown = tuple(tick for tick in ticks if low <= tick <= high)
    return Axis(label, low, high, shown, tuple(_name(10**tick) for tick in shown))


def _name(value: float) -> str:
    """1000 as 1,000; a million with its unit; a thousandth as it is."""
    if value >= 999_999:
        return f"{value / 1e6:.3g} M"
    return f"{value:,.0f}" if value >= 0.99 else f"{value:.1g}"


def _write(path: Path, title: str, height: float, parts: Sequence[str], width: float) -> None:
    label = svg.Label(path.stem, title, title)
    drawn = svg.drawing(label, height, [svg.element("style", [STYLE]), *parts], width)
    file = str(drawn).replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)
    path.write_text(file + "\n", encoding="utf-8")
