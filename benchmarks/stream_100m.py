"""Fit a Parquet file that need not fit in memory: seconds and peak memory beside polars' scan-and-sum.

    python benchmarks/stream_100m.py [--subjects 10000000] [--rows 10] [--grid] [--shuffled]

Makes a file of subjects x rows with a random intercept and slope (in a temporary folder, or --file, which is
kept and used again), then measures each side in a process of its own: the sum of every column by polars,
and lmmcore.fit with the rows streamed. Times are medians of --repeats runs; memory is the peak resident set.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np

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
    from lmmcore.fit import fit_streamed
    from lmmcore.formula.parse import parse
    from lmmcore.model import Specification

    fit = fit_streamed(Specification(parse(FORMULA), "REML", None, None, None, None, None), path)
    return {"rows": fit.nobs, "subjects": fit.groups["id"], "log-likelihood": fit.loglik, **fit.beta}


SIDES = {"polars": summed, "lmmcore": fitted}


def measure(side: str, path: Path) -> None:
    """Run one side in this process and print what it took."""
    start = time.perf_counter()
    found = SIDES[side](path)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "peak_mb": peak, "found": found}))


def in_own_process(side: str, path: Path) -> dict[str, float]:
    """Seconds and peak memory of a side, and what it found."""
    command = [sys.executable, __file__, "--measure", side, "--file", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--subjects", type=int, default=10_000_000)
    parser.add_argument("--rows", type=int, default=10, help="rows of each subject")
    parser.add_argument("--grid", action="store_true", help="times 0, 1, ... instead of irregular ones")
    parser.add_argument("--shuffled", action="store_true", help="subjects' rows apart from one another")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--file", type=Path, help="of the data; made if it does not exist, and kept")
    parser.add_argument("--measure", choices=SIDES, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        measure(given.measure, given.file)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = given.file or Path(folder) / "rows.parquet"
        if not path.is_file():
            make(path, given.subjects, given.rows, given.grid, given.shuffled)
        runs = {side: [] for side in SIDES}
        for _ in range(given.repeats):
            for side, found in runs.items():
                found.append(in_own_process(side, path))
        print(f"{path.stat().st_size / 2**20:,.0f} MB of Parquet; {runs['lmmcore'][0]['found']}")
        print(f"{'':<10}{'seconds':>10}{'peak MB':>10}")
        seconds = {side: median(run["seconds"] for run in found) for side, found in runs.items()}
        for side, found in runs.items():
            print(f"{side:<10}{seconds[side]:>10.2f}{max(run['peak_mb'] for run in found):>10,.0f}")
        print(f"lmmcore takes {seconds['lmmcore'] / seconds['polars']:.1f} times as long as the sums")


if __name__ == "__main__":
    main()
