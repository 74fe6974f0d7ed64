"""How the time of a fit grows with rows, subjects, random and fixed effects: python -m benchmarks.growth

One thread; each point in a process of its own: a fit that nobody times, then the median of REPEATS. Memory is
the peak of the process above what it held before the fit (Linux). A pass is what any method has to do once:
from sorted columns of numbers, sums over each subject of t, t^2, y, t y, and the sum of y^2.

    --largest   rows of the largest data set (10 million unless told otherwise)
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from statistics import median

import numpy as np
import polars as pl

import lmmcore as lmm
from benchmarks.charts import curves
from benchmarks.data import ROOT, panel
from benchmarks.page import DOCS, duration, made_by, table, write_section
from benchmarks.race import ONE_THREAD

REPEATS = 5
SLOPE = "y ~ t + (t | id)"
STRUCTURES = {"none": None, "ar1": lmm.AR1("t"), "unstructured": lmm.Unstructured("t", subject="id")}
BATTERY = ROOT / "tests/reference/lmm_reference.json"


@dataclass(frozen=True)
class Point:
    """A fit to time. more : columns x1, x2, ... of noise added to the data; threads : that it may use."""

    subjects: int
    visits: int = 10
    irregular: bool = True
    formula: str = SLOPE
    structure: str = "none"
    more: int = 0
    threads: int = 1

    @property
    def rows(self) -> int:
        """Rows of the data, before any is left out."""
        return self.subjects * self.visits

    def frame(self) -> pl.DataFrame:
        """Its data: irregular times, or visits of which 5 % are missing."""
        missing = 0.0 if self.irregular else 0.05
        rho = 0.5 if self.structure != "none" else 0.0
        frame = panel(self.subjects, self.visits, irregular=self.irregular, missing=missing, rho=rho)
        rng = np.random.default_rng(4)
        extra = {f"x{k}": rng.normal(size=len(frame)) for k in range(1, self.more + 1)}
        return frame.with_columns(**{name: pl.Series(values) for name, values in extra.items()})


@dataclass(frozen=True)
class Timing:
    """seconds : of a fit; one_pass : of a pass; peak : MB above the data; evaluations : of the search."""

    seconds: float
    one_pass: float
    peak: float
    evaluations: int


def one_pass(t: np.ndarray, y: np.ndarray, starts: np.ndarray) -> tuple[np.ndarray, ...]:
    """A = Z'Z, B = Z'[X y] of each subject and S of all, for Z = X = [1 t]."""
    sums = (np.add.reduceat(column, starts) for column in (t, t * t, y, t * y))
    return (np.diff(starts, append=len(t)), *sums, y @ y)


def measure(point: Point) -> Timing:
    """Make the data, then fit them several times."""
    frame = point.frame()

    def fit() -> lmm.Fit:
        return lmm.fit(point.formula, frame, residual=STRUCTURES[point.structure])

    id, t, y = (frame[name].to_numpy() for name in ("id", "t", "y"))
    starts = np.flatnonzero(np.diff(id, prepend=-1))
    before = _reset_peak()
    evaluations = fit().certificate.evaluations
    peak = _memory("VmHWM") - before
    fits, passes = [], []
    for _ in range(REPEATS):  # in turns, so that a busy machine is busy for both
        fits.append(_seconds(fit))
        passes.append(_seconds(lambda: one_pass(t, y, starts)))
    return Timing(median(fits), median(passes), peak, evaluations)


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _reset_peak() -> float:
    """Resident MB now, from which the peak is counted anew; nan where the system cannot."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return float("nan")
    return _memory("VmRSS")


def _memory(field: str) -> float:
    """A field of /proc/self/status in MB; nan where there is none."""
    try:
        lines = Path("/proc/self/status").read_text("utf-8").splitlines()
    except OSError:
        return float("nan")
    return next(float(line.split()[1]) / 1024 for line in lines if line.startswith(field + ":"))


def measured(points: Mapping[int, Point]) -> dict[int, Timing]:
    """Each point in a process of its own."""
    found = {}
    for at, point in points.items():
        os.environ["OMP_NUM_THREADS"] = str(point.threads)
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            found[at] = pool.submit(measure, point).result()
        timing = found[at]
        print(f"{point}: {duration(timing.seconds)}, {timing.evaluations} evaluations", flush=True)
    return found


def rows_curves(largest: int) -> dict[str, dict[int, Timing]]:
    """Timings by number of rows."""
    sizes = [size for size in (10**3, 10**4, 10**5, 10**6, 10**7) if size <= largest]
    kinds = {
        "irregular times, random slope": Point(0),
        "visits, 5 % missing, random slope": Point(0, irregular=False),
        "random slope + AR(1), visits": Point(0, irregular=False, structure="ar1"),
        "unstructured, visits": Point(0, irregular=False, formula="y ~ t", structure="unstructured"),
    }
    return {
        name: measured({size: Point(**{**vars(kind), "subjects": size // 10}) for size in sizes})
        for name, kind in kinds.items()
    }


def other_curves(rows: int) -> dict[str, dict[int, Timing]]:
    """Timings by number of subjects, random effects q and fixed effects p, at the same number of rows."""
    subjects = {rows // visits: Point(rows // visits, visits) for visits in (1000, 100, 10, 4)}
    random, fixed = {}, {}
    for q in (1, 2, 3, 4, 6, 8):
        columns = ["1", "t", *(f"x{k}" for k in range(1, q - 1))][:q]
        random[q] = Point(rows // 20, 20, formula=f"y ~ t + ({' + '.join(columns)} | id)", more=max(q - 2, 0))
    for p in (2, 4, 8, 16, 32):
        columns = ["t", *(f"x{k}" for k in range(1, p - 1))]
        fixed[p] = Point(rows // 10, formula=f"y ~ {' + '.join(columns)} + (t | id)", more=p - 2)
    return {"subjects": measured(subjects), "q": measured(random), "p": measured(fixed)}


def battery() -> list[int]:
    """Evaluations of each fit of the reference battery, which tests/reference describes."""
    counts = []
    for entry in json.loads(BATTERY.read_text("utf-8"))["entries"]:
        frame = pl.read_csv(ROOT / entry["data"], null_values="NA")
        residual = entry["residual"] and lmm.AR1(entry["residual"]["time"], entry["residual"]["subject"])
        fit = lmm.fit(
            entry["formula"],
            frame,
            method=entry["method"],
            residual=residual,
            categories=dict(entry["categories"] or {}) or None,
        )
        counts.append(fit.certificate.evaluations)
    return counts


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--largest", type=int, default=10**7, help="rows of the largest data set")
    largest = parser.parse_args().largest
    os.environ |= ONE_THREAD  # which the processes of the points are started with
    by_rows, counts, others = rows_curves(largest), battery(), other_curves(min(largest, 10**5))
    cores = os.cpu_count() or 1
    shared = measured({largest: Point(largest // 10, threads=cores)})[largest]
    images = DOCS / "images"
    seconds = {name: [(at, timing.seconds) for at, timing in line.items()] for name, line in by_rows.items()}
    curves(images / "growth-rows.svg", "Time of a fit by rows", "rows", "seconds", seconds)
    sizes = [(at, timing.seconds) for at, timing in others["subjects"].items()]
    curves(images / "growth-subjects.svg", "Time of a fit by subjects", "subjects", "seconds", {"fit": sizes})
    effects = {
        name: [(at, timing.seconds) for at, timing in others[key].items()]
        for name, key in (("random effects q (5,000 x 20)", "q"), ("fixed effects p (10,000 x 10)", "p"))
    }
    curves(images / "growth-effects.svg", "Time of a fit by effects", "q or p", "seconds", effects)
    cells = [
        [
            name,
            f"{at:,.0f}",
            duration(timing.seconds),
            f"{timing.seconds / timing.one_pass:.1f}",
            f"{timing.evaluations}",
            f"{timing.peak:,.0f} MB",
        ]
        for name, line in by_rows.items()
        for at, timing in line.items()
    ]
    told = (
        f"The reference battery ({len(counts)} fits of tests/reference): median {median(counts):g} "
        f"evaluations a fit, at most {max(counts)}."
    )
    told += f" The largest one with irregular times takes {duration(shared.seconds)} on {cores} threads."
    head = ("model", "rows", "fit", "passes", "evaluations", "peak above the data")
    write_section(
        "growth",
        [
            *table(head, cells),
            "",
            told,
            "",
            "![Time of a fit by rows](images/growth-rows.svg)",
            f"![Time of a fit by subjects, {min(largest, 10**5):,} rows](images/growth-subjects.svg)",
            "![Time of a fit by random and fixed effects](images/growth-effects.svg)",
            "",
            made_by("python -m benchmarks.growth" + ("" if largest == 10**7 else f" --largest {largest}")),
        ],
    )


if __name__ == "__main__":
    main()
