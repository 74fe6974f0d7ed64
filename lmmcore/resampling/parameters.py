"""The parameters that a user sees, of many replicates at once.

Names are those of confint(): fixed effects by term, then in broom.mixed's terms sd__ and cor__ of the random
effects, the parameters of the residual structure, sd__Observation. Where every random effect is an intercept
and the residual variance is the same in all rows, there is also each group's intraclass correlation `icc`,
that of two rows of the same unit (and so of the units around it), as in covariance.explained.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lmmcore.covariance.residual import as_named
from lmmcore.estimate.residuals import residual_scale
from lmmcore.estimate.solution import ZERO, Solution
from lmmcore.inference.covariance.parameters import covariance_parameters
from lmmcore.model.specification import RandomBlock
from lmmcore.resampling.rows import Refits

# Residual SDs that differ by less are the same.
EQUAL = 1e-12


@dataclass(frozen=True)
class Name:
    """effect : "fixed" or "ran_pars"; group : None for fixed effects; low, high : ends of its space."""

    effect: str
    group: str | None
    term: str
    low: float = -np.inf
    high: float = np.inf

    @property
    def label(self) -> str:
        """A name of a column, unlike all others."""
        return self.term if self.group is None else f"{self.group}.{self.term}"


def names(solution: Solution) -> tuple[Name, ...]:
    """The k parameters, in the order of `values`."""
    found = [Name("fixed", None, term) for term in solution.model.terms]
    for parameter in covariance_parameters(solution.model):
        ends = sorted((parameter.low.value, parameter.high.value))
        found.append(Name("ran_pars", parameter.group, parameter.term, *ends))
    if _has_icc(solution):
        found += [Name("ran_pars", block.group, "icc", 0.0, 1.0) for block in solution.model.blocks]
    return tuple(found)


def values(solution: Solution, refits: Refits) -> np.ndarray:
    """(R, k); nan for a correlation with an effect whose variance is 0."""
    model = solution.model
    R = len(refits.sigma2)
    sigma = np.sqrt(refits.sigma2)
    columns = list(refits.beta.T)
    scale = np.diag(model.coordinates.random @ model.coordinates.random.T)
    for block in model.blocks:
        columns += _block(block, refits.psi, sigma, scale)
    columns += [*as_named(model.structure, refits.natural).T, sigma]
    if _has_icc(solution):
        total = 1 + np.einsum("raa->r", refits.psi)
        # Blocks stand in the order of their levels, outermost first.
        columns += list(
            np.cumsum([refits.psi[:, b.columns[0], b.columns[0]] / total for b in model.blocks], axis=0)
        )
    return np.column_stack(columns) if columns else np.empty((R, 0))


def _block(block: RandomBlock, psi: np.ndarray, sigma: np.ndarray, scale: np.ndarray) -> list[np.ndarray]:
    """SDs, then correlations; one of each for a structure whose effects share them."""
    places = block.columns
    variances = [psi[:, place, place] for place in places]
    zero = [value < ZERO * scale[place] for value, place in zip(variances, places, strict=True)]
    sds = [
        np.where(no, 0.0, np.sqrt(np.maximum(value, 0))) for value, no in zip(variances, zero, strict=True)
    ]

    def correlation(first: int, second: int) -> np.ndarray:
        none = zero[first] | zero[second]
        product = np.where(none, np.nan, sds[first] * sds[second])
        return np.clip(psi[:, places[first], places[second]] / product, -1, 1)

    if block.kind == "unstructured":
        pairs = [(first, second) for second in range(len(places)) for first in range(second)]
        return [sigma * sd for sd in sds] + [correlation(*pair) for pair in pairs]
    return [sigma * sds[0]] + ([correlation(0, 1)] if block.kind == "compound_symmetry" else [])


def _has_icc(solution: Solution) -> bool:
    blocks = solution.model.blocks
    scale = residual_scale(solution)
    same = bool(np.ptp(scale) <= EQUAL * scale[0])
    return bool(blocks) and same and all(block.names == ("Intercept",) for block in blocks)
