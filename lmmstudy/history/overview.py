"""runs/index.html: the index of the reports with the last change of each dataset, which needs a clock."""

from collections.abc import Sequence
from pathlib import Path

from lmmstudy.files import write_text
from lmmstudy.history.ledger import Event
from lmmstudy.report.index import Change, read_entries, render


def last_changes(events: Sequence[Event]) -> dict[str, Change]:
    """The last change of each dataset in a ledger, with the start of the run that noticed it."""
    begun = {e["run"]: e["time"] for e in events if e.get("event") == "started"}
    return {
        e["dataset"]: Change(begun[e["run"]].replace("T", " ").replace("Z", " UTC"), e["message"])
        for e in events
        if e.get("event") == "dataset" and e.get("run") in begun
    }


def write(path: Path, datasets: Sequence[str], results: Path, events: Sequence[Event], compare: bool) -> None:
    """Write the page to `path`, in a folder beside reports/; datasets without results are left out."""
    files = {name: (results / name / "clean.json", results / name / "selection.json") for name in datasets}
    done = {name: both for name, both in files.items() if all(file.exists() for file in both)}
    entries = read_entries(list(done), [str(a) for a, _ in done.values()], [str(s) for _, s in done.values()])
    write_text(render(entries, compare, last_changes(events), base="../reports/"), path)
