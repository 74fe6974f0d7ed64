"""The moments of many responses to one model, replicates last.

In a bootstrap of a model with independent residuals only the y-parts of the moments differ between replicates
(or, when subjects are drawn again, only how often each subject counts). A cell is a subject, or what stands
for several subjects of equal A (lmmcore.resampling.draws).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from lmmcore.system.moments.patterns import Patterns


@dataclass(frozen=True)
class Cells:
    """Moments (lmmcore.system.moments.subjects) of C cells and R replicates.

    A : (q, q, C); X : (p, q, C), the X-part of B; y : (q, C, R), its y-part; XX : (p, p, R), Xy : (p, R),
    yy : (R,), the parts of S; counts : (C, R), subjects in the log-determinant; weights : (C, R), copies of
    each cell in sums of B, None for one; rows : (R,). Axes R of y, XX, counts and rows are 1 where the
    replicates share them.
    """

    A: np.ndarray
    X: np.ndarray
    y: np.ndarray
    XX: np.ndarray
    Xy: np.ndarray
    yy: np.ndarray
    counts: np.ndarray
    weights: np.ndarray | None
    rows: np.ndarray

    @property
    def replicates(self) -> int:
        """R."""
        return len(self.yy)

    @cached_property
    def outer(self) -> np.ndarray:
        """(p * p, q * q * C), the products X[x, a] X[z, b] that every sum over cells of X is made of."""
        p, q, C = self.X.shape
        return np.einsum("xac,zbc->xzabc", self.X, self.X).reshape(p * p, q * q * C)

    def take(self, chosen: np.ndarray) -> Cells:
        """The moments of some replicates."""

        def part(values: np.ndarray) -> np.ndarray:
            return values if values.shape[-1] == 1 else values[..., chosen]

        taken = replace(
            self,
            y=part(self.y),
            XX=part(self.XX),
            Xy=self.Xy[:, chosen],
            yy=self.yy[chosen],
            counts=part(self.counts),
            weights=None if self.weights is None else part(self.weights),
            rows=part(self.rows),
        )
        taken.__dict__["outer"] = self.outer
        return taken

    def one(self, replicate: int) -> tuple[Patterns, int]:
        """The moments of one replicate as the engine knows them, a pattern a cell, and its rows."""

        def at(values: np.ndarray) -> np.ndarray:
            return values[..., 0 if values.shape[-1] == 1 else replicate]

        p = len(self.X)
        B = np.concatenate([self.X, at(self.y)[None]])
        T = np.einsum("rac,sbc->abcrs", B, B)
        if self.weights is not None:
            T = T * at(self.weights)[:, None, None]
        S = np.empty((p + 1, p + 1, 1))
        S[:p, :p, 0] = at(self.XX)
        S[:p, p, 0] = S[p, :p, 0] = self.Xy[:, replicate]
        S[p, p, 0] = self.yy[replicate]
        return Patterns(self.A, T, S, 0.0, at(self.counts)), int(at(self.rows))
