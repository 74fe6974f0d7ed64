"""Cleaning, on small dirty files whose outcome is worked out by hand beside each of them."""

import io

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.cleaning import STANZA, clean, run


def test_tidy_file_is_sorted_and_nothing_else(tmp_path):
    audit, table = clean(tmp_path, "id,t,y\n10,1,5.5\n2,1,4\n2,0,3\n")
    assert table.rows() == [(2, 0.0, 3.0), (2, 1.0, 4.0), (10, 1.0, 5.5)]
    assert audit["status"] == "ok" and audit["message"] == ""
    assert audit["rows"] == {"read": 3, "used": 3, "dropped": {}}
    assert audit["subjects"] == {"read": 2, "used": 2}
    assert audit["coercions"] == []
    assert audit["visits"] == {
        "times": [0.0, 1.0],
        "per_subject": {"min": 1, "median": 1.5, "max": 2},
        "patterns": [{"visits": [1, 1], "subjects": 1}, {"visits": [0, 1], "subjects": 1}],
    }
    assert audit["attrition"][1] == {
        "time": 1.0, "group": "all", "subjects": 2, "mean": 4.75, "min": 4.0, "max": 5.5,
        "sd": pytest.approx(1.0606601717798212),  # sqrt(2) * 0.75
    }  # fmt: skip
    assert audit["attrition"][0]["sd"] is None


def test_missing_values_count_once_under_the_first_reason(tmp_path):
    audit, table = clean(
        tmp_path,
        "id,t,y,x\n1,0,1,2\n,0,1,2\n2,NA,,2\n2,1,.,2\n2,2,-99,unknown\n2,3,4,unknown\n\n3,0,7,1\n",
        fixed="t + x",
        missing=[-99, "unknown"],
    )
    assert audit["rows"]["dropped"] == {
        "empty row": 1, "missing id": 1, "missing t": 1, "missing y": 2, "missing x": 1,
    }  # fmt: skip
    assert table.rows() == [(1, 0.0, 1.0, 2.0), (3, 0.0, 7.0, 1.0)]
    found = {(c["column"], c["kind"]): (c["count"], c["examples"]) for c in audit["coercions"]}
    assert found == {
        ("t", "missing code"): (1, ["NA"]),
        ("y", "missing code"): (2, [".", "-99"]),
        ("x", "missing code"): (2, ["unknown"]),
    }
    assert audit["subjects"] == {"read": 3, "used": 2}


def test_numeric_missing_code_matches_every_spelling_but_not_the_subject(tmp_path):
    audit, table = clean(tmp_path, "id,t,y\n999,0,1\n999,1,999.0\n999,2,9.99e2\n", missing=[999])
    assert table.rows() == [(999, 0.0, 1.0)]
    assert audit["rows"]["dropped"] == {"missing y": 2}


def test_decimal_commas_semicolons_spaces_and_letter_case(tmp_path):
    audit, table = clean(
        tmp_path,
        "id ; t;y;arm\nP1;0;1,5;placebo\n P1;1;2.5;Active \nP2;0;,5;active\n",
        separator=";",
        decimal="both",
        fixed="t * arm",
        categories={"arm": ["placebo", "active"]},
    )
    assert table.rows() == [
        ("P1", 0.0, 1.5, "placebo"), ("P1", 1.0, 2.5, "active"), ("P2", 0.0, 0.5, "active"),
    ]  # fmt: skip
    found = {(c["column"], c["kind"]): c["count"] for c in audit["coercions"]}
    assert found == {
        ("id", "stray spaces"): 1,
        ("y", "decimal comma"): 2,
        ("arm", "stray spaces"): 1,
        ("arm", "letter case"): 1,
    }


@pytest.mark.parametrize(
    ("decimal", "value"), [(".", "1,5"), (",", "1.5"), (",", "1.234,5"), ("both", "1,234.5")]
)
def test_other_decimal_marks_and_thousands_are_refused(tmp_path, decimal, value):
    audit, table = clean(tmp_path, f"id;t;y\n1;0;{value}\n1;1;2\n", separator=";", decimal=decimal)
    assert audit["status"] == "failed" and table.is_empty()
    assert f"'{value}' in row 2" in audit["message"]
    assert audit["rows"]["dropped"] == {"the dataset cannot be used": 2}


def test_text_among_numbers_is_not_taken_for_a_category(tmp_path):
    audit, _ = clean(tmp_path, "id,t,y,age\n1,0,1,40\n2,0,2,unknwn\n", fixed="t + age")
    assert audit["status"] == "failed"
    assert "'unknwn' in row 3" in audit["message"] and "`missing`" in audit["message"]


def test_range_drops_and_lists_both_ends_allowed(tmp_path):
    audit, table = clean(tmp_path, "id,t,y\n1,0,0\n1,1,100\n1,2,100.1\n1,3,-1\n", range={"y": [0, 100]})
    assert table["y"].to_list() == [0.0, 100.0]
    assert audit["rows"]["dropped"] == {"y out of range": 2}
    assert audit["out_of_range"] == [
        {"column": "y", "row": 4, "value": 100.1, "allowed": [0, 100]},
        {"column": "y", "row": 5, "value": -1.0, "allowed": [0, 100]},
    ]


# Subject 1, time 0: rows 2 and 3 are identical, row 4 contradicts. Time 1: 5 and 6 contradict.
DUPLICATES = "id,t,y\n1,0,5\n1,0,5\n1,0,8\n1,1,2\n1,1,4\n2,0,9\n"


@pytest.mark.parametrize(
    ("policy", "expected", "reason", "rows"),
    [
        ("first", [5.0, 2.0, 9.0], "conflicting duplicate", 2),
        ("last", [8.0, 4.0, 9.0], "conflicting duplicate", 2),
        ("drop", [9.0], "conflicting duplicate", 4),
        ("mean", [6.5, 3.0, 9.0], "duplicate averaged into another row", 2),
    ],
)
def test_duplicate_policies(tmp_path, policy, expected, reason, rows):
    audit, table = clean(tmp_path, DUPLICATES, duplicates=policy)
    assert table["y"].to_list() == expected
    assert audit["rows"]["dropped"] == {"identical duplicate": 1, reason: rows}
    assert audit["duplicates"] == {
        "policy": policy,
        "identical": [{"subject": 1, "time": 0.0, "rows": [2, 3]}],
        "conflicting": [
            {"subject": 1, "time": 0.0, "rows": [2, 4], "values": [5.0, 8.0]},
            {"subject": 1, "time": 1.0, "rows": [5, 6], "values": [2.0, 4.0]},
        ],
    }


def test_conflicting_duplicates_stop_by_default_and_are_listed(tmp_path):
    audit, table = clean(tmp_path, DUPLICATES)
    assert audit["status"] == "failed" and table.is_empty()
    assert table.columns == ["id", "t", "y"]
    assert "id 1 at t 0, rows 2, 4; id 1 at t 1, rows 5, 6" in audit["message"]
    assert audit["rows"]["dropped"] == {"identical duplicate": 1, "the dataset cannot be used": 5}
    assert len(audit["duplicates"]["conflicting"]) == 2


def test_mean_refuses_rows_that_differ_elsewhere(tmp_path):
    audit, _ = clean(tmp_path, "id,t,y,x\n1,0,5,1\n1,0,6,2\n1,1,5,1\n", fixed="x", duplicates="mean")
    assert audit["status"] == "failed" and "other columns differ" in audit["message"]


def test_a_duplicate_out_of_range_is_no_conflict(tmp_path):
    audit, table = clean(tmp_path, "id,t,y\n1,0,5\n1,0,500\n1,1,6\n", range={"y": [0, 10]})
    assert audit["status"] == "ok" and table["y"].to_list() == [5.0, 6.0]


def test_numbers_listed_as_categories_are_text(tmp_path):
    audit, table = clean(
        tmp_path, "id,t,y,diet\n1,0,1,2\n2,0,2,1\n", fixed="diet", categories={"diet": [2, 1]},
        group="diet",
    )  # fmt: skip
    assert table["diet"].to_list() == ["2", "1"]
    assert [(a["group"], a["subjects"]) for a in audit["attrition"]] == [("1", 1), ("2", 1)]
    assert audit["columns"][3]["levels"] == {"1": 1, "2": 1}


def test_value_outside_the_listed_categories_stops(tmp_path):
    audit, _ = clean(tmp_path, "id,t,y,arm\n1,0,1,a\n2,0,2,c\n", fixed="arm", categories={"arm": ["a", "b"]})
    assert audit["status"] == "failed" and "'c' in row 3 (listed: 'a', 'b')" in audit["message"]


def test_leading_zeros_of_subjects_are_kept(tmp_path):
    _, table = clean(tmp_path, "id,t,y\n07,0,1\n7,0,2\n")
    assert table["id"].to_list() == ["07", "7"]


def test_parquet_with_nan_null_and_categories(tmp_path):
    frame = pl.DataFrame(
        {
            "id": [1.0, 1.0, 2.0, 2.0],
            "t": [0, 1, 0, 1],
            "y": [1.5, float("nan"), None, 4.0],
            "sex": pl.Series(["f", "f", "m", "m"], dtype=pl.Categorical),
        }
    )
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    audit, table = clean(tmp_path, buffer.getvalue(), path="raw.parquet", fixed="t + sex")
    assert table.rows() == [(1, 0.0, 1.5, "f"), (2, 1.0, 4.0, "m")]
    assert audit["rows"]["dropped"] == {"missing y": 2}
    assert audit["source"]["format"] == "parquet" and audit["source"]["separator"] is None


def test_tab_separated_latin1_and_old_line_ends(tmp_path):
    content = "id\tt\ty\rMüller\t0\t1\rMüller\t1\t2\r".encode("latin-1")
    audit, table = clean(tmp_path, content, path="raw.tsv", encoding="latin-1")
    assert table["id"].to_list() == ["Müller", "Müller"]
    assert audit["source"]["separator"] == "\t"
    audit, _ = clean(tmp_path, content, path="raw.tsv")
    assert audit["status"] == "failed" and "is not utf-8" in audit["message"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "is empty"),
        ("id,t,y\n", "a header but no rows"),
        ("id;t;y\n1;0;1\n", "is the `separator` ';'?"),
        ("id,t,Y\n1,0,1\n", "no column 'y', did you mean 'Y'?"),
        ("id,t,y,y\n1,0,1,2\n", "names 'y' twice"),
        ("id,t,y\n1,0,1\n1,1,2,3\n", "row 3 has more fields than the header"),
        ('id,t,y\n1,0,"1\n', "a quote is not closed"),
        ("id,t,y\n1,2024-01-05,1\n", "'2024-01-05' in row 2"),
        ("id,t,y\n1,0,inf\n", "'inf' in row 2"),
        ("id,t,y\n1,0,NA\n2,0,NA\n", "no row is left (read 2; dropped: 2 missing y)"),
    ],
)
def test_unusable_files_fail_with_one_sentence(tmp_path, content, words):
    audit, table = clean(tmp_path, content)
    assert audit["status"] == "failed" and table.columns == ["id", "t", "y"] and table.is_empty()
    assert words in audit["message"] and "\n" not in audit["message"]
    assert audit["message"].startswith("d was not analysed: ")


def test_missing_file_and_folder_in_its_place(tmp_path):
    audit, table = run(tmp_path, None, STANZA)
    assert audit["status"] == "failed" and "there is no file raw.csv" in audit["message"]
    assert table.columns == ["id", "t", "y"] and audit["source"]["sha256"] is None
    audit, _ = run(tmp_path, tmp_path, STANZA)
    assert "cannot be read" in audit["message"]


def test_broken_parquet(tmp_path):
    audit, _ = clean(tmp_path, b"PAR1 no", path="raw.parquet")
    assert "not a readable Parquet file" in audit["message"]


def test_dates_in_parquet_are_refused_by_name(tmp_path):
    buffer = io.BytesIO()
    frame = pl.DataFrame({"id": ["a"], "t": ["2024-01-05"], "y": [1.0]})
    frame.with_columns(pl.col("t").str.to_date()).write_parquet(buffer)
    audit, _ = clean(tmp_path, buffer.getvalue(), path="raw.parquet")
    assert "column 't' holds date values" in audit["message"]


def test_equal_runs_give_equal_bytes(tmp_path):
    outputs = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        clean(tmp_path / name, DUPLICATES, duplicates="last")
        outputs.append([(tmp_path / name / f).read_bytes() for f in ("clean.json", "clean.parquet")])
    assert outputs[0] == outputs[1]


FIELD = st.sampled_from(["", "NA", "0", "1", "1.5", " 2 ", "-99", "x", "1e3"])


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(st.tuples(FIELD, FIELD, FIELD), max_size=12),
    policy=st.sampled_from(["error", "mean", "drop"]),
)
def test_every_row_is_accounted_for(tmp_path_factory, rows, policy):
    folder = tmp_path_factory.mktemp("rows")
    text = "id,t,y\n" + "".join(",".join(row) + "\n" for row in rows)
    audit, table = clean(folder, text, missing=[-99], duplicates=policy)  # asserts the balance
    assert audit["rows"]["read"] == len(rows)
    assert table.select(pl.struct("id", "t").is_duplicated().any()).item() in (False, None)
    assert sum(table.null_count().row(0)) == 0
