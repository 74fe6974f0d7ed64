"""What a page is made of: plain data between the sections that choose the content and the template that
draws it.

Texts are raw and escaped by the template. Only `Figure.svg` and `Equation.mathml` are markup, built by
escaping functions.
"""

from dataclasses import dataclass

from markupsafe import Markup


@dataclass(frozen=True)
class Cell:
    """A table cell; `bar` draws a share between 0 and 1 beside the text, `detail` is a smaller second
    line."""

    text: str
    detail: str = ""
    bar: float | None = None
    tone: str = ""
    """"", "selected" or "failed"."""


@dataclass(frozen=True)
class Table:
    """Rows under `heads`; the first cell of a row is its header. `align` has one letter a column: l(eft) or
    r(ight)."""

    caption: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str | Cell, ...], ...]
    align: str
    note: str = ""
    folded: bool = False
    kind: str = "table"


@dataclass(frozen=True)
class Figure:
    """A chart with its caption and, folded away, the numbers that are plotted."""

    id: str
    svg: Markup
    caption: str
    data: Table | None = None
    kind: str = "figure"


@dataclass(frozen=True)
class Text:
    text: str
    tone: str = ""
    """"", "lead", "note" or "warning"."""
    kind: str = "text"


@dataclass(frozen=True)
class Heading:
    text: str
    kind: str = "heading"


@dataclass(frozen=True)
class Facts:
    """Short named values, drawn as a definition list."""

    items: tuple[tuple[str, str], ...]
    kind: str = "facts"


@dataclass(frozen=True)
class Equation:
    mathml: Markup
    label: str
    kind: str = "equation"


@dataclass(frozen=True)
class Code:
    caption: str
    text: str
    kind: str = "code"


Block = Table | Figure | Text | Heading | Facts | Equation | Code


@dataclass(frozen=True)
class Section:
    id: str
    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Alert:
    """A named condition that holds, with a link to the section that shows it."""

    text: str
    section: str


@dataclass(frozen=True)
class Chip:
    """One fact of the verdict strip; tone is "good", "warning", "bad" or ""."""

    label: str
    value: str
    tone: str = ""


@dataclass(frozen=True)
class PageData:
    dataset: str
    title: str
    description: str
    model: str
    chips: tuple[Chip, ...]
    alerts: tuple[Alert, ...]
    sections: tuple[Section, ...]
    subjects: tuple[str, ...]
    """Subjects that can be highlighted in the charts."""
    home: str = "index.html"
    """Address of the index, "" where there is none."""
