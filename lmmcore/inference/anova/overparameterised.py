"""The overparameterised model: a parameter for each combination of levels of a term's categories."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lmmcore.data.table import Factor
from lmmcore.formula.expressions import evaluate
from lmmcore.formula.terms import Term
from lmmcore.model.specification import Model


@dataclass(frozen=True)
class Parameters:
    """Parameters of a term, with an axis for each of its factors.

    coordinates : (p, *sizes) of their columns, in an orthonormal basis of the span of X.
    scale : (*sizes) root mean square of the numeric part of a column.
    empty : combinations of levels without rows, one level for each category.
    """

    coordinates: np.ndarray
    scale: np.ndarray
    empty: tuple[tuple[str, ...], ...]


def parameters(model: Model, term: Term, Q: np.ndarray) -> Parameters:
    """Parameters of a term; Q : (n, p) orthonormal basis, its rows in the order of the model's table."""
    n, design = model.table.n, model.fixed
    categories: list[tuple[str, ...]] = []
    inside, number = np.ones(n, dtype=bool), np.ones(n)
    for factor in term:
        value = evaluate(factor, model.table.columns, dict(design.state))
        if isinstance(value, Factor):
            categories.append(value.levels)
            indicators, parts = value.codes[:, None] == np.arange(len(value.levels)), np.ones((n, 1))
        else:
            made = list(value.values()) if isinstance(value, dict) else [value]
            indicators, parts = np.ones((n, 1), dtype=bool), np.column_stack(made)
        shape = (n, *(1,) * (inside.ndim - 1), -1)
        inside = inside[..., None] & indicators.reshape(shape)
        number = number[..., None] * parts.reshape(shape)
    columns = inside * number
    occurs = np.asarray(inside.any(axis=0))
    of_categories = tuple(slice(None) if factor in design.levels else 0 for factor in term)
    empty = tuple(
        tuple(levels[place] for levels, place in zip(categories, cell, strict=True))
        for cell in np.argwhere(~occurs[of_categories]).tolist()
    )
    scale = np.broadcast_to(np.sqrt(np.mean(number**2, axis=0)), columns.shape[1:])
    return Parameters(np.tensordot(Q.T, columns, 1), scale, empty)
