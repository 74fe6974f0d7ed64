"""The deviance of very many subjects, evaluated some ten thousand at a time.

The likelihood is a sum over subjects: in blocks, the memory of an evaluation does not depend on their number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from lmmcore.covariance.random import RandomCovariance
from lmmcore.kernel.blocks import BLOCK
from lmmcore.likelihood.evaluation import Evaluation, Slopes, Value
from lmmcore.likelihood.objective import Moments, Objective
from lmmcore.likelihood.profile import profile
from lmmcore.system.level import Level, level_at
from lmmcore.system.moments.patterns import Patterns
from lmmcore.system.moments.subjects import Subjects, has_loops

# Subjects whose matrices are kept between the deviance and its derivatives.
KEPT = 200_000


def blocks(cells: Subjects | Patterns) -> Iterator[Subjects | Patterns]:
    """The subjects in blocks, each with S of all; patterns as they are."""
    N = cells.A.shape[2]
    if isinstance(cells, Patterns) or N <= BLOCK:
        yield cells
        return
    cuts = np.linspace(0, N, -(-N // BLOCK) + 1).astype(int)
    for first, last in zip(cuts, cuts[1:], strict=False):
        part = slice(first, last)
        yield Subjects(cells.A[:, :, part], cells.B[:, :, part], cells.S, cells.log_r)


def objective_of(covariance: RandomCovariance, moments: Moments, n: int, reml: bool) -> Objective:
    """The deviance of the moments, in blocks where there is more than one."""
    if isinstance(moments, Subjects) and moments.A.shape[2] > BLOCK and not has_loops(moments):
        return BlockObjective(covariance, moments, n, reml)
    return Objective(covariance, moments, n, reml)


@dataclass(frozen=True)
class BlockValue(Value):
    """The deviance at one theta. levels : the level of each block, none where they are too many to keep."""

    levels: tuple[Level, ...]


@dataclass(frozen=True)
class BlockObjective(Objective):
    """An objective whose moments are those of independent rows, evaluated block by block."""

    def _value(self, theta: np.ndarray, cells: Subjects | Patterns) -> BlockValue | None:
        factor = self.covariance.factor(theta[: self.split])
        gram, log_det = cells.S[:, :, 0], cells.log_r
        levels: list[Level] = []
        for part in blocks(cells):
            level = level_at(factor, part)
            gram = gram - part.quadratic(level.H)
            log_det += level.log_det
            if cells.A.shape[2] <= KEPT:
                levels.append(level)
        best = profile(gram, self.n, self.reml)
        if best is None or not np.isfinite(best.deviance + log_det):
            return None
        return BlockValue(best.deviance + log_det, best, lambda: level_at(factor, cells), tuple(levels))

    def evaluate(self, theta: np.ndarray) -> Evaluation | None:
        """The deviance and its derivatives; None where V is numerically singular."""
        found = self._cells_and_value(theta, self.subjects)
        if found is None:
            return None
        cells, value = found
        assert isinstance(value, BlockValue)
        factor = self.covariance.factor(theta[: self.split])
        levels = value.levels or (level_at(factor, part) for part in blocks(cells))
        return Evaluation.of(theta, value, lambda: self._summed(theta, cells, levels, value.profile.weight))

    def slopes(
        self, theta: np.ndarray, cells: Subjects | Patterns, make_level: Callable[[], Level], W: np.ndarray
    ) -> Slopes:
        """Derivatives of log|V| + <W, G> for a fixed W : (p+1, p+1)."""
        factor = self.covariance.factor(theta)
        return self._summed(theta, cells, (level_at(factor, part) for part in blocks(cells)), W)

    def _summed(
        self, theta: np.ndarray, cells: Subjects | Patterns, levels: Iterable[Level], W: np.ndarray
    ) -> Slopes:
        parts = zip(blocks(cells), levels, strict=True)
        found = [
            super(BlockObjective, self).slopes(theta, part, lambda level=level: level, W)  # type: ignore[misc]
            for part, level in parts
        ]
        return Slopes(
            np.sum([slopes.first for slopes in found], axis=0),
            np.sum([slopes.second for slopes in found], axis=0),
            np.sum([slopes.gram for slopes in found], axis=0),
            (np.sum([slopes.cones[0] for slopes in found], axis=0),),
        )
