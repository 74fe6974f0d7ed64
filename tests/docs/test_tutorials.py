"""Every example of the documentation runs, and prints what the page says it prints."""

import re
from pathlib import Path

import pytest

from tests.support.tutorial import FENCE, PAGES, ROOT, copy_project, run, runnable

# Pages whose numbers come from elsewhere: the programs in benchmarks/.
ELSEWHERE = ("README.md", "docs/simulation.md", "docs/benchmarks.md", "docs/clusters.md")
RUNNABLE = [page for page in PAGES if runnable(page.read_text("utf-8"))]
NUMBER = re.compile(r"(?<![\w.])(?<!Python )\d+\.\d+(?![\w.]*\w)")
# What is no running text once the fenced blocks are gone: formulas, code, targets of links.
MARKED = re.compile(r"\$\$.*?\$\$|\$[^$\n]+\$|`[^`\n]+`|\]\([^)]*\)", re.DOTALL)


def short(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", RUNNABLE, ids=short)
def test_blocks_print_what_the_page_shows(page, tmp_path):
    for shown in run(page.read_text("utf-8"), copy_project(tmp_path)):
        assert shown.right, (
            f"{short(page)}, line {shown.line}, shows\n{shown.expected}\nbut there was\n{shown.actual}\n"
            f"If that is right: python tests/support/tutorial.py {short(page)}"
        )


@pytest.mark.parametrize("page", PAGES, ids=short)
def test_every_number_in_the_text_is_printed_by_a_block(page):
    if short(page) in ELSEWHERE:
        pytest.skip("made by a program of its own")
    text = page.read_text("utf-8")
    shown = "".join(found["text"] for found in FENCE.finditer(text))
    for number in NUMBER.findall(MARKED.sub(" ", FENCE.sub("", text))):
        assert number in shown, f"{short(page)}: {number} stands in the text, but in no block"


def test_tutorials_are_found():
    """The collector sees the pages: an empty list would make all of the above pass."""
    found = {short(page) for page in RUNNABLE}
    assert {"README.md", "docs/index.md", "docs/tutorials/first-study.md"} <= found
