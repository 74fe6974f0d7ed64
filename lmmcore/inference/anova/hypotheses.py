"""Hypotheses L beta = 0 about the terms of the fixed part: types I, II and III.

All start from the overparameterised model, in which a term has one parameter for each combination of levels
of its categories, and from spaces rather than codings, so that no hypothesis depends on how X codes a
category or on which columns were dropped from it. A term contains another if it has the same numeric factors
and more categories.

    type I    the part of the mean along the term, orthogonal to the terms before it
    type II   the same, orthogonal to all terms that do not contain it
    type III  estimable functions without parameters of terms that do not contain it, orthogonal to those
              without parameters of the term itself (the parameters of terms that contain it are thereby
              averaged with equal weights, where every combination of their levels has rows)

Rows count alike, whatever their prior weights. SAS Institute, "The Four Types of Estimable Functions";
Kuznetsova, Brockhoff & Christensen (2017). The rows of L are those of lmerTest's show_tests, not orthonormal
ones: Satterthwaite's df of a joint test depend a little on the basis, and lmerTest's tables are the reference
for these. lmerTest departs from the definitions in two places: it overlooks that x:arm contains x, or
arm:visit arm, where the other main effect is missing, and then tests the reference level alone; and it takes
poly(x, 2) for a category.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from lmmcore.formula.coding import Product, code
from lmmcore.formula.terms import Term
from lmmcore.inference.anova.overparameterised import Parameters, parameters
from lmmcore.model.specification import Model

AnovaType = Literal[1, 2, 3]
# Part of a column's length below which it lies in the span of others, in exact coordinates.
WITHIN = 1e-11
# Share of the largest singular value that counts as zero, of matrices whose entries are near 0 or 1.
RANK = 1e-8


@dataclass(frozen=True, eq=False)
class Hypotheses:
    """The terms of a model and what can be tested about them."""

    model: Model

    @property
    def terms(self) -> tuple[Term, ...]:
        """Terms of the fixed part, in the order of the formula."""
        return self.model.fixed.terms

    @cached_property
    def parameters(self) -> dict[Term, Parameters]:
        """Of each term."""
        return {term: parameters(self.model, term, self._factors[0]) for term in self.terms}

    @cached_property
    def live(self) -> tuple[Term, ...]:
        """Terms that add to those before them; the others were left out of the model."""
        terms = self.terms
        return tuple(term for place, term in enumerate(terms) if len(self._along(term, terms[:place])))

    @cached_property
    def _factors(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Q (n, p) and R (p, p) with X = QR, X the columns estimated; (p,) root mean square of what is not 0
        in each column."""
        columns = self.model.fixed.columns(self.model.table)
        X = np.column_stack([columns[index] for index in self.model.coordinates.kept])
        Q, R = np.linalg.qr(X)
        return Q, R, np.linalg.norm(X, axis=0) / np.sqrt(np.count_nonzero(X, axis=0))

    def adjusting(self, term: Term, type: AnovaType) -> tuple[Term, ...]:
        """The other terms that stay in the model when this one is tested: those before it (I), those that do
        not contain it (II), all (III)."""
        if type == 1:
            return self.live[: self.live.index(term)]
        others = tuple(other for other in self.live if other != term)
        return others if type == 3 else tuple(other for other in others if not self.contains(other, term))

    def contains(self, larger: Term, term: Term) -> bool:
        """Whether `larger` has the numeric factors of `term`, all its categories, and more."""
        same = set(self.numbers(larger)) == set(self.numbers(term))
        return same and set(self.categories(term)) < set(self.categories(larger))

    def categories(self, term: Term) -> Term:
        """Factors of a term that are categories."""
        return tuple(factor for factor in term if factor in self.model.fixed.levels)

    def numbers(self, term: Term) -> Term:
        """Factors of a term that are numeric."""
        return tuple(factor for factor in term if factor not in self.model.fixed.levels)

    def matrix(self, term: Term, type: AnovaType) -> np.ndarray:
        """L : (k, p) in the columns estimated; k = 0 if nothing can be tested."""
        if term not in self.live:
            return np.empty((0, self.model.p))
        # Where nothing contains the term, types II and III are one; in a model of one term, all are.
        alone = all(other in ((), term) for other in self.live)
        contained = any(self.contains(other, term) for other in self.live)
        if type == 1 or alone or (type == 2 and contained):
            return self._along(term, self.adjusting(term, type))
        return self._averaged(term)

    def _products(self, term: Term, before: Sequence[Term]) -> Sequence[Product]:
        """How the columns of a term are coded after those of other terms."""
        categories = frozenset(self.model.fixed.levels)
        known = len(code(tuple(before), categories)[0])
        return code((*before, term), categories)[0][known:]

    def _coded(self, term: Term, before: Sequence[Term]) -> np.ndarray:
        """(p, k) coordinates of a term's columns as they are coded after those of other terms."""
        whole = self.parameters[term].coordinates
        columns = [np.empty((len(whole), 0))]
        for product in self._products(term, before):
            taken = whole[(slice(None), *self._places(term, product))]
            absent = set(term) - {coded.factor for coded in product}
            summed = taken.sum(axis=tuple(1 + axis for axis, factor in enumerate(term) if factor in absent))
            columns.append(summed.reshape(len(whole), -1, order="F"))
        return np.hstack(columns)

    def _places(self, term: Term, product: Product) -> tuple[slice, ...]:
        """Levels that a product has columns for, on the axis of each factor of the term."""
        reduced = {coded.factor for coded in product if not coded.full} & set(self.categories(term))
        return tuple(slice(1 if factor in reduced else 0, None) for factor in term)

    def _along(self, term: Term, before: Sequence[Term]) -> np.ndarray:
        """Rows of the triangle of a QR decomposition of [before, term], over their diagonal (Doolittle)."""
        R = self._factors[1]
        basis = np.empty((0, len(R)))
        rows: list[np.ndarray] = []
        for place, other in enumerate((*before, term)):
            for column in self._coded(other, before[:place]).T:
                left = column - (basis @ column) @ basis
                left = left - (basis @ left) @ basis
                size = np.linalg.norm(left)
                if size <= WITHIN * np.linalg.norm(column):
                    continue
                basis = np.vstack([basis, left / size])
                if place == len(before):
                    rows.append(basis[-1] @ R / size)
        return np.array(rows).reshape(len(rows), len(R))

    def _averaged(self, term: Term) -> np.ndarray:
        """Type III. Functions a'beta have the overparameterised coefficients M'a, with M = X^- [all columns].

        a = N c has none outside the term and those that contain it; K are those c without any of the term.
        """
        _, R, lengths = self._factors
        inverse = np.linalg.inv(R / lengths)

        def coefficients(terms: Sequence[Term]) -> np.ndarray:
            """(k, p) rows of M' for the parameters of some terms, in units without dimension."""
            known = [self.parameters[each] for each in terms]
            scaled = [(each.coordinates / each.scale).reshape(len(R), -1, order="F") for each in known]
            return (inverse @ np.hstack([np.empty((len(R), 0)), *scaled])).T

        larger = [other for other in self.live if self.contains(other, term)]
        others = [other for other in self.live if other != term and other not in larger]
        N = _null(coefficients(others))
        own, above = coefficients([term]) @ N, coefficients(larger) @ N
        K = _null(own)
        chosen = _null((above @ K).T @ above)
        if not chosen.shape[1]:
            return np.empty((0, len(R)))
        lead = own @ chosen
        first = leading(lead, self._order(term, others))
        return np.asarray((N @ chosen @ np.linalg.inv(lead[first])).T * lengths)

    def _order(self, term: Term, before: Sequence[Term]) -> np.ndarray:
        """Numbers of a term's parameters, those with a column of their own in a coded X first."""
        coded = np.zeros(self.parameters[term].scale.shape, dtype=bool)
        for product in self._products(term, before):
            if len(product) == len(term):
                coded[self._places(term, product)] = True
        return np.argsort(~coded.ravel(order="F"), kind="stable")


def _null(matrix: np.ndarray) -> np.ndarray:
    """(m, k) orthonormal basis of the c : (m,) with matrix @ c = 0."""
    if not matrix.shape[1]:
        return np.empty((0, 0))
    _, sizes, rows = np.linalg.svd(matrix)
    rank = int((sizes > RANK * max(1.0, sizes.max(initial=0.0))).sum())
    return np.asarray(rows[rank:].T)


def leading(matrix: np.ndarray, order: np.ndarray) -> list[int]:
    """The first rows of (m, k), in an order, that are linearly independent."""
    basis = np.empty((0, matrix.shape[1]))
    chosen: list[int] = []
    for index in order.tolist():
        left = matrix[index] - (basis @ matrix[index]) @ basis
        size = np.linalg.norm(left)
        if size > RANK * np.linalg.norm(matrix, 2):
            basis = np.vstack([basis, left / size])
            chosen.append(index)
    return chosen
