"""Which columns a factor needs in each term so that the model matrix has full rank.

The rule of S, patsy and formulaic: a term spans the products of its factors' atoms, where a category's
atoms are the constant and its reduced (treatment) coding; atoms that earlier terms span are left out, and
pairs (rest) + (rest : reduced a) are merged into (rest : full a). N. J. Smith, patsy manual, "How formulas
work".
"""

from __future__ import annotations

from functools import lru_cache
from itertools import product
from typing import NamedTuple

from lmmcore.formula.terms import Term

# The numeric factors and the categories, in reduced coding, whose product spans a piece of the column space.
Atom = tuple[frozenset[str], frozenset[str]]


class Coded(NamedTuple):
    """A factor in a product. full : one column for each level, instead of all but the first."""

    factor: str
    full: bool


Product = tuple[Coded, ...]


@lru_cache(maxsize=512)
def code(terms: tuple[Term, ...], categories: frozenset[str]) -> tuple[tuple[Product, ...], frozenset[Atom]]:
    """Products of coded factors that span the terms without overlap, and the atoms they span."""
    spanned: set[frozenset[Coded]] = set()
    products: list[Product] = []
    for term in terms:
        choices = [
            (Coded(factor, False), None) if factor in categories else (Coded(factor, False),)
            for factor in term
        ]
        atoms = [tuple(coded for coded in choice if coded is not None) for choice in product(*choices)]
        fresh = [atom for atom in atoms if frozenset(atom) not in spanned]
        products.extend(_merged(sorted(fresh, key=len), categories))
        spanned.update(map(frozenset, fresh))
    return tuple(products), frozenset(_atom(atom, categories) for atom in spanned)


def _atom(atom: frozenset[Coded], categories: frozenset[str]) -> Atom:
    factors = frozenset(coded.factor for coded in atom)
    return factors - categories, factors & categories


def _merged(pieces: list[Product], categories: frozenset[str]) -> list[Product]:
    """Merge (rest) + (rest : reduced a) into (rest : full a), until nothing can be merged."""
    done: list[Product] = []
    queue = pieces
    while queue:
        piece, *queue = queue
        partner = next((other for other in done if _extends(piece, other, categories)), None)
        if partner is None:
            done.append(piece)
            continue
        (added,) = set(piece) - set(partner)
        full = tuple(Coded(coded.factor, True) if coded == added else coded for coded in piece)
        # The merged product may now merge with those already done: start over with all of them.
        rest = [other for other in done if other != partner]
        queue = [*sorted([*rest, full], key=len), *queue]
        done = []
    return done


def _extends(piece: Product, other: Product, categories: frozenset[str]) -> bool:
    """Whether piece is other times one category in reduced coding."""
    if len(piece) != len(other) + 1 or not set(other) < set(piece):
        return False
    (added,) = set(piece) - set(other)
    return added.factor in categories and not added.full
