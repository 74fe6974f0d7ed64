"""Formulas as MathML, which browsers draw by themselves: no script, no font, no network."""

import re

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx
from sphinx.writers.html5 import HTML5Translator

# Bars are fences and dots accents; left as they come, browsers set them apart from what they belong to.
TIGHT = (
    (re.compile(r"<mo[^>]*>&#x0007C;</mo>"), '<mo stretchy="false" lspace="0" rspace="0">&#x0007C;</mo>'),
    (re.compile(r"<mover>(?=(?:(?!</mover>).)*<mo>&#x002D9;</mo></mover>)"), '<mover accent="true">'),
    (re.compile(r"<mo>([A-Za-z]+)</mo>"), r"<mi>\1</mi>"),
)


def mathml(formula: str, display: str) -> str:
    """The formula, in LaTeX, as a math element."""
    text = convert(formula, display=display)
    for pattern, replacement in TIGHT:
        text = pattern.sub(replacement, text)
    return text


def visit_inline(writer: HTML5Translator, node: nodes.math) -> None:
    writer.body.append(mathml(node.astext(), "inline"))
    raise nodes.SkipNode


def visit_block(writer: HTML5Translator, node: nodes.math_block) -> None:
    writer.body.append(f'<div class="formula">{mathml(node.astext(), "block")}</div>\n')
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
