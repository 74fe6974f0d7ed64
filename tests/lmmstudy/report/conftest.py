"""A browser, and pages for it to open: those of the hand-made study of test_report_sample."""

from pathlib import Path

import pytest

from tests.support.browser import browser


@pytest.fixture(scope="session")
def pages(tmp_path_factory) -> Path:
    """A folder with trial.html, poisoned.html and index.html."""
    from test_report_index import entries
    from test_report_page import poisoned
    from test_report_sample import study

    from lmmstudy.report import index
    from lmmstudy.report.page import assemble, render

    folder = tmp_path_factory.mktemp("pages")
    (folder / "trial.html").write_text(render(assemble(study())), "utf-8")
    (folder / "poisoned.html").write_text(render(assemble(poisoned("<img src=x onerror=alert(2)>"))), "utf-8")
    (folder / "index.html").write_text(index.render(entries()), "utf-8")
    return folder


@pytest.fixture(scope="session")
def tab(tmp_path_factory):
    """The tab of one browser for all tests."""
    with browser(tmp_path_factory.mktemp("profile")) as tab:
        yield tab
