"""What `lmm verify` takes for the same: numbers but for rounding, everything else to the letter."""

import json
import math

import pytest

from lmmstudy.base.files import write_page, write_result
from lmmstudy.run.differences import differences


def found(folder, suffix, old, new):
    for name, text in (("old", old), ("new", new)):
        (folder / f"{name}{suffix}").write_text(text, "utf-8")
    return differences(folder / f"old{suffix}", folder / f"new{suffix}")


ROW = {"estimate": 251.4, "p_value": 0.0123, "n": 18, "term": "x", "list": [1.0, 2.5], "evaluations": 9}


@pytest.mark.parametrize(
    ("changed", "rounding"),
    [
        ({"estimate": 251.4 * (1 + 1e-9)}, True),
        ({"estimate": 251.4 * (1 + 1e-5)}, False),
        ({"estimate": -251.4}, False),
        ({"estimate": None}, False),
        ({"estimate": 251}, False),
        ({"p_value": 0.0123 + 1e-11}, True),
        ({"p_value": 0.0124}, False),
        ({"n": 19}, False),
        ({"term": "z"}, False),
        ({"term": "x2"}, False),
        ({"list": [1.0, 2.5 + 1e-12]}, True),
        ({"list": [1.0]}, False),
        ({"list": [2.5, 1.0]}, False),
        ({"more": 1.0}, False),
    ],
)
def test_numbers_of_a_record(tmp_path, changed, rounding):
    ours, theirs = (json.dumps({"rows": [row]}) for row in (ROW, ROW | changed))
    said = found(tmp_path, ".json", ours, theirs)
    assert said and all(one.rounding for one in said) == rounding
    if rounding:
        (one,) = said
        assert one.size < 1e-6 and next(iter(changed)) in one.where


def test_a_number_that_is_zero_but_for_rounding(tmp_path):
    """It has no digits of its own: the numbers beside it say what is small."""
    ours, theirs = ({"correlation": value, "sd": 24.7} for value in (3e-16, -7e-15))
    (one,) = found(tmp_path, ".json", json.dumps(ours), json.dumps(theirs))
    assert one.rounding and one.where == "correlation" and one.size == pytest.approx(7.3e-15 / 24.7)
    alone = [json.dumps({"value": value}) for value in (3e-16, -7e-15)]
    assert not found(tmp_path, ".json", *alone)[0].rounding


def test_how_long_the_search_took_is_no_result(tmp_path):
    ours, theirs = (
        json.dumps(ROW | {"evaluations": n, "p_value": p}) for n, p in ((9, 0.5), (11, 0.5 + 1e-12))
    )
    (one,) = found(tmp_path, ".json", ours, theirs)
    assert one.where == "p_value" and one.rounding
    ours, theirs = (
        json.dumps({"a": a, "tables_sha256": {"x.csv": b}}) for a, b in ((1.5, "1f"), (1.5 + 1e-12, "2e"))
    )
    (one,) = found(tmp_path, ".json", ours, theirs)
    assert one.where == "a" and one.rounding
    ours, theirs = (f"<dt>Evaluations</dt><dd>{n}</dd><p>{y}</p>" for n, y in ((9, "0.1"), (11, "0.2")))
    (one,) = found(tmp_path, ".html", ours, theirs)
    assert one.old == "0.1"


@pytest.mark.parametrize(
    ("old", "new", "rounding"),
    [
        ("0.1234", "0.1235", True),  # between the two lies what was rounded
        ("0.1234", "0.1236", False),
        ("1,234.5", "1,234.6", True),
        ("\u22120.51", "\u22120.52", True),
        ("0.0001", "\u22120.0001", False),
        ("18", "19", False),
        ("12", "11.9", True),
        ("12", "11.7", False),
        ("2 of 9 rows", "3 of 9 rows", False),
        ("p = 0.04", "p < 0.04", False),
        ("selected: a", "selected: b", False),
        ("1.5e-10", "1.6e-10", True),
        ("1.5e-10", "1.5e-11", False),
    ],
)
def test_numbers_of_a_page(tmp_path, old, new, rounding):
    ours, theirs = (f"<p>Days: {text}</p><p>3.25</p>" for text in (old, new))
    said = found(tmp_path, ".html", ours, theirs)
    assert said and all(one.rounding for one in said) == rounding


def test_columns_of_a_table(tmp_path):
    """A residual of 0 is as exact as the largest of its column."""
    head = "subject,residual\n"
    (one,) = found(tmp_path, ".csv", f"{head}1,2e-16\n2,1.5\n", f"{head}1,-1e-15\n2,1.5\n")
    assert one.rounding and one.where == "residual, row 1"
    assert not found(tmp_path, ".csv", f"{head}1,0.2\n2,1.5\n", f"{head}1,0.3001\n2,1.5\n")[0].rounding
    assert not found(tmp_path, ".csv", f"{head}1,0.25\n", f"{head}7,0.25\n")[0].rounding
    assert not found(tmp_path, ".csv", f"{head}1,0.25\n", head)[0].rounding


@pytest.mark.parametrize(("suffix", "new"), [(".json", "{"), (".parquet", "x"), (".json", ""), (".csv", "")])
def test_a_damaged_file_is_another(tmp_path, suffix, new):
    (one,) = found(tmp_path, suffix, '{"a": 1.5}', new)
    assert not one.rounding and one.size == math.inf


def test_the_checksum_of_a_result_follows_from_the_rest(tmp_path):
    for name, value in (("old", 1.5), ("new", 1.5 + 1e-12)):
        write_result({"a": value}, tmp_path / f"{name}.json")
        write_page(f"<p>1.50 of {value:.15f}</p>", tmp_path / f"{name}.html", "x")
    for suffix in (".json", ".html"):
        (one,) = differences(tmp_path / f"old{suffix}", tmp_path / f"new{suffix}")
        assert one.rounding
    text = (tmp_path / "new.json").read_text("utf-8")
    (one,) = found(tmp_path, ".json", (tmp_path / "old.json").read_text("utf-8"), text.replace("1.5", "1.6"))
    assert one.where == "its content" and not one.rounding  # changed after it was written


def test_equal_files_have_no_difference(tmp_path):
    assert not found(tmp_path, ".json", "{", "{")
