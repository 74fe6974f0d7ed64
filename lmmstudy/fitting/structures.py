"""Residual and variance structures of the configuration as objects of the engine."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from lmmcore.covariance.registry import RESIDUALS, VARIANCES
from lmmcore.covariance.residual import Residual
from lmmcore.covariance.variance import Variance

Structure = Mapping[str, Any]
"""What a record says of a structure: its type with its columns."""


def residual_of(structure: Structure | None) -> Residual | None:
    """The engine's residual structure of a record's `residual_structure`."""
    made: Residual | None = None if structure is None else _made(RESIDUALS[structure["type"]], structure)
    return made


def variance_of(structure: Structure | None) -> Variance | None:
    """The engine's variance structure of a record's `variance`."""
    made: Variance | None = None if structure is None else _made(VARIANCES[structure["type"]], structure)
    return made


def _made(kind: Any, structure: Structure) -> Any:
    """The structure with those of its parts that are given."""
    return kind(**{part.name: structure[part.name] for part in fields(kind) if part.name in structure})
