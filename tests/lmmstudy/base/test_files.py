"""Canonical JSON and atomic writes."""

import numpy as np
import pytest

from lmmstudy.base.files import canonical_json, write_atomically, write_json


def test_json_is_canonical():
    value = {"b": [1, 0.1, float("nan"), -float("inf")], "a": {"ü": None}, 3: np.float64(2.5)}
    lines = ["{", ' "3": 2.5,', ' "a": {', '  "ü": null', " },"]
    lines += [' "b": [', "  1,", "  0.1,", "  null,", "  null", " ]", "}", ""]
    assert canonical_json(value) == "\n".join(lines)
    assert canonical_json(np.array([1, 2])) == "[\n 1,\n 2\n]\n"


def test_what_json_cannot_hold_is_refused():
    with pytest.raises(TypeError, match="set"):
        canonical_json({"a": {1, 2}})


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path):
    target = tmp_path / "deep" / "x.json"
    write_json([1], target)

    def fail(path):
        path.write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_atomically(target, fail)
    assert target.read_text() == "[\n 1\n]\n"
    assert [path.name for path in target.parent.iterdir()] == ["x.json"]
