"""Covariance parameters as the user knows them, as functions of tau = (theta, log sigma^2)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lmmcore.covariance.parameter import End, Jet, Scale
from lmmcore.likelihood.objective import Objective


@dataclass(frozen=True, eq=False)
class Parameter:
    """One covariance parameter. group, term : in broom.mixed's names; label : in words.

    jet(objective, tau) : its coordinate. effects : (level, row of the model's coordinates) of the random
    effects whose covariance it describes, none for sigma and parameters of the residual.
    """

    group: str
    term: str
    label: str
    scale: Scale
    low: End
    high: End
    jet: Callable[[Objective, np.ndarray], Jet]
    effects: tuple[tuple[int, np.ndarray], ...] = ()
