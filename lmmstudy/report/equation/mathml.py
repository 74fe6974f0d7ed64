"""MathML elements as strings; column names and levels are escaped."""

from collections.abc import Iterable, Sequence

from markupsafe import escape

from lmmstudy.report.words.numbers import fmt

NBSP = "\u00a0"
THIN = '<mspace width="0.2em"></mspace>'
Row = tuple[str, str, str]
"""Left side, relation, right side."""


def name(text: str) -> str:
    return f'<mpadded depth="0"><mtext>{escape(text)}</mtext></mpadded>'


def words(text: str) -> str:
    """Text whose spaces are kept; MathML trims ordinary ones at its ends."""
    return f"<mtext>{escape(text.replace(' ', NBSP))}</mtext>"


def num(text: str) -> str:
    return f"<mn>{escape(text)}</mn>"


def op(text: str) -> str:
    return f"<mo>{escape(text)}</mo>"


def sub(base: str, index: str) -> str:
    body = base if base.startswith("<") else f"<mi>{base}</mi>"
    return f"<msub>{body}<mi>{escape(index)}</mi></msub>"


def power(base: str, exponent: str) -> str:
    return f"<msup>{base}{exponent}</msup>"


def group(items: Iterable[str]) -> str:
    return f"<mrow>{''.join(items)}</mrow>"


def row(left: str, relation: str, right: str) -> str:
    return f"<mtr><mtd>{left}</mtd><mtd>{relation}</mtd><mtd>{right}</mtd></mtr>"


def value(number: float) -> str:
    return num(fmt(float(number)))


def matrix(cells: Sequence[Sequence[str]]) -> str:
    """A matrix; its brackets are borders of the style sheet, for many machines have no font that stretches
    them."""
    rows = "".join(f"<mtr>{''.join(f'<mtd>{cell}</mtd>' for cell in row)}</mtr>" for row in cells)
    return f'<mrow><mtable class="matrix">{rows}</mtable></mrow>'


def normal(mean: str, variance: str) -> str:
    return group(["<mi>N</mi>", op("("), mean, op(","), THIN, variance, op(")")])
