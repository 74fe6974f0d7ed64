"""The parameters of a residual structure on the user's scale, as each structure states them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from lmmcore.covariance.parameter import Jet
from lmmcore.covariance.residual import BoundResidual
from lmmcore.inference.covariance.scales import Parameter
from lmmcore.likelihood.objective import Objective


def residual_parameters(structure: BoundResidual) -> list[Parameter]:
    """Those of the correlation, then those of the variance, in the order of parameter_names."""
    return [
        Parameter("Residual", name, name, one.scale, *one.ends, partial(_in_tau, one.jet))
        for name, one in zip(structure.parameter_names, structure.parameters(), strict=True)
    ]


def _in_tau(jet: Callable[[np.ndarray], Jet], objective: Objective, tau: np.ndarray) -> Jet:
    """A function of z as one of tau."""
    at = slice(objective.residual.start, len(tau) - 1)
    inner = jet(tau[at])
    first, second = np.zeros(len(tau)), np.zeros((len(tau), len(tau)))
    first[at], second[at, at] = inner.first, inner.second
    return Jet(inner.value, first, second)
