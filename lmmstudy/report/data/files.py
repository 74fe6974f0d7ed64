"""The numbers of a page as data: one object, results.json, and a CSV file for each table of data_names.

The object is what the page is made from, with nothing rounded; only what is as long as the data stands in
rows.csv and effects.csv alone. It also holds the checksum of each table. Equal results give equal bytes.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields, is_dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from lmmcore.diagnostics.bands import SEED
from lmmstudy.base.files import file_sha256, write_result, write_text
from lmmstudy.report.alerts import alerts
from lmmstudy.report.attempt import Attempts
from lmmstudy.report.data.names import RESULTS, TABLES
from lmmstudy.report.refit.refit import Fitted
from lmmstudy.report.study import Study

FORMULA = r"^[=+\-@\t\r]"
"""How a field begins that a spreadsheet takes for a formula; negative numbers apart."""


def write_files(study: Study, folder: str | Path) -> None:
    """Write every file of data_names.FILES to `folder`."""
    attempt, sums = Attempts(), {}
    found: dict[str, Any] = attempt("The tables", lambda: tables(study), {})
    for name, columns in TABLES.items():
        rows, path = found.get(name, ()), Path(folder, f"{name}.csv")
        text = attempt(name, partial(csv_text, columns, rows), "")
        write_text(text or csv_text(columns, ()), path)
        sums[path.name] = file_sha256(path)
    whole = attempt(RESULTS, lambda: results(study), {"dataset": study.dataset})
    whole |= {"lost": study.lost | attempt.lost, "tables_sha256": sums}
    write_result(whole, Path(folder, RESULTS))


def results(study: Study) -> dict[str, Any]:
    """Everything the page says, as mappings, lists and numbers."""
    fit = study.fitted
    return {
        "dataset": study.dataset,
        "audit": study.clean,
        "selection": study.selection,
        "candidates": {name: dict(model) for name, model in study.models.items()},
        "alerts": [alert.text for alert in alerts(study)],
        "inference": plain(fit.inference) if fit else None,
        "diagnostics": plain(fit.diagnostics) if fit else None,
        "predictions": plain({"bands": fit.bands, "subjects": fit.lines}) if fit else None,
        "provenance": {
            "configuration": {"dataset": dict(study.design), "report": dict(study.options)},
            "code": study.code,
            "seed": SEED,
            "trouble": study.trouble,
        },
    }


def plain(value: Any) -> Any:
    """Data classes as mappings, whatever they hold."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def csv_text(columns: Sequence[str], rows: Iterable[Mapping[str, Any]] | Mapping[str, Any]) -> str:
    """A table as CSV; rows one by one, or a mapping of whole columns. What is missing is empty.

    A text that a spreadsheet would take for a formula gets an apostrophe before it, as spreadsheets do.
    """
    import polars as pl

    data = rows if isinstance(rows, Mapping) else _columns(columns, rows)
    frame = pl.DataFrame({name: data.get(name, []) for name in columns}, strict=False)
    text = pl.col(pl.String)
    formula = text.str.contains(FORMULA) & text.cast(pl.Float64, strict=False).is_null()
    inert = pl.when(formula).then(pl.lit("'") + text).otherwise(text).name.keep()
    return frame.with_columns(pl.col(pl.Float64).fill_nan(None)).with_columns(inert).write_csv()


def _columns(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> dict[str, list[Any]]:
    rows = list(rows)
    return {name: [row.get(name) for row in rows] for name in columns}


def tables(study: Study) -> dict[str, Any]:
    """The tables that there are, each as rows or as whole columns."""
    found: dict[str, Any] = {
        "attrition": study.clean["attrition"],
        "ladder": study.selection["ladder"],
        "tests": study.selection["tests"],
    }
    winner, fit = study.winner, study.fitted
    if winner:
        found |= {name: winner[name] for name in ("fixed", "terms", "random")}
        found["shares"] = (winner["shares"] or {"rows": ()})["rows"]
    if study.rows is not None:
        found["rows"] = {name: getattr(study.rows, name) for name in ("subject", "group", "time", "response")}
        none = [None] * study.rows.time.size
        found["rows"] |= dict.fromkeys(TABLES["rows"][4:], none)
    found |= _of_fit(fit) if fit else {}
    return found if study.time else {name: _untimed(table) for name, table in found.items()}


def _untimed(table: Any) -> Any:
    """The table of a study without a time: it has none to state."""
    if isinstance(table, Mapping):
        return {**table, "time": [None] * len(table["time"])} if "time" in table else table
    return [{**row, "time": None} if "time" in row else row for row in table]


def _of_fit(fit: Fitted) -> dict[str, Any]:
    inference, seen = fit.inference, fit.diagnostics
    rows = {name: getattr(fit.rows, name) for name in ("subject", "group", "time", "response")}
    rows |= {"fitted": fit.fitted, "population": fit.population}
    rows |= {"residual_pearson": fit.pearson, "residual_normalized": fit.normalized}
    found: dict[str, Any] = {
        "rows": rows,
        "covariance": [asdict(bound) for bound in inference.bounds],
        "profiles": [
            {"group": c.group, "term": c.term, "value": v, "zeta": z}
            for c in inference.profiles
            for v, z in zip(c.value.tolist(), c.zeta.tolist(), strict=True)
        ],
        "reductions": inference.reductions,
        "effects": [asdict(effect) for effect in fit.effects],
        "equal_variance": seen.equal_variances,
        "influence": _influence(seen.deletion) if seen.deletion is not None else (),
        "quantiles": [row for q in (seen.quantiles, *seen.effects) if q is not None for row in _points(q)],
        "predictions": [row for band in fit.bands for row in _band(band)],
        "subjects": [row for line in fit.lines for row in _line(line)],
    }
    named = {"variance": seen.spread, "autocorrelation": seen.lags, "semivariogram": seen.semivariogram}
    found |= {name: vars(value) for name, value in named.items() if value is not None}
    if seen.visits is not None:
        i, j = np.tril_indices(seen.visits.times.size, -1)
        columns = {name: getattr(seen.visits, name)[i, j] for name in TABLES["visits"][2:]}
        found["visits"] = {"time1": seen.visits.times[j], "time2": seen.visits.times[i], **columns}
    return found


def _points(q: Any) -> list[dict[str, Any]]:
    keys = ("rank", "theoretical", "observed", "low", "high")
    values = zip(*(getattr(q, key).tolist() for key in keys), strict=True)
    return [{"name": q.name, **dict(zip(keys, row, strict=True))} for row in values]


def _influence(found: Any) -> list[dict[str, Any]]:
    """A row for each unit and coefficient in question."""
    keys = ("rows", "cooks_distance", "displacement")
    units = list(zip(found.levels, *(getattr(found, key).tolist() for key in keys), strict=True))
    return [
        {**dict(zip(("level", *keys), unit, strict=True)), "term": term, "estimate_without": value}
        for unit, without in zip(units, found.without.tolist(), strict=True)
        for term, value in zip(found.terms, without, strict=True)
    ]


def _band(band: Any) -> list[dict[str, Any]]:
    return [
        {"group": band.group, "time": x, "prediction": mean, "interval": name, "low": low, "high": high}
        for name, (lows, highs) in band.limits.items()
        for x, mean, low, high in zip(
            band.x.tolist(), band.mean.tolist(), lows.tolist(), highs.tolist(), strict=True
        )
    ]


def _line(line: Any) -> list[dict[str, Any]]:
    names = {"time": "x", "observed": "y", "fitted": "fitted", "population": "population"}
    names |= {"low": "low", "high": "high"} if line.low is not None else {}
    columns = {name: getattr(line, key).tolist() for name, key in names.items()}
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    return [{"subject": line.subject, "group": line.group, **row} for row in rows]
