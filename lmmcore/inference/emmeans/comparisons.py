"""Contrasts of estimated marginal means, in families whose tests are adjusted together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import narwhals as nw
import numpy as np

from lmmcore.data.table import to_frame
from lmmcore.errors import ArgumentError
from lmmcore.inference.emmeans.multiplicity import Adjust, adjusted, family_sentence
from lmmcore.inference.emmeans.reference_grid import Level
from lmmcore.inference.fixed.wald import Estimates
from lmmcore.runtime.arguments import numbers, short

METHODS = ("pairwise", "trt.vs.ctrl")


@dataclass(frozen=True, eq=False, repr=False)
class Comparisons:
    """Contrasts. labels : the variables that divide them, then "contrast"; found : their estimates;
    p_value, conf_low, conf_high : (m,), adjusted; sentence : how, and for families of what size.
    """

    labels: Mapping[str, list[Level]]
    found: Estimates
    p_value: np.ndarray
    conf_low: np.ndarray
    conf_high: np.ndarray
    sentence: str
    backend: nw.Implementation

    def frame(self) -> Any:
        """Frame: the dividing variables, contrast, estimate, std_error, df, statistic, p_value, conf_low,
        conf_high."""
        columns = {
            "estimate": self.found.estimate,
            "std_error": self.found.se,
            "df": self.found.df,
            "statistic": self.found.statistics()[0],
            "p_value": self.p_value,
            "conf_low": self.conf_low,
            "conf_high": self.conf_high,
        }
        return to_frame({**self.labels, **columns}, self.backend)

    def __repr__(self) -> str:
        return f"{self.sentence}\n{self.frame()}"


def compared(
    labels: Mapping[str, list[Level]],
    found: Estimates,
    families: Sequence[tuple[slice, int]],
    adjust: Adjust,
    conf_level: float,
    backend: nw.Implementation,
) -> Comparisons:
    """Contrasts with their tests adjusted. families : rows of each, and how many means they compare."""
    statistic = found.statistics()[0]
    p, quantile = np.empty(len(statistic)), np.empty(len(statistic))
    for rows, means in families:
        p[rows], quantile[rows] = adjusted(statistic[rows], found.df[rows], adjust, conf_level, means)
    half = quantile * found.se
    by = [name for name in labels if name != "contrast"]
    tests = [int(np.isfinite(statistic[rows]).sum()) for rows, _ in families]
    sentence = family_sentence(adjust, tests, [means for _, means in families], by)
    return Comparisons(labels, found, p, found.estimate - half, found.estimate + half, sentence, backend)


def weights_of(method: str | Mapping[str, Sequence[float]], labels: Sequence[str]) -> dict[str, np.ndarray]:
    """{name: (k,)} weights of k cells, labelled. Raises ArgumentError for a method that does not exist, or
    weights of a wrong number."""
    k, unit = len(labels), np.eye(len(labels))
    if isinstance(method, str) and method == "pairwise":
        return {f"{labels[i]} - {labels[j]}": unit[i] - unit[j] for i in range(k) for j in range(i + 1, k)}
    if isinstance(method, str) and method == "trt.vs.ctrl":
        return {f"{labels[i]} - {labels[0]}": unit[i] - unit[0] for i in range(1, k)}
    if not isinstance(method, Mapping):
        shown = ", ".join(map(repr, METHODS))
        raise ArgumentError(
            f"The contrasts {short(method)} are not known; use {shown}, or {{name: weights}}."
        )
    made: dict[str, np.ndarray] = {}
    for name, given in method.items():
        weights = numbers(given, f"The weights of {name!r}")
        if weights.shape != (k,) or not np.isfinite(weights).all():
            raise ArgumentError(
                f"The contrast {name!r} needs {k} weights, one for each of {', '.join(labels)}."
            )
        made[name] = weights
    return made
