"""The index: every dataset at a glance, the failed ones with their sentence.

`assemble` turns results into entries, `render` those into HTML; `write_index` reads and writes the files.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from markupsafe import Markup

from lmmstudy.files import read_json, write_text
from lmmstudy.report import html
from lmmstudy.report.absent import no_model
from lmmstudy.report.charts import effects, svg
from lmmstudy.report.hypotheses import focal_terms
from lmmstudy.report.numbers import MISSING, decimals_for, fixed, p_value
from lmmstudy.report.phrases import sentence
from lmmstudy.report.series import Interval
from lmmstudy.report.wording import TONE, VERDICT, model_words

Json = Mapping[str, Any]


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
    datasets: Sequence[str], clean: Sequence[str], selections: Sequence[str], out: str, compare: bool = False
) -> None:
    """Write the index of `datasets` to `out`; `clean` and `selections` are their result files in the same
    order. compare : whether compare.html stands beside it.

    The record of a selected model is read from the folder models beside its selection.
    """
    write_text(render(read_entries(datasets, clean, selections), compare), out)


def read_entries(datasets: Sequence[str], clean: Sequence[str], selections: Sequence[str]) -> list[Entry]:
    """The rows of the index; the arguments are those of `write_index`."""
    files = zip(datasets, clean, selections, strict=True)
    return [read_entry(dataset, audit, chosen, k) for k, (dataset, audit, chosen) in enumerate(files)]


def read_entry(
    dataset: str, clean: str | Path, selection: str | Path, number: int, link: str | None = None
) -> Entry:
    """The row of a dataset from its result files; the other arguments are those of `entry`. Raises OSError
    or ValueError where a file is missing or cut off."""
    chosen = read_json(selection)
    record = None
    if chosen["selected"]:
        record = read_json(Path(selection).parent / "models" / f"{chosen['selected']}.json")
    return entry(dataset, read_json(clean), chosen, record, number, link)


def entry(
    dataset: str, clean: Json, selection: Json, record: Json | None, number: int, link: str | None = None
) -> Entry:
    """The row of a dataset; `number` makes the id of its drawing unique. link : its report's file name, ""
    where there is none."""
    rows = f"{clean['rows']['used']:,} / {clean['rows']['read']:,}"
    link = f"{quote(dataset)}.html" if link is None else link
    if record is None:
        return Entry(dataset, link, "failed", "bad", no_model(clean, selection), rows)
    verdict = VERDICT[record["status"]], TONE[record["status"]]
    base = Entry(dataset, link, *verdict, sentence(model_words(record)), rows, record["model"])
    row = key_row(record, clean)
    if row is None:
        return base
    decimals = decimals_for(row["std_error"])
    values = [fixed(row[name], decimals) for name in ("estimate", "conf_low", "conf_high")]
    interval = Interval(row["term"], row["estimate"], row["conf_low"], row["conf_high"])
    label = svg.Label(
        f"forest-{number}",
        f"Interval of {row['term']}",
        f"Estimate {values[0]}, interval {values[1]} to {values[2]}; the dashed line is 0.",
    )
    return replace(
        base,
        term=row["term"],
        estimate=values[0],
        interval=f"{values[1]} to {values[2]}",
        p=p_value(row["p_value"]),
        chart=effects.interval(label, interval),
    )


def key_row(record: Json, clean: Json) -> Json | None:
    """The coefficient shown: the last of the focal terms (an interaction comes after its parts)."""
    if not record["fixed"]:
        return None
    config = clean["provenance"].get("config", {})
    names = [row["term"] for row in record["fixed"]]
    focal = focal_terms(names, str(config.get("time", "")), str(config.get("group") or ""))
    return next(row for row in reversed(record["fixed"]) if row["term"] in focal)


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
    failed = sum(e.status in ("failed", "not finished") for e in entries)
    shown = {"entries": entries, "failed": failed, "compare": compare, "changes": changes, "base": base}
    shown["pages"] = base if copies is None else copies
    return html.render("index.html.j2", **shown)
