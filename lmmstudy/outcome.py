"""The last lines of a run: where the reports are, and which datasets have no result and why."""

import sys
from collections.abc import Iterable
from pathlib import Path

from lmmstudy.files import read_json


def failures(datasets: Iterable[str], results: str | Path = "results") -> list[str]:
    """One sentence for each dataset that ended without a selected model, among those that got so far."""
    paths = [Path(results) / dataset / "selection.json" for dataset in datasets]
    selections = [read_json(path) for path in paths if path.exists()]
    return [s["message"] for s in selections if s["status"] != "ok"]


def announce(datasets: Iterable[str]) -> None:
    """Print the failures and the place of the reports to the terminal."""
    for sentence in failures(datasets):
        print(sentence, file=sys.stderr)
    if Path("reports/index.html").exists():
        print("The reports start at reports/index.html", file=sys.stderr)
