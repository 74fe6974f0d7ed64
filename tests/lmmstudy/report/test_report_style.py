"""Contrast of the two themes and of print in the style sheet (WCAG 2.2, criteria 1.4.3 and 1.4.11)."""

import re
from pathlib import Path

import pytest

from lmmstudy.report.template import html

STYLE = Path(html.__file__).with_name("style.css").read_text("utf-8")
TEXT = ("ink", "soft", "link", "good", "warning", "bad")
GRAPHICS = ("blue", "vermillion", "green", "purple", "soft")


def themes() -> dict[str, dict[str, str]]:
    """The colours of :root in the order light, dark, print; later themes inherit what they do not set."""
    blocks = re.findall(r":root \{(.*?)\}", STYLE, flags=re.S)
    light, dark, print_ = (dict(re.findall(r"--([\w-]+): (#[0-9a-f]{3,6})", block)) for block in blocks)
    return {"light": light, "dark": light | dark, "print": light | print_}


def luminance(colour: str) -> float:
    digits = colour[1:] if len(colour) == 7 else "".join(2 * c for c in colour[1:])
    channels = [int(digits[k : k + 2], 16) / 255 for k in (0, 2, 4)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a: str, b: str) -> float:
    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_the_measure_itself():
    assert contrast("#000000", "#fff") == pytest.approx(21)
    assert contrast("#0072b2", "#ffffff") == pytest.approx(5.19, abs=0.01)


@pytest.mark.parametrize("theme", ["light", "dark", "print"])
def test_text_and_graphics_can_be_seen(theme):
    colours = themes()[theme]
    for name in TEXT:
        assert contrast(colours[name], colours["paper"]) >= 4.5, name
    for name in GRAPHICS:
        assert contrast(colours[name], colours["paper"]) >= 3, name
    for name in ("ink", "link"):
        assert contrast(colours[name], colours["warning-paper"]) >= 4.5, name
    assert contrast(colours["ink"], colours["raised"]) >= 4.5


def test_series_also_differ_in_grey():
    """No two neighbouring series share dash and shape: c0 is solid, the others have a dash of their own."""
    dashes = re.findall(r"\.c([123])\.line \{ stroke-dasharray: ([\d. ]+);", STYLE)
    assert [k for k, _ in dashes] == ["1", "2", "3"] and len({d for _, d in dashes}) == 3
    assert ".mark.s1 { stroke-linecap: square" in STYLE


def test_print_opens_what_is_folded_and_scrolls_nothing():
    sheet = STYLE[STYLE.index("@media print") :]
    assert "details::details-content { content-visibility: visible" in sheet
    assert ".scroll, pre { overflow: visible; }" in sheet
    assert "nav, .skip, .tool, .tools, .tip { display: none; }" in sheet
    assert "transition" not in STYLE and "animation" not in STYLE and "smooth" not in STYLE  # nothing moves
    assert "height: 100" not in STYLE.replace("height: 100%; background: var(--blue)", "")
