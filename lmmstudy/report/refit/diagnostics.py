"""The engine's diagnostics of the selected model, as the sections show them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lmmcore.data.table import Factor
from lmmcore.diagnostics.homogeneity import homogeneity
from lmmcore.diagnostics.influence import influence
from lmmcore.diagnostics.qq import Quantiles, effect_quantiles, residual_quantiles
from lmmcore.diagnostics.semivariogram import Semivariogram, semivariogram
from lmmcore.diagnostics.serial import Autocorrelation, residual_autocorrelation
from lmmcore.diagnostics.spread import VarianceOverTime, VisitMoments, variance_over_time, visit_moments
from lmmstudy.config.formulas import columns_of_terms
from lmmstudy.report.attempt import Attempts
from lmmstudy.report.refit.rows import Rows
from lmmstudy.report.words.hypotheses import focal_terms

QUANTILES = "The normal quantiles of the residuals"
EFFECTS = "The normal quantiles of the predicted random effects"
LAGS = "The autocorrelation of the residuals"
SEMIVARIOGRAM = "The semivariogram"
SPREAD = "The variance over time"
VISITS = "The correlation between visits"
EQUAL = "The tests of equal variance"
INFLUENCE = "The influence of each unit"


@dataclass(frozen=True)
class Deletion:
    """The estimates without each of N units of `group`, its levels : N names.

    rows, cooks_distance, displacement : (N,), missing for a unit without which there is no estimate;
    displacement : twice the log-likelihood lost by the estimates without the unit. terms : k contrasts in
    question; estimate, std_error : (k,) of the full fit; without : (N, k).
    """

    group: str
    levels: tuple[str, ...]
    rows: np.ndarray
    cooks_distance: np.ndarray
    displacement: np.ndarray
    terms: tuple[str, ...]
    estimate: np.ndarray
    std_error: np.ndarray
    without: np.ndarray

    @property
    def change(self) -> np.ndarray:
        """(N, k) estimate without the unit less that of all, in standard errors of the latter."""
        return (self.without - self.estimate) / self.std_error


@dataclass(frozen=True)
class Diagnostics:
    """What there is; None where the rows do not allow it, or the work on it failed. quantiles : of the
    normalised residuals; effects : of the predicted random effects, named "term | group"; equal_variances :
    rows of lmmcore's homogeneity."""

    quantiles: Quantiles | None
    effects: tuple[Quantiles, ...]
    lags: Autocorrelation | None
    semivariogram: Semivariogram | None
    spread: VarianceOverTime | None
    visits: VisitMoments | None
    equal_variances: tuple[Mapping[str, Any], ...]
    deletion: Deletion | None


def diagnose(
    fit: Any, used: Rows, design: Mapping[str, Any], answer: Mapping[str, Any], attempt: Attempts
) -> Diagnostics:
    """Of a fit to the rows `used`. A DataError of the four about time means too few visits, pairs or steps:
    they are left out without a word."""
    solution, time = fit.solution, used.time
    asked = [(row["name"], row["weights"]) for row in answer["estimates"]]
    terms = focal_terms(fit.terms, design.get("time") or "", design.get("group") or "")
    contrasts = dict(asked or [(term, {term: 1.0}) for term in terms])
    over_time = attempt.where_possible if design.get("time") else _nothing
    return Diagnostics(
        attempt(QUANTILES, lambda: residual_quantiles(solution), None),
        attempt(EFFECTS, lambda: effect_quantiles(solution, fit.blups), ()),
        over_time(LAGS, lambda: residual_autocorrelation(solution, time)),
        over_time(SEMIVARIOGRAM, lambda: semivariogram(solution, time)),
        over_time(SPREAD, lambda: variance_over_time(solution, time)),
        over_time(VISITS, lambda: visit_moments(solution, time)),
        attempt(EQUAL, lambda: tuple(homogeneity(solution, _columns(fit, design)).to_dicts()), ()),
        attempt(INFLUENCE, lambda: deletion(fit, contrasts), None),
    )


def _nothing(name: str, make: Callable[[], Any]) -> None:
    """What there is over time in data without one."""


def deletion(fit: Any, contrasts: Mapping[str, Mapping[str, float]]) -> Deletion:
    """The influence of each outermost unit on contrasts, {name: {term: weight}}."""
    found = influence(fit.solution)
    L = np.array([[weights.get(term, 0.0) for term in fit.terms] for weights in contrasts.values()])
    L = L.reshape(len(contrasts), len(fit.terms))
    return Deletion(
        found.group,
        tuple(found.levels),
        found.rows,
        found.cooks_distance,
        found.left_out.displacement,
        tuple(contrasts),
        L @ fit.solution.beta,
        np.sqrt(np.einsum("ka,ab,kb->k", L, fit.vcov, L)),
        found.left_out.beta @ L.T,
    )


def _columns(fit: Any, design: Mapping[str, Any]) -> list[str]:
    """Time, if it is a number of the model, and the columns of the fixed effects that the model has."""
    columns = fit.solution.model.table.columns
    time = [design["time"]] if design.get("time") else []
    names = dict.fromkeys([*time, *columns_of_terms(design["fixed"])])
    numbers = [name for name in names if name in columns and not isinstance(columns[name], Factor)]
    return [*numbers, *(name for name in names if name in columns and name not in numbers)]
