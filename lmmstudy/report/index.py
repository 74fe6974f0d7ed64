"""The index: every dataset at a glance, the failed ones with their sentence.

`assemble` turns results into entries, `render` those into HTML; `write_index` reads and writes the files.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from markupsafe import Markup

from lmmstudy.base.files import DAMAGED, read_json, write_page
from lmmstudy.fitting.answer import key
from lmmstudy.report.absent import no_model
from lmmstudy.report.charts import effects, svg
from lmmstudy.report.refit.series import Interval
from lmmstudy.report.template import html
from lmmstudy.report.words.numbers import MISSING, decimals_for, fixed, fmt, limits, p_value
from lmmstudy.report.words.phrases import sentence
from lmmstudy.report.words.sentences import TONE, VERDICT, model_words

Json = Mapping[str, Any]
NOT_FINISHED = "not finished"


@dataclass(frozen=True)
class Entry:
    """One row of the index; what it lacks is a dash."""

    dataset: str
    link: str
    status: str
    tone: str
    words: str
    rows: str = MISSING
    model: str = MISSING
    term: str = MISSING
    estimate: str = MISSING
    interval: str = ""
    p: str = MISSING
    chart: Markup | str = MISSING


@dataclass(frozen=True)
class Change:
    """When a dataset last changed, and how, in a sentence; its key coefficient over the runs, drawn; and a
    sentence about a raw file that has not changed for too long."""

    time: str
    message: str
    chart: Markup | str = ""
    stale: str = ""


def write_index(
    datasets: Sequence[str],
    results: Sequence[str | Path],
    pages: Sequence[str | Path],
    out: str | Path,
    compare: bool = False,
) -> None:
    """Write the index of `datasets` to `out`; `results` are their folders and `pages` their reports in the
    same order. compare : whether compare.html stands beside it."""
    files = zip(datasets, results, pages, strict=True)
    entries = [read_entry(name, folder, page, k) for k, (name, folder, page) in enumerate(files)]
    write_page(render(entries, compare), out, "index")


def read_entry(dataset: str, results: str | Path, page: str | Path, number: int) -> Entry:
    """The row of a dataset from its folder of results; the other arguments are those of `entry`. A dataset
    whose results or page are missing, or cut off, is not finished, whatever else there is of it."""
    link = f"{quote(dataset)}.html" if Path(page).exists() else ""
    try:
        chosen, audit = (read_json(Path(results, name)) for name in ("selection.json", "clean.json"))
        name = chosen["selected"]
        record = read_json(Path(results, "models", f"{name}.json")) if name else None
    except DAMAGED:
        words = f"{dataset} is not finished: see its logs under logs/{dataset}/, or run again."
        return Entry(dataset, link, NOT_FINISHED, "bad", words)
    if not link:
        words = f"The report of {dataset} could not be written: see logs/{dataset}/report.log, or run again."
        return Entry(dataset, link, NOT_FINISHED, "bad", words)
    return entry(dataset, audit, chosen, record, number)


def entry(dataset: str, clean: Json, selection: Json, record: Json | None, number: int) -> Entry:
    """The row of a dataset that has a report; `number` makes the id of its drawing unique."""
    rows = f"{clean['rows']['used']:,} / {clean['rows']['read']:,}"
    link = f"{quote(dataset)}.html"
    if record is None:
        return Entry(dataset, link, "failed", "bad", no_model(clean, selection), rows)
    verdict = VERDICT[record["status"]], TONE[record["status"]]
    base = Entry(dataset, link, *verdict, sentence(model_words(record)), rows, record["model"])
    found = record["answer"] or {}
    row = key(found) if found else None
    if row is None:
        return replace(base, term=found.get("problem") or MISSING)
    if "estimate" not in row:
        den = "∞" if row["den_df"] is None else fmt(row["den_df"])
        test = f"F({fmt(row['num_df'])}, {den})"
        statistic = fixed(row["statistic"], 3)
        return replace(base, term=row["name"], estimate=statistic, interval=test, p=p_value(row["p_value"]))
    decimals = decimals_for(row["std_error"])
    ends = limits(row["conf_low"], row["conf_high"], decimals)
    values = [fixed(row["estimate"], decimals), *ends]
    interval = Interval(row["name"], row["estimate"], row["conf_low"], row["conf_high"])
    label = svg.Label(
        f"forest-{number}",
        f"Interval of {row['name']}",
        f"Estimate {values[0]}, interval {values[1]} to {values[2]}; the dashed line is 0.",
    )
    return replace(
        base,
        term=row["name"],
        estimate=values[0],
        interval=f"{values[1]} to {values[2]}",
        p=p_value(row["p_value"]),
        chart=effects.interval(label, interval),
    )


def render(
    entries: Sequence[Entry],
    compare: bool = False,
    changes: Mapping[str, Change] | None = None,
    base: str = "",
    copies: str | None = None,
) -> str:
    """The index as HTML. changes : the last change of each dataset, for columns that only pages outside
    reports/ have, because reports hold no clock; base : where reports/ is, seen from the page; copies : where
    the pages of the datasets are, if elsewhere."""
    failed = sum(e.status in ("failed", NOT_FINISHED) for e in entries)
    shown = {"entries": entries, "failed": failed, "compare": compare, "changes": changes, "base": base}
    shown["pages"] = base if copies is None else copies
    return html.render("index.html.j2", **shown)
