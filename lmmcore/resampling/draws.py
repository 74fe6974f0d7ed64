"""Responses drawn from a fitted model with independent residuals, as moments: no row is ever simulated.

Relative to sigma, B_iy = A_i b_i + Z_i'e_i ~ N(0, A_i + A_i Psi A_i). Given these, with A^- a pseudo-inverse,

    S_xy = sum B_ix'A_i^- B_iy + x,    x ~ N(0, S_xx - sum B_ix'A_i^- B_ix)
    S_yy = sum B_iy'A_i^- B_iy + x'(its covariance)^- x + chi-square(n - rank [Z X])

exactly: the sums are the projection of y on the columns of Z, x what the columns of X add to it.

The likelihood sees subjects of equal A_i through sum B_i (x) B_i only, which no rotation among these subjects
changes. One is chosen that leaves B_ix in the first few; the B_iy of the others then come in as a Wishart
matrix, drawn by its Cholesky factor (Bartlett 1933) in q columns. A balanced trial of any size is a handful
of cells.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from lmmcore.resampling.cells import Cells
from lmmcore.resampling.products import product
from lmmcore.system.batched_linalg import cholesky
from lmmcore.system.moments.subjects import Subjects

# An eigenvalue of A_i below this part of its largest is a zero; of what X adds to Z, below this part of n.
RANK = 1e-12
ADDED = 1e-10
# A combination of subjects' B_ix of this part or less of the largest is rounding noise.
SMALL = 1e-9


@dataclass(frozen=True)
class Layout:
    """Cells and what is drawn in them.

    A : (q, q, C); X : (p, q, C); counts : (C,) subjects in the log-determinant; normal : (q, C) booleans,
    standard normals; chi : (q, C) degrees of freedom of roots of chi-squares, 0 for none.
    """

    A: np.ndarray
    X: np.ndarray
    counts: np.ndarray
    normal: np.ndarray
    chi: np.ndarray


@dataclass(frozen=True)
class Sampler:
    """Draws moments of replicates one after the other: the same ones in whatever blocks they are asked for.

    spread : (q, q, C), from what is drawn to A^-1/2 B_y; to_y, to_x : (q, q, C), from there to B_y and to
    A^- B_y; added : (p, k), a root of the covariance of x; freedom : n - rank [Z X].
    """

    layout: Layout
    spread: np.ndarray
    to_y: np.ndarray
    to_x: np.ndarray
    XX: np.ndarray
    added: np.ndarray
    freedom: int
    rows: int
    normals: np.random.Generator
    chi_squares: np.random.Generator

    def draw(self, replicates: int) -> Cells:
        """The moments of the next replicates, relative to sigma."""
        layout, (p, k) = self.layout, self.added.shape
        q, C = layout.normal.shape
        count = int(layout.normal.sum())
        z = self.normals.standard_normal((replicates, count + k)).T
        degrees = np.append(layout.chi[layout.chi > 0], self.freedom if self.freedom else [])
        chi = self.chi_squares.chisquare(degrees, (replicates, len(degrees))).T
        u = np.zeros((*layout.normal.shape, replicates))
        u[layout.normal] = z[:count]
        u[layout.chi > 0] = np.sqrt(chi[: len(degrees) - (self.freedom > 0)])
        t = _times(self.spread, u)
        yy = np.einsum("acr,acr->r", t, t) + (z[count:] ** 2).sum(axis=0)
        if self.freedom:
            yy += chi[-1]
        projected = _times(self.to_x, t)
        Xy = layout.X.reshape(p, q * C) @ projected.reshape(q * C, replicates) + self.added @ z[count:]
        y = _times(self.to_y, t)
        counts, rows = layout.counts[:, None], np.array([float(self.rows)])
        return Cells(layout.A, layout.X, y, self.XX[:, :, None], Xy, yy, counts, None, rows)


def _times(matrices: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """(q, C, R) of (q, q, C) and (q, C, R)."""
    return product(matrices[..., None], vectors[None])[:, 0] if len(vectors) else vectors


def sampler(moments: Subjects, psi: np.ndarray, rows: int, seed: np.random.SeedSequence) -> Sampler:
    """Draw from the model with relative covariance psi : (q, q) of the random effects."""
    q, _, N = moments.A.shape
    p = len(moments.S) - 1
    values, vectors = np.linalg.eigh(moments.A.transpose(2, 0, 1))
    values, vectors = values[:, ::-1], vectors[:, :, ::-1]  # null directions last
    kept = values > RANK * values[:, :1]
    roots = np.sqrt(np.where(kept, values, 1.0))
    half = np.where(kept[:, None], vectors * roots[:, None], 0.0).transpose(1, 2, 0)  # A = half half'
    inverse = np.where(kept[:, None], vectors / roots[:, None], 0.0).transpose(1, 2, 0)
    XX = moments.S[:p, :p, 0]
    in_z = np.einsum("abn,xan->xbn", inverse, moments.B[:p]).reshape(p, q * N)
    eigen, turn = np.linalg.eigh(XX - in_z @ in_z.T)
    new = eigen > ADDED * rows
    freedom = rows - int(kept.sum()) - int(new.sum())
    ranks = kept.sum(axis=1)
    layout, first = _layout(moments.A, moments.B[:p], ranks)
    half, inverse = half[:, :, first], inverse[:, :, first]
    inner = np.einsum("acn,ab,bdn->cdn", half, psi, half)
    inner[np.arange(q), np.arange(q)] += 1
    spread = cholesky(inner) * kept[first].T[:, None]
    normals, chi_squares = (np.random.Generator(np.random.PCG64(child)) for child in seed.spawn(2))
    added = turn[:, new] * np.sqrt(eigen[new])
    return Sampler(layout, spread, half, inverse, XX, added, freedom, rows, normals, chi_squares)


def _layout(A: np.ndarray, X: np.ndarray, ranks: np.ndarray) -> tuple[Layout, np.ndarray]:
    """Merge subjects of equal A; also the number of a subject of each cell."""
    q, _, N = A.shape
    if not q:
        nobody = np.arange(0)
        return _alone(A, X, ranks, nobody), nobody
    _, first, pattern = np.unique(A.reshape(q * q, N), axis=1, return_index=True, return_inverse=True)
    size = np.bincount(pattern)
    ends = np.cumsum(size)
    order = np.argsort(pattern, kind="stable")
    alone = first[size == 1]
    parts = [_alone(A, X, ranks, alone)]
    places = [alone]
    for one, end, count in zip(first[size > 1], ends[size > 1], size[size > 1], strict=True):
        members = order[end - count : end]
        merged = _merged(A[:, :, one], X[:, :, members], int(ranks[one]))
        parts.append(_alone(A, X, ranks, members) if merged is None else merged)
        places.append(members if merged is None else np.full(len(merged.counts), one))
    joined = (np.concatenate([getattr(part, f.name) for part in parts], axis=-1) for f in fields(Layout))
    return Layout(*joined), np.concatenate(places)


def _alone(A: np.ndarray, X: np.ndarray, ranks: np.ndarray, members: np.ndarray) -> Layout:
    """A cell a subject."""
    normal = np.arange(len(A))[:, None] < ranks[members]
    chi = np.zeros(normal.shape, dtype=int)
    return Layout(A[:, :, members], X[:, :, members], np.ones(len(members)), normal, chi)


def _merged(A: np.ndarray, X: np.ndarray, rank: int) -> Layout | None:
    """The cells of subjects of equal A : (q, q), X : (p, q, N); None if they are not fewer."""
    p, q, N = X.shape
    _, lengths, rows = np.linalg.svd(X.reshape(p * q, N).T, full_matrices=False)
    few = int((lengths > SMALL * lengths.max(initial=0.0)).sum())
    cells = few + rank
    if cells >= N:
        return None
    place, drawn = np.arange(rank), np.arange(q)[:, None] < rank
    part = np.zeros((p, q, cells))
    part[:, :, :few] = (lengths[:few, None] * rows[:few]).T.reshape(p, q, few)
    normal = np.concatenate([np.repeat(drawn, few, axis=1), np.tri(q, rank, -1, dtype=bool) & drawn], axis=1)
    chi = np.zeros((q, cells), dtype=int)
    chi[place, few + place] = N - few - place
    return Layout(np.repeat(A[:, :, None], cells, axis=2), part, np.full(cells, N / cells), normal, chi)
