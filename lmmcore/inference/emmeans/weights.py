"""Weights of the levels that a marginal mean averages over, by emmeans' names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from lmmcore.data.table import Factor
from lmmcore.inference.emmeans.nesting import Nesting, category_codes
from lmmcore.model.specification import Model

Weighting = Literal["equal", "proportional", "flat"]
WORDS = {
    "equal": "averaged with equal weights over the levels of {}",
    "proportional": "averaged over the levels of {} by their numbers of rows",
    "flat": "averaged with equal weights over the levels of {} that have rows",
}


def level_numbers(model: Model, name: str, column: np.ndarray | Factor) -> np.ndarray:
    """Levels of a category at the points of a grid, numbered as in the data."""
    if isinstance(column, Factor):
        return column.codes
    return np.searchsorted(np.unique(np.asarray(model.table.columns[name])), column)


def shares_of(
    model: Model,
    codes: Mapping[str, np.ndarray],
    asked: Sequence[str],
    nested: Nesting,
    weights: Weighting,
    n: int,
    points: int,
) -> tuple[np.ndarray, np.ndarray]:
    """(cells present, points) weights of the points of each cell, n in all, and (cells,) which are present.

    codes : (n,) of each category; asked : those that make the cells. A level of a nested factor
    is present within the outer levels that it occurs with.
    """
    share = np.ones(n)

    def rows_of(names: Sequence[str]) -> np.ndarray:
        """(n,) rows of the data with a point's levels of some categories."""
        data = np.column_stack([category_codes(model, name) for name in names])
        keys, counts = np.unique(data, axis=0, return_counts=True)
        rows = dict(zip(map(tuple, keys.tolist()), counts.tolist(), strict=True))
        points_at = zip(*(codes[name].tolist() for name in names), strict=True)
        return np.array([rows.get(key, 0) for key in points_at])

    exists = np.ones(n, dtype=bool)
    for name, outer in nested.items():
        exists &= rows_of([name, *outer]) > 0
    averaged = [name for name in codes if name not in asked]
    if averaged and weights == "proportional":
        around = [of for name in averaged for of in nested.get(name, ())]
        share = rows_of(list(dict.fromkeys([*averaged, *around]))).astype(float)
    elif averaged and weights == "flat":
        share = (rows_of(list(codes)) > 0).astype(float)
    share = share * exists
    if weights != "proportional":
        share = _within(codes, averaged, nested, share, points)
    table = share.reshape(-1, points)
    present = np.asarray(exists.reshape(-1, points).any(axis=1))
    empty = present & (table.sum(axis=1) == 0)  # a cell without rows: what it would be, if it is determined
    table[empty] = exists.reshape(-1, points)[empty]
    table = table[present]
    return table / table.sum(axis=1, keepdims=True), present


def _within(
    codes: Mapping[str, np.ndarray], averaged: Sequence[str], nested: Nesting, share: np.ndarray, points: int
) -> np.ndarray:
    """Weights : (n,), 0 or 1, divided where an inner factor and its outer ones are averaged over: within each
    combination of the outer ones first, then these."""
    share, cell = share.copy(), np.repeat(np.arange(len(share) // points), points)
    for name in sorted(averaged, key=lambda name: -len(nested.get(name, ()))):
        outer = [of for of in nested.get(name, ()) if of in averaged]
        if outer:
            key = np.column_stack([cell, *(codes[of] for of in outer)])
            group = np.unique(key, axis=0, return_inverse=True)[1].ravel()
            total = np.bincount(group, share)
            share = share / np.where(total > 0, total, 1)[group]
    return share
