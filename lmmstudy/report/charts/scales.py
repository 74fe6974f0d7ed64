"""From data to pixels: nice ticks, axes and panels."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lmmstudy.report.charts.svg import PHONE, text_width
from lmmstudy.report.words.numbers import MINUS, scientific

REACH = 3.0
"""How far limits of intervals may stretch an axis beyond its values, in ranges of the values."""


@dataclass(frozen=True)
class Axis:
    """The shown range of one variable and its ticks, in data units."""

    label: str
    low: float
    high: float
    ticks: tuple[float, ...]
    names: tuple[str, ...]


@dataclass(frozen=True)
class Panel:
    """A rectangle of the drawing (pixels, y downwards) with its two axes."""

    left: float
    top: float
    width: float
    height: float
    x: Axis
    y: Axis

    def px(self, value: float) -> float:
        """Horizontal pixel of a value of x, at the edge for one beyond the axis."""
        shown = min(max(value, self.x.low), self.x.high)
        return self.left + (shown - self.x.low) / (self.x.high - self.x.low) * self.width

    def py(self, value: float) -> float:
        """Vertical pixel of a value of y, at the edge for one beyond the axis."""
        shown = min(max(value, self.y.low), self.y.high)
        return self.top + (self.y.high - shown) / (self.y.high - self.y.low) * self.height


def nice_step(span: float, count: int) -> float:
    """The smallest of 1, 2, 2.5, 5 times a power of ten that cuts the span into at most `count` steps."""
    raw = span / count
    power = 10.0 ** math.floor(math.log10(raw))
    return next(m * power for m in (1, 2, 2.5, 5, 10) if raw <= m * power * (1 + 1e-9))


def nice_ticks(low: float, high: float, count: int = 5) -> tuple[float, ...]:
    """Multiples of a nice step inside [low, high]."""
    step = nice_step(high - low, count)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    digits = max(0, 2 - math.floor(math.log10(step)))
    return tuple(round(k * step, digits) for k in range(first, last + 1))


def tick_names(ticks: Sequence[float]) -> tuple[str, ...]:
    """Labels with just the decimals that the ticks need."""
    largest = max((abs(t) for t in ticks), default=0.0)
    if largest >= 1e7 or 0 < largest < 1e-4:
        return tuple(scientific(t, 2) if t else "0" for t in ticks)
    decimals = next(
        (d for d in range(9) if all(abs(round(t, d) - t) <= 1e-9 * max(largest, 1e-9) for t in ticks)), 8
    )
    names = []
    for tick in ticks:
        printed = f"{abs(tick):,.{decimals}f}" if largest >= 1e4 else f"{abs(tick):.{decimals}f}"
        names.append(MINUS + printed if tick < 0 else printed)
    return tuple(names)


def padded(values: Iterable[float], share: float = 0.05) -> tuple[float, float]:
    """The range of the values with a margin; a single value gets room on both sides, no value gives (0,
    1)."""
    finite = [v for v in values if math.isfinite(v)]
    if not finite:
        return 0.0, 1.0
    low, high = min(finite), max(finite)
    if high - low <= 1e-12 * max(abs(low), abs(high)):
        room = abs(low) * 0.1 or 1.0
        return low - room, high + room
    margin = (high - low) * share
    return low - margin, high + margin


def within(values: Iterable[float], limits: Iterable[float]) -> list[float]:
    """The values, and the limits of intervals about them that leave the values readable on one axis.

    A limit is cut where it lies beyond the values by REACH times their range, or REACH times what limits
    commonly lie beyond them (the median) if that is more: one interval of an estimate of which little is
    known cannot flatten the others.
    """
    inside = [v for v in values if math.isfinite(v)]
    ends = [v for v in limits if math.isfinite(v)]
    if not inside or not ends:
        return inside or ends
    low, high = min(inside), max(inside)
    beyond = [max(low - v, v - high, 0.0) for v in ends]
    room = REACH * max(high - low, sorted(beyond)[len(beyond) // 2])
    return [*inside, *(min(max(v, low - room), high + room) for v in ends)]


def cut(values: Iterable[float], limits: Sequence[float]) -> bool:
    """Whether `within` cuts any of the limits."""
    shown = within(values, limits)
    ends = [v for v in limits if math.isfinite(v)]
    return bool(ends) and (min(ends) < min(shown) or max(ends) > max(shown))


def numeric_axis(
    label: str, values: Iterable[float], count: int = 5, share: float = 0.05, at: Sequence[float] = ()
) -> Axis:
    """An axis over the values; `at` are preferred tick positions (planned visits), nice ticks otherwise."""
    low, high = padded(values, share)
    ticks = tuple(t for t in at if low <= t <= high) or nice_ticks(low, high, count)
    return Axis(label, low, high, ticks, tick_names(ticks))


def visit_axis(label: str, times: Sequence[float], width: float) -> Axis:
    """The time axis: few visits at their own times if the labels fit, else nice ticks."""
    distinct = sorted(set(times))
    if 2 <= len(distinct) <= 12:
        axis = numeric_axis(label, distinct, at=distinct)
        if fits(axis, width):
            return axis
    return numeric_axis(label, distinct, count=6 if width > 300 else 3)


def fits(axis: Axis, width: float) -> bool:
    """True if no two neighbouring tick labels touch, also at the larger type of a small screen."""
    scale = width / (axis.high - axis.low)
    ends = [(t * scale, text_width(n) * PHONE / 2) for t, n in zip(axis.ticks, axis.names, strict=True)]
    return all(b[0] - a[0] >= a[1] + b[1] + 4 for a, b in zip(ends, ends[1:], strict=False))


def thinned(axis: Axis, width: float) -> Axis:
    """The axis with every k-th tick name only, so that the names do not touch."""
    for step in range(1, len(axis.ticks) + 1):
        shown = Axis(axis.label, axis.low, axis.high, axis.ticks[::step], axis.names[::step])
        if fits(shown, width):
            return shown
    return axis
