"""Analysis of variance: an F test of each term of the fixed part, with its hypothesis in words."""

from __future__ import annotations

from typing import Any

import numpy as np

from lmmcore.data.table import to_frame
from lmmcore.errors import ArgumentError
from lmmcore.estimate.solution import Solution
from lmmcore.inference.anova.hypotheses import AnovaType, Hypotheses
from lmmcore.inference.anova.words import hypothesis
from lmmcore.inference.fixed.wald import DfMethod, JointTest, joint_test
from lmmcore.inference.words import term_name
from lmmcore.runtime import arguments


def anova(solution: Solution, type: AnovaType = 3, df: DfMethod = "satterthwaite") -> Any:
    """Frame with a row for each term but the intercept: term, num_df, den_df, statistic (F), p_value,
    hypothesis (words).

    type : 1, each term adjusted for those before it; 2, for all that do not contain it; 3, for all, those
    that contain it averaged with equal weights (see anova_hypotheses). A term that nothing can be tested of
    has num_df 0 and missing values. Raises ArgumentError for an unknown type or df, FitError for
    "kenward-roger" after ML.
    """
    if not isinstance(type, int) or type not in (1, 2, 3):
        raise ArgumentError(
            f"type is {arguments.short(type)}, but must be 1 (sequential), 2 (hierarchical) or 3 (marginal)."
        )
    hypotheses = Hypotheses(solution.model)
    terms = [term for term in hypotheses.terms if term]
    matrices = [hypotheses.matrix(term, type) for term in terms]
    tests = [
        joint_test(solution, L, 0.0, df) if len(L) else JointTest(np.nan, 0, np.nan, np.nan) for L in matrices
    ]
    columns = {
        "term": [term_name(term) for term in terms],
        "num_df": np.array([test.num_df for test in tests], dtype=int),
        "den_df": np.array([test.den_df for test in tests], dtype=float),
        "statistic": np.array([test.statistic for test in tests], dtype=float),
        "p_value": np.array([test.p_value for test in tests], dtype=float),
        "hypothesis": [
            hypothesis(hypotheses, term, type, len(L)) for term, L in zip(terms, matrices, strict=True)
        ],
    }
    return to_frame(columns, solution.model.table.backend)
