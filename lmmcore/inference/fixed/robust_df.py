"""Degrees of freedom of cluster-robust tests, with V as the working covariance.

For k contrasts L, K = M L' and T_i as in sandwich, the robust covariance of L beta^ is
sum_i w_i w_i' with w_i = K'T_i'e_i, whose covariances are

    P_ij = delta_ij K'T_i'V_i T_i K - h_i'h_j,    h_i = M^1/2 X_i'T_i K

Scaled to a sum of P_ii = I, it is taken as a Wishart matrix with

    df = k (k + 1) / sum_ij {tr(P_ij)^2 + tr(P_ij P_ij)}

(Pustejovsky & Tipton 2018, equation 14; for k = 1 Bell & McCaffrey's Satterthwaite df). The sum over pairs of
units factors into sums over units: no N x N matrix is formed.
"""

from __future__ import annotations

import numpy as np

from lmmcore.inference.fixed.robust_scores import Cells

# Share of the mean variance of the contrasts below which one has no robust variance at all.
NOTHING = 1e-12


def hotelling_df(cells: Cells, L: np.ndarray) -> float:
    """Degrees of freedom of contrasts L : (k, p) in the model's coordinates; nan if a variance is 0."""
    k, counts = len(L), cells.counts
    K = cells.unscaled @ L.T
    root = np.linalg.cholesky(cells.unscaled)
    h = root.T @ cells.felt @ K  # (C, p, k)
    own = K.T @ cells.spread @ K
    gram = h.mT @ h
    total = np.tensordot(counts, own - gram, axes=1)
    if np.linalg.eigvalsh(total)[0] <= NOTHING * np.trace(K.T @ L.T) / k:
        return float("nan")
    scale = np.linalg.inv(np.linalg.cholesky(total))
    h, own, gram = h @ scale.T, scale @ own @ scale.T, scale @ gram @ scale.T
    # All pairs of h_i'h_j, then the pairs of a unit with itself put right.
    pairs = np.einsum("c,cas,cbt->asbt", counts, h, h, optimize=True)
    found = float((pairs**2).sum() + (pairs * pairs.transpose(0, 3, 2, 1)).sum())
    for sign, part in ((1, own - gram), (-1, gram)):
        squares = np.einsum("cii->c", part) ** 2 + np.einsum("cij,cji->c", part, part)
        found += sign * float(counts @ squares)
    return k * (k + 1) / found
