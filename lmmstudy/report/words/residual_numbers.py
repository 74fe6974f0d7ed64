"""The parameters of residual and variance structures, taken out of a record by the engine's names for them.

Names: rho, range, nugget, power; rho(2) for the distance 2; sd(10)/sd(8) and cor(8,10) for visits;
sd(b)/sd(a) for levels of a category.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lmmstudy.config.formulas import subject_columns
from lmmstudy.report.words.numbers import plain

Json = Mapping[str, Any]
_RATIO = re.compile(r"sd\((.*)\)/sd\((.*)\)(?: by group)?")
_PAIR = re.compile(r"cor\((.+),(.+)\)")
_LAG = re.compile(r"rho\((.+)\)")
UNEQUAL = ("unstructured", "ante_dependence", "random_walk")
"""Residual structures under which variances differ between visits."""


@dataclass(frozen=True)
class Visits:
    """Residual SDs : (J,) and correlations : (J, J) of the visits at `times`, which may be labels.

    names : the times as they stand in the names of parameters.
    """

    times: tuple[float, ...] | tuple[str, ...]
    names: tuple[str, ...]
    sd: np.ndarray
    correlation: np.ndarray

    @property
    def shown(self) -> tuple[str, ...]:
        """The visits as they are printed."""
        shown = tuple(plain(time) for time in self.times)
        return shown if len(set(shown)) == len(shown) else self.names

    @property
    def covariance(self) -> np.ndarray:
        """(J, J)."""
        return self.correlation * np.outer(self.sd, self.sd)


def kind(model: Json) -> str:
    """Type of the residual structure, "" for independent residuals."""
    return model["residual_structure"]["type"] if model["residual_structure"] else ""


def subject_name(model: Json) -> str:
    """The subject of the residual structure: its columns joined as in the names of grouping factors."""
    return ":".join(subject_columns(model["residual_structure"]))


def variance_kind(model: Json) -> str:
    """Type of the variance structure, "" for equal variances."""
    return model["variance"]["type"] if model["variance"] else ""


def visits(model: Json) -> Visits | None:
    """The unstructured covariance of a record; None for other structures and for a single visit."""
    parameters = model["residual_parameters"]
    if kind(model) not in ("unstructured", "ante_dependence"):
        return None
    if "visits" in model:
        labels = model["visits"]["labels"]
    else:
        pairs = [match.groups() for name in parameters if (match := _PAIR.fullmatch(name))]
        labels = sorted({label for pair in pairs for label in pair}, key=float)
    seen = {label for a in labels for b in labels if f"cor({a},{b})" in parameters for label in (a, b)}
    names = [label for label in labels if label in seen]
    if not names:
        return None
    sd = [1.0, *(parameters.get(f"sd({name})/sd({names[0]})", 1.0) for name in names[1:])]
    correlation = np.eye(len(names))
    for j in range(1, len(names)):
        for i in range(j - 1, -1, -1):
            # Under ante-dependence that of visits further apart is a product.
            product = correlation[i, j - 1] * correlation[j - 1, j]
            correlation[i, j] = correlation[j, i] = parameters.get(f"cor({names[i]},{names[j]})", product)
    times = tuple(names) if "visits" in model else tuple(float(name) for name in names)
    return Visits(times, tuple(names), model["sigma"] * np.array(sd), correlation)


def lags(model: Json) -> tuple[tuple[float, float], ...]:
    """(distance in time, correlation) of a Toeplitz structure, in order of distance."""
    parameters = model["residual_parameters"].items()
    return tuple(sorted((float(m[1]), v) for n, v in parameters if (m := _LAG.fullmatch(n))))


def ratios(model: Json) -> dict[str, float]:
    """Residual SD of each level relative to the reference level, which comes first; {} without by_group."""
    if variance_kind(model) != "by_group":
        return {}
    found = visits(model)
    of_visits = {f"sd({name})/sd({found.names[0]})" for name in found.names[1:]} if found else set()
    first, *others = model.get("residual_levels", [""])
    of_levels = {f"sd({level})/sd({first})" for level in others}
    skipped = of_visits | of_levels
    parameters = {n: v for n, v in model["residual_parameters"].items() if n not in skipped}
    matches = [(m, v) for n, v in parameters.items() if (m := _RATIO.fullmatch(n))]
    return {m[2]: 1.0 for m, _ in matches[:1]} | {m[1]: v for m, v in matches}


def by_level(model: Json) -> dict[str, Json]:
    """The record as each level has it whose residuals have a covariance of their own; {} without `by`.

    In each, sigma is the residual SD of the level and the parameters are the level's.
    """
    structure, parameters = model["residual_structure"] or {}, model["residual_parameters"]
    if not structure.get("by"):
        return {}
    names = model["residual_levels"]
    alone = {key: value for key, value in structure.items() if key != "by"}
    found: dict[str, Json] = {}
    for level in names:
        ratio = next((v for n, v in parameters.items() if (m := _RATIO.fullmatch(n)) and m[1] == level), 1.0)
        own = {n.removeprefix(f"{level}: "): v for n, v in parameters.items() if n.startswith(f"{level}: ")}
        sigma = model["sigma"] * (ratio if level != names[0] else 1.0)
        found[level] = {
            **model,
            "residual_structure": alone,
            "residual_parameters": own,
            "sigma": sigma,
            "variance": None,
        }
    return found
