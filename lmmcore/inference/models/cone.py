"""The information that the data hold, at a null model, on the directions an alternative adds to Psi."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lmmcore.covariance.random import Block
from lmmcore.estimate.solution import Solution
from lmmcore.inference.models.nesting import Step
from lmmcore.likelihood.objective import Objective
from lmmcore.model.grouping import combined
from lmmcore.model.specification import Model
from lmmcore.system.nested import NestedMoments


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
    def size(self) -> int:
        """One parameter a direction."""
        return len(self.directions)

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
    inverse = np.linalg.inv(alternative.coordinates.random)
    psi = inverse @ embedded(null, alternative) @ inverse.T
    levels, bounded = [], []
    for level in range(len(alternative.covariances)):
        columns = alternative.columns(level)
        directions = []
        for block in alternative.blocks:
            if block.level != level:
                continue
            new = {place for grown, places in found.grown if grown == block for place in places}
            if block.kind != "unstructured":
                for part in Block(block.columns, block.kind).units():
                    unit = np.zeros_like(psi)
                    unit[np.ix_(block.columns, block.columns)] = part / np.linalg.norm(part)
                    directions.append((inverse @ unit @ inverse.T)[columns, columns])
                    bounded.append(bool(new))
                continue
            for second, column2 in enumerate(block.columns):
                for column1 in block.columns[: second + 1]:
                    unit = np.zeros_like(psi)
                    unit[column1, column2] = unit[column2, column1] = (
                        1 if column1 == column2 else np.sqrt(0.5)
                    )
                    directions.append((inverse @ unit @ inverse.T)[columns, columns])
                    bounded.append(column1 in new and column2 in new)
        values, vectors = np.linalg.eigh(psi[columns, columns])
        factor = vectors * np.sqrt(np.maximum(values, 0))
        levels.append(LinearCovariance(factor, np.array(directions).reshape(len(directions), *factor.shape)))
    information = _hessian(null, alternative, levels) / 2
    keep = np.zeros(len(information), dtype=bool)
    keep[: len(bounded)] = bounded
    rest = information[np.ix_(~keep, ~keep)]
    across = information[np.ix_(~keep, keep)]
    metric = information[np.ix_(keep, keep)]
    if len(rest):
        metric = metric - across.T @ np.linalg.solve(rest, across)
    # Observed information can be indefinite in small samples; its positive part is the metric then.
    values, vectors = np.linalg.eigh((metric + metric.T) / 2)
    return (vectors * np.maximum(values, 1e-6 * np.max(np.abs(values)))) @ vectors.T


def _hessian(null: Solution, alternative: Model, levels: list[LinearCovariance]) -> np.ndarray:
    """Hessian of the alternative's deviance at the null estimate, by the directions of all levels and z."""
    z = np.empty(0)
    if alternative.structure is not None:
        place = null.optimum.objective.residual
        known = null.model.structure is not None
        z = null.optimum.evaluation.theta[place] if known else alternative.structure.independence
    moments = alternative.moments
    if isinstance(moments, NestedMoments):
        moments = moments.with_levels(levels[1:])  # type: ignore[arg-type]
    objective = Objective(levels[0], moments, alternative.n, alternative.spec.reml)  # type: ignore[arg-type]
    at_zero = np.zeros(sum(level.size for level in levels))
    evaluation = objective.evaluate(np.concatenate([at_zero, z]))
    assert evaluation is not None  # the null estimate is a point of the alternative
    return evaluation.hessian


def embedded(null: Solution, alternative: Model) -> np.ndarray:
    """The null's relative covariance as one of the alternative's effects, by group and name : (q, q)."""
    names = [(block.group, name) for block in alternative.blocks for name in block.names]
    psi = np.zeros((len(names), len(names)))
    for block in null.model.blocks:
        part = null.psi[np.ix_(block.columns, block.columns)]
        mine = [(block.group, name) for name in block.names]
        if set(mine) <= set(names):
            places = [names.index(pair) for pair in mine]
            psi[np.ix_(places, places)] = part
            continue
        # (1 | g) and (1 | g:f) within (0 + f | g): the null's effects are combinations of others.
        own = set(null.model.groups[block.level].columns)
        outer = [other for other in alternative.blocks if set(alternative.groups[other.level].columns) <= own]
        places = [place for other in outer[-1:] for place in other.columns]
        Z, Z0 = _effects(alternative, places), _effects(null.model, block.columns)
        inner = own - set(alternative.groups[outer[-1].level].columns)
        for rows in _levels(null.model, sorted(inner)):
            made_of = np.linalg.lstsq(Z, np.where(rows[:, None], Z0, 0.0))[0]
            psi[np.ix_(places, places)] += made_of @ part @ made_of.T
    return psi


def _levels(model: Model, columns: Sequence[str]) -> list[np.ndarray]:
    """Which rows (n,) of the table have each combination of levels of the columns; all, of no column."""
    if not columns:
        return [np.ones(model.n, dtype=bool)]
    factor = combined(model.table, tuple(columns))
    return [factor.codes == code for code in range(factor.size)]


def _effects(model: Model, columns: Sequence[int]) -> np.ndarray:
    """(n, len(columns)) columns of Z in the order of the table."""
    return np.column_stack([model.rows.unsorted(model.rows.Z[index]) for index in columns])
