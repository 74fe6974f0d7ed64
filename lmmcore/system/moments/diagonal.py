"""Moments under independent residuals whose standard deviations depend on parameters.

R = diag(exp(2 l)) with l = sum_r z_r x_r linear in z, so that every derivative is a sum over rows of
u_j u_j' exp(-2 l_j) times products of the slopes x. An evaluation touches the rows once a parameter.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lmmcore.system.moments.factor import check_spread
from lmmcore.system.moments.subjects import SortedRows, Subjects, Weights, gathered


@dataclass(frozen=True)
class DiagonalMoments:
    """U : (n, k) the rows of [Z X y], q columns of them Z; slopes : (m, n) of l by each parameter."""

    U: np.ndarray
    q: int
    slopes: np.ndarray
    rows: SortedRows

    def rotated(self, fixed: np.ndarray, random: np.ndarray) -> DiagonalMoments:
        """Moments of [Z random, X fixed, y]."""
        q, p = self.q, len(fixed)
        rotation = np.eye(self.U.shape[1])
        rotation[:q, :q] = random
        rotation[q : q + p, q : q + p] = fixed
        return DiagonalMoments(self.U @ rotation, q, self.slopes, self.rows)

    def at(self, phi: np.ndarray) -> Subjects:
        """The moments at phi : (m,). Raises LinAlgError where rows have variances of 0 beside others."""
        logs = 2 * (phi @ self.slopes)
        check_spread(float(np.exp(logs.min())), float(np.exp(logs.max())))
        return self._summed(np.exp(-logs), float(logs.sum()))

    def first(self, phi: np.ndarray) -> list[Subjects]:
        """Their derivative by each parameter."""
        weight = np.exp(-2 * (phi @ self.slopes))
        return [self._summed(-2 * slope * weight, 2 * float(slope.sum())) for slope in self.slopes]

    def curvature(self, phi: np.ndarray, weights: Weights) -> np.ndarray:
        """<K.., weights>; log|R| is linear in the parameters."""
        weight = np.exp(-2 * (phi @ self.slopes))
        q, subject = self.q, self.rows.subject
        Z, XY = self.U[:, :q], self.U[:, q:]
        outer = np.zeros_like(subject) if self.rows.outer is None else self.rows.outer[subject]
        felt = np.einsum("jr,rsj,js->j", XY, weights.yy[:, :, outer], XY, optimize=True)
        if q:
            felt += np.einsum("ja,abj,jb->j", Z, weights.zz[:, :, subject], Z, optimize=True)
            felt += 2 * np.einsum("jr,raj,ja->j", XY, weights.yz[:, :, subject], Z, optimize=True)
        return 4 * (self.slopes * (weight * felt)) @ self.slopes.T

    def _summed(self, weight: np.ndarray, log_r: float) -> Subjects:
        """sum_j weight_j u_j u_j' over the rows of each subject."""
        return gathered(self.U * weight[:, None], self.U, self.q, self.rows, log_r)
