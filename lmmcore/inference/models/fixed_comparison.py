"""Compare the fixed parts of two nested models by an F test in the larger one (pbkrtest's KRmodcomp).

The smaller mean X_0 = X B leaves L beta = 0 with L B = 0. Only the larger model's covariance is used, so
that REML fits may be compared, which their likelihoods do not allow.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lmmcore.data.table import to_frame
from lmmcore.errors import FitError
from lmmcore.estimate.solution import Fitted
from lmmcore.inference.fixed.wald import DfMethod, joint_test, orthonormal_rows
from lmmcore.model.specification import Model
from lmmcore.runtime import arguments

# Part of a column of the smaller X that may lie outside the span of the larger one.
OUTSIDE = 1e-7


def compare_fixed(small: Fitted, large: Fitted, df: DfMethod = "kenward-roger") -> Any:
    """Frame of one row: hypothesis, statistic (F), num_df, den_df, p_value.

    small, large : fits of the same rows; the fixed part of small is a special case of large's. The
    covariance is that of large. L has orthonormal rows in the user's coordinates, so that Satterthwaite's df
    are those of `contrast` and, where terms are left out, of lmerTest. Raises FitError if the rows differ or
    the models are not nested.
    """
    for fit, which in ((small, "The smaller model"), (large, "The larger model")):
        arguments.fitted(fit, which)
    model, other = large.solution.model, small.solution.model
    if model.n != other.n or not np.array_equal(
        model.rows.unsorted(model.rows.y), other.rows.unsorted(other.rows.y)
    ):
        raise FitError(
            f"The models use different rows ({other.n} and {model.n}) or responses; drop the rows with "
            "missing values before fitting."
        )
    X, X0 = _columns(model), _columns(other)
    X = X @ model.coordinates.fixed
    B, *_ = np.linalg.lstsq(X, X0)
    outside = np.linalg.norm(X0 - X @ B, axis=0) > OUTSIDE * np.linalg.norm(X0, axis=0)
    if outside.any():
        name = other.terms[int(np.argmax(outside))]
        raise FitError(
            f"The first model's fixed effect {name!r} is no combination of those of the second, so that the "
            "models are not nested; pass the smaller model first."
        )
    if B.shape[1] == len(B):
        raise FitError("Both models have the same fixed part, so that there is nothing to test.")
    across = np.linalg.qr(B, mode="complete")[0][:, B.shape[1] :]  # L' : (p, l), orthogonal to B
    L = np.linalg.solve(model.coordinates.fixed.T, across).T
    test = joint_test(large.solution, *orthonormal_rows(L), df)
    return to_frame(
        {
            "hypothesis": [_hypothesis(other, model)],
            "statistic": [test.statistic],
            "num_df": [test.num_df],
            "den_df": [test.den_df],
            "p_value": [test.p_value],
        },
        model.table.backend,
    )


def _columns(model: Model) -> np.ndarray:
    """(n, p) columns of X that are estimated, in the order of the table."""
    return np.column_stack([model.rows.unsorted(model.rows.X[index]) for index in model.coordinates.kept])


def _hypothesis(small: Model, large: Model) -> str:
    """In words where the smaller model only leaves terms out."""
    if set(small.terms) <= set(large.terms):
        return " and ".join(f"{term} = 0" for term in large.terms if term not in small.terms)
    return f"the mean is that of {small.spec.formula.text}"
