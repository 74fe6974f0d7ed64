"""Every call of the translation table runs, on the frame and the fits that its page makes."""

import re

import pytest

from tests.support.tutorial import ROOT, blocks

PAGE = (ROOT / "docs/translation.md").read_text("utf-8")
CALLS = [
    call.replace("\\|", "|")
    for row in re.findall(r"^\| .* \|$", PAGE, re.M)
    for call in re.findall(r"`((?:fit\b|lmm\.|print\().*?)`", re.split(r"(?<!\\)\|", row)[-2])
]


@pytest.fixture(scope="module")
def names() -> dict:
    """What the page's first block defines."""
    namespace: dict = {}
    exec(blocks(PAGE)[0].text, namespace)
    return namespace


def test_the_tables_have_calls():
    assert len(CALLS) > 75
    programs = re.findall(r"^## (.*)", PAGE, re.M)
    assert [name.split(":")[0] for name in programs][0::2] == ["lme4", "nlme"]


@pytest.mark.parametrize("call", CALLS)
def test_call_runs(call, names):
    found = eval(call, names)
    assert found is not None or call.startswith("print(")
    if isinstance(found, names["lmm"].Fit):
        assert found.certificate.converged, found.certificate.sentence
