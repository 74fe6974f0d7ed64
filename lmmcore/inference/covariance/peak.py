"""The maximum-likelihood fit that profiles start from, and searches near it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from lmmcore.covariance.parameter import SHARE
from lmmcore.estimate.solution import SMALL, Solution, solve
from lmmcore.inference.covariance.components import covariance_of_tau, estimates, on_boundary, tau_of
from lmmcore.inference.covariance.parameters import covariance_parameters
from lmmcore.inference.covariance.scales import Parameter
from lmmcore.likelihood.objective import Objective
from lmmcore.runtime.memoise import remembered

# A search starts with no eigenvalue of Psi below the first, and no root of a share below the second: 0 is a
# stationary point whether or not it is a minimum.
LEAST_EIGENVALUE, LEAST_SHARE = 1e-3, 0.05


@dataclass(frozen=True, eq=False)
class Peak:
    """The maximum-likelihood fit. tau : (m+1,); values, held : (k,) of the parameters; spread : see
    covariance_of_tau."""

    solution: Solution
    parameters: Sequence[Parameter]
    tau: np.ndarray
    values: np.ndarray
    held: np.ndarray
    spread: np.ndarray | None

    @property
    def objective(self) -> Objective:
        """The deviance of maximum likelihood."""
        return self.solution.optimum.objective

    @property
    def deviance(self) -> float:
        """Its minimum, in the model's own coordinates."""
        return self.solution.optimum.deviance

    @property
    def columns(self) -> np.ndarray:
        """(p+1, p+1): no coefficient is held."""
        return np.eye(self.solution.model.p + 1)

    def lifted(self, objective: Objective, tau: np.ndarray) -> np.ndarray:
        """tau with every variance and share off zero."""
        psis = objective.psis(tau[:-1])
        for index, psi in enumerate(psis):
            if len(psi) and np.linalg.eigvalsh(psi)[0] < LEAST_EIGENVALUE:
                psis[index] = psi + SMALL * np.eye(len(psi))
        lifted = np.append(objective.theta(psis, tau[:-1][objective.residual]), tau[-1])
        for parameter in self.parameters:
            if parameter.scale is SHARE:
                place = np.flatnonzero(parameter.jet(objective, lifted).first)
                lifted[place] = np.maximum(np.abs(lifted[place]), LEAST_SHARE)
        return lifted


@remembered
def peak(solution: Solution) -> Peak:
    """The maximum-likelihood fit of a solution's model; the solution itself where it is that."""
    if solution.model.spec.reml:
        spec = replace(solution.model.spec, method="ML")
        solution = solve(replace(solution.model, spec=spec), near=solution)
    parameters = covariance_parameters(solution.model)
    values = estimates(solution, parameters)
    held = on_boundary(solution, parameters, values)
    spread = covariance_of_tau(solution, parameters, held)
    return Peak(solution, parameters, tau_of(solution), values, held, spread)
