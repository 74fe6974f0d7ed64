"""Inline SVG from plain data: elements, marks and the frame of an accessible drawing.

Every text and attribute is escaped here and nowhere else. Colours, strokes and type come from the page's
style sheet by class (c0 ... c3 are the four series), so that both themes and print share one drawing.
"""

import json
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup, escape

WIDTH = 600.0
"""Width of a full drawing in its own units; the page scales it."""
TYPE = 11.5
"""Size of labels in drawing units."""
PHONE = 1.3
"""On small screens the style sheet enlarges the labels by this factor; room is kept for it."""
SERIES = 4
"""Colours c0 ... c3; further series repeat them with another shape or dash."""


@dataclass(frozen=True)
class Label:
    """The identity of a drawing: a unique id and the text that stands for it where it cannot be seen."""

    id: str
    title: str
    desc: str


def number(value: float) -> str:
    """A coordinate with one decimal."""
    printed = f"{value:.1f}".removesuffix(".0")
    return "0" if printed == "-0" else printed


def element(tag: str, content: Iterable[str] | None = None, **attributes: str | float) -> str:
    """An element; `class_` gives class, `data_s` gives data-s; the content is markup made by this module."""
    pairs = []
    for name, value in attributes.items():
        printed = number(value) if isinstance(value, (int, float)) else str(escape(value))
        pairs.append(f' {name.rstrip("_").replace("_", "-")}="{printed}"')
    inside = "".join(content) if content is not None else None
    return f"<{tag}{''.join(pairs)}/>" if inside is None else f"<{tag}{''.join(pairs)}>{inside}</{tag}>"


def text(x: float, y: float, content: str, cls: str = "tick", anchor: str = "middle") -> str:
    """A line of text; anchor is start, middle or end."""
    return element("text", [str(escape(content))], x=x, y=y, class_=cls, text_anchor=anchor)


def text_width(content: str, size: float = TYPE) -> float:
    """Estimated width of a text: wide East Asian characters 1 em, narrow letters 0.3 em, others 0.56 em."""
    ems = 0.0
    for character in content:
        if unicodedata.east_asian_width(character) in "WF":
            ems += 1.0
        elif character in "iljt.,:;'|!()[] ":
            ems += 0.33
        elif character in "MWmw%@":
            ems += 0.85
        else:
            ems += 0.58
    return ems * size


def shorten(content: str, width: float, size: float = TYPE) -> str:
    """The text, cut with an ellipsis where it is wider than `width`."""
    if text_width(content, size) <= width:
        return content
    while content and text_width(content + "…", size) > width:
        content = content[:-1]
    return content + "…"


def path(
    d: str, cls: str, subject: str | None = None, name: str | None = None, subjects: Sequence[str] = ()
) -> str:
    """A path. For the script: `subject` whose path it is, or `subjects` of its marks, one each; `name` of the
    series."""
    told = {"data_s": subject, "data_l": name or None}
    told["data_n"] = json.dumps(list(subjects), ensure_ascii=False) if subjects else None
    return element("path", class_=cls, d=d, **{key: v for key, v in told.items() if v is not None})


def line(x1: float, y1: float, x2: float, y2: float, cls: str) -> str:
    return element("path", class_=cls, d=f"M{number(x1)} {number(y1)}L{number(x2)} {number(y2)}")


def polyline(x: Iterable[float], y: Iterable[float], joined: np.ndarray | None = None) -> str:
    """Path data through the points; where joined[k] is False the pen is lifted before point k. One point is
    a dot."""
    pieces = []
    for k, (a, b) in enumerate(zip(x, y, strict=True)):
        move = k == 0 or (joined is not None and not joined[k])
        pieces.append(f"{'M' if move else 'L'}{number(a)} {number(b)}")
    return "".join(pieces) + ("h0" if len(pieces) == 1 else "")


def band(x: Iterable[float], low: Iterable[float], high: Iterable[float]) -> str:
    """Path data of the area between two lines."""
    upper = polyline(x, high)
    lower = polyline(np.asarray(x)[::-1], np.asarray(low)[::-1])
    return f"{upper}L{lower[1:]}Z" if upper else ""


_SHAPES = ("h0", "h0", "m-3.4 2.6h6.8l-3.4-6z", "m-3.6 0l3.6-3.6 3.6 3.6-3.6 3.6z")


def marks(x: Iterable[float], y: Iterable[float], series: int) -> str:
    """Path data of one mark a point. Series 0 and 1 are dots of zero length that the style draws with round
    and square caps, 2 a triangle and 3 a diamond: the colour is never alone."""
    shape = _SHAPES[series % SERIES]
    return "".join(f"M{number(a)} {number(b)}{shape}" for a, b in zip(x, y, strict=True))


def mark_class(series: int) -> str:
    """Class of the path made by `marks`."""
    return f"c{series % SERIES} mark s{series % SERIES}"


def drawing(label: Label, height: float, parts: Iterable[str], width: float = WIDTH) -> Markup:
    """The whole drawing, role img, named by its title and described by its desc."""
    names = f"{label.id}-t {label.id}-d"
    head = element("title", [str(escape(label.title))], id=f"{label.id}-t")
    head += element("desc", [str(escape(label.desc))], id=f"{label.id}-d")
    attributes = {
        "viewBox": f"0 0 {number(width)} {number(height)}", "role": "img", "class_": "chart",
        "aria_labelledby": names,
    }  # fmt: skip
    return Markup(element("svg", [head, *parts], **attributes))
