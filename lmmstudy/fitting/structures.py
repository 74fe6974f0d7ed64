"""Residual and variance structures of the configuration as objects of the engine."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import lmmcore as lmm
from lmmcore.covariance.residual import Residual
from lmmcore.covariance.variance import Variance

Structure = Mapping[str, Any]
"""What a record says of a structure: its type with its columns."""

RESIDUALS: dict[str, Callable[[Structure], Residual]] = {
    "ar1": lambda s: lmm.AR1(s["time"], subject=s["subject"]),
    "car1": lambda s: lmm.CAR1(s["time"], subject=s["subject"]),
    "exponential": lambda s: lmm.Exponential(s["time"], s["nugget"], subject=s["subject"]),
    "gaussian": lambda s: lmm.Gaussian(s["time"], s["nugget"], subject=s["subject"]),
    "compound_symmetry": lambda s: lmm.CompoundSymmetry(subject=s["subject"]),
    "toeplitz": lambda s: lmm.Toeplitz(s["time"], subject=s["subject"]),
    "unstructured": lambda s: lmm.Unstructured(s["time"], subject=s["subject"]),
    "ante_dependence": lambda s: lmm.AnteDependence(
        s["time"], s.get("heterogeneous", True), subject=s["subject"]
    ),
    "random_walk": lambda s: lmm.RandomWalk(s["time"], subject=s["subject"]),
}
VARIANCES: dict[str, Callable[[Structure], Variance]] = {
    "by_group": lambda s: lmm.ByGroup(s["column"]),
    "power": lambda s: lmm.Power(of=s["of"]),
}


def residual_of(structure: Structure | None) -> Residual | None:
    """The engine's residual structure of a record's `residual_structure`."""
    if structure is None:
        return None
    made: Any = RESIDUALS[structure["type"]](structure)
    return replace(made, by=structure["by"]) if structure.get("by") else made


def variance_of(structure: Structure | None) -> Variance | None:
    """The engine's variance structure of a record's `variance`."""
    return None if structure is None else VARIANCES[structure["type"]](structure)
