"""The picture of the rooms in docs/architecture.md, made from the imports: python docs/_ext/rooms.py

A room is a folder of lmmcore or lmmstudy, or a file that stands beside them. A room stands above all that it
imports; an arrow points to what is imported, and is left out where other arrows lead there. Rooms that import
each other, by different files, are joined by a double line.
"""

from __future__ import annotations

import sys
from html import escape
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.support.imports import graph  # noqa: E402

PICTURE = ROOT / "docs" / "images" / "rooms.svg"
WIDTH, ROW, HEIGHT, GAP, CHARACTER = 980, 74, 34, 14, 7.4
STYLE = """
svg{background:#fff;font:13px system-ui,sans-serif}text{fill:#222;text-anchor:middle}
rect{fill:#e8f1f4;stroke:#1f6f8b}.study{fill:#f7ece8;stroke:#b5402a}
path{fill:none;stroke:#999}.both{stroke:#1f6f8b;stroke-width:3}.title{text-anchor:start;fill:#555}
"""


def room(module: str) -> str:
    """The room of a module: lmmcore/likelihood, lmmstudy/report, lmmcore/result."""
    return "/".join(module.split(".")[:2])


def rooms() -> dict[str, set[str]]:
    """What each room imports."""
    edges: dict[str, set[str]] = {}
    for module, imported in graph().items():
        into = {room(other) for other in imported} - {room(module)}
        edges.setdefault(room(module), set()).update(into)
    left_out = {"lmmcore", "lmmstudy", "lmmstudy/__main__"}
    return {name: into - left_out for name, into in edges.items() if name not in left_out}


def reach(edges: dict[str, set[str]]) -> dict[str, set[str]]:
    """All that each room imports, directly or through others."""
    found = {name: set(into) for name, into in edges.items()}
    for via in edges:
        for name in edges:
            if via in found[name]:
                found[name] |= found[via]
    return found


def floors(edges: dict[str, set[str]], reached: dict[str, set[str]]) -> dict[str, int]:
    """The floor of each room, 0 the ground; rooms that import each other share one."""
    same = {name: {other for other in reached[name] if name in reached[other]} | {name} for name in edges}
    level: dict[str, int] = {}

    def of(name: str) -> int:
        if name not in level:
            below = {other for one in same[name] for other in edges[one]} - same[name]
            level.update(dict.fromkeys(same[name], 1 + max((of(other) for other in below), default=-1)))
        return level[name]

    for name in edges:
        of(name)
    return level


def picture() -> str:
    """The drawing as SVG."""
    edges = rooms()
    reached = reach(edges)
    level = floors(edges, reached)
    top = max(level.values())
    place: dict[str, tuple[float, float, float]] = {}
    for floor in range(top + 1):
        names = sorted(name for name in edges if level[name] == floor)
        widths = [CHARACTER * len(name) + 16 for name in names]
        x = (WIDTH - sum(widths) - GAP * (len(names) - 1)) / 2
        for name, width in zip(names, widths, strict=True):
            place[name] = (x, 30 + ROW * (top - floor), width)
            x += width + GAP
    parts = [
        f"<style>{STYLE}</style>",
        "<title>The rooms of lmmcore and lmmstudy, and what each imports</title>",
    ]
    for name, into in sorted(edges.items()):
        for other in sorted(into):
            parts += arrow(name, other, edges, reached, place)
    for name, (x, y, width) in sorted(place.items()):
        kind = ' class="study"' if name.startswith("lmmstudy") else ""
        parts.append(f'<rect{kind} x="{x:.0f}" y="{y:.0f}" width="{width:.0f}" height="{HEIGHT}" rx="5"/>')
        parts.append(f'<text x="{x + width / 2:.0f}" y="{y + 22:.0f}">{escape(name)}</text>')
    height = 30 + ROW * (top + 1)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">'
    return "\n".join([head, *parts, "</svg>", ""])


def arrow(
    name: str,
    other: str,
    edges: dict[str, set[str]],
    reached: dict[str, set[str]],
    place: dict[str, tuple[float, float, float]],
) -> list[str]:
    """The line from a room to one that it imports, unless others lead there."""
    (x0, y0, w0), (x1, y1, w1) = place[name], place[other]
    if y0 == y1:
        if name < other:
            y = y0 + HEIGHT / 2
            return [f'<path class="both" d="M{x0 + w0 / 2:.0f},{y:.0f}L{x1 + w1 / 2:.0f},{y:.0f}"/>']
        return []
    beside = {via for via in edges[name] if via in reached[other]}  # in the same circle as the other
    if any(other in reached[via] and name not in reached[via] for via in edges[name] - {other} - beside):
        return []
    a, b, bend = x0 + w0 / 2, x1 + w1 / 2, (y1 - y0) / 2
    curve = f"C{a:.0f},{y0 + bend:.0f} {b:.0f},{y1 - bend / 2:.0f} {b:.0f},{y1:.0f}"
    return [f'<path d="M{a:.0f},{y0 + HEIGHT:.0f}{curve}"/>']


if __name__ == "__main__":
    PICTURE.write_text(picture(), "utf-8")
