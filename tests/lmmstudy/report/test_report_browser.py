"""The pages in a real browser: nothing is fetched, everything is reached, can be read and can be printed."""

from pathlib import Path

import pytest
from test_report_style import contrast

from tests.support.browser import CHROMIUM

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine")


@pytest.mark.parametrize("name", ["trial.html", "index.html", "poisoned.html"])
def test_nothing_is_fetched_and_nothing_goes_wrong(tab, pages, name):
    tab.open(pages / name)
    assert tab.complaints() == []
    assert [url.rsplit("/", 1)[1] for url in tab.requests()] == [name]
    assert tab.run("document.querySelectorAll('.tools').length") > 0  # the policy let our script run


def test_the_policy_stops_a_script_that_is_not_ours(tab, pages):
    tab.open(pages / "trial.html")
    tab.run("document.body.append(Object.assign(document.createElement('script'), {textContent: 'hit = 1'}))")
    assert tab.run("typeof hit") == "undefined" and "Content Security Policy" in tab.complaints()[0]


@pytest.mark.parametrize("width", [1280, 768, 390])
@pytest.mark.parametrize("name", ["trial.html", "index.html"])
def test_nothing_sticks_out_of_the_window(tab, pages, name, width):
    tab.open(pages / name, width)
    assert tab.run("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("name", ["trial.html", "index.html"])
def test_no_column_of_a_table_is_cut_on_a_phone(tab, pages, name):
    tab.open(pages / name, 390)
    wide = (
        "[...document.querySelectorAll('table')].filter(t => t.offsetWidth > t.parentElement.clientWidth + 1)"
    )
    assert tab.run(f"{wide}.map(t => t.caption.textContent)") == []


@pytest.mark.parametrize("name", ["trial.html", "index.html"])
def test_the_keyboard_reaches_everything_and_shows_where_it_is(tab, pages, name):
    tab.open(pages / name)
    wanted = "a[href], button, summary, input, [tabindex='0']"
    total = tab.run(
        f"Array.from(document.querySelectorAll({wanted!r})).filter((e) => e.checkVisibility()).length"
    )
    reached = set()
    for _ in range(total):
        tab.key("Tab", 9)
        order, seen = tab.run(
            f"""(() => {{ const e = document.activeElement, style = getComputedStyle(e);
              return [Array.from(document.querySelectorAll({wanted!r})).indexOf(e),
                style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2
                || e.classList.contains('skip')]; }})()"""
        )
        assert seen, order
        reached.add(order)
    assert len(reached) == total


def test_without_the_script_the_page_is_complete(tab, pages):
    words = "document.getElementById('main').textContent.replace(/\\s+/g, ' ')"
    tab.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        tab.open(pages / "trial.html")
        bare = tab.run(words)
        assert tab.run("document.querySelectorAll('.tools').length") == 0
        assert not tab.run("document.querySelector('.tool').checkVisibility()")
    finally:
        tab.call("Emulation.setScriptExecutionDisabled", value=False)
    tab.open(pages / "trial.html")
    tab.run("document.querySelectorAll('.tools').forEach((e) => e.remove())")
    assert tab.run(words) == bare


def test_print_shows_folded_tables_and_neither_tools_nor_numbers_of_figures(tab, pages):
    tab.open(pages / "trial.html")
    tab.call("Emulation.setEmulatedMedia", media="print")
    try:
        heights = "Array.from(document.querySelectorAll({!r}), (e) => e.getBoundingClientRect().height)"
        folded = "main section:not(#answer) details:not(.numbers) table"
        shown = f"main svg.chart, {folded}, main section > .scroll table"
        assert min(tab.run(heights.format(shown))) > 5
        assert max(tab.run(heights.format("nav, .tools, .tool, .tip, details.numbers table"))) == 0
        after = "getComputedStyle(document.getElementById('answer')).breakAfter"
        assert tab.run(after) == "page"
        assert tab.run("document.querySelectorAll('details:not([open])').length") > 0
    finally:
        tab.call("Emulation.setEmulatedMedia", media="")
    assert len(tab.call("Page.printToPDF", preferCSSPageSize=True)["data"]) > 50_000


TEXTS = """() => {
  const paper = (e) => {
    for (; e; e = e.parentElement) {
      const colour = getComputedStyle(e).backgroundColor;
      if (!/, 0\\)$|transparent|color\\(/.test(colour)) return colour;
    }
  };
  const found = new Set();
  for (const e of document.querySelectorAll("body *")) {
    const says = Array.from(e.childNodes).some((n) => n.nodeType === 3 && n.data.trim());
    if (!says || !e.checkVisibility()) continue;
    const style = getComputedStyle(e);
    found.add(`${e.tagName} ${e.tagName === "text" ? style.fill : style.color} on ${paper(e)}`);
  }
  return Array.from(found);
}"""
"""Colour of every text with the opaque colour behind it."""


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", ["trial.html", "index.html"])
def test_every_text_can_be_read_in_both_themes(tab, pages, name, theme):
    tab.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": theme}])
    try:
        tab.open(pages / name)
        pairs = tab.run(f"({TEXTS})()")
    finally:
        tab.call("Emulation.setEmulatedMedia", features=[])

    def colour(text: str) -> str:
        channels = text[text.index("(") + 1 : text.index(")")].split(",")[:3]
        return "#" + "".join(f"{int(v):02x}" for v in channels)

    assert len(pairs) > 8
    for pair in pairs:
        if "SCRIPT" in pair or "STYLE" in pair:
            continue
        front, back = pair.split(" ", 1)[1].split(" on ")
        assert contrast(colour(front), colour(back)) >= 4.5, pair


AXE = Path(__file__).parents[3] / "node_modules/axe-core/axe.min.js"


@pytest.mark.skipif(not AXE.is_file(), reason="axe-core is not here: npm install --no-save axe-core")
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", ["trial.html", "index.html", "poisoned.html"])
def test_axe_finds_nothing_that_keeps_a_reader_out(tab, pages, name, theme):
    tab.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": theme}])
    try:
        tab.open(pages / name)
        tab.run(AXE.read_text("utf-8") + "; 0")
        found = tab.run("axe.run().then(({violations, passes}) => ({violations, passes: passes.length}))")
    finally:
        tab.call("Emulation.setEmulatedMedia", features=[])
    grave = [(v["id"], v["help"], v["nodes"][0]["html"]) for v in found["violations"]
             if v["impact"] in ("serious", "critical")]  # fmt: skip
    assert not grave, grave
    assert found["passes"] > 20
