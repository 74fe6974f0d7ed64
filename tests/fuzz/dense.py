"""The model with V written out: y ~ N(X beta, V), V = sum Z Psi Z' + sigma^2 W^-1/2 R W^-1/2.

A point tau holds the entries of each Psi (columns of Z scaled to mean square 1), the natural parameters of R,
and sigma^2. Every formula takes complex numbers, so that derivatives are those of a complex step (Squire &
Trapp 1998), exact and independent of any derived by hand.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tests.fuzz.case import Case, design
from tests.fuzz.laws import Law

TINY = 1e-30


@dataclass(frozen=True)
class Block:
    """Effects that share a covariance matrix. Z : (n, k) scaled by scale : (k,); codes : (n,) of levels."""

    group: tuple[str, ...]
    names: tuple[str, ...]
    kind: str
    Z: np.ndarray
    scale: np.ndarray
    codes: np.ndarray

    @property
    def size(self) -> int:
        """Number of parameters."""
        k = len(self.names)
        return k * (k + 1) // 2 if self.kind == "us" else 2

    def psi(self, tau: np.ndarray) -> np.ndarray:
        """Psi : (..., k, k) of the scaled columns."""
        k = len(self.names)
        if self.kind == "cs":
            one = np.eye(k)
            return tau[..., :1, None] * one + tau[..., 1:2, None] * (1 - one)
        psi = np.zeros((*tau.shape[:-1], k, k), dtype=tau.dtype)
        for place, (i, j) in enumerate(zip(*np.tril_indices(k), strict=True)):
            psi[..., i, j] = psi[..., j, i] = tau[..., place]
        return psi

    def entries(self, psi: np.ndarray) -> np.ndarray:
        """Parameters of psi : (..., k, k)."""
        if self.kind == "cs":
            return np.stack([psi[..., 0, 0], psi[..., 1, 0]], axis=-1)
        i, j = np.tril_indices(len(self.names))
        return psi[..., i, j]

    def inner(self, u: np.ndarray) -> np.ndarray:
        """Entries of a positive semidefinite psi, quadratic in unbounded numbers : (..., size)."""
        k = len(self.names)
        if self.kind == "cs":
            common, rest = u[..., 0] ** 2, u[..., 1] ** 2
            return np.stack([(common + (k - 1) * rest) / k, (common - rest) / k], axis=-1)
        L = np.zeros((*u.shape[:-1], k, k), dtype=u.dtype)
        i, j = np.tril_indices(k)
        L[..., i, j] = u
        return self.entries(L @ np.swapaxes(L, -1, -2))

    def outer(self, tau: np.ndarray) -> np.ndarray:
        """The inverse : (size,)."""
        psi = self.psi(tau)
        if self.kind == "cs":
            k = len(self.names)
            return np.sqrt(np.maximum([psi[0, 0] + (k - 1) * psi[1, 0], psi[0, 0] - psi[1, 0]], 0))
        i, j = np.tril_indices(len(self.names))
        return semidefinite(psi)[i, j]


class Dense:
    """A case written out; like : the case that says what levels, units and grids there are."""

    def __init__(self, case: Case, like: Case | None = None) -> None:
        like = like or case
        self.case, self.law = case, Law.of(like)
        self.columns = design(case.columns, case.fixed, like.columns)
        self.y = case.columns["y"] - (case.columns[case.offset] if case.offset else 0)
        self.root = 1 / np.sqrt(case.columns[case.weights]) if case.weights else np.ones(case.n)
        self.blocks = [block for term in case.random for block in _blocks(case, like, term)]
        self.same = np.eye(case.n, dtype=bool)
        if case.residual is not None:
            codes = case.codes(case.residual.subject)
            self.same = codes[:, None] == codes

    @property
    def splits(self) -> list[int]:
        """Where the parameters of each block end."""
        return np.cumsum([block.size for block in self.blocks]).tolist()

    def parts(self, tau: np.ndarray) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
        """Parameters of the blocks, of R, and sigma^2 : (..., 1)."""
        parts = np.split(tau, [*self.splits, tau.shape[-1] - 1], axis=-1)
        return parts[:-2], parts[-2], parts[-1]

    def V(self, tau: np.ndarray) -> np.ndarray:
        """(..., n, n)."""
        random, natural, sigma2 = self.parts(tau)
        R = self.law.matrix(natural, self.case) * np.outer(self.root, self.root)
        V = sigma2[..., None] * np.where(self.same, R, 0)
        for block, own in zip(self.blocks, random, strict=True):
            inner = block.Z @ block.psi(own) @ block.Z.T
            V = V + np.where(block.codes[:, None] == block.codes, inner, 0)
        return V

    def inner(self, u: np.ndarray) -> np.ndarray:
        """tau : (..., m + 1) with sigma^2 = 1 of unbounded numbers : (..., m)."""
        parts = np.split(u, self.splits, axis=-1)
        random = [block.inner(own) for block, own in zip(self.blocks, parts[:-1], strict=True)]
        return np.concatenate([*random, self.law.inner(parts[-1]), np.ones((*u.shape[:-1], 1))], axis=-1)

    def outer(self, tau: np.ndarray) -> np.ndarray:
        """The inverse, of a tau with any sigma^2."""
        random, natural, sigma2 = self.parts(np.asarray(tau, dtype=float))
        own = [block.outer(part / sigma2) for block, part in zip(self.blocks, random, strict=True)]
        return np.concatenate([*own, self.law.outer(natural)])

    def reported(self, fit: Any) -> np.ndarray:
        """tau of the parameters that a fit reports."""
        table = fit.varcorr()
        rows = {(row["group"], row["term1"], row["term2"]): row["covariance"] for row in table.to_dicts()}
        found = []
        for block in self.blocks:
            k, group = len(block.names), ":".join(block.group)
            psi = np.zeros((k, k), dtype=np.longdouble)
            for i in range(k):
                psi[i, i] = rows[group, block.names[i], None]
                for j in range(i):
                    psi[i, j] = psi[j, i] = rows[group, block.names[j], block.names[i]]
            found.append(block.entries(psi * np.outer(block.scale, block.scale)))
        sigma = np.longdouble(fit.sigma)
        return np.concatenate([*found, self.law.natural(fit.solution.natural), [sigma**2]])

    def X(self, terms: Sequence[str]) -> np.ndarray:
        """(n, p)."""
        return (
            np.column_stack([self.columns[name] for name in terms]) if terms else np.zeros((self.case.n, 0))
        )


def _blocks(case: Case, like: Case, term: Any) -> list[Block]:
    """Blocks of a term; a scale is that of the data."""
    codes = case.codes(term.group)
    columns = design(case.columns, term.terms, like.columns)
    known = design(like.columns, term.terms)
    names = tuple(columns)
    scale = np.array([np.sqrt(np.mean(known[name] ** 2)) or 1.0 for name in names])
    if term.covariance == "cs":
        scale[:] = 1.0
    Z = np.column_stack([columns[name] for name in names]) / scale
    if term.covariance != "||":
        kind = "us" if len(names) == 1 else term.covariance
        return [Block(term.group, names, kind, Z, scale, codes)]
    return [Block(term.group, (name,), "us", Z[:, [k]], scale[[k]], codes) for k, name in enumerate(names)]


def semidefinite(psi: np.ndarray) -> np.ndarray:
    """Lower factor of a positive semidefinite matrix, with zero columns where it is singular."""
    rest, L = np.array(psi, dtype=float), np.zeros(psi.shape)
    for k in range(len(rest)):
        if rest[k, k] > 1e-14 * psi[k, k] and rest[k, k] > 0:
            L[k:, k] = rest[k:, k] / np.sqrt(rest[k, k])
            rest -= np.outer(L[:, k], L[:, k])
    return L


def derivatives(function: Callable[[np.ndarray], np.ndarray], at: np.ndarray) -> np.ndarray:
    """First derivatives, parameters along the first axis, by a complex step."""
    moved = at + 1j * TINY * np.eye(len(at))
    return function(moved).imag / TINY
