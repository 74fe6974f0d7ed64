"""All inner products of columns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lmmcore.kernel.rows import moments as sums_of_rows
from lmmcore.system.moments.products import SHORT, inner, row_parts, symmetric


def gram(columns: Sequence[np.ndarray]) -> np.ndarray:
    """All inner products of columns (n,) : (k, k), those of a column that occurs twice made once; the same to
    the last bit for any number of threads."""
    n = len(columns[0])
    compiled = sums_of_rows([], columns, np.arange(0, n, SHORT), n)
    if compiled is not None:
        return compiled[2]
    distinct = {id(column): column for column in columns}
    total = np.zeros((len(distinct), len(distinct)))
    for part in row_parts(n):
        total += symmetric([column[part] for column in distinct.values()], inner)
    place = {key: index for index, key in enumerate(distinct)}
    at = [place[id(column)] for column in columns]
    return total[np.ix_(at, at)]
