"""Columns that the fixed effects use by several functions, tested as a whole.

The coefficient of age beside that of I(age ** 2) says nothing of whether the mean changes with age, and a
column of poly(age, 2) by itself is about nothing: the curve is tested with all that it is made of.
"""

from typing import Any

import numpy as np

from lmmcore.errors import LmmError
from lmmcore.estimate.solution import Solution
from lmmcore.formula.calls import variables
from lmmcore.formula.tokens import unquote
from lmmcore.inference.emmeans.means import emmeans
from lmmcore.inference.emmeans.reference_grid import is_category
from lmmcore.inference.fixed.wald import DfMethod
from lmmstudy.fitting.question import difference, joint, points


def curves(fit: Solution, df: DfMethod) -> list[dict[str, Any]]:
    """A row for each such column, and for each category that its curve differs between: term, hypothesis,
    statistic, num_df, den_df, p_value; a test that the data do not determine is left out."""
    model, rows = fit.model, list[dict[str, Any]]()
    response = model.spec.formula.response
    for column in model.fixed.variables:
        factors = {f for term in model.fixed.terms for f in term if column in variables(f)}
        plain = factors == {column} or {unquote(f) for f in factors} == {column}
        if plain or is_category(model, column):
            continue
        at = points(np.asarray(model.table.columns[column], dtype=float))
        words = f"The mean of {response} does not change with {column}."
        rows += _tested(fit, column, [column], at, df, words)
        used = [{v for f in term for v in variables(f)} for term in model.fixed.terms if set(term) & factors]
        partners = dict.fromkeys(v for names in used for v in names if is_category(model, v))
        for other in partners:
            words = f"The curve of {response} over {column} is the same in every {other}, but for its level."
            rows += _tested(fit, f"{column}:{other}", [column, other], at, df, words)
    return rows


def _tested(
    fit: Solution, term: str, specs: list[str], at: list[float], df: DfMethod, words: str
) -> list[dict[str, Any]]:
    """The test that the means at all points, or their differences between levels, are those at the first."""
    grid = emmeans(fit, specs, at={specs[0]: at}, df=df)
    levels = len(grid.offsets) // len(at)
    along = np.array([difference(len(at), k, 0) for k in range(1, len(at))])
    apart = np.array([difference(levels, k, 0) for k in range(1, levels)]).reshape(-1, levels)
    weights = np.kron(along, apart) if len(specs) > 1 else along
    try:
        return [{"term": term, **joint(grid, weights, words)}]
    except LmmError:
        return []
