"""Raw files that cannot be used: each stops its dataset with one sentence that says where and what to do."""

import gzip
import io
from decimal import Decimal

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.cleaning import clean

HEAD = "id,t,y\n1,0,1\n"


def parquet(**columns) -> bytes:
    buffer = io.BytesIO()
    pl.DataFrame(columns).write_parquet(buffer)
    return buffer.getvalue()


def arrow(names: list[str], kind: pa.DataType) -> bytes:
    """A Parquet file that polars would not write: names twice, numbers of many digits."""
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_arrays([pa.array([Decimal(1)], kind) for _ in names], names=names), buffer)
    return buffer.getvalue()


TEXT = {
    "empty": ("", {}, "raw.csv is empty"),
    "white": (" \n\n\t\n", {}, "raw.csv is empty"),
    "bom only": (b"\xef\xbb\xbf", {}, "raw.csv is empty"),
    "no names": (",,\n1,0,1\n", {}, "row 1 of raw.csv names no column"),
    "header only": ("id,t,y\n", {}, "a header but no rows"),
    "no header": ("1,0,5\n1,1,2\n", {}, "has no columns 'id', 't', 'y'"),
    "preamble": ("Exported 2024\nid,t,y\n1,0,1\n", {}, "row 2 has more fields than the header"),
    "wrong separator": ("id;t;y\n1;0;1\n", {}, "is the `separator` ';'?"),
    "tabs": ("id\tt\ty\n1\t0\t1\n", {}, "is the `separator` '\\t'?"),
    "letter case": ("ID,t,y\n1,0,1\n", {}, "no column 'id', did you mean 'ID'?"),
    "name twice": ("id,t,y,y\n1,0,1,2\n", {}, "names 'y' twice: rename or remove"),
    "name twice with spaces": ("id,t,y, y\n1,0,1,2\n", {}, "names 'y' twice"),
    "unused name twice": ("id,t,y,z,z\n1,0,1,2,2\n", {}, "names 'z' twice"),
    "too many fields": (HEAD + "1,1,2,3\n", {}, "row 3 has more fields than the header"),
    "after two lines": ('id,t,y\n1,0,"1\n"\n1,1,2,3\n', {}, "row 3 has more fields"),
    "open quote": (HEAD + '1,1,"2\n', {}, "a quote is not closed"),
    "open header": ('id,t,"y\n' + "1,0,1\n" * 40_000, {}, "in row 1 a quote is not closed: it opens there"),
    "zero byte": (b"id,t,y\n1,0,1\0\n", {}, "is not a text file (a zero byte at 12)"),
    "binary": (bytes(range(256)) * 4, {}, "is not utf-8"),
    "latin-1": ("id,t,y\nJosé,0,1\n".encode("latin-1"), {}, "byte 10 of raw.csv, in line 2, is not utf-8"),
    "utf-16": (HEAD.encode("utf-16"), {}, "begins like UTF-16: set `encoding: utf-16`"),
    "utf-16 without mark": (HEAD.encode("utf-16-le"), {}, "set `encoding: utf-16`"),
    "not utf-16": (b"a", {"encoding": "utf-16"}, "is not utf-16"),
    "ascii": ("id,t,y\né,0,1\n", {"encoding": "ascii"}, "byte 7 of raw.csv, in line 2, is not ascii"),
    "cut gzip": (gzip.compress(HEAD.encode() * 99)[:-20], {}, "is damaged, its gzip packing breaks off"),
    "changed gzip": (b"\x1f\x8b\x08" + b"x" * 40, {}, "is damaged, its gzip packing breaks off"),
    "excel": (b"PK\x03\x04 ...", {}, "is a zip archive or an Excel workbook: save the sheet as CSV"),
    "old excel": (b"\xd0\xcf\x11\xe0 ...", {}, "is an old Excel workbook"),
    "packed excel": (gzip.compress(b"PK\x03\x04 ..."), {}, "an Excel workbook"),
    "xz": (b"\xfd7zXZ\0", {}, "packed with xz: unpack it"),
    "pdf": (b"%PDF-1.4", {}, "is a PDF: export the table as CSV"),
    "unit": (HEAD + "1,1,2 kg\n", {}, "'2 kg' in row 3: write the numbers without a unit"),
    "percent": (HEAD + "1,1,12%\n", {}, "'12%' in row 3: write the numbers without a unit"),
    "thousands": (HEAD + '1,1,"1,234.5"\n', {}, "'1,234.5' in row 3: separators of thousands are not read"),
    "thousands or decimal": (HEAD + '1,1,"1,234"\n', {}, "'1,234' in row 3: separators of thousands"),
    "thousands with space": (HEAD + "1,1,1 234\n", {}, "'1 234' in row 3: separators of thousands"),
    "thousands with quote": (HEAD + "1,1,1'234.5\n", {}, "in row 3: separators of thousands"),
    "thousands and comma": (
        "id;t;y\n1;0;1\n1;1;1.234,5\n",
        {"separator": ";", "decimal": ","},
        "'1.234,5' in row 3: separators of thousands",
    ),
    "decimal comma": (
        HEAD + '1,1,"2,5"\n',
        {},
        "'2,5' in row 3: if the comma is a decimal mark, set `decimal`",
    ),
    "decimal point": ("id;t;y\n1;0;1.5\n", {"separator": ";", "decimal": ","}, "'1.5' in row 2"),
    "infinity": (HEAD + "1,1,inf\n", {}, "'inf' in row 3"),
    "minus infinity": (HEAD + "1,1,-Infinity\n", {}, "'-Infinity' in row 3"),
    "overflow": (HEAD + "1,1,1e999\n", {}, "'1e999' in row 3"),
    "hexadecimal": (HEAD + "1,1,0x10\n", {}, "'0x10' in row 3"),
    "formula": (HEAD + "1,1,=A1+B2\n", {}, "'=A1+B2' in row 3"),
    "excel error": (HEAD + "1,1,#N/A\n", {}, "'#N/A' in row 3"),
    "word": (HEAD + "1,1,high\n", {}, "'high' in row 3: correct them, or name them under `missing`"),
    "visits by name": ("id,t,y\n1,Week 2,1\n1,Week 10,2\n", {}, "leave `time` out, write `occasion: t`"),
    "one time is a word": (
        HEAD + "1,na,1\n",
        {},
        "'na' in row 3: correct them, or name them under `missing`",
    ),
    "below detection": (HEAD + "1,1,<0.5\n", {}, "'<0.5' in row 3"),
    "range": (HEAD + "1,1,2-3\n", {}, "'2-3' in row 3"),
    "excel month": (HEAD + "1,1,3-Apr\n", {}, "'3-Apr' in row 3"),
    "full width digits": (HEAD + "1,1,１２\n", {}, "'１２' in row 3"),
    "many": (HEAD + "1,1,a\n" * 9, {}, "'a' in row 7 and 4 more"),
    "long": (HEAD + f"1,1,{'x' * 5000}\n", {}, "xxx...' in row 3"),
    "boolean": (HEAD + "1,1,true\n", {}, "'true' in row 3"),
    "mixed covariate": ("id,t,y,x\n1,0,1,4\n1,1,2,low\n", {"fixed": "x"}, "'low' in row 3: correct them"),
    "level": (
        "id,t,y,x\n1,0,1,a\n1,1,2,c\n",
        {"fixed": "x", "categories": {"x": ["a", "b"]}},
        "'c' in row 3 (listed: 'a', 'b')",
    ),
    "numbers as group": ("id,t,y,g\n1,0,1,1\n", {"group": "g"}, "group 'g' holds numbers: list its levels"),
    "no response": ("id,t,y\n1,0,NA\n1,1,\n", {}, "no row is left (read 2; dropped: 2 missing y)"),
    "no subject": ("id,t,y\n,0,1\n", {}, "no row is left (read 1; dropped: 1 missing id)"),
    "out of range": (HEAD, {"range": {"y": [5, 9]}}, "no row is left (read 1; dropped: 1 y out of range)"),
    "contradiction": (
        HEAD + "1,0,2\n",
        {},
        "one subject and time has contradicting rows (id 1 at t 0, rows 2, 3)",
    ),
    "dates": ("id,t,y\n1,2024-01-05,1\n", {}, "'2024-01-05' in row 2: for dates set `time_unit`"),
    "dates with points": ("id,t,y\n1,5.1.2024,1\n", {}, "for dates set `time_unit`"),
    "either day or month": (
        "id,t,y\n1,05/01/2024,1\n",
        {"time_unit": "days"},
        "day and month could be exchanged, such as '05/01/2024': set `date_format`",
    ),
    "two forms of date": (
        "id,t,y\n1,2024-01-05,1\n1,06.01.2024,2\n",
        {"time_unit": "days"},
        "not a date, or not written like the others: '06.01.2024' in row 3",
    ),
    "no such day": (
        "id,t,y\n1,2024-02-30,1\n1,2024-02-01,1\n",
        {"time_unit": "days"},
        "'2024-02-30' in row 2",
    ),
    "two digit year": ("id,t,y\n1,05.01.24,1\n", {"time_unit": "days"}, "'05.01.24' in row 2"),
    "number as date": ("id,t,y\n1,45000,1\n", {"time_unit": "days"}, "'45000' in row 2"),
    "other date format": (
        "id,t,y\n1,2024-01-05,1\n",
        {"time_unit": "days", "date_format": "%d/%m/%Y"},
        "not written as `date_format` '%d/%m/%Y' says: '2024-01-05' in row 2",
    ),
    "senseless date format": (
        "id,t,y\n1,2024-01-05,1\n",
        {"time_unit": "days", "date_format": "%Q%"},
        "row 2",
    ),
    "wide column": ("id,w0\n1,2\n", {"wide": {"w0": 0, "w4": 4}}, "has no column 'w4', did you mean 'w0'?"),
}
PARQUET = {
    "cut": (b"PAR1 no", {}, "not a readable Parquet file"),
    "cut within": (parquet(id=[1], t=[0], y=[1.0])[:-9], {}, "not a readable Parquet file"),
    "csv inside": (HEAD.encode(), {}, "not a readable Parquet file"),
    "infinite": (parquet(id=[1, 1], t=[0, 1], y=[1.0, float("inf")]), {}, "inf in row 3"),
    "nested": (parquet(id=[1], t=[0], y=[[1.0]]), {}, "column 'y' holds list values: store numbers or text"),
    "binary": (parquet(id=[b"\xff"], t=[0], y=[1.0]), {}, "column 'id' holds binary values"),
    "boolean": (parquet(id=[1], t=[0], y=[True]), {}, "column 'y' holds what is not a number"),
    "all null": (parquet(id=[1], t=[0], y=[None]), {}, "no row is left (read 1; dropped: 1 missing y)"),
    "names": (parquet(**{"id": [1], "t": [0], "y": [1.0], " y": [2.0]}), {}, "names 'y' twice"),
    "a column twice": (
        arrow(["id", "t", "y", "y"], pa.decimal128(9, 1)),
        {},
        "the header of raw.parquet names 'y' twice: rename",
    ),
    "decimal of 50 digits": (
        arrow(["id", "t", "y"], pa.decimal256(50, 3)),
        {},
        "column 'id' of raw.parquet holds decimal numbers of 50 digits",
    ),
    "number as date": (parquet(id=[1], t=[0], y=[1.0]), {"time_unit": "days"}, "holds numbers, no dates"),
    "no rows": (parquet(id=[], t=[], y=[]), {}, "no rows"),
}


@pytest.mark.parametrize("name", TEXT)
def test_text_files(tmp_path, name):
    content, keys, words = TEXT[name]
    refused(tmp_path, content, keys, words)


@pytest.mark.parametrize("name", PARQUET)
def test_parquet_files(tmp_path, name):
    content, keys, words = PARQUET[name]
    refused(tmp_path, content, {"path": "raw.parquet"} | keys, words)


def refused(folder, content, keys, words):
    audit, table = clean(folder, content, **keys)
    assert audit["status"] == "failed" and table.is_empty() and table.columns[:3] == ["id", "t", "y"]
    assert words in audit["message"]
    assert audit["message"].startswith("d was not analysed: ") and audit["message"].endswith(".")
    assert "\n" not in audit["message"] and len(audit["message"]) < 600


PIECES = st.sampled_from(
    [
        "id",
        "t",
        "y",
        ",",
        ",",
        "\n",
        "\n",
        "\r",
        '"',
        "1",
        "2.5",
        "-",
        "é",
        "\0",
        "\ufeff",
        " ",
        "2024-01-05",
        "NA",
    ]
)


@settings(max_examples=150, deadline=None)
@given(pieces=st.lists(PIECES, max_size=40), header=st.booleans(), dated=st.booleans())
def test_no_text_makes_cleaning_fail_in_a_way_of_its_own(tmp_path_factory, pieces, header, dated):
    text = ("id,t,y\n" if header else "") + "".join(pieces)
    keys = {"time_unit": "days"} if dated else {}
    audit, _ = clean(tmp_path_factory.mktemp("any"), text, **keys)
    assert audit["status"] in ("ok", "failed") and "\n" not in audit["message"]


@settings(max_examples=60, deadline=None)
@given(content=st.binary(max_size=80), kind=st.sampled_from(["csv", "parquet", "tsv"]), packed=st.booleans())
def test_no_bytes_make_cleaning_fail_in_a_way_of_its_own(tmp_path_factory, content, kind, packed):
    content = gzip.compress(content) if packed else content
    audit, _ = clean(tmp_path_factory.mktemp("any"), content, path=f"raw.{kind}")
    assert audit["status"] == "failed"
