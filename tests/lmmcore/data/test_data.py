"""Rows from frames and files -> columns: the same from every library, nothing lost in silence."""

import datetime as dt

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lmmcore as lmm
from lmmcore.data.table import Factor, interaction, read, to_frame
from lmmcore.errors import DataError
from lmmcore.formula import levels as levels_module

LIBRARIES = {
    "polars": lambda frame: frame,
    "polars lazy": lambda frame: frame.lazy(),
    "pandas": lambda frame: frame.to_pandas(),
    "pandas with pyarrow types": lambda frame: frame.to_pandas(use_pyarrow_extension_array=True),
    "pandas with objects": lambda frame: pd.DataFrame(
        {name: frame[name].to_list() for name in frame.columns}
    ).astype({name: object for name in frame.columns if frame[name].dtype in (pl.String, pl.Boolean)}),
    "pyarrow": lambda frame: frame.to_arrow(),
    "mapping": lambda frame: frame.to_dict(as_series=False),
}
every_library = pytest.mark.parametrize("library", LIBRARIES)


def texts(factor: Factor) -> list[str]:
    """Level of each row."""
    return [factor.levels[code] for code in factor.codes]


@every_library
def test_the_library_makes_no_difference(library):
    frame = pl.DataFrame(
        {
            "y": [1.5, 2.5, None, 4.5, 5.5, 6.5],
            "k": [3, 1, 2, None, 5, 6],
            "arm": ["b", "a", "c", "b", None, "é"],
            "flag": [True, False, True, True, False, None],
            "id": [10, 9, 9, 10, 10, 9],
            "unused": [None] * 6,
        }
    )
    table = read(LIBRARIES[library](frame), ["y", "k", "arm"], ["id"])
    assert table.dropped == {"missing y": 1, "missing k": 1, "missing arm": 1}
    assert (table.n, table.rows_read, table.kept.tolist()) == (3, 6, [0, 1, 5])
    assert table.columns["y"].tolist() == [1.5, 2.5, 6.5] and table.columns["y"].dtype == np.float64
    assert table.columns["k"].tolist() == [3, 1, 6] and table.columns["k"].dtype == np.float64
    assert table.columns["arm"].levels == ("a", "b", "é")
    assert texts(table.columns["arm"]) == ["b", "a", "é"]
    assert table.columns["id"].levels == ("9", "10")
    assert texts(table.columns["id"]) == ["10", "9", "9"]
    flag = read(LIBRARIES[library](frame), ["flag"]).columns["flag"]
    assert flag.levels == ("False", "True")
    assert texts(flag) == ["True", "False", "True", "True", "False"]


@every_library
def test_missing_values_in_a_grouping_column_are_dropped(library):
    frame = pl.DataFrame({"y": [1.0, 2.0, None], "id": [2, None, None], "site": ["07", "7", None]})
    table = read(LIBRARIES[library](frame), ["y"], ["id", "site"])
    assert table.dropped == {"missing y": 1, "missing id": 1}
    assert texts(table.columns["id"]) == ["2"]
    assert texts(table.columns["site"]) == ["07"]


@pytest.mark.parametrize("library", ["polars", "pandas", "pyarrow", "mapping"])
def test_many_rows_and_few_rows_are_encoded_alike(library, monkeypatch):
    rng = np.random.default_rng(3)
    values = [None if draw == 9 else f"s{draw:02d}" for draw in rng.integers(0, 40, 500).tolist()]
    source = LIBRARIES[library](pl.DataFrame({"id": values}))
    few = read(source, [], ["id"]).columns["id"]
    monkeypatch.setattr(levels_module, "FEW", 0)
    many = read(source, [], ["id"]).columns["id"]
    assert texts(few) == texts(many) == [value for value in values if value is not None]
    assert few.levels == many.levels == tuple(sorted({value for value in values if value is not None}))


@pytest.mark.parametrize("library", ["polars", "pandas", "pyarrow"])
def test_nan_is_missing(library):
    frame = pl.DataFrame({"y": [1.0, float("nan"), 3.0], "id": [1.0, 2.0, float("nan")]})
    table = read(LIBRARIES[library](frame), ["y"], ["id"])
    assert table.dropped == {"missing y": 1, "missing id": 1}
    assert table.columns["id"].levels == ("1",)


def test_all_rows_used_means_no_positions_and_no_copy():
    values = np.arange(4.0)
    for source in (pl.DataFrame({"y": values}), pd.DataFrame({"y": values}), pa.table({"y": values})):
        table = read(source, ["y"])
        assert table.kept is None and table.dropped == {}
        assert table.columns["y"].tolist() == [0, 1, 2, 3]
    frame = pl.DataFrame({"y": values})
    assert np.shares_memory(read(frame, ["y"]).columns["y"], frame["y"].to_numpy())


@pytest.mark.parametrize(
    ("values", "levels"),
    [
        ([2, 10, 1], ("1", "2", "10")),
        ([-5, 10**15, 3], ("-5", "3", str(10**15))),
        ([2**63 - 1, 2**63 - 2, 0], ("0", str(2**63 - 2), str(2**63 - 1))),
        ([2.0, 10.0, 1.5], ("1.5", "2", "10")),
        (["2", "10", "02"], ("02", "10", "2")),
        ([True, False, True], ("False", "True")),
        ([dt.date(2021, 2, 1), dt.date(2020, 1, 1), dt.date(2021, 2, 1)], ("2020-01-01", "2021-02-01")),
    ],
)
@pytest.mark.parametrize("library", ["polars", "pandas", "pyarrow"])
def test_any_type_groups(library, values, levels):
    frame = pl.DataFrame({"g": values})
    factor = read(LIBRARIES[library](frame), [], ["g"]).columns["g"]
    assert factor.levels[: len(levels)] == tuple(level for level in factor.levels)
    assert [text.removesuffix(" 00:00:00") for text in factor.levels] == list(levels)
    assert factor.codes.tolist() == [sorted(set(values)).index(value) for value in values]


def test_declared_orders():
    order = ["low", "mid", "high", "never"]
    enum = pl.DataFrame({"a": pl.Series(["high", "low", "mid"], dtype=pl.Enum(order))})
    ordered = pd.DataFrame({"a": pd.Categorical(["high", "low", "mid"], order, ordered=True)})
    arrow = pa.DictionaryArray.from_arrays(pa.array([2, 0, 1]), pa.array(order), ordered=True)
    plain = pd.DataFrame({"a": pd.Categorical(["high", "low", "mid"], order)})  # what R calls a factor
    for source in (enum, ordered, plain, pa.table({"a": arrow})):
        factor = read(source, ["a"]).columns["a"]
        assert factor.levels == ("low", "mid", "high")
        assert texts(factor) == ["high", "low", "mid"]
    unordered = [
        enum.cast(pl.Categorical),
        pa.table({"a": pa.array(["high", "low", "mid"]).dictionary_encode()}),
    ]
    for source in unordered:
        factor = read(source, ["a"]).columns["a"]
        assert factor.levels == ("high", "low", "mid")
        assert texts(factor) == ["high", "low", "mid"]


def test_the_first_category_of_pandas_is_the_reference():
    """As the first level of a factor is in R; a category that pandas made of text is sorted."""
    y = [1.0, 2.0, 4.0, 8.0]
    arms = ["placebo", "active", "placebo", "active"]
    for ordered in (False, True):
        arm = pd.Categorical(arms, ["placebo", "active"], ordered=ordered)
        beta = lmm.fit("y ~ arm", pd.DataFrame({"y": y, "arm": arm})).beta
        assert beta == pytest.approx({"Intercept": 2.5, "arm[T.active]": 2.5})  # means 2.5 and 5
    found = lmm.fit("y ~ arm", pd.DataFrame({"y": y, "arm": pd.Series(arms).astype("category")})).beta
    assert found == pytest.approx({"Intercept": 5.0, "arm[T.placebo]": -2.5})


def test_levels_that_only_dropped_rows_had_are_gone():
    frame = pl.DataFrame({"y": [1.0, None, 3.0], "a": ["p", "q", "r"]})
    assert read(frame, ["y", "a"]).columns["a"].levels == ("p", "r")


@every_library
def test_given_categories(library):
    frame = pl.DataFrame({"dose": [10, 0, 5, 0], "arm": ["b", "a", "b", "c"]})
    categories = {"dose": [5, 0, 10, 99], "arm": ["c", "b", "a"]}
    table = read(LIBRARIES[library](frame), ["dose", "arm"], categories=categories)
    assert table.columns["dose"].levels == ("5", "0", "10")
    assert texts(table.columns["dose"]) == ["10", "0", "5", "0"]
    assert table.columns["arm"].levels == ("c", "b", "a")
    with pytest.raises(DataError, match="'arm' has the level 'c', but its known levels are 'a', 'b'"):
        read(LIBRARIES[library](frame), ["arm"], categories={"arm": ["a", "b"]})


def test_a_number_that_also_groups_is_both():
    table = read({"y": [1.0, 2.0], "visit": [2, 1]}, ["y", "visit"], ["visit"])
    assert table.columns["visit"].tolist() == [2, 1]
    assert table.groups["visit"].levels == ("1", "2")


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ({"y": [1.0, np.inf]}, "'y' is infinite in row 2"),
        ({"y": [1.0, -np.inf, np.nan]}, "'y' is infinite in row 2"),
        ({"Y1": [1.0]}, "no column 'y'; did you mean|no column 'y'; the columns are Y1"),
        ({"yy": [1.0]}, "no column 'y'; did you mean 'yy'?"),
        ({"y": [None, np.nan]}, "No row is left of 2: missing y in 2"),
        ({"y": []}, "No row is left of 0"),
        ({"y": [dt.date(2020, 1, 1)]}, "convert it to a number first, e.g. days since the start"),
        ({"y": [dt.datetime(2020, 1, 1)]}, "convert it to a number first"),
        ({"y": [dt.timedelta(1)]}, "convert it to a number first"),
        ({"y": [[1, 2]]}, "holds List"),
        ({"y": [1, "a"]}, "do not make a table|needs numbers"),
        ({"y": [1.0], "z": [1.0, 2.0]}, None),
        (pd.DataFrame({"y": [1, "a"]}), "holds int and str values"),
        (pd.DataFrame({"y": [dt.date(2020, 1, 1), None]}), "convert it to a number first"),
        (pd.DataFrame([[1, 2]], columns=["y", "y"]), "same name"),
        (pl.Series("y", [1.0]), "single column|must be a frame"),
        (np.ones(3), "'ndarray', but must be a frame"),
        (None, "must be a frame"),
        ("no such file.csv", "no file 'no such file.csv'"),
    ],
)
def test_refusals(source, said):
    if said is None:
        assert read(source, ["y"]).n == 1
        return
    with pytest.raises(DataError) as refused:
        read(source, ["y"])
    assert any(part in str(refused.value) for part in said.split("|"))


def test_refused_categories():
    for wrong in ([], ["a", "a"]):
        with pytest.raises(DataError, match="empty or name a level twice"):
            read({"a": ["a"]}, ["a"], categories={"a": wrong})
    with pytest.raises(DataError, match="no column 'amr'; did you mean 'arm'"):
        read({"arm": ["a"]}, ["arm"], categories={"amr": ["a"]})


def test_python_numbers_in_objects():
    from decimal import Decimal

    table = read(pd.DataFrame({"y": [Decimal("1.5"), None, 2]}, dtype=object), ["y"])
    assert table.columns["y"].tolist() == [1.5, 2.0] and table.dropped == {"missing y": 1}
    with pytest.raises(DataError, match="infinite in row 1"):
        read(pd.DataFrame({"y": [float("inf"), None, 2]}, dtype=object), ["y"])


def test_files(tmp_path):
    rows = ["y,id,site,arm,later"] + [
        f"{i},{i % 12:02d},{i % 12},p{i % 2},{'x' if i > 200 else 1}" for i in range(300)
    ]
    rows[3] = "NA,02,2,p0,1"
    rows[4] = "3.5,03,3,,1"
    csv = tmp_path / "rows.csv"
    csv.write_text("\n".join(rows), "utf-8")
    table = read(csv, ["y", "arm"], ["id", "site"])
    assert table.dropped == {"missing y": 1, "missing arm": 1}
    assert table.columns["id"].levels == tuple(f"{i:02d}" for i in range(12))
    assert table.columns["site"].levels == tuple(map(str, range(12)))
    assert read(str(csv), ["later"]).columns["later"].levels == ("1", "x")
    frame = pl.DataFrame({"y": [1.0, 2.0], "id": [3, 4]})
    frame.write_parquet(tmp_path / "rows.parquet")
    table = read(tmp_path / "rows.parquet", ["y"], ["id"])
    assert table.columns["y"].tolist() == [1, 2] and table.columns["id"].levels == ("3", "4")
    assert isinstance(to_frame({"a": [1]}, table.backend), pl.DataFrame)


@pytest.mark.parametrize("name", ["empty.csv", "broken.parquet", "rows.xlsx"])
def test_unreadable_files(tmp_path, name):
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(DataError, match=name):
        read(tmp_path / name, ["y"])
    with pytest.raises(DataError, match="no file"):
        read(tmp_path, ["y"])


def test_interaction():
    a = Factor(np.array([1, 0, 1, 1]), ("p", "q"))
    b = Factor(np.array([0, 2, 2, 0]), ("x", "y", "z"))
    c = Factor(np.array([0, 0, 0, 1]), ("1", "2"))
    both = interaction([a, b])
    assert both.levels == ("p:z", "q:x", "q:z") and both.codes.tolist() == [1, 0, 2, 1]
    all_three = interaction([a, b, c])
    assert all_three.levels == ("p:z:1", "q:x:1", "q:x:2", "q:z:1") and all_three.codes.tolist() == [
        1,
        0,
        3,
        2,
    ]
    assert interaction([a]).levels == a.levels
    with pytest.raises(DataError, match="both written 'a:b:c'"):
        interaction([Factor(np.array([0, 1]), ("a", "a:b")), Factor(np.array([0, 1]), ("b:c", "c"))])


@given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 3)), min_size=1, max_size=50))
@settings(deadline=None)
def test_interaction_keeps_every_row(pairs):
    frame = {"a": [a for a, _ in pairs], "b": [b for _, b in pairs]}
    table = read(frame, [], ["a", "b"])
    both = interaction([table.columns["a"], table.columns["b"]])
    assert texts(both) == [f"{a}:{b}" for a, b in pairs]
    assert list(both.levels) == [f"{a}:{b}" for a, b in sorted(set(pairs))]


@pytest.mark.parametrize(("source", "kind"), [
    (pl.DataFrame({"y": [1.0]}), pl.DataFrame), (pl.LazyFrame({"y": [1.0]}), pl.DataFrame),
    (pd.DataFrame({"y": [1.0]}), pd.DataFrame), (pa.table({"y": [1.0]}), pa.Table),
    ({"y": [1.0]}, pl.DataFrame),
])  # fmt: skip
def test_results_come_back_in_the_library_of_the_data(source, kind):
    columns = {"term": np.array(["a", "b"], dtype=object), "p": np.array([0.5, np.nan]), "group": ["g", None]}
    made = to_frame(columns, read(source, ["y"]).backend)
    assert isinstance(made, kind)
    back = pl.DataFrame(made) if not isinstance(made, pa.Table) else pl.from_arrow(made)
    assert back["term"].to_list() == ["a", "b"] and back["group"].to_list() == ["g", None]
    assert back["term"].dtype == pl.String and back["p"].dtype == pl.Float64
