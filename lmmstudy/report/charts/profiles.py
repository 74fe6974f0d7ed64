"""Profiles over time: raw profiles with predicted means, and one small cell a subject."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from markupsafe import Markup

from lmmstudy.report.charts import axes, svg
from lmmstudy.report.charts.scales import Panel, numeric_axis, padded, visit_axis, within
from lmmstudy.report.refit.series import Curve, Means, Profile

FULL = 60
"""Up to this many subjects every profile is drawn in full; above, faintly, with a sample in full."""
VERTICES = 10_000
"""Most corners of all faint profiles together."""


def sample(profiles: Sequence[Profile], size: int) -> list[Profile]:
    """At most `size` profiles, evenly spaced in the order given, the first and the last among them."""
    if len(profiles) <= size:
        return list(profiles)
    return [profiles[round(k * (len(profiles) - 1) / (size - 1))] for k in range(size)]


def faint_sample(profiles: Sequence[Profile]) -> list[Profile]:
    """The profiles whose corners together stay within VERTICES."""
    rows = sum(p.x.size for p in profiles)
    return (
        sample(profiles, max(2, int(len(profiles) * VERTICES / rows))) if rows > VERTICES else list(profiles)
    )


def spaghetti(
    label: svg.Label,
    profiles: Sequence[Profile],
    curves: Sequence[Curve],
    names: tuple[str, str],
    by: str = "",
) -> Markup:
    """Raw profiles in one panel a group (at most three a row), each with the predicted mean and its interval.

    names = (title of x, title of y); by = name of the grouping column.
    """
    groups = list(dict.fromkeys(p.group for p in profiles))
    across = min(len(groups), 3 if len(groups) != 4 else 2)
    down = math.ceil(len(groups) / across)
    height = 300.0 if across == 1 else 210.0
    core = [v for p in profiles for v in (p.y.min(), p.y.max())] + [v for c in curves for v in c.mean]
    y_axis = numeric_axis(names[1], within(core, (v for c in curves for v in c.reach)))
    left, gap = axes.left_margin(y_axis), 16.0
    width = (svg.WIDTH - left - 12 - gap * (across - 1)) / across
    x_axis = visit_axis(names[0], np.unique(np.concatenate([p.x for p in profiles])).tolist(), width)
    many = len(profiles) > FULL
    shown = set(id(p) for p in (sample(profiles, 12) if many else profiles))
    faint = faint_sample(profiles) if many else []
    parts: list[str] = []
    for k, group in enumerate(groups):
        row, column = divmod(k, across)
        last = k + across >= len(groups)
        panel = Panel(
            left + column * (width + gap), 46 + row * (height + 40), width, height, x_axis, y_axis
        )  # fmt: skip
        parts += axes.grid(panel, x_names=last, y_names=column == 0)
        if len(groups) > 1:
            parts.append(
                svg.text(
                    panel.left + width / 2,
                    panel.top - 8,
                    svg.shorten(f"{by}: {group}", width / svg.PHONE),
                    "strip",
                )
            )
        inside = [p for p in faint if p.group == group]
        if inside:
            parts.append(svg.path("".join(_line(panel, p) for p in inside), "profile faint"))
        for p in profiles:
            if p.group == group and id(p) in shown:
                parts.append(svg.path(_line(panel, p), "profile", p.subject))
                parts.append(svg.path(svg.marks([panel.px(t) for t in p.x], [panel.py(v) for v in p.y], 0),
                                      "profile mark small s0", p.subject))  # fmt: skip
        for curve in curves:
            if curve.group == group:
                parts += mean_line(panel, curve, k if len(groups) > 1 else 0)
    bottom = 46 + (down - 1) * (height + 40) + height
    parts.append(svg.text(2, 14, svg.shorten(names[1], 400), "label", "start"))
    parts.append(svg.text(left + (svg.WIDTH - left) / 2, bottom + 36, svg.shorten(names[0], 400), "label"))
    return svg.drawing(label, bottom + axes.BOTTOM, parts)


def _line(panel: Panel, profile: Profile) -> str:
    x, y = [panel.px(v) for v in profile.x], [panel.py(v) for v in profile.y]
    return svg.polyline(x, y, profile.joined)


def mean_line(panel: Panel, curve: Curve, series: int) -> list[str]:
    """A predicted mean with its interval."""
    x, mean = [panel.px(v) for v in curve.x], [panel.py(v) for v in curve.mean]
    colour = f"c{series % svg.SERIES}"
    parts = []
    if curve.low is not None and curve.high is not None:
        low, high = [panel.py(v) for v in curve.low], [panel.py(v) for v in curve.high]
        one = len(x) == 1
        parts.append(
            svg.line(x[0], low[0], x[0], high[0], f"{colour} interval") if one
            else svg.path(svg.band(x, low, high), f"{colour} band")
        )  # fmt: skip
    if len(x) == 1:
        return [*parts, svg.path(svg.marks(x, mean, 0), f"{colour} mark s0")]
    return [*parts, svg.path(svg.polyline(x, mean), f"{colour} line")]


def predicted_means(
    label: svg.Label,
    means: Sequence[Means],
    curves: Sequence[Curve],
    names: tuple[str, str],
    by: str = "",
) -> Markup:
    """Predicted means with intervals as lines, raw means as marks, all groups in one panel."""
    groups = list(dict.fromkeys([m.group for m in means] + [c.group for c in curves]))
    entries: list[axes.Entry] = [((svg.mark_class(0),), "Raw mean"), (("c0 line",), "Predicted mean")]
    if len(groups) > 1:
        entries = axes.series_entries(by, groups)
    elif not curves:
        entries = entries[:1]
    key, key_height = axes.legend(entries, svg.WIDTH)
    core = [v for c in curves for v in c.mean] + [v for m in means for v in m.mean]
    y_axis = numeric_axis(names[1], within(core, (v for c in curves for v in c.reach)))
    left, top = axes.left_margin(y_axis), key_height + axes.TOP
    width = svg.WIDTH - left - 12
    times = [t for m in means for t in m.x] + [t for c in curves for t in c.x]
    planned = [t for m in means for t in m.x]
    axis = visit_axis(names[0], planned or times, width)
    low, high = padded(times)
    axis = replace(axis, low=min(axis.low, low), high=max(axis.high, high))
    panel = Panel(left, top, width, 250, axis, y_axis)
    parts = key + axes.grid(panel) + axes.titles(panel)
    for curve in curves:
        parts += mean_line(panel, curve, groups.index(curve.group))
    for m in means:
        series = groups.index(m.group)
        d = svg.marks([panel.px(t) for t in m.x], [panel.py(v) for v in m.mean], series)
        parts.append(svg.path(d, svg.mark_class(series), name=m.group if len(groups) > 1 else None))
    return svg.drawing(label, top + 250 + axes.BOTTOM, parts)


def cells(label: svg.Label, profiles: Sequence[Profile], names: tuple[str, str]) -> Markup:
    """One cell a subject: its rows, its own fitted line with its interval and the population's, all cells on
    the same scales."""
    samples = {
        "profile mark s0": "Observed",
        "c0 line": "Fitted for the subject",
        "c1 line": "Population mean",
    }
    key, key_height = axes.legend([((cls,), name) for cls, name in samples.items()], svg.WIDTH)
    across = min(6 if len(profiles) > 12 else 4, len(profiles))
    core = [v for p in profiles for v in (*p.y, *_lines(p))]
    ends = [v for p in profiles if p.low is not None and p.high is not None for v in (*p.low, *p.high)]
    y_axis = numeric_axis(names[1], within(core, ends), count=3)
    left, gap, height = axes.left_margin(y_axis), 8.0, 84.0
    width = (svg.WIDTH - left - 8 - gap * (across - 1)) / across
    x_axis = visit_axis(names[0], [t for p in profiles for t in p.x], width)
    top, step = key_height + 42.0, height + 26.0
    parts = key + [svg.text(2, key_height + 14, svg.shorten(names[1], 400), "label", "start")]
    for k, p in enumerate(profiles):
        row, column = divmod(k, across)
        panel = Panel(left + column * (width + gap), top + row * step, width, height, x_axis, y_axis)
        parts += axes.grid(panel, x_names=k + across >= len(profiles), y_names=column == 0)
        parts.append(
            svg.text(
                panel.left + width / 2, panel.top - 6, svg.shorten(p.subject, width / svg.PHONE), "strip"
            )
        )
        x = [panel.px(t) for t in p.x]
        if p.low is not None and p.high is not None:
            low, high = ([panel.py(v) for v in values] for values in (p.low, p.high))
            parts.append(svg.path(svg.band(x, low, high), "c0 band"))
        if p.population is not None:
            parts.append(svg.path(svg.polyline(x, [panel.py(v) for v in p.population]), "c1 line thin"))
        if p.fitted is not None:
            parts.append(svg.path(svg.polyline(x, [panel.py(v) for v in p.fitted]), "c0 line thin"))
        parts.append(
            svg.path(svg.marks(x, [panel.py(v) for v in p.y], 0), "profile mark small s0", p.subject)
        )
    bottom = top + (math.ceil(len(profiles) / across) - 1) * step + height
    parts.append(svg.text(left + (svg.WIDTH - left) / 2, bottom + 36, svg.shorten(names[0], 400), "label"))
    return svg.drawing(label, bottom + axes.BOTTOM, parts)


def _lines(profile: Profile) -> list[float]:
    lines = [v for v in (profile.fitted, profile.population) if v is not None]
    return [float(v) for values in lines for v in values]
