"""The information that the data hold, at a null model, on the directions an alternative adds to Psi."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lmmcore.inference.nesting import Step
from lmmcore.likelihood.objective import Objective
from lmmcore.model import Model
from lmmcore.solution import Solution


@dataclass(frozen=True)
class LinearCovariance:
    """Psi as a fixed matrix plus a linear combination of directions, in place of RandomCovariance.

    psi_factor : (q, q); directions : (m, q, q) symmetric.
    """

    psi_factor: np.ndarray
    directions: np.ndarray

    @property
    def q(self) -> int:
        """Number of random effects."""
        return len(self.psi_factor)

    @property
    def entries(self) -> range:
        """One entry a direction."""
        return range(len(self.directions))

    @property
    def second(self) -> np.ndarray:
        """Psi is linear in its parameters."""
        m = len(self.directions)
        return np.zeros((m, m, self.q, self.q))

    def factor(self, theta: np.ndarray) -> np.ndarray:
        """Lambda at theta = 0, the only point that is ever evaluated."""
        return self.psi_factor

    def first(self, factor: np.ndarray) -> np.ndarray:
        """The directions."""
        return self.directions


def cone_information(null: Solution, alternative: Model, found: Step) -> np.ndarray:
    """Metric : (m, m) of the new variances' blocks, all other parameters profiled out.

    Half the Hessian of the alternative's deviance by Psi at the null estimate, as stacked lower triangles of
    the new effects' blocks with entries off the diagonal times sqrt(2) (a rotation of the matrices).
    """
    q = len(alternative.effects)
    inverse = np.linalg.inv(alternative.coordinates.random)
    directions, bounded = [], []
    for block in alternative.blocks:
        new = {place for grown, places in found.grown if grown == block for place in places}
        for second, column2 in enumerate(block.columns):
            for column1 in block.columns[: second + 1]:
                unit = np.zeros((q, q))
                unit[column1, column2] = unit[column2, column1] = 1 if column1 == column2 else np.sqrt(0.5)
                directions.append(inverse @ unit @ inverse.T)
                bounded.append(column1 in new and column2 in new)
    psi = inverse @ embedded(null, alternative) @ inverse.T
    values, vectors = np.linalg.eigh(psi)
    factor = vectors * np.sqrt(np.maximum(values, 0))
    z = np.empty(0)
    if alternative.structure is not None:
        split = null.optimum.objective.split
        known = null.model.structure is not None
        z = null.optimum.evaluation.theta[split:] if known else alternative.structure.independence
    covariance = LinearCovariance(factor, np.array(directions))
    objective = Objective(covariance, alternative.moments, alternative.n, alternative.spec.reml)  # type: ignore[arg-type]
    evaluation = objective.evaluate(np.concatenate([np.zeros(len(directions)), z]))
    assert evaluation is not None  # the null estimate is a point of the alternative
    keep = np.array(bounded + [False] * len(z))
    information = evaluation.hessian / 2
    rest = information[np.ix_(~keep, ~keep)]
    across = information[np.ix_(~keep, keep)]
    metric = information[np.ix_(keep, keep)]
    if len(rest):
        metric = metric - across.T @ np.linalg.solve(rest, across)
    # Observed information can be indefinite in small samples; its positive part is the metric then.
    values, vectors = np.linalg.eigh((metric + metric.T) / 2)
    return (vectors * np.maximum(values, 1e-6 * np.max(np.abs(values)))) @ vectors.T


def embedded(null: Solution, alternative: Model) -> np.ndarray:
    """The null's relative covariance as one of the alternative's effects, by name : (q, q)."""
    names = list(alternative.effects)
    psi = np.zeros((len(names), len(names)))
    for block in null.model.blocks:
        places = [names.index(name) for name in block.names]
        psi[np.ix_(places, places)] = null.psi[np.ix_(block.columns, block.columns)]
    return psi
