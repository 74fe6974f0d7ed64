"""Large and hostile raw files: memory is bounded, columns that nobody uses are not read, patterns are counted
in columns and not row by row."""

import io
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from test_clean import clean, run

from lmmstudy.clean.audit import visits
from lmmstudy.clean.layout import Layout
from lmmstudy.clean.read import Unusable, parquet_table

ROOT = Path(__file__).resolve().parents[3]
ROWS = 1_000_000
MEASURED = """
import sys, resource
from lmmstudy.clean.clean import clean_file
from lmmstudy.config.study import load, plan
folder = sys.argv[1]
stanza = {"path": folder + "/raw.csv", "subject": "id", "time": "t", "response": "y", "fixed": "arm * t",
          "candidates": ["m"]}
config = {"datasets": {"d": stanza}, "models": {"m": {"formula": "{response} ~ {fixed}"}},
          "files": {"raw_folders": [folder]}}
design = plan(load(config))["d"]["clean"]
used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
clean_file("d", stanza["path"], design, "code", folder + "/clean.parquet", folder + "/clean.json")
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - used)
"""


def bytes_of(frame: pl.DataFrame) -> bytes:
    out = io.BytesIO()
    frame.write_parquet(out)
    return out.getvalue()


def test_a_million_rows_take_little_memory(tmp_path):
    """5 million rows are to be cleaned in 1 GB: 200 bytes a row. Four columns of the five are used."""
    people = np.arange(ROWS) // 10
    rng = np.random.default_rng(1)
    pl.DataFrame(
        {
            "id": [f"P{k}" for k in people],
            "t": np.arange(ROWS) % 10,
            "arm": np.where(people % 2, "active", "placebo"),
            "y": np.round(rng.normal(50, 5, ROWS), 2),
            "note": ["nothing that the model needs"] * ROWS,
        }
    ).write_csv(tmp_path / "raw.csv")
    call = [sys.executable, "-c", MEASURED, str(tmp_path)]
    environment = {"PYTHONPATH": str(ROOT), "POLARS_MAX_THREADS": "1", "PATH": ""}
    done = subprocess.run(call, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    assert pl.read_parquet(tmp_path / "clean.parquet").height == ROWS
    assert int(done.stdout) * 1024 < 220 * ROWS


def test_a_parquet_file_that_unpacks_without_end_is_refused_by_its_metadata(tmp_path):
    rows = 20_000_000
    zeros = pl.zeros(rows, pl.Int8, eager=True)
    content = bytes_of(pl.DataFrame({"id": zeros, "t": zeros, "y": zeros}))
    assert len(content) < 2**20
    stanza = {
        **{"path": "raw.parquet", "subject": "id", "time": "t", "response": "y"},
        **{"fixed": "1", "candidates": ["m"]},
    }
    (tmp_path / "raw.parquet").write_bytes(content)
    audit, _ = run(tmp_path, tmp_path / "raw.parquet", stanza)
    words = f"raw.parquet holds 20,000,000 rows in {len(content):,} bytes: that is no table"
    assert words in audit["message"]


def test_columns_that_nobody_uses_are_not_read():
    """A column of lists, a million times as large as it is stored, is left where it is."""
    huge = pl.Series("huge", [[0] * 1_000_000] * 20)
    content = bytes_of(pl.DataFrame({"y": np.arange(20.0), "huge": huge, "^x.*$": np.arange(20.0)}))
    frame = parquet_table(content, "raw.parquet", ["^x.*$", "y"])
    assert frame.columns == ["y", "^x.*$"] and frame.height == 20
    with pytest.raises(Unusable, match="has no column 'x'"):
        parquet_table(content, "raw.parquet", ["x"])


@pytest.mark.parametrize("quoted", ["plain", '"in, quotes"'])
@pytest.mark.parametrize("row", ["1,1,a,b,6", "1,1,{},6,7"])
def test_a_row_with_too_many_fields_is_found_although_its_column_is_not_read(tmp_path, quoted, row):
    content = f"id,t,note,y\n1,0,{quoted},5\n{row.format(quoted)}\n"
    audit, _ = clean(tmp_path, content)
    assert "row 3 has more fields than the header" in audit["message"]


def test_lines_longer_than_a_piece_and_a_last_line_without_an_end(tmp_path, monkeypatch):
    monkeypatch.setattr("lmmstudy.clean.read.PIECE", 8)
    audit, table = clean(tmp_path, "id,t,y,note\n1,0,5,a long remark\n1,1,6,b")
    assert audit["status"] == "ok" and table.height == 2
    audit, _ = clean(tmp_path, "id,t,y,note\n1,0,5,a long remark\n1,1,6,b,c")
    assert "row 3 has more fields than the header" in audit["message"]


def test_patterns_of_visits_are_those_of_a_count_one_by_one():
    rng = np.random.default_rng(5)
    times = np.sort(rng.choice(np.arange(200) / 4, 60, replace=False))
    rows = sorted(
        {(int(rng.integers(40)), float(t)) for t in rng.choice(times, 900)} | {(0, float(t)) for t in times}
    )
    table = pl.DataFrame(rows + rows[:7], schema=["id", "t"], orient="row").sort("id", "t")
    found = visits(table, Layout({"subject": "id", "time": "t", "response": "y", "covariates": []}))
    assert found["times"] == times.tolist()
    seen = {k: {t for who, t in rows if who == k} for k in {who for who, _ in rows}}
    counted = Counter(tuple(int(t in own) for t in times.tolist()) for own in seen.values())
    ranked = sorted(counted.items(), key=lambda item: (-item[1], [-v for v in item[0]]))[:20]
    assert found["patterns"] == [{"visits": list(p), "subjects": n} for p, n in ranked]
    several = Counter(table["id"].to_list())
    assert found["per_subject"]["max"] == max(several.values())
    assert found["per_subject"]["median"] == np.median(list(several.values()))
