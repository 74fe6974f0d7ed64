"""Tables of the parameters of residual and variance structures."""

import math
from dataclasses import replace

from lmmstudy.report.blocks import Table
from lmmstudy.report.refit.inference import Bound, Inference
from lmmstudy.report.sections.variances import interval_text
from lmmstudy.report.words.numbers import MISSING, column, fixed, fmt, plain
from lmmstudy.report.words.residual import power_of, rho_text
from lmmstudy.report.words.residual_numbers import (
    UNEQUAL,
    Json,
    Visits,
    by_level,
    kind,
    lags,
    ratios,
    subject_name,
    visits,
)
from lmmstudy.report.words.sentences import level_text, parameter_words

SINGLE = ("rho", "range", "nugget", "power")
"""Parameters with a row of their own in the first table."""
FOLDED = 12
"""Tables with more rows are folded."""


def residual_tables(model: Json, inference: Inference | None, conf_level: float) -> list[Table]:
    """The parameters of the residuals by themselves, by distance, by visit and by level, with intervals."""
    bounds = [b for b in inference.bounds if b.group == "Residual"] if inference else []
    head = f"{level_text(conf_level)} CI"
    if own := by_level(model):
        by = model["residual_structure"]["by"]
        found_by = [
            replace(table, caption=f"{by} {level}: {table.caption}")
            for level, of in own.items()
            for table in residual_tables(of, None, conf_level)
        ]
        return [*found_by, *filter(None, [_by_level(model), _sds(inference, head), _intervals(bounds, head)])]
    tables = [_parameters(model, inference, head), _by_distance(model), _by_level(model)]
    found = visits(model)
    if found:
        tables += [_correlations(model, found), _covariances(model, found)]
    tables.append(_sds(inference, head))
    tables.append(_intervals([b for b in bounds if b.term not in (*SINGLE, "sd__Observation")], head))
    return [table for table in tables if table is not None]


def _intervals(bounds: list[Bound], head: str) -> Table | None:
    """Intervals of the parameters that the other tables show without."""
    rows = tuple((parameter_words(b.group, b.term), fmt(b.estimate), interval_text(b)) for b in bounds)
    caption = "Intervals of the parameters of the residuals"
    return Table(caption, ("Parameter", "Estimate", head), rows, "lrr", folded=True) if rows else None


def _sds(inference: Inference | None, head: str) -> Table | None:
    """The residual SD of each group or visit with its interval."""
    sds = inference.sds if inference else ()
    if not sds:
        return None
    names = list(sds[0])[:-4]
    body = tuple(
        (
            *(plain(row[name]) for name in names),
            fmt(row["estimate"]),
            _limits(row["conf_low"], row["conf_high"]),
        )
        for row in sds
    )
    caption = f"Residual SD by {' and '.join(names)}, with intervals (REML)"
    note = "Wald's intervals, symmetric on the scale of log SD."
    heads = (*names, "SD", head)
    return Table(caption, heads, body, "l" * len(names) + "rr", note, folded=len(body) > FOLDED)


def _limits(low: float | None, high: float | None) -> str:
    known = low is not None and high is not None and math.isfinite(low) and math.isfinite(high)
    return f"{fmt(low)} to {fmt(high)}" if known else MISSING


def _parameters(model: Json, inference: Inference | None, head: str) -> Table | None:
    structure, parameters = model["residual_structure"] or {}, model["residual_parameters"]
    time, rows = structure.get("time"), []
    if "rho" in parameters:
        where = f"at distance 1 in {time}" if time else f"of any two rows of one {subject_name(model)}"
        rows.append(("rho", rho_text(parameters["rho"]), f"residual correlation {where}"))
    if "range" in parameters:
        where = f"distance in {time} at which the correlation has fallen to 0.368"
        share = " of what it is nearby" if structure["nugget"] else ""
        rows.append(("range", fmt(parameters["range"]), where + share))
    if "nugget" in parameters:
        words = "share of the residual variance that is measurement error"
        rows.append(("nugget", fixed(parameters["nugget"], 4), words))
    if "power" in parameters:
        words = f"exponent of the absolute value of {power_of(model)} in the residual SD"
        rows.append(("power", fmt(parameters["power"]), words))
    heads = ("Parameter", "Estimate", head, "Meaning")
    body = tuple(
        (name, shown, interval_text(inference.bound("Residual", name) if inference else None), words)
        for name, shown, words in rows
    )
    return Table("Parameters of the residuals (REML)", heads, body, "lrrl") if rows else None


def _by_distance(model: Json) -> Table | None:
    found = lags(model)
    if not found:
        return None
    time = model["residual_structure"]["time"]
    rows = tuple((plain(lag), rho_text(rho)) for lag, rho in found)
    caption = f"Residual correlation by distance in {time} (REML)"
    return Table(caption, ("Distance", "Correlation"), rows, "rr", folded=len(rows) > FOLDED)


def _by_level(model: Json) -> Table | None:
    levels = ratios(model)
    if not levels:
        return None
    name = model["variance"]["column"]
    relative = column(list(levels.values()))
    if kind(model) in UNEQUAL:
        rows = tuple(zip(levels, relative, strict=True))
        return Table(f"Relative residual SD by {name} (REML)", (name, "Relative SD"), rows, "lr")
    sds = column([model["sigma"] * ratio for ratio in levels.values()])
    full = tuple(zip(levels, sds, relative, strict=True))
    return Table(f"Residual SD by {name} (REML)", (name, "SD", "Relative to the first"), full, "lrr")


def _correlations(model: Json, found: Visits) -> Table:
    time = model["residual_structure"]["time"]
    names, sds = found.shown, column(found.sd.tolist())
    rows = tuple(
        (name, sds[i], *(rho_text(r) if j < i else "1" if j == i else "" for j, r in enumerate(line)))
        for i, (name, line) in enumerate(zip(names, found.correlation.tolist(), strict=True))
    )
    caption = f"Residual SD and correlation by {time} (REML)"
    note = _reference(model)
    return Table(
        caption, (time, "SD", *names), rows, "rr" + "r" * len(names), note, folded=len(rows) > FOLDED
    )


def _covariances(model: Json, found: Visits) -> Table:
    time = model["residual_structure"]["time"]
    names = found.shown
    rows = tuple(
        (name, *(fmt(v) if j <= i else "" for j, v in enumerate(line)))
        for i, (name, line) in enumerate(zip(names, found.covariance.tolist(), strict=True))
    )
    caption = f"Residual covariance by {time} (REML)"
    return Table(caption, (time, *names), rows, "r" + "r" * len(names), _reference(model), folded=True)


def _reference(model: Json) -> str:
    """Which rows the SDs of the visits are of."""
    if not model["variance"]:
        return ""
    levels = ratios(model)
    where = f"{model['variance']['column']} {next(iter(levels))}" if levels else f"{power_of(model)} 1"
    return f"For {where}; those of other rows are multiples of these."
