"""The documentation site: builds without a warning, needs no network, names everything public."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import lmmcore
from tests.support.browser import browser

ROOT = Path(__file__).resolve().parents[2]
LOADED = re.compile(
    r"<(?:script|img|iframe|source|video|audio)\b[^>]*\bsrc=\"([^\"]*)\"|<link\b[^>]*\bhref=\"([^\"]*)\""
)


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The site, built as `make docs` does: every warning, a broken link among them, is an error."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-d", str(folder / "doctrees")]
    done = subprocess.run(
        [*command, str(ROOT / "docs"), str(folder / "html")],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    return folder / "html"


def test_every_page_is_there(site):
    for page in (ROOT / "docs").rglob("*.md"):
        assert (site / page.relative_to(ROOT / "docs").with_suffix(".html")).exists()


def test_nothing_is_loaded_from_elsewhere(site):
    """Pages link to other sites, but fetch no script, style, font or picture from them."""
    for page in site.rglob("*.html"):
        for found in LOADED.findall(page.read_text("utf-8")):
            assert not re.match(r"(?:https?:)?//", "".join(found)), f"{page.name}: {found}"
    for sheet in site.rglob("*.css"):
        assert not re.search(r"(?:@import|url\()\s*[\"']?(?:https?:)?//", sheet.read_text("utf-8")), sheet


def test_the_reference_has_every_public_name(site):
    anchors = set(re.findall(r"\bid=\"lmmcore\.([\w.]+)\"", (site / "reference.html").read_text("utf-8")))
    assert not set(lmmcore.__all__) - anchors
    members = {f"Fit.{name}" for name in vars(lmmcore.Fit) if not name.startswith("_")}
    assert not members - anchors - {"Fit.solution"}


def test_formulas_are_drawn_by_the_browser(site):
    text = (site / "mathematics.html").read_text("utf-8")
    assert text.count("<math ") > 50
    assert "$" not in re.sub(r"<pre>.*?</pre>", "", text, flags=re.DOTALL)


def test_a_browser_reads_and_searches_it_from_the_disk(site, tmp_path):
    """No error, no request beyond the files, nothing wider than the window."""
    with browser(tmp_path) as tab:
        for page in sorted(site.rglob("*.html")):
            for width in (1280, 390):
                tab.open(page, width)
                assert tab.run("document.documentElement.scrollWidth") <= width, page.name
                assert not tab.complaints(), page.name
                assert all(url.startswith(("file:", "data:")) for url in tab.requests()), page.name
        tab.open(site / "search.html")
        tab.run("location.search = '?q=nugget'; 0")
        results = "[...document.querySelectorAll('#search-results a')]"
        found = f"{results}.some(a => a.innerText.includes('covariance'))"
        tab.wait(found)
        tab.wait("document.querySelector('#search-results .search-summary')?.innerText.includes('found')")
        assert not tab.complaints()
