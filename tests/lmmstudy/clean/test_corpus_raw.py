"""More raw files as people send them: what is refused with which sentence, and what is read.

Beside the corpus of test_clean_refused, whose way of looking this file shares.
"""

import csv
import datetime
import gzip
import io

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_clean_refused import HEAD, parquet, refused

from lmmstudy.clean.read import Unusable, text_table
from tests.support.cleaning import clean

TWO = "1,0,1\n1,1,2\n"
PLAIN = f"id,t,y\n{TWO}"
DATED = {"time_unit": "days"}
NUMBER = "column 'y' holds what is not a number: {} in row 3"
DATE = "column 't' holds what is not a date, or not written like the others: {} in row 2"
WIDE = {"wide": {"w0": 0, "w4": 4}}

BOMB = gzip.compress(b"0" * 2**25) * 64
"""Two GiB in two MB."""

REFUSED = {
    "byte order mark and header": (b"\xef\xbb\xbfid,t,y", {}, "a header but no rows"),
    "empty first rows": (f"\n\n{PLAIN}", {}, "row 1 of raw.csv names no column: the names must stand in the"),
    "comment": (
        f"# made by hand\n{PLAIN}",
        {},
        "row 2 has more fields than the header: remove what stands above",
    ),
    "line for Excel": (f"sep=,\n{PLAIN}", {}, "row 2 has more fields than the header"),
    "separator at the end": (
        PLAIN.replace("1,2\n", "1,2,\n"),
        {},
        "row 3 has more fields than the header: put a",
    ),
    "units below the names": (
        "id,t,y\n,days,kg\n" + TWO,
        {},
        "column 't' holds what is not a number: 'days' in row 2",
    ),
    "currency": (HEAD + "1,1,$5\n", {}, NUMBER.format("'$5'")),
    "brackets for a minus": (HEAD + "1,1,(5)\n", {}, NUMBER.format("'(5)'")),
    "minus of typesetters": (HEAD + "1,1,\u22125\n", {}, NUMBER.format("'\u22125'")),
    "arabic digits": (HEAD + "1,1,\u0665\n", {}, NUMBER.format("'\u0665'")),
    "programmer's thousands": (HEAD + "1,1,1_000\n", {}, NUMBER.format("'1_000'")),
    "thousands with a hard space": (HEAD + "1,1,1\u00a0234\n", {}, "separators of thousands are not read"),
    "not a usual code": (
        HEAD + "1,1,na\n",
        {},
        NUMBER.format("'na'") + ": correct them, or name them under `missing`",
    ),
    "dash": (HEAD + "1,1,-\n", {}, NUMBER.format("'-'")),
    "star": (HEAD + "1,1,*\n", {}, NUMBER.format("'*'")),
    "None": (HEAD + "1,1,None\n", {}, NUMBER.format("'None'")),
    "endless time": ("id,t,y\n1,inf,1\n", {}, "column 't' holds what is not a number: 'inf' in row 2"),
    "beyond measure": (HEAD + "1,1,1e101\n", {}, NUMBER.format("'1e101'")),
    "text within a range": ("id,t,y\n1,0,a\n", {"range": {"y": [0, 1]}}, "'a' in row 2"),
    "quote within a number": (
        'id,t,y\n1,0,1"5\n1,1,2\n',
        {},
        "is not a proper table: a field has quotes and does not begin with one: put it in quotes, and those",
    ),
    "rows that quotes would join": (
        'id,t,y,note\n1,0,1,"6" pipe"\n1,1,2,"7" pipe"\n',
        {},
        'in row 2 there is text after a closing quote: write quotes within a field twice ("")',
    ),
    "two halves of a number": (
        'id,t,y\n1,0,1\n1,1,"1"5\n',
        {},
        "in row 3 there is text after a closing quote",
    ),
    "escaped as in C": ('id,t,y\n"a \\" b",0,1\n', {}, "in row 2 there is text after a closing quote"),
    "open to the end": (
        HEAD + '1,1,2\n"1,2,3\n1,3,4\n',
        {},
        "in row 4 a quote is not closed: it opens there",
    ),
    "another encoding than said": (
        "id,t,y\nJosé,0,1\n",
        {"encoding": "latin-1"},
        "raw.csv is utf-8 and not latin-1: remove `encoding`",
    ),
    "half a character by escape": (
        "id,t,y\n\\ud800,0,1\n",
        {"encoding": "unicode_escape"},
        "character 7 of raw.csv is half a character: correct `encoding`",
    ),
    "nothing but zeros, packed": (
        BOMB,
        {},
        "raw.csv unpacks to more than 200 times its size: that is no table",
    ),
    "R's own file": (gzip.compress(b"X\n\0\0\0\3"), {}, "raw.csv is an R file: export it as CSV"),
    "many levels": (
        "id,t,y,x\n1,0,1,z\n",
        {"fixed": "x", "categories": {"x": [f"level {k}" for k in range(200)]}},
        "'level 19' and 180 more)",
    ),
    "line of JSON": (
        '{"id":1,"t":0}\n{"id":2,"t":0}\n',
        {},
        "is not a proper table: in row 1 there is text after a closing quote",
    ),
    "web page": ("<html><td>id</td></html>", {}, "has no columns 'id', 't', 'y'"),
    "columns of fixed width": (
        "id t y\n1  0 1\n",
        {"separator": " "},
        "row 2 has more fields than the header",
    ),
    "bars": (PLAIN.replace(",", "|"), {}, "is the `separator` '|'?"),
    "not tabs": (PLAIN.replace(",", ";"), {"separator": "\t"}, "is the `separator` ';'?"),
    "byte order mark within": ("id,t,\ufeffy\n1,0,1\n", {}, "no column 'y', did you mean '\\ufeffy'?"),
    "letter nobody sees": ("id,t,y\u200b\n1,0,1\n", {}, "no column 'y', did you mean 'y\\u200b'?"),
    "header in latin-1": (
        "id,t,y,größe\n".encode("latin-1"),
        {},
        "byte 9 of raw.csv, in line 1, is not utf-8",
    ),
    "half a character": (
        b"id,t,y\n1,0,1\n\xed\xa0\x80,1,2\n",
        {},
        "byte 13 of raw.csv, in line 3, is not utf-8",
    ),
    "packed twice": (
        gzip.compress(gzip.compress(PLAIN.encode())),
        {},
        "byte 1 of raw.csv, in line 1, is not utf-8",
    ),
    "nothing packed": (gzip.compress(b""), {}, "raw.csv is empty"),
    "more after the packing": (
        gzip.compress(PLAIN.encode()) + b"more",
        {},
        "its gzip packing breaks off: copy it",
    ),
    "zeros": (b"\0" * 80, {}, "is not a text file (a zero byte at 0): export the table as CSV"),
    "database": (b"SQLite format 3\0" + b"\0" * 99, {}, "is not a text file (a zero byte at 15): export"),
    "utf-32": (PLAIN.encode("utf-32"), {}, "is UTF-32: set `encoding: utf-32`"),
    "parquet by another name": (parquet(id=[1], t=[0], y=[1.0]), {}, "is not utf-8"),
    "terminal codes in an id": (
        "id,t,y\n\x1b[31mx,0,1\n\x1b[31mx,0,2\n",
        {},
        "contradicting rows (id '\\x1b[31mx' at t 0, rows 2, 3)",
    ),
    "lines in an id": ('id,t,y\n"a\nb",0,1\n"a\nb",0,2\n', {}, "(id 'a\\nb' at t 0, rows 2, 3)"),
    "empty group": (
        "id,t,y,g\n1,0,1,\n1,1,2,\n",
        {"group": "g"},
        "no row is left (read 2; dropped: 2 missing g)",
    ),
    "empty covariate": (
        "id,t,y,x\n1,0,1,\n",
        {"fixed": "x"},
        "no row is left (read 1; dropped: 1 missing x)",
    ),
    "no dates": ("id,t,y\n1,NA,1\n", DATED, "no row is left (read 1; dropped: 1 missing t)"),
    "days of Excel": ("id,t,y\n1,45000,1\n", DATED, DATE.format("'45000'")),
    "time of day": ("id,t,y\n1,08:30,1\n", {"time_unit": "hours"}, DATE.format("'08:30'")),
    "month in words": ("id,t,y\n1,5 Jan 2024,1\n", DATED, DATE.format("'5 Jan 2024'")),
    "month alone": ("id,t,y\n1,2024-01,1\n", {"time_unit": "months"}, DATE.format("'2024-01'")),
    "month alone as a number": ("id,t,y\n1,2024-01,1\n", {}, "'2024-01' in row 2: for dates set `time_unit`"),
    "week": ("id,t,y\n1,2024-W05,1\n", DATED, DATE.format("'2024-W05'")),
    "morning": ("id,t,y\n1,01/30/2024 08:15 AM,1\n", DATED, DATE.format("'01/30/2024 08:15 AM'")),
    "year nought": ("id,t,y\n1,0000-01-05,1\n", DATED, DATE.format("'0000-01-05'")),
    "format without a day": (
        "id,t,y\n1,10:30,1\n",
        DATED | {"date_format": "%H:%M"},
        "not written as `date_format` '%H:%M' says: '10:30' in row 2",
    ),
    "wide, one name twice": ("id,w0,w0\n1,2,3\n", WIDE, "names 'w0' twice"),
    "wide, nothing measured": ("id,w0,w4\n1,,\n", WIDE, "no row is left (read 2; dropped: 2 missing y)"),
    "wide, a subject twice": (
        "id,w0,w4\n1,2,3\n1,4,5\n",
        WIDE,
        "2 pairs of subject and time have contradicting rows",
    ),
    "wide, semicolons": ("id;w0;w4\n1;2;3\n", WIDE, "is the `separator` ';'?"),
}
TYPED = {
    "no columns": (parquet(), {}, "has no columns 'id', 't', 'y'"),
    "mapping as id": (parquet(id=[{"a": 1}], t=[0], y=[1.0]), {}, "column 'id' holds struct values"),
    "date as response": (
        parquet(id=[1], t=[0], y=[datetime.date(2024, 1, 1)]),
        {},
        "column 'y' holds date values: store numbers or text instead",
    ),
    "date without a unit": (
        parquet(id=[1], t=[datetime.date(2024, 1, 1)], y=[1.0]),
        {},
        "column 't' holds date values: set `time_unit`, such as days",
    ),
    "time of day": (
        parquet(id=[1], t=[datetime.time(1)], y=[1.0]),
        DATED,
        "column 't' holds time values, no dates",
    ),
    "duration": (
        parquet(id=[1], t=[datetime.timedelta(1)], y=[1.0]),
        {},
        "column 't' holds duration values: store numbers or text instead",
    ),
    "beyond measure": (parquet(id=[1, 1], t=[0, 1], y=[1.0, -1e200]), {}, "-1e+200 in row 3"),
    "nothing in a covariate": (parquet(id=[1], t=[0], y=[1.0], x=[None]), {"fixed": "x"}, "1 missing x"),
    "beyond all years": (
        parquet(id=[1, 1], t=pl.Series([0, 2**62]).cast(pl.Datetime("ms")), y=[1.0, 2.0]),
        DATED,
        "column 't' holds dates beyond all years in row 3: correct them",
    ),
    "one id in two forms": (
        parquet(id=["\u00fc", "u\u0308"], t=[0, 0], y=[1.0, 2.0]),
        {},
        "contradicting rows (id '\u00fc' at t 0, rows 2, 3)",
    ),
    "dates as text": (parquet(id=[1], t=["2024-01-01"], y=[1.0]), {}, "for dates set `time_unit`"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(tmp_path, name):
    refused(tmp_path, *REFUSED[name])


@pytest.mark.parametrize("name", TYPED)
def test_refused_typed(tmp_path, name):
    content, keys, words = TYPED[name]
    refused(tmp_path, content, {"path": "raw.parquet"} | keys, words)


READ = {
    "carriage returns": (PLAIN.replace("\n", "\r"), {}),
    "ends of both kinds": (PLAIN.replace("\n", "\r\n", 1), {}),
    "separator at every end": (PLAIN.replace("\n", ",\n"), {}),
    "empty rows between": (PLAIN.replace("\n", "\n\n"), {}),
    "spaces": (PLAIN.replace(",", " "), {"separator": " "}),
    "decomposed name": ("id,t,y,gro\u0308ße\n1,0,1,3\n1,1,2,4\n", {"fixed": "größe"}),
    "code with a fraction": (PLAIN + "1,2,-99.0\n", {"missing": [-99]}),
    "packed parquet": (gzip.compress(parquet(id=[1, 1], t=[0, 1], y=[1.0, 2.0])), {"path": "raw.parquet.gz"}),
    "decimals as text": (
        parquet(id=[1, 1], t=[0, 1], y=["1,0", "2"]),
        {"path": "raw.parquet", "decimal": ","},
    ),
    "days in digits": (
        PLAIN.replace(",0,", ",20240105,").replace("1,1,", "1,20240106,"),
        DATED | {"date_format": "%Y%m%d"},
    ),
    "twice the same": (PLAIN + "1,1,2\n", {}),
    "marked and declared": (f"\ufeff{PLAIN}".encode("utf-16-le"), {"encoding": "utf-16-le"}),
    "a name without end": (PLAIN.replace("y\n", f"y,{'z' * 200_000}\n"), {}),
    "a field without end": (PLAIN.replace("y\n", "y,z\n") + '1,1,2,"' + "a,\n" * 100_000 + '"\n', {}),
    "wide, with the first one as a covariate": (
        "id,w0,w1\n1,1,2\n",
        {"wide": {"w0": 0, "w1": 1}, "fixed": "w0"},
    ),
}


@pytest.mark.parametrize("name", READ)
def test_read(tmp_path, name):
    content, keys = READ[name]
    audit, table = clean(tmp_path, content, **keys)
    assert audit["message"] == "" and [row[:3] for row in table.rows()] == [(1, 0.0, 1.0), (1, 1.0, 2.0)]


@pytest.mark.parametrize(
    "first", ["1.0", "99999999999999999999", "true", "-0", "=1+1", "00", "<b>", "x" * 100_000]
)
def test_ids_stay_what_they_are(tmp_path, first):
    audit, table = clean(tmp_path, f"id,t,y\n{first},0,1\n2,0,2\n")
    assert audit["message"] == "" and set(table["id"]) == {first, "2"}


def test_what_was_read_is_named_even_if_it_is_of_no_use(tmp_path):
    """Else nobody could tell whether the file changed since."""
    audit, _ = clean(tmp_path, HEAD + "1,1,high\n")
    content = (HEAD + "1,1,high\n").encode()
    assert audit["source"]["bytes"] == len(content) and len(audit["source"]["sha256"]) == 64


CELLS = st.sampled_from(['"', '""', ",", ",", "\n", "\n", "1", "2", "a", " ", '5"', '","', "'", "\\"])


@settings(max_examples=200, deadline=None)
@given(pieces=st.lists(CELLS, max_size=25))
def test_quotes_are_read_as_the_standard_says_or_not_at_all(pieces):
    """RFC 4180, by Python's own reader: no row vanishes into another, no field into its neighbour."""
    text = "id,t,y\n" + "".join(pieces)
    try:
        table = text_table(text, ",", "raw.csv")
    except Unusable as reason:
        assert "raw.csv is not a proper table" in str(reason)
        return
    _, *records = csv.reader(io.StringIO(text), strict=True)
    whole = [tuple([*record, "", "", ""][:3]) for record in records]
    assert [tuple(value or "" for value in row) for row in table.rows()] == whole


FAR = datetime.timedelta(days=10**8)
"""As far as polars can build durations from Python's."""
KINDS = (
    *(st.integers(0, 3), st.integers(-(2**63), 2**63 - 1), st.floats(), st.text(max_size=4), st.booleans()),
    *(st.dates(), st.datetimes(), st.times(), st.timedeltas(-FAR, FAR), st.binary(max_size=4)),
    st.lists(st.floats(), max_size=2),
)
COLUMN = st.one_of(*(st.lists(st.none() | kind, min_size=3, max_size=3) for kind in KINDS))


@settings(max_examples=80, deadline=None)
@given(columns=st.tuples(COLUMN, COLUMN, COLUMN, COLUMN), dated=st.booleans())
def test_any_columns_of_a_typed_file(tmp_path_factory, columns, dated):
    frame = pl.DataFrame(dict(zip(("id", "t", "y", "x"), columns, strict=True)))
    folder = tmp_path_factory.mktemp("any")
    frame.write_parquet(folder / "made.parquet")
    keys = {"path": "raw.parquet", "fixed": "t + x"} | (DATED if dated else {})
    audit, table = clean(folder, (folder / "made.parquet").read_bytes(), **keys)
    assert audit["status"] in ("ok", "failed") and "\n" not in audit["message"]
    rows = audit["rows"]
    assert rows["read"] == rows["used"] + sum(rows["dropped"].values()) and rows["used"] == table.height
