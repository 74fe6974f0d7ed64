"""lmmcore beside its peers, on the same data in the same run: python -m benchmarks.bench

Every program works on one thread, in a process of its own that holds the data in memory, from a formula and
a data frame to the fitted model, after a fit that nobody times. They take turns; medians count. Peers that
are not installed are named as absent. R's come with Debian's packages r-base-core r-cran-lme4 r-cran-nlme
r-cran-glmmtmb r-cran-lmertest r-cran-pbkrtest, Python's with `.venv/bin/python -m pip install -e '.[bench]'`.

    --quick     three rounds, and no run of more than 20 s: about five minutes instead of twenty-five
    --only      cases whose title holds this text; printed, not written to docs/benchmarks.md
"""

from __future__ import annotations

import argparse
import math

from benchmarks.cases import CASES, Case
from benchmarks.charts import bars
from benchmarks.page import DOCS, duration, made_by, table, write_section
from benchmarks.race import Runner, race

HEAD = ("work", "lmmcore", "peer", "its time", "ratio", "aim", "result, ours less theirs")


def row(case: Case, ours: Runner, peer: Runner) -> list[str]:
    """Cells of one comparison."""
    cells = [case.title, duration(ours.seconds), peer.program]
    aim = case.peers[peer.program]
    if peer.least:
        return [*cells, peer.note, f"over {peer.least / ours.seconds:,.0f}x", f"{aim:,}x" if aim else "", ""]
    if not peer.times:
        return [*cells, peer.note, "", "", ""]
    ratio = peer.seconds / ours.seconds
    difference = f"{ours.value - peer.value:+.1e} ({case.result} {peer.value:.10g})"
    return [*cells, duration(peer.seconds), f"{ratio:,.0f}x", f"{aim:,}x" if aim else "", difference]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="three rounds, no run of more than 20 s")
    parser.add_argument("--only", default="", help="cases whose title holds this text; printed alone")
    given = parser.parse_args()
    rounds, limit = (3, 20.0) if given.quick else (9, 600.0)
    rows, ratios, versions = [], [], set()
    for case in CASES:
        if given.only not in case.title:
            continue
        ours, *peers = race(case.task, case.data(), ["lmmcore", *case.peers], rounds, limit)
        if not ours.times:
            raise SystemExit(f"{case.title}: lmmcore {ours.note}")
        for peer in peers:
            rows.append(row(case, ours, peer))
            print(*rows[-1], sep=" | ", flush=True)
            if peer.times:
                aim = case.peers[peer.program]
                ratios.append((f"{case.title}: {peer.program}", peer.seconds / ours.seconds, aim or math.nan))
        versions |= {runner.version for runner in [ours, *peers] if runner.times}
    if given.only:
        return
    bars(DOCS / "images/benchmarks.svg", "Times as long as lmmcore", ratios)
    command = "make bench" if not given.quick else "python -m benchmarks.bench --quick"
    chart = "![How many times as long as lmmcore each peer takes](images/benchmarks.svg)"
    write_section("peers", [*table(HEAD, rows), "", chart, "", made_by(command, *sorted(versions))])


if __name__ == "__main__":
    main()
