"""What the engine says of the selected model beyond its record: intervals and tests of the covariance.

Profiles follow the likelihood with all other parameters estimated anew. Where a residual structure makes that
slow, Wald limits take their place, and so do they for a limit that the profile does not reach.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lmmcore.errors import LmmError
from lmmstudy.report.attempt import Attempts
from lmmstudy.report.refit.rows import numbers

BOUNDS = "The intervals of the covariance parameters"
PROFILES = "The profiles of the likelihood"
SDS = "The intervals of the residual SDs"
REDUCTIONS = "The tests of the random effects"
PROFILED = 20_000
"""Most rows of a model with a residual structure whose likelihood is profiled."""
DRAWN = 6
"""Most covariance parameters whose profiles are drawn."""


@dataclass(frozen=True)
class Bound:
    """The interval of a covariance parameter, group and term in broom.mixed's names: an SD ("sd__Days"), a
    correlation ("cor__Intercept.Days") or a parameter of the residuals ("rho"). Limits are None where there
    is none. method : "profile" or "Wald"; note : "" or a sentence."""

    group: str
    term: str
    estimate: float
    low: float | None
    high: float | None
    method: str
    note: str


@dataclass(frozen=True)
class Likelihood:
    """The profile of a covariance parameter. value, zeta : (m,), zeta the signed root of the rise of the
    deviance."""

    group: str
    term: str
    value: np.ndarray
    zeta: np.ndarray


@dataclass(frozen=True)
class Inference:
    """bounds : of all covariance parameters; profiles : of those that are drawn; reductions : rows of
    `Fit.ranova`, none without random effects; sds : rows of `Fit.residual_sds`, none where there is one SD or
    too many."""

    bounds: tuple[Bound, ...]
    profiles: tuple[Likelihood, ...]
    reductions: tuple[Mapping[str, Any], ...]
    sds: tuple[Mapping[str, Any], ...] = ()

    def bound(self, group: str, *terms: str) -> Bound | None:
        """The first of the terms that there is."""
        found = {(b.group, b.term): b for b in self.bounds}
        return next((found[group, term] for term in terms if (group, term) in found), None)


def infer(fit: Any, conf_level: float, attempt: Attempts) -> Inference:
    """Of a fit by REML, the numbers of the random part."""
    slow = fit.solution.model.structure is not None and fit.nobs > PROFILED
    bounds = attempt(BOUNDS, lambda: _bounds(fit, conf_level, slow), ())
    drawn: tuple[Likelihood, ...] = ()
    if not slow and len(bounds) <= DRAWN:
        drawn = attempt(PROFILES, lambda: _profiles(fit, bounds), ())
    reductions = attempt(REDUCTIONS, lambda: _reductions(fit), ())
    sds = attempt(SDS, lambda: _sds(fit, conf_level), ())
    return Inference(bounds, drawn, reductions, sds)


def _sds(fit: Any, conf_level: float) -> tuple[Mapping[str, Any], ...]:
    try:
        rows = tuple(fit.residual_sds(conf_level).to_dicts())
    except LmmError:  # it depends on a covariate or on the fitted values
        return ()
    return rows if len(rows) > 1 else ()


def _reductions(fit: Any) -> tuple[Mapping[str, Any], ...]:
    random = any(row["group"] != "Residual" for row in fit.varcorr().to_dicts())
    return tuple(fit.ranova().to_dicts()) if random else ()


def _bounds(fit: Any, conf_level: float, slow: bool) -> tuple[Bound, ...]:
    wald = _covariance(fit.confint("wald", conf_level))
    profile = wald
    if not slow:
        try:
            profile = _covariance(fit.confint("profile", conf_level))
        except LmmError:  # no profile at all: Wald limits are told as such
            slow = True
    found = []
    for curve, other in zip(profile, wald, strict=True):
        ends = [_finite(curve[key]) for key in ("conf_low", "conf_high")]
        other_ends = [_finite(other[key]) for key in ("conf_low", "conf_high")]
        use_wald = slow or (None in ends and None not in other_ends)
        low, high = other_ends if use_wald else ends
        method = "Wald" if use_wald else "profile"
        estimate, note = _finite(curve["estimate"]), curve["note"]
        named = curve["group"], curve["term"]
        found.append(Bound(*named, math.nan if estimate is None else estimate, low, high, method, note))
    return tuple(found)


def _covariance(frame: Any) -> list[dict[str, Any]]:
    return [row for row in frame.to_dicts() if row["effect"] == "ran_pars"]


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _profiles(fit: Any, bounds: tuple[Bound, ...]) -> tuple[Likelihood, ...]:
    """Of the parameters whose profile can be followed to both limits."""
    found = []
    for bound in bounds:
        try:
            points = fit.profile(bound.term, bound.group)
        except LmmError:
            continue
        found.append(Likelihood(bound.group, bound.term, numbers(points, "value"), numbers(points, "zeta")))
    return tuple(found)
