"""Datasets side by side: the same coefficient of the same model, where datasets share both.

`lmmstudy.config.comparable.shared` says which datasets these are.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from lmmstudy.base.files import read_json, write_page
from lmmstudy.fitting.answer import key
from lmmstudy.report.blocks import Block, Cell, Figure, Heading, Section, Table, Text
from lmmstudy.report.charts import effects, svg
from lmmstudy.report.refit.series import Interval
from lmmstudy.report.template import html
from lmmstudy.report.words.numbers import MISSING, count, decimals_for, fixed, fmt, limits, p_value
from lmmstudy.report.words.phrases import listing
from lmmstudy.report.words.sentences import VERDICT, level_text

Json = Mapping[str, Any]


def write_compare(sets: Sequence[Json], results: Mapping[str, str], conf_level: float, out: str) -> None:
    """Write the page to `out`; `sets` is what `comparable.shared` gives, `results` the folder of
    each dataset."""
    sections = [section(k, one, results, conf_level) for k, one in enumerate(sets)]
    links = {name: f"{quote(name)}.html" for one in sets for name in one["datasets"]}
    write_page(html.render("compare.html.j2", sections=sections, links=links), out, "compare")


def section(number: int, one: Json, results: Mapping[str, str], conf_level: float) -> Section:
    """One set of datasets; `number` makes ids unique."""
    selections = {name: read_json(Path(results[name], "selection.json")) for name in one["datasets"]}
    same = [*(key for key in ("response", "time", "group") if one[key]), "fixed effects"]
    words = f"{count(len(selections), 'dataset')} with the same {listing(same)}: "
    blocks: list[Block] = [Text(words + listing(selections) + ".")]
    for k, model in enumerate(one["models"]):
        records = {}
        for name, selection in selections.items():
            step = next((s for s in selection["ladder"] if s["model"] == model), None)
            if step is not None:
                records[name] = read_json(Path(results[name], "models", f"{model}.json")) | {
                    "weight": step["weight"],
                    "selected": selection["selected"] == model,
                }
        blocks += _model(f"forest-{number}-{k}", model, one, records, conf_level)
    heading = f"{one['response']} ~ {one['fixed']}"
    return Section(f"set-{number}", heading, tuple(blocks))


def _model(name: str, model: str, one: Json, records: Mapping[str, Json], conf_level: float) -> list[Block]:
    """The key coefficient of a model in all datasets that have it, as a chart and a table."""
    keys = {name: key(record["answer"]) for name, record in records.items() if record["answer"]}
    answers = {name: row for name, row in keys.items() if row and "estimate" in row}
    if not any(record["fixed"] for record in records.values()):
        return [Heading(model), Text("It could be fitted to none of them.")]
    if not answers:
        return [Heading(model), Text("No single contrast answers the question: see each report.")]
    term = next(iter(answers.values()))["name"]
    intervals, body = [], []
    for dataset, record in records.items():
        row = answers.get(dataset)
        row = row if row and row["name"] == term else None
        mark = "selected for this dataset" if record["selected"] else ""
        first = Cell(dataset, mark, tone="selected" if mark else "")
        status = VERDICT.get(record["status"], "failed")
        rows = f"{record['reml']['nobs']:,}" if record["reml"] else MISSING
        weight = MISSING if record["weight"] is None else fixed(record["weight"], 3)
        values = (MISSING,) * 4
        if row is not None:
            decimals = decimals_for(row["std_error"])
            estimate = fixed(row["estimate"], decimals)
            low, high = limits(row["conf_low"], row["conf_high"], decimals)
            df = fmt(row["df"]) if row["df"] is not None else "∞"
            values = (estimate, f"{low} to {high}", df, p_value(row["p_value"]))
            if row["conf_low"] is not None:
                intervals.append(Interval(dataset, row["estimate"], row["conf_low"], row["conf_high"]))
        body.append((first, status, rows, *values, weight))
    heads = ("Dataset", "Fit", "Rows", "Estimate", f"{level_text(conf_level)} CI", "df", "p", "Weight")
    note = "Weight is the Akaike weight of this model among the candidates of the dataset."
    table = Table(f"{term} in {model} (REML)", heads, tuple(body), "llrrrrrr", note)
    if not intervals:
        return [Heading(model), table]
    lowest, highest = (f(intervals, key=lambda i: i.estimate) for f in (min, max))
    desc = f"{count(len(intervals), 'dataset')}; from {fmt(lowest.estimate)} in {lowest.name}"
    label = svg.Label(name, f"{term} in {model}", f"{desc} to {fmt(highest.estimate)} in {highest.name}.")
    caption = f"{term} with {level_text(conf_level)} intervals, all on one scale; the dashed line is 0."
    return [Heading(model), Figure(name, effects.forest(label, intervals, term), caption), table]
