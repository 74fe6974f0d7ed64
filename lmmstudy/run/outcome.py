"""The last lines of a run: where the reports are, and which datasets have no result and why."""

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from lmmstudy.base.files import DAMAGED, read_json
from lmmstudy.base.folders import Folders

HERE = Folders(Path())


def failures(datasets: Iterable[str], results: str | Path = "results") -> list[str]:
    """One sentence for each dataset that ended without a selected model, among those that got so far."""
    sentences = []
    for dataset in datasets:
        try:
            selection = read_json(Path(results) / dataset / "selection.json")
            if selection["status"] != "ok":
                sentences.append(str(selection["message"]))
        except DAMAGED:  # it did not get so far
            continue
    return sentences


def unfinished_index(datasets: Sequence[str], compare: bool, at: Folders = HERE) -> None:
    """Write the index after a run in which jobs failed, so that it does not go on telling of reports that
    are not there. compare : whether the study has a page of datasets side by side."""
    from lmmstudy.report.index import write_index  # start-up time

    index = at.reports / "index.html"
    if not at.reports.is_dir():
        return
    pages = [at.reports / f"{dataset}.html" for dataset in datasets]
    side_by_side = compare and (at.reports / "compare.html").exists()
    write_index(datasets, [at.results / dataset for dataset in datasets], pages, index, side_by_side)


def announce(datasets: Iterable[str], at: Folders = HERE) -> None:
    """Print the failures and the place of the reports to the terminal."""
    for sentence in failures(datasets, at.results):
        print(sentence, file=sys.stderr)
    if (at.reports / "index.html").exists():
        print(f"The reports start at {at.reports / 'index.html'}", file=sys.stderr)
