"""Estimates with intervals: the caterpillar of predicted random effects, the forest of the datasets and the
small interval of the index."""

from collections.abc import Mapping, Sequence

from markupsafe import Markup

from lmmstudy.report.charts import axes, svg
from lmmstudy.report.charts.scales import Axis, Panel, numeric_axis, within
from lmmstudy.report.refit.series import Effect, Interval
from lmmstudy.report.words.ranking import largest_first

NAMED = 60
"""Up to this many levels each has a row with its name."""
MOST = 300
"""Most levels that are drawn; above, evenly spaced in their order."""
Z = 1.959963984540054


def ordered(effects: Mapping[str, Sequence[Effect]]) -> list[str]:
    """Levels by the estimate of the first term, the largest first (it is drawn on top)."""
    first = sorted(next(iter(effects.values())), key=lambda e: e.level)
    return [first[place].level for place in largest_first([e.estimate for e in first])]


def caterpillar(label: svg.Label, effects: Mapping[str, Sequence[Effect]]) -> Markup:
    """Predicted random effects of one grouping factor with 95% prediction intervals, one panel a term.

    effects = {term: one Effect a level}; all panels share the rows, ordered by the first term.
    """
    levels = ordered(effects)
    if len(levels) > MOST:
        levels = [levels[round(k * (len(levels) - 1) / (MOST - 1))] for k in range(MOST)]
    named = len(levels) <= NAMED
    pitch = 15.0 if named else 480.0 / len(levels)
    height, top = pitch * len(levels) + 8, 30.0
    widest = max(svg.text_width(level) for level in levels) if named else 0.0
    left = min(widest * svg.PHONE, 150.0) + 14 if named else 10.0
    gap = 26.0
    width = (svg.WIDTH - left - 10 - gap * (len(effects) - 1)) / len(effects)
    rows = Axis("", 0.0, float(len(levels)), (), ())
    parts = []
    if named:
        for k, level in enumerate(levels):
            name = svg.shorten(level, (left - 14) / svg.PHONE + 0.1)
            parts.append(svg.text(left - 8, top + 4 + (k + 0.5) * pitch + 4, name, anchor="end"))
    for k, (term, members) in enumerate(effects.items()):
        known = {e.level: e for e in members}
        chosen = [known[level] for level in levels]
        ends = [v for e in chosen for v in (e.estimate - Z * e.std_error, e.estimate + Z * e.std_error)]
        core = [0.0, *(e.estimate for e in chosen)]
        axis = numeric_axis(term, within(core, ends), count=4 if len(effects) > 1 else 6)
        panel = Panel(left + k * (width + gap), top + 4, width, height - 8, axis, rows)
        parts += axes.grid(panel)
        parts.append(svg.text(panel.left + width / 2, top - 12, svg.shorten(term, width), "strip"))
        parts.append(svg.line(panel.px(0.0), panel.top, panel.px(0.0), panel.top + panel.height, "zero"))
        for row, e in enumerate(chosen):
            y = panel.top + (row + 0.5) * pitch
            low, high = panel.px(e.estimate - Z * e.std_error), panel.px(e.estimate + Z * e.std_error)
            d = f"M{svg.number(low)} {svg.number(y)}H{svg.number(high)}"
            parts.append(svg.path(d, "c0 interval" if named else "c0 interval thin", e.level))
        x = [panel.px(e.estimate) for e in chosen]
        heights = [panel.top + (row + 0.5) * pitch for row in range(len(chosen))]
        cls = "c0 mark s0" if named else "c0 mark small s0"
        parts.append(svg.path(svg.marks(x, heights, 0), cls, subjects=levels))
    return svg.drawing(label, top + height + 30, parts)


def forest(label: svg.Label, estimates: Sequence[Interval], name: str) -> Markup:
    """Estimates with intervals, one row each in the order given, on one scale that holds 0; `name` is the
    title of the scale."""
    pitch = 24.0
    widest = max(svg.text_width(e.name) for e in estimates)
    left = min(widest * svg.PHONE, 170.0) + 14
    core, ends = [0.0, *(e.estimate for e in estimates)], [v for e in estimates for v in (e.low, e.high)]
    axis = numeric_axis(name, within(core, ends), count=6)
    rows = Axis("", 0.0, float(len(estimates)), (), ())
    panel = Panel(left, 8, svg.WIDTH - left - 10, pitch * len(estimates), axis, rows)
    parts = [*axes.grid(panel), *axes.titles(panel, y=False)]
    parts.append(svg.line(panel.px(0.0), panel.top, panel.px(0.0), panel.top + panel.height, "zero"))
    for k, e in enumerate(estimates):
        y = panel.top + (k + 0.5) * pitch
        shown = svg.shorten(e.name, (left - 14) / svg.PHONE + 0.1)
        parts.append(svg.text(left - 8, y + 4, shown, "label", "end"))
        parts.append(svg.line(panel.px(e.low), y, panel.px(e.high), y, "c0 interval"))
        parts.append(svg.path(svg.marks([panel.px(e.estimate)], [y], 0), "c0 mark s0", name=e.name))
    return svg.drawing(label, panel.top + panel.height + axes.BOTTOM, parts)


def interval(label: svg.Label, estimate: Interval) -> Markup:
    """One estimate with its interval and the line at 0, 180 x 24, on a scale of its own that is symmetric
    about 0."""
    reach = max(abs(estimate.low), abs(estimate.high), abs(estimate.estimate)) * 1.08 or 1.0
    panel = Panel(2, 2, 176, 20, Axis("", -reach, reach, (), ()), Axis("", 0.0, 1.0, (), ()))
    y = panel.py(0.5)
    parts = [
        svg.line(panel.px(0.0), 2, panel.px(0.0), 22, "zero"),
        svg.line(panel.px(estimate.low), y, panel.px(estimate.high), y, "c0 interval"),
        svg.path(svg.marks([panel.px(estimate.estimate)], [y], 0), "c0 mark s0"),
    ]
    return svg.drawing(label, 24, parts, width=180)
