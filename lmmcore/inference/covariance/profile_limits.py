"""Where a profile crosses the cut-off: the limits of a profile-likelihood interval."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lmmcore.inference.covariance.profiles import Curve, Ordinate, ParameterCurve

# With |zeta| this near to the quantile a last Newton step needs no evaluation. Where rounding of the deviance
# forbids that (R nearly singular), a bracket of this part of a first step will do if |zeta| is fairly near.
REACHED, NARROW, NEAR = 1e-6, 1e-6, 1e-5
# A deviance lower than that of the fit by this shows that the fit was not the maximum.
BELOW = 1e-6
MOST_POINTS = 100
# A search that fails is tried again this often, each time half as far away.
MOST_FAILURES = 12


@dataclass(frozen=True)
class Limit:
    """One limit on the user's scale, nan where there is none, and its coordinate.

    sentence : why there is none, or that the limit is an end of the parameter's space; "" otherwise.
    """

    value: float
    coordinate: float
    sentence: str = ""


def limits(curve: Curve, quantile: float) -> tuple[Limit, Limit]:
    """Both limits, where |zeta| reaches the normal quantile or the parameter's space ends."""
    if isinstance(curve, ParameterCurve):
        if np.isnan(curve.peak.values[curve.place]):
            sentence = f"{_capital(curve.label)} is not defined, because an SD is estimated as 0."
            return Limit(np.nan, np.nan, sentence), Limit(np.nan, np.nan, sentence)
        free = _undetermined(curve, quantile)
        if free is not None:
            return free
    return _limit(curve, quantile, -1), _limit(curve, quantile, 1)


def _undetermined(curve: ParameterCurve, quantile: float) -> tuple[Limit, Limit] | None:
    """A correlation can be anything as long as one of its SDs may be 0."""
    if not curve.parameter.term.startswith("cor__") or not curve.parameter.effects:
        return None
    peak = curve.peak
    for _, row in curve.parameter.effects:
        for place, other in enumerate(peak.parameters):
            if not other.term.startswith("sd__") or not any(own is row for _, own in other.effects):
                continue
            at_zero = ParameterCurve(peak, place).at(0.0, None)
            if at_zero is not None and abs(at_zero.zeta) <= quantile:
                sentence = f"{_capital(curve.label)} may have any value, because {other.label} may be 0."
                low, high = (Limit(end.value, end.coordinate, sentence) for end in curve.ends)
                return low, high
    return None


def _limit(curve: Curve, quantile: float, sign: int) -> Limit:
    """Newton's method on |zeta| as a function of the distance from the estimate, kept within a bracket.

    sign : -1 for the lower limit, 1 for the upper one.
    """
    end = curve.ends[0 if sign < 0 else 1]
    longest = sign * (end.coordinate - curve.centre)
    if longest <= 0:
        sentence = f"{_capital(curve.label)} is at the end of its space in the fit by maximum likelihood."
        return Limit(end.value, end.coordinate, sentence)
    lost = f"The profile of {curve.label} cannot be followed to the cut-off."
    inside, outside, step = 0.0, np.inf, curve.step
    distance = min(quantile * step, longest)
    near: Ordinate | None = None
    failures = 0
    for _ in range(MOST_POINTS):
        found = curve.at(end.coordinate if distance == longest else curve.centre + sign * distance, near)
        if found is None:
            failures += 1
            if failures > MOST_FAILURES:
                return Limit(np.nan, np.nan, lost)
            outside = distance
            distance = (inside + distance) / 2
            continue
        if found.rise < -BELOW:
            sentence = f"The profile of {curve.label} falls below the fit, which is a local optimum only."
            return Limit(np.nan, np.nan, sentence)
        left = quantile - abs(found.zeta)
        if abs(left) < (NEAR if outside - inside < NARROW * step else REACHED) and found.slope > 0:
            coordinate = curve.centre + sign * min(distance + left / found.slope, longest)
            return Limit(curve.scale.value(coordinate), coordinate)
        if left < 0:
            outside = distance
        elif distance == longest:
            sentence = f"{_capital(curve.label)} may be as {_direction(sign)} as {end.value:g}."
            return Limit(end.value, end.coordinate, sentence)
        elif found.slope < 0:
            return Limit(np.nan, np.nan, f"The profile of {curve.label} does not rise steadily.")
        else:
            inside, near = distance, found
        distance = min(_next(distance, left, found.slope, inside, outside), longest)
    return Limit(np.nan, np.nan, lost)


def _next(distance: float, left: float, slope: float, inside: float, outside: float) -> float:
    """Newton's step if it stays within the bracket, else its middle, or twice as far where there is none."""
    with np.errstate(divide="ignore", invalid="ignore"):
        newton = float(distance + np.divide(left, slope))
    if np.isfinite(outside):
        return newton if inside < newton < outside else (inside + outside) / 2
    return min(newton, 3 * distance) if newton > inside else 2 * distance


def _direction(sign: int) -> str:
    return "low" if sign < 0 else "high"


def _capital(label: str) -> str:
    return label[0].upper() + label[1:] if label.startswith("the ") else label
