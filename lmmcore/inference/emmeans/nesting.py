"""Factors nested in others: levels that occur, or have a meaning, within one level of another only.

As emmeans finds them (Lenth 2024): from the data, where every level of a factor occurs with one level of
another; and from the formula, where a factor has no effect of its own but within another (a / b, a + a:b).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lmmcore.data.table import Factor
from lmmcore.errors import ArgumentError
from lmmcore.formula.calls import variables
from lmmcore.model.specification import Model
from lmmcore.runtime import arguments

Nesting = Mapping[str, tuple[str, ...]]


def category_codes(model: Model, name: str) -> np.ndarray:
    """(n,) number of each row's level of a category, in the order of its levels."""
    column = model.table.columns[name]
    return column.codes if isinstance(column, Factor) else np.unique(column, return_inverse=True)[1]


def nesting_of(model: Model, categories: Sequence[str], given: Mapping[str, Any] | None) -> Nesting:
    """{factor: the factors it is nested in} of some categories of the model.

    given : the user's, {factor: factor or factors}, {} for none; None to find it. Raises ArgumentError for
    names that are no categories of the fixed effects.
    """
    if given is None:
        found = _by_formula(model, categories, _by_data(model, categories))
    else:
        found = {
            of: list(arguments.names(within, "nesting"))
            for of, within in arguments.mapping(given, "nesting").items()
        }
        for name in [*found, *(one for within in found.values() for one in within)]:
            if name not in categories:
                raise ArgumentError(
                    f"nesting names {name!r}, but must name categories of the fixed effects: "
                    f"{', '.join(categories)}."
                )
    for name in found:  # what a factor's outer factors are nested in, it is nested in too
        outer = [further for of in found[name] for further in found.get(of, [])]
        found[name] = list(dict.fromkeys([*outer, *found[name]]))
    return {name: tuple(outer) for name, outer in found.items() if outer and name not in outer}


def _by_data(model: Model, categories: Sequence[str]) -> dict[str, list[str]]:
    codes = {name: category_codes(model, name) for name in categories}
    found: dict[str, list[str]] = {}
    for name, own in codes.items():
        others = [of for of in categories if of != name and name not in found.get(of, [])]
        outer = []
        for of in others:
            pairs = np.unique(np.column_stack([own, codes[of]]), axis=0)
            if len(pairs) == len(np.unique(own)) and len(np.unique(codes[of])) > 1:
                outer.append(of)
        if outer and len(np.unique(own)) > 1:
            found[name] = outer
    return found


def _by_formula(model: Model, categories: Sequence[str], found: dict[str, list[str]]) -> dict[str, list[str]]:
    """Adds the factors that stand in the formula within others only."""
    terms = {frozenset(name for factor in term for name in variables(factor)) for term in model.fixed.terms}
    for name in categories:
        if frozenset([name]) in terms:
            continue
        marginal = [term for term in terms if name in term and term - {name} in terms]
        sets = [
            {of for of in term - {name} if of in categories and term - {of} not in terms} for term in marginal
        ]
        least = [one for one in sets if one and not any(other < one for other in sets if other)]
        within = sorted({of for one in least for of in one}, key=list(categories).index)
        if within:
            found[name] = list(dict.fromkeys([*found.get(name, []), *within]))
    return found
