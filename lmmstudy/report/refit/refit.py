"""The only place where the report asks the engine: the selected model is fitted again to the clean rows.

The refit gives what the JSON files leave out because it is as long as the data, or takes longer than a fit:
fitted values, predicted random effects, the predicted mean, profiles of the likelihood, diagnostics.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lmmcore import Fit
from lmmstudy.fitting.answer import NONE
from lmmstudy.fitting.engine import fit_table
from lmmstudy.report.attempt import Attempts
from lmmstudy.report.refit.curves import averages, marginal, reference, varying
from lmmstudy.report.refit.diagnostics import Diagnostics, diagnose
from lmmstudy.report.refit.inference import Inference, infer
from lmmstudy.report.refit.predictions import Band, bands, own_lines
from lmmstudy.report.refit.rows import Rows, numbers, rows, values, visits
from lmmstudy.report.refit.series import Curve, Effect, Profile

MEANS = "The predicted means"
EFFECTS = "The predicted random effects"
BANDS = "The bands for a new subject"
LINES = "The lines of the subjects"
BEND = "The test for a curve over time"


@dataclass(frozen=True)
class Fitted:
    """What the refit adds; arrays are (n,) in the order of `rows`.

    fitted : with random effects; population : without. pearson : (observed - fitted) / SD of the row's
    residual, the conditional residuals. normalized : L^-1 (observed - population) with L L' the marginal
    covariance of a subject's rows: independent standard normal values if the model holds. note : what the
    curves are averaged over and where numbers stand in them. held : where other covariates stand in the bands
    (column, value). averaged : covariates that change within subjects; the curves are then means of the rows'
    predictions, and there are no bands. profiles : of all subjects; lines : of some, with intervals. lost :
    {what: reason} of what could not be worked out; bend : p of a square of time added to the model.
    """

    rows: Rows
    fitted: np.ndarray
    population: np.ndarray
    pearson: np.ndarray
    normalized: np.ndarray
    effects: tuple[Effect, ...]
    curves: tuple[Curve, ...]
    note: str
    held: tuple[tuple[str, str], ...]
    averaged: tuple[str, ...]
    inference: Inference
    diagnostics: Diagnostics
    bands: tuple[Band, ...]
    profiles: tuple[Profile, ...]
    lines: tuple[Profile, ...]
    lost: dict[str, str] = field(default_factory=dict)
    bend: float | None = None


def refit(
    parquet: str, frame: Any, model: Mapping[str, Any], design: Mapping[str, Any], conf_level: float
) -> Fitted:
    """Fit the selected model by REML and take out what the charts need; raises lmmcore.errors.LmmError.

    frame : the rows of the file `parquet`, which hold no missing value, so that none is left out by the fit.
    """
    fit = Fit(fit_table(parquet, model, "REML", design.get("categories")))
    table, used = fit.augment(), rows(frame, design)
    columns = ("fitted", "fitted_population", "residual_pearson", "residual_normalized")
    fitted, population, pearson, normalized = (numbers(table, name) for name in columns)
    attempt, note = Attempts(), ""
    bend = attempt(BEND, lambda: curvature(fit, parquet, model, design), None)
    averaged = varying(frame, design)
    if averaged:
        curves = averages(used, population)
    else:
        nothing: tuple[tuple[Curve, ...], str] = ((), "")
        curves, note = attempt(MEANS, lambda: marginal(fit, used, design, conf_level), nothing)
    effects = attempt(EFFECTS, lambda: _effects(fit.ranef()), ())
    held = reference(frame, design)[1]
    drawn: tuple[Band, ...] = ()
    if not averaged:
        drawn = attempt(BANDS, lambda: bands(fit, frame, design, used, conf_level), ())
    told = (
        infer(fit, conf_level, attempt),
        diagnose(fit, used, design, model.get("answer") or NONE, attempt),
        drawn,
    )
    every = profiles(used, fitted, population)
    lines: tuple[Profile, ...] = ()
    if design.get("time"):
        lines = attempt(LINES, lambda: own_lines(fit, frame, design, every, conf_level), ())
    fits = fitted, population, pearson, normalized
    return Fitted(used, *fits, effects, curves, note, held, averaged, *told, every, lines, attempt.lost, bend)


def _effects(table: Any) -> tuple[Effect, ...]:
    columns = (values(table, name) for name in ("group", "level", "term", "estimate", "std_error"))
    return tuple(
        Effect(str(g), str(v), str(t), float(e), float(s)) for g, v, t, e, s in zip(*columns, strict=True)
    )


def curvature(fit: Any, parquet: str, model: Mapping[str, Any], design: Mapping[str, Any]) -> float | None:
    """p of the square and the cube of time added to the fixed effects, those that are new to them; None where
    the model follows any course over time, or has none."""
    from lmmstudy.fitting.candidate import fit_table  # start-up time

    time = str(design.get("time") or "")
    if time not in fit.solution.model.fixed.variables:
        return None
    powers = " + ".join(f"I(`{time}` ** {k})" for k in (2, 3))
    more = {**model, "formula": f"{model['formula']} + {powers}"}
    larger = Fit(fit_table(parquet, more, "REML", design.get("categories")))
    new = [term for term in larger.terms if term not in fit.terms]
    if not new:
        return None
    return float(larger.contrast([{term: 1.0} for term in new]).to_dicts()[0]["p_value"])


def profiles(used: Rows, *fits: np.ndarray) -> tuple[Profile, ...]:
    """The rows of each subject in order of time; the pen is lifted where a visit (rows.visits) is missing.

    fits : (n,) each, the fitted values and the population's; none without a fit.
    """
    number: dict[str, int] = {}
    codes = np.array([number.setdefault(name, len(number)) for name in used.subject], dtype=np.intp)
    order = np.lexsort((used.time, codes))
    known = visits(used)
    visit = np.zeros(len(order), dtype=int) if known is None else known[order]
    starts = np.searchsorted(codes[order], np.arange(len(number) + 1))
    within = np.ones(len(visit), dtype=bool)
    within[starts[:-1]] = False
    missed = within & (np.diff(visit, prepend=0) > 1)
    scheduled = missed.sum() <= 0.5 * within.sum()
    columns = [used.time[order], used.response[order], ~missed if scheduled else np.ones_like(within)]
    columns += [fit[order] for fit in fits]
    place = {group: k for k, group in enumerate(used.groups)}
    result = []
    for k, (name, start, end) in enumerate(zip(number, starts[:-1], starts[1:], strict=True)):
        group = used.group[order[start]]
        result.append((place[group], k, Profile(name, group, *(column[start:end] for column in columns))))
    return tuple(profile for _, _, profile in sorted(result, key=lambda entry: entry[:2]))
