"""runs/index.html and runs/reports: the reports with their history, which needs a clock.

Reports hold no clock and no past, so that equal inputs give equal bytes. These are copies of them: the index
with the history of each dataset, and each page with a box that says what changed since the last run.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from lmmstudy.base.files import write_text
from lmmstudy.report.charts import history, svg
from lmmstudy.report.index import Change, read_entry, render
from lmmstudy.report.template import html
from lmmstudy.run.ledger import Event
from lmmstudy.run.past import Past, pasts

END_OF_HEADER = "</header>"
"""Where the box goes: its first occurrence, for texts of the study are escaped."""


def write(
    runs: Path,
    datasets: Sequence[str],
    results: Path,
    events: Iterable[Event],
    compare: bool,
    stale: Mapping[str, str] | None = None,
) -> None:
    """Write the pages to the folder `runs`, which stands beside reports/.

    events : of the ledger. compare : whether reports/compare.html is there. stale : {dataset: sentence} about
    raw files that have not changed for too long.
    """
    past, stale = pasts(events), stale or {}
    reports = {name: runs.parent / "reports" / f"{name}.html" for name in datasets}
    there = {name for name, page in reports.items() if page.exists()}
    entries = [read_entry(name, results / name, reports[name], k) for k, name in enumerate(datasets)]
    drawn = {name: _chart(past[name], k) for k, name in enumerate(datasets) if name in past}
    changes = {
        name: Change(past[name].time, past[name].event["message"], chart, stale.get(name, ""))
        for name, chart in drawn.items()
    }
    for name in sorted(there & set(changes)):
        box = html.part("since.html.j2", past=past[name], chart=drawn[name], stale=stale.get(name, ""))
        page = reports[name].read_text("utf-8").replace('href="index.html"', 'href="../index.html"')
        write_text(page.replace(END_OF_HEADER, END_OF_HEADER + box, 1), runs / "reports" / f"{name}.html")
    write_text(render(entries, compare, changes, base="../reports/", copies="reports/"), runs / "index.html")


def _chart(past: Past, number: int) -> str:
    known = [run for run in past.runs if run is not None]
    if not known:
        return ""
    what = f"The last {len(past.runs)} of {past.count} runs; "
    what += f"the latest estimate is {known[-1].estimate:.4g}."
    label = svg.Label(f"history-{number}", f"{known[-1].name} over the runs", what)
    return history.sparkline(label, past.runs)
