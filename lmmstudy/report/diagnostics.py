"""The engine's diagnostics of the selected model, as the sections show them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from lmmcore.data import Factor
from lmmcore.diagnostics.homogeneity import homogeneity
from lmmcore.diagnostics.influence import influence
from lmmcore.diagnostics.qq import Quantiles, effect_quantiles, residual_quantiles
from lmmcore.diagnostics.semivariogram import Semivariogram, semivariogram
from lmmcore.diagnostics.serial import Autocorrelation, residual_autocorrelation
from lmmcore.diagnostics.spread import VarianceOverTime, VisitMoments, variance_over_time, visit_moments
from lmmcore.errors import DataError
from lmmstudy.formulas import columns_of
from lmmstudy.report.hypotheses import focal_terms
from lmmstudy.report.rows import Rows

Found = TypeVar("Found")


@dataclass(frozen=True)
class Deletion:
    """The estimates without each of N units of `group`, its levels : N names.

    rows, cooks_distance, displacement : (N,), missing for a unit without which there is no estimate;
    displacement : twice the log-likelihood lost by the estimates without the unit. terms : k coefficients in
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
    """What there is; None where the rows do not allow it. quantiles : of the normalised residuals; effects :
    of the predicted random effects, named "term | group"; equal_variances : rows of lmmcore's homogeneity."""

    quantiles: Quantiles | None
    effects: tuple[Quantiles, ...]
    lags: Autocorrelation | None
    semivariogram: Semivariogram | None
    spread: VarianceOverTime | None
    visits: VisitMoments | None
    equal_variances: tuple[Mapping[str, Any], ...]
    deletion: Deletion


def diagnose(fit: Any, used: Rows, design: Mapping[str, Any]) -> Diagnostics:
    """Of a fit to the rows `used`."""
    solution, time = fit.solution, used.time
    return Diagnostics(
        residual_quantiles(solution),
        effect_quantiles(solution, fit.blups),
        _or_none(lambda: residual_autocorrelation(solution, time)),
        _or_none(lambda: semivariogram(solution, time)),
        _or_none(lambda: variance_over_time(solution, time)),
        _or_none(lambda: visit_moments(solution, time)),
        tuple(homogeneity(solution, _columns(fit, design)).to_dicts()),
        deletion(fit, focal_terms(fit.terms, design["time"], design.get("group") or "")),
    )


def deletion(fit: Any, terms: tuple[str, ...]) -> Deletion:
    """The influence of each outermost unit on these coefficients."""
    found = influence(fit.solution)
    chosen = [fit.terms.index(term) for term in terms]
    return Deletion(
        found.group,
        tuple(found.levels),
        found.rows,
        found.cooks_distance,
        found.left_out.displacement,
        terms,
        fit.solution.beta[chosen],
        np.sqrt(np.diag(fit.vcov)[chosen]),
        found.left_out.beta[:, chosen],
    )


def _columns(fit: Any, design: Mapping[str, Any]) -> list[str]:
    """Time, if it is a number of the model, and the columns of the fixed effects that the model has."""
    columns = fit.solution.model.table.columns
    names = dict.fromkeys([design["time"], *columns_of(design["fixed"])])
    numbers = [name for name in names if name in columns and not isinstance(columns[name], Factor)]
    return [*numbers, *(name for name in names if name in columns and name not in numbers)]


def _or_none(make: Callable[[], Found]) -> Found | None:
    try:
        return make()
    except DataError:  # too few visits, pairs or steps: the section leaves the chart out
        return None
