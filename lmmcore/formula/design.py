"""Terms -> columns of a model matrix, named as formulaic names them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from math import prod
from typing import Any

import numpy as np

from lmmcore.data.table import Table
from lmmcore.errors import DataError
from lmmcore.formula.calls import variables
from lmmcore.formula.coding import Atom, Product, code
from lmmcore.formula.expressions import evaluate
from lmmcore.formula.levels import Factor
from lmmcore.formula.terms import Term
from lmmcore.formula.tokens import unquote
from lmmcore.formula.transforms import State

# One column of a factor: its text, and a level's number, a basis's label, or None; a column is a product.
Part = tuple[str, int | str | None]
Parts = tuple[Part, ...]
MOST = 10_000
"""Columns of a design; their cross-products take 800 MB."""


@dataclass(frozen=True)
class Design:
    """Terms with all that was learnt from the training rows.

    names : of the columns; levels : of the categories, by factor text, the first is the reference;
    labels : of the columns of poly, bs, cr, by factor text; state : of functions that learn, by their text.
    """

    terms: tuple[Term, ...]
    names: tuple[str, ...]
    levels: Mapping[str, tuple[str, ...]]
    labels: Mapping[str, tuple[str, ...]]
    state: Mapping[str, State]

    @classmethod
    def learn(cls, terms: tuple[Term, ...], table: Table) -> Design:
        """Levels and states from the rows.

        Raises DataError for a category with one level, a function that is undefined on the rows, or more than
        MOST columns.
        """
        levels: dict[str, tuple[str, ...]] = {}
        labels: dict[str, tuple[str, ...]] = {}
        state: dict[str, State] = {}
        for factor in dict.fromkeys(factor for term in terms for factor in term):
            value = evaluate(factor, table.columns, state)
            if isinstance(value, Factor):
                levels[factor] = _checked(factor, value.levels)
            elif isinstance(value, dict):
                labels[factor] = tuple(value)
        products, _ = code(terms, frozenset(levels))
        _check_count(products, levels, labels)
        names = tuple(name for product_ in products for name in _names(product_, levels, labels))
        return cls(terms, names, levels, labels, state)

    @cached_property
    def atoms(self) -> frozenset[Atom]:
        """The column space: one model's lies in another's if and only if its atoms do.

        An atom is (numeric factors, categories in reduced coding); time:arm has the atoms of time + time:arm.
        """
        return code(self.terms, frozenset(self.levels))[1]

    @cached_property
    def variables(self) -> tuple[str, ...]:
        """Columns that the terms use."""
        factors = (factor for term in self.terms for factor in term)
        return tuple(dict.fromkeys(name for factor in factors for name in variables(factor)))

    def columns(self, table: Table, shared: dict[Any, np.ndarray] | None = None) -> list[np.ndarray]:
        """Columns : len(names) arrays (n,). A numeric column of the table is returned itself, not copied.

        shared : columns that designs on the same rows have in common; looked up and added to, so that the
        same column of two designs is the same array.
        Raises DataError for a level that the training rows did not have.
        """
        made = {} if shared is None else shared
        factors: dict[str, Any] = {}
        result: list[np.ndarray] = []
        for product_ in code(self.terms, frozenset(self.levels))[0]:
            choices = [self._parts(coded.factor, coded.full) for coded in reversed(product_)]
            for parts in product(*choices):
                column = made.get(parts)
                if column is None:
                    column = made[parts] = self._column(parts[::-1], table, factors)
                result.append(column)
        return result

    def _parts(self, factor: str, full: bool) -> list[Part]:
        """(factor, level number or label) of each column of a factor."""
        if factor in self.levels:
            return [(factor, level) for level in range(0 if full else 1, len(self.levels[factor]))]
        return [(factor, label) for label in self.labels.get(factor, (None,))]

    def _column(self, parts: Parts, table: Table, factors: dict[str, Any]) -> np.ndarray:
        """Product of the parts; ones if there is none."""
        if not parts:
            return np.broadcast_to(1.0, (table.n,))
        column = self._part(*parts[0], table, factors)
        for part in parts[1:]:
            column = column * self._part(*part, table, factors)
        return column

    def _part(self, factor: str, part: int | str | None, table: Table, factors: dict[str, Any]) -> np.ndarray:
        if factor not in factors:
            factors[factor] = self._value(factor, table)
        value = factors[factor]
        if isinstance(part, int):
            return (value == part).astype(float)
        return value if part is None else value[part]

    def _value(self, factor: str, table: Table) -> Any:
        """Numbers (n,), codes (n,) in the design's levels, or {label: (n,)}."""
        value = evaluate(factor, table.columns, dict(self.state))
        levels = self.levels.get(factor)
        if isinstance(value, Factor) and levels is not None:
            return value.codes if value.levels == levels else _recoded(factor, value, levels)
        if isinstance(value, Factor) or levels is not None:
            was, now = ("numbers", "a category") if levels is None else ("a category", "numbers")
            raise DataError(f"{factor!r} was {was} in the rows of the fit and is {now} in these; convert it.")
        return value

    def to_dict(self) -> dict[str, Any]:
        """All of the design as JSON can hold it."""
        return {
            "terms": [list(term) for term in self.terms],
            "names": list(self.names),
            "levels": {factor: list(levels) for factor, levels in self.levels.items()},
            "labels": {factor: list(labels) for factor, labels in self.labels.items()},
            "state": {text: dict(state) for text, state in self.state.items()},
        }

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> Design:
        """The design that to_dict wrote."""
        return cls(
            tuple(tuple(term) for term in saved["terms"]),
            tuple(saved["names"]),
            {factor: tuple(levels) for factor, levels in saved["levels"].items()},
            {factor: tuple(labels) for factor, labels in saved["labels"].items()},
            {text: dict(state) for text, state in saved["state"].items()},
        )


def _checked(factor: str, levels: tuple[str, ...]) -> tuple[str, ...]:
    if len(levels) < 2:
        raise DataError(
            f"{factor!r} has one level only ({levels[0]!r}) in the rows used, but a category in a formula "
            "needs at least two; leave it out."
        )
    return levels


def _check_count(
    products: Sequence[Product], levels: Mapping[str, tuple[str, ...]], labels: Mapping[str, tuple[str, ...]]
) -> None:
    """Raise DataError before that many names and columns are made."""
    count = 0
    for product_ in products:
        sizes = [len(levels.get(c.factor, ())) - (not c.full) or 1 for c in product_ if c.factor in levels]
        count += prod(sizes) * prod(len(labels[c.factor]) for c in product_ if c.factor in labels)
        if count > MOST:
            term = ":".join(c.factor for c in product_)
            raise DataError(
                f"The formula stands for more than {MOST:,} columns, reached in {term!r}; interactions of "
                "categories with many levels are rarely meant: is one of them a number or an id?"
            )


def _names(
    product_: Product, levels: Mapping[str, tuple[str, ...]], labels: Mapping[str, tuple[str, ...]]
) -> list[str]:
    """Names of a product's columns, the first factor varying fastest."""
    if not product_:
        return ["Intercept"]
    parts: list[list[str]] = []
    for factor, full in reversed(product_):
        shown = unquote(factor) or factor
        if factor in levels:
            parts.append(
                [f"{shown}[{level}]" for level in levels[factor]]
                if full
                else [f"{shown}[T.{level}]" for level in levels[factor][1:]]
            )
        elif factor in labels:
            parts.append([f"{shown}[{label}]" for label in labels[factor]])
        else:
            parts.append([shown])
    return [":".join(reversed(combination)) for combination in product(*parts)]


def _recoded(factor: str, value: Factor, levels: tuple[str, ...]) -> np.ndarray:
    """Codes (n,) in the levels of the design."""
    place = {level: index for index, level in enumerate(levels)}
    unseen = [level for level in value.levels if level not in place]
    if unseen:
        known = ", ".join(map(repr, levels[:10])) + (", ..." if len(levels) > 10 else "")
        raise DataError(
            f"The level {unseen[0]!r} of {factor!r} did not occur in the rows of the fit, so it has no "
            f"effect to predict with; known are {known}."
        )
    return np.array([place[level] for level in value.levels], dtype=np.intp)[value.codes]
