"""The public surface: every name is there, documented, and known to type checkers."""

import ast
from pathlib import Path

import pytest

import lmmcore as lmm

STUB = Path(lmm.__file__).with_suffix(".pyi")


def test_the_stub_has_the_same_names_from_the_same_modules():
    homes = {}
    for node in ast.parse(STUB.read_text("utf-8")).body:
        if isinstance(node, ast.ImportFrom):
            homes |= {alias.asname: node.module for alias in node.names}
    assert homes == lmm.HOME


@pytest.mark.parametrize("name", lmm.__all__)
def test_every_name_is_there_with_a_docstring(name):
    assert (getattr(lmm, name).__doc__ or "").strip()
    assert name in dir(lmm)


def test_other_names_are_refused():
    with pytest.raises(AttributeError, match="no attribute 'glmer'"):
        lmm.glmer  # noqa: B018
