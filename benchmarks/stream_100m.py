"""Fit a Parquet file larger than memory, beside polars' scan-and-sum: python -m benchmarks.stream_100m

Makes files of subjects x rows with a random intercept and slope (in a temporary folder, or in --folder,
where they are kept and used again: 10 million subjects x 10 take 1.7 GB), then measures each side in a
process of its own, in turns: the sum of every column by polars, and lmmcore.fit with the rows streamed, by
all processors and by one thread.
Times are medians of --repeats runs; memory is the peak resident set. Only the default sizes are written to
the page.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks.page import duration, made_by, table, write_section
from benchmarks.race import ONE_THREAD

FORMULA = "y ~ t + (t | id)"
PART = 100_000  # subjects made at once


def make(path: Path, subjects: int, rows: int, grid: bool, shuffled: bool) -> None:
    """Write the file part by part, in row groups of a million rows; shuffled : rows within each part."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(1)
    schema = pa.schema([("id", pa.int64()), ("t", pa.float64()), ("y", pa.float64())])
    with pq.ParquetWriter(path, schema) as writer:
        for start in range(0, subjects, PART):
            N = min(PART, subjects - start)
            t = np.tile(np.arange(float(rows)), (N, 1)) if grid else np.sort(rng.uniform(0, 9, (N, rows)))
            b = rng.multivariate_normal([0, 0], [[25, 1.2], [1.2, 0.64]], N)
            y = 10 + 2 * t + b[:, :1] + b[:, 1:] * t + 2 * rng.normal(size=t.shape)
            ids = np.repeat(np.arange(start, start + N), rows)
            order = rng.permutation(ids.size) if shuffled else np.arange(ids.size)
            columns = [ids[order], t.ravel()[order], y.ravel()[order]]
            writer.write_table(pa.table(columns, schema=schema), row_group_size=1_000_000)


def summed(path: Path) -> dict[str, object]:
    """Polars reads every value of the file once."""
    import polars as pl

    total = pl.scan_parquet(path).select(pl.all().sum()).collect(engine="streaming")
    return {"sum of y": total["y"][0]}


def fitted(path: Path) -> dict[str, object]:
    """The fit, streamed whatever the size of the file."""
    from lmmcore.estimate.fit import estimated_streamed
    from lmmcore.formula.parse import parse
    from lmmcore.model.specification import Specification

    fit = estimated_streamed(Specification(parse(FORMULA), "REML", None, None, None, None, None), path)
    return {"rows": fit.nobs, "subjects": fit.groups["id"], "log-likelihood": fit.loglik, **fit.beta}


SIDES = {"polars": summed, "lmmcore": fitted, "one thread": fitted}
SIZES = [1_000_000, 10_000_000]
HEAD = (
    *("rows", "file", "fit", "on one thread", "polars' sums"),
    *("ratio (aim: 10)", "peak (aim: 4,096 MB)", "log-likelihood"),
)


def measure(side: str, path: Path) -> None:
    """Run one side in this process and print what it took."""
    start = time.perf_counter()
    found = SIDES[side](path)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "peak_mb": peak, "found": found}))


def in_own_process(side: str, path: Path) -> dict[str, Any]:
    """Seconds and peak memory of a side, and what it found."""
    command = [sys.executable, "-m", "benchmarks.stream_100m", "--measure", side, str(path)]
    environment = os.environ | (ONE_THREAD if side == "one thread" else {})
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout)


def row(path: Path, repeats: int) -> list[str]:
    """Cells of one file."""
    runs: dict[str, list[dict[str, Any]]] = {side: [] for side in SIDES}
    for _ in range(repeats):
        for side, found in runs.items():
            found.append(in_own_process(side, path))
    seconds = {side: median(run["seconds"] for run in found) for side, found in runs.items()}
    last = runs["lmmcore"][-1]["found"]
    return [
        f"{last['rows']:,}",
        f"{path.stat().st_size / 2**20:,.0f} MB",
        duration(seconds["lmmcore"]),
        duration(seconds["one thread"]),
        duration(seconds["polars"]),
        f"{seconds['lmmcore'] / seconds['polars']:.1f}",
        f"{max(run['peak_mb'] for run in runs['lmmcore']):,.0f} MB",
        f"{last['log-likelihood']:.3f}",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--subjects", type=int, nargs="+", default=SIZES, help="of each file")
    parser.add_argument("--rows", type=int, default=10, help="rows of each subject")
    parser.add_argument("--grid", action="store_true", help="times 0, 1, ... instead of irregular ones")
    parser.add_argument("--shuffled", action="store_true", help="subjects' rows apart from one another")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="of the files, which are kept")
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        measure(given.measure[0], Path(given.measure[1]))
        return
    kind = "-grid" * given.grid + "-shuffled" * given.shuffled
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        for subjects in given.subjects:
            path = (given.folder or Path(temporary)) / f"rows-{subjects}x{given.rows}{kind}.parquet"
            if not path.is_file():
                make(path, subjects, given.rows, given.grid, given.shuffled)
            rows.append(row(path, given.repeats))
            print(*rows[-1], sep=" | ", flush=True)
    if given.subjects == SIZES and given.rows == 10 and not kind:
        write_section("streaming", [*table(HEAD, rows), "", made_by("python -m benchmarks.stream_100m")])


if __name__ == "__main__":
    main()
