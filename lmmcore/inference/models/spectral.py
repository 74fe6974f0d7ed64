"""The exact null distribution of a likelihood ratio for one variance, by its spectral representation.

y = X beta + Z b + e with b ~ N(0, lambda sigma^2 I), e ~ N(0, sigma^2 I), n rows, p fixed effects. Under
lambda = 0 the profiled (restricted) likelihood ratio is, with independent w_s ~ chi-square(1),

    sup_lambda  nu log(T / D(lambda)) - sum_s log(1 + lambda xi_s),    T = D(0),
    D(lambda) = sum_s w_s / (1 + lambda mu_s) + chi-square(n - p - rank)

mu : the eigenvalues of Z'P0 Z, P0 = I - X (X'X)^-1 X'. REML: nu = n - p, xi = mu. ML: nu = n, xi the
eigenvalues of Z'Z (Crainiceanu & Ruppert 2004, theorem 1 and formula 8). Only ratios of eigenvalues matter.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Largest dense eigenvalue problem; beyond it nearly equal lengths are made equal.
LARGEST = 1000
# Eigenvalues below this part of the largest are zero: those directions lie in the span of X.
ZERO = 1e-10
# The grid: lambda = sinh(s) / sqrt(sum mu^2 / 2), steps of s, up to lambda = FURTHEST / largest mu.
STEP, FURTHEST = 0.2, 1e8
NEWTON_STEPS = 4
# Elements of the array (replicates, eigenvalues) in memory at once.
BATCH = 200_000


@dataclass(frozen=True)
class Spectrum:
    """Distinct eigenvalues : (d,) and how often each occurs : (d,)."""

    values: np.ndarray
    counts: np.ndarray


def spectra(A: np.ndarray, C: np.ndarray) -> tuple[Spectrum, Spectrum]:
    """Spectra of Z'P0 Z = diag(A_i) - C'C and of Z'Z = diag(A_i), zeros left out.

    A : (q, q, N) Z_i'Z_i of each unit. C : (p, q, N) Q'Z_i with the columns of Q an orthonormal basis of X.
    Where k columns of the diagonalised Z have one length a, C has at most p dimensions among them, so that
    k - p eigenvalues are a itself: what is left is small unless the design is irregular. If it exceeds
    LARGEST, lengths are rounded on a geometric grid; with a factor 1 +- h on every squared length each
    eigenvalue changes by a factor within 1 +- h (Ostrowski), and the test depends on them but weakly.
    """
    p = len(C)
    squared, vectors = np.linalg.eigh(A.transpose(2, 0, 1))
    C = np.einsum("pqn,nqr->pnr", C, vectors).reshape(p, squared.size)
    squared = squared.ravel()
    some = squared > ZERO * squared.max()
    squared, C = squared[some], C[:, some]
    logs = np.log(squared / squared.max())
    label = np.unique(np.round(logs / ZERO), return_inverse=True)[1]
    if np.minimum(np.bincount(label), max(p, 1)).sum() > LARGEST:
        bins = LARGEST // max(p, 1)
        label = np.unique(np.round(logs * ((bins - 1) / -logs.min())), return_inverse=True)[1]
    counts = np.bincount(label)
    lengths = np.exp(np.bincount(label, logs) / counts)
    C = C * np.sqrt(lengths[label] * (squared.max() / squared)) / np.sqrt(squared.max())
    order, ends = np.argsort(label, kind="stable"), np.cumsum(counts)
    parts = [_compressed(C[:, order[end - count : end]]) for end, count in zip(ends, counts, strict=True)]
    widths = np.array([part.shape[1] for part in parts])
    joined = np.concatenate(parts, axis=1)
    rest = np.linalg.eigvalsh(np.diag(np.repeat(lengths, widths)) - joined.T @ joined)
    rest = rest[rest > ZERO]
    plain = counts > widths
    mu = Spectrum(
        np.concatenate([lengths[plain], rest]),
        np.concatenate([(counts - widths)[plain], np.ones(len(rest), dtype=np.intp)]),
    )
    return mu, Spectrum(lengths, counts)


def _compressed(C: np.ndarray) -> np.ndarray:
    """(p, min(p, k)) with the same C C' as C : (p, k)."""
    p, k = C.shape
    return C if k <= p else np.asarray(np.linalg.qr(C.T, mode="r")).T


def null_statistics(
    mu: Spectrum, xi: Spectrum, nu: int, df: int, size: int, rng: np.random.Generator
) -> np.ndarray:
    """(size,) draws of the statistic; df = n - p, nu = df for REML and n for ML."""
    scale = 1 / np.sqrt((mu.counts * mu.values**2).sum() / 2)
    s = np.arange(0, np.arcsinh(FURTHEST / (mu.values.max() * scale)), STEP)
    grid = scale * np.sinh(s)
    shrunk = 1 / (1 + grid[:, None] * mu.values)  # (g, d)
    log_det = (xi.counts * np.log1p(grid[:, None] * xi.values)).sum(axis=1)
    outside = df - int(mu.counts.sum())
    result = []
    chunk = max(1, BATCH // len(mu.values))
    for start in range(0, size, chunk):
        many = min(chunk, size - start)
        w = rng.chisquare(mu.counts, (many, len(mu.values)))
        error = rng.chisquare(outside, many) if outside else np.zeros(many)
        total = w.sum(axis=1) + error
        ratio = nu * np.log(total[:, None] / (w @ shrunk.T + error[:, None])) - log_det
        best = ratio.argmax(axis=1)
        refined = _refined(s[best], scale, w, error, mu.values, xi, nu)
        result.append(np.maximum(ratio[np.arange(many), best], refined))
    return np.concatenate(result)


def _refined(
    s: np.ndarray, scale: float, w: np.ndarray, error: np.ndarray, mu: np.ndarray, xi: Spectrum, nu: int
) -> np.ndarray:
    """The ratio after Newton steps in s from the best grid point : (c,), within its neighbours.

    A grid point 0 is left only if the ratio rises there; that decides the point mass at 0.
    """
    low, high = np.maximum(s - STEP, 0), s + STEP
    total = w.sum(axis=1) + error
    for _ in range(NEWTON_STEPS):
        by_lambda = scale * np.cosh(s)
        lam = scale * np.sinh(s)
        m, x = mu / (1 + lam[:, None] * mu), xi.values / (1 + lam[:, None] * xi.values)
        share = w / (1 + lam[:, None] * mu)
        D = share.sum(axis=1) + error
        D1, D2 = -(share * m).sum(axis=1) / D, 2 * (share * m**2).sum(axis=1) / D
        slope = -nu * D1 - x @ xi.counts
        bend = -nu * (D2 - D1**2) + x**2 @ xi.counts
        first, second = slope * by_lambda, bend * by_lambda**2 + slope * lam
        step = np.where(second < 0, -first / np.minimum(second, -1e-300), np.sign(first) * STEP / 2)
        s = np.clip(s + step, low, high)
    lam = scale * np.sinh(s)
    D = (w / (1 + lam[:, None] * mu)).sum(axis=1) + error
    return nu * np.log(total / D) - np.log1p(lam[:, None] * xi.values) @ xi.counts
