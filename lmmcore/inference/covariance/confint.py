"""Confidence intervals of fixed effects and covariance parameters alike, and the profiles behind them."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from lmmcore.data.table import to_frame
from lmmcore.errors import ArgumentError, FitError
from lmmcore.estimate.solution import Solution
from lmmcore.inference.covariance.components import components, normal_quantile
from lmmcore.inference.covariance.profile_limits import limits
from lmmcore.inference.covariance.profiles import Curve, coefficient_curves, parameter_curves
from lmmcore.inference.fixed.wald import DfMethod, linear_estimates
from lmmcore.runtime import arguments

# Points of a profile between its limits.
POINTS = 41


def confint(
    solution: Solution,
    method: Literal["wald", "profile"] = "wald",
    conf_level: float = 0.95,
    df: DfMethod = "satterthwaite",
) -> Any:
    """Frame: effect ("fixed" or "ran_pars"), group, term, estimate, conf_low, conf_high, method, note.

    method="wald" : estimate -/+ t times its standard error for fixed effects, df as in tidy(); for
    covariance parameters normal quantiles on the scale of components(). method="profile" : where the profile
    of the ML deviance crosses the cut-off (.profiles); the estimates are those of the fit,
    and an interval that reaches the end of a parameter's space ends exactly there. note : a sentence where a
    limit is missing or such an end, else "". Raises ArgumentError for another method or level.
    """
    arguments.one_of(method, "method", ("wald", "profile"))
    quantile = normal_quantile(conf_level)
    known = components(solution, conf_level)
    p, k = len(solution.beta), len(known.term)
    low, high, note = np.empty(p + k), np.empty(p + k), [""] * (p + k)
    if method == "wald":
        low[:p], high[:p] = linear_estimates(solution, np.eye(p), df).interval(conf_level)
        low[p:], high[p:] = known.conf_low, known.conf_high
        note[p:] = [known.sentence if np.isnan(limit) else "" for limit in known.conf_low]
    else:
        for place, curve in enumerate(_curves(solution)):
            ends = limits(curve, quantile)
            low[place], high[place] = (end.value for end in ends)
            note[place] = " ".join(dict.fromkeys(end.sentence for end in ends if end.sentence))
    return to_frame(
        {
            "effect": ["fixed"] * p + ["ran_pars"] * k,
            "group": [None] * p + list(known.group),
            "term": [*solution.model.terms, *known.term],
            "estimate": np.concatenate([solution.beta, known.estimate]),
            "conf_low": low,
            "conf_high": high,
            "method": [method] * (p + k),
            "note": note,
        },
        solution.model.table.backend,
    )


def profile(solution: Solution, term: str, group: str | None = None, conf_level: float = 0.99) -> Any:
    """Frame of 41 points: value of one parameter, zeta, the signed root of the rise of the ML deviance.

    term, group : as in confint(); group is needed only where two groups have the same term. The points reach
    from limit to limit of an interval at conf_level, evenly on the coordinate of the parameter (an SD itself,
    log sigma, the angle of a correlation). A straight line means that Wald limits on that scale would do.
    Raises ArgumentError for an unknown term, FitError where the profile has no limits.
    """
    curve = _named(solution, term, group)
    ends = limits(curve, normal_quantile(conf_level))
    for end in ends:
        if np.isnan(end.value):
            raise FitError(end.sentence)
    low, high = (end.coordinate for end in ends)
    below = 1 + round((POINTS - 1) * (curve.centre - low) / (high - low))
    down = np.linspace(curve.centre, low, below)[1:]
    up = np.linspace(curve.centre, high, POINTS - len(down))[1:]
    found = []
    for side in (down, up):
        near = None
        for coordinate in side.tolist():
            at = curve.at(coordinate, near)
            if at is None:
                raise FitError(f"The profile of {curve.label} cannot be followed to its limits.")
            found.append((coordinate, at.zeta))
            near = at
    points = sorted([*found, (curve.centre, 0.0)])
    return to_frame(
        {
            "value": [curve.scale.value(coordinate) for coordinate, _ in points],
            "zeta": [zeta for _, zeta in points],
        },
        solution.model.table.backend,
    )


def _curves(solution: Solution) -> list[Curve]:
    return [*coefficient_curves(solution), *parameter_curves(solution)]


def _named(solution: Solution, term: str, group: str | None) -> Curve:
    """The one curve of a term (and group)."""
    arguments.name(term, "term")
    if group is not None:
        arguments.name(group, "group")
    known = components(solution)
    names = [(None, name) for name in solution.model.terms] + list(zip(known.group, known.term, strict=True))
    found = [
        curve
        for curve, (where, name) in zip(_curves(solution), names, strict=True)
        if name == term and group in (None, where)
    ]
    if len(found) == 1:
        return found[0]
    if not found:
        shown = ", ".join(dict.fromkeys(name for _, name in names))
        of = "" if group is None else f" of group {group!r}"
        raise ArgumentError(f"There is no term {term!r}{of}; the terms are {shown}.")
    groups = ", ".join(repr(where) for where, name in names if name == term)
    raise ArgumentError(f"The term {term!r} stands in {len(found)} groups; name one by group=: {groups}.")
