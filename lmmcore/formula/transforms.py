"""Functions that learn from the data: scale, center, poly, bs, cr, ns.

Each learns a state of plain numbers from the training rows and applies it to any rows, so that predictions
use the basis of the fit. bs and cr are formulaic's; the others are a few lines and agree with it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from lmmcore.errors import DataError, FormulaError

State = dict[str, Any]  # plain numbers and lists, as JSON holds them
Bases = dict[str, np.ndarray]  # label -> (n,)


class Scalar(NamedTuple):
    """A function with one column as its result. learn(x, text) -> state; apply(x, state) -> (n,)."""

    learn: Callable[[np.ndarray, str], State]
    apply: Callable[[np.ndarray, State], np.ndarray]


class Basis(NamedTuple):
    """A function with several columns. settings : its arguments after x, in order."""

    settings: tuple[str, ...]
    learn: Callable[[np.ndarray, Mapping[str, Any], str], State]
    apply: Callable[[np.ndarray, State, str], Bases]


def _learn_center(x: np.ndarray, text: str) -> State:
    return {"center": float(np.mean(x)), "scale": 1.0}


def _learn_scale(x: np.ndarray, text: str) -> State:
    """Mean and sample standard deviation (divisor n - 1), as R's and formulaic's scale."""
    center = float(np.mean(x))
    scale = float(np.std(x, ddof=1)) if len(x) > 1 else 0.0
    if not scale > 0:
        raise DataError(
            f"{text} divides by the standard deviation, but the column is constant; leave it out."
        )
    return {"center": center, "scale": scale}


def _apply_scale(x: np.ndarray, state: State) -> np.ndarray:
    return (x - state["center"]) / state["scale"]


def _learn_poly(x: np.ndarray, settings: Mapping[str, Any], text: str) -> State:
    """Coefficients of the monic three-term recurrence, and the squared norms, as R's poly keeps them.

    P_0 = 1, P_k+1 = (x - alpha_k) P_k - (norm_k / norm_k-1) P_k-1; alpha_k = <x P_k, P_k> / norm_k.
    """
    degree = _count(settings.get("degree", 1), "degree", 1, text)
    raw = settings.get("raw", False)
    if not isinstance(raw, bool):
        raise FormulaError(f"raw in {text} must be True or False.")
    if raw:
        return {"degree": degree, "raw": True}
    distinct = len(np.unique(x))
    if degree >= distinct:
        raise DataError(
            f"{text} needs more than {degree} distinct values, but the column has {distinct}; lower the "
            "degree."
        )
    alpha: list[float] = []
    norms = [float(len(x))]
    before, present = np.zeros_like(x), np.ones_like(x)
    for k in range(degree):
        alpha.append(float(x @ present**2) / norms[k])
        back = norms[k] / norms[k - 1] if k else 0.0
        before, present = present, (x - alpha[k]) * present - back * before
        norms.append(float(present @ present))
    return {"degree": degree, "raw": False, "alpha": alpha, "norms": norms}


def _apply_poly(x: np.ndarray, state: State, text: str) -> Bases:
    degree = state["degree"]
    if state["raw"]:  # formulaic counts raw powers from 0
        return {str(k): x ** (k + 1) for k in range(degree)}
    alpha, norms = state["alpha"], state["norms"]
    before, present = np.zeros_like(x), np.ones_like(x)
    result: Bases = {}
    for k in range(degree):
        back = norms[k] / norms[k - 1] if k else 0.0
        before, present = present, (x - alpha[k]) * present - back * before
        result[str(k + 1)] = present / np.sqrt(norms[k + 1])
    return result


def _learn_bs(x: np.ndarray, settings: Mapping[str, Any], text: str) -> State:
    degree = _count(settings.get("degree", 3), "degree", 1, text)
    df = _count(settings.get("df", degree), "df", degree, text)
    state: State = {}
    for bound in ("lower_bound", "upper_bound"):
        if bound in settings:
            state[bound] = float(settings[bound])
    lower, upper = state.get("lower_bound", x.min()), state.get("upper_bound", x.max())
    if not lower < upper:
        raise DataError(f"{text} needs values between two different bounds, but both are {lower:g}.")
    state |= {"lower_bound": float(lower), "upper_bound": float(upper)}
    learnt = {"degree": degree, "df": df, "spline": state}
    _apply_bs(x, learnt, text)  # adds the knots to state
    return learnt


def _apply_bs(x: np.ndarray, state: State, text: str) -> Bases:
    from formulaic.transforms.basis_spline import basis_spline

    lower, upper = state["spline"]["lower_bound"], state["spline"]["upper_bound"]
    outside = np.flatnonzero((x < lower) | (x > upper))
    if len(outside):
        raise DataError(
            f"{text} is defined from {lower:g} to {upper:g}, but row {outside[0] + 1} of the rows used has "
            f"{x[outside[0]]:g}; widen it with lower_bound= and upper_bound=, or use cr, which extrapolates."
        )
    made = basis_spline(x, df=state["df"], degree=state["degree"], _state=state["spline"])
    return {str(label): np.asarray(column, dtype=float) for label, column in made.items()}


def _learn_cr(x: np.ndarray, settings: Mapping[str, Any], text: str) -> State:
    if "df" not in settings:
        raise FormulaError(f"{text} needs df, the number of its columns, e.g. cr(t, df=4).")
    df = _count(settings["df"], "df", 2, text)
    distinct = len(np.unique(x))
    if distinct < df:
        raise DataError(f"{text} needs {df} distinct values, but the column has {distinct}; lower df.")
    learnt: State = {"df": df, "spline": {}}
    _apply_cr(x, learnt, text)
    return learnt


def _apply_cr(x: np.ndarray, state: State, text: str) -> Bases:
    from formulaic.transforms.cubic_spline import natural_cubic_spline

    made = natural_cubic_spline(x, df=state["df"], _state=state["spline"])
    return {str(label): np.asarray(column, dtype=float) for label, column in made.items()}


def _learn_ns(x: np.ndarray, settings: Mapping[str, Any], text: str) -> State:
    """Knots by R's convention: df - 1 quantiles of x inside, its range as the boundary."""
    df = _count(settings.get("df", 1), "df", 1, text)
    distinct = len(np.unique(x))
    if distinct < df + 1:
        raise DataError(f"{text} needs {df + 1} distinct values, but the column has {distinct}; lower df.")
    inner = np.quantile(x, np.linspace(0, 1, df + 1)[1:-1])
    return {"knots": [float(x.min()), *inner.tolist(), float(x.max())]}


def _apply_ns(x: np.ndarray, state: State, text: str) -> Bases:
    """R's splines::ns: cubic B-splines without the first, rotated so that the second derivative is 0 at both
    boundaries; straight lines beyond them."""
    from scipy.interpolate import BSpline

    low, *inner, high = state["knots"]
    size = len(inner) + 4
    splines = BSpline(np.array([low] * 4 + inner + [high] * 4), np.eye(size), 3)
    inside = np.clip(x, low, high)
    basis = splines(inside) + (x - inside)[:, None] * splines(inside, 1)
    bend = splines(np.array([low, high]), 2)[:, 1:]
    rotation = np.linalg.qr(bend.T, mode="complete")[0][:, 2:]
    made = basis[:, 1:] @ rotation
    return {str(k + 1): made[:, k] for k in range(made.shape[1])}


def _count(value: Any, setting: str, least: int, text: str) -> int:
    if isinstance(value, bool) or value != int(value) or not least <= value <= 100:
        raise FormulaError(f"{setting} in {text} must be a whole number from {least} to 100.")
    return int(value)


SCALARS = {"scale": Scalar(_learn_scale, _apply_scale), "center": Scalar(_learn_center, _apply_scale)}
BASES = {
    "poly": Basis(("degree", "raw"), _learn_poly, _apply_poly),
    "bs": Basis(("df", "degree", "lower_bound", "upper_bound"), _learn_bs, _apply_bs),
    "cr": Basis(("df",), _learn_cr, _apply_cr),
    "ns": Basis(("df",), _learn_ns, _apply_ns),
}
