"""Generalised least squares with a covariance that is taken as known (EGLS of seed 003).

    beta^ = (X'V^-1 X)^-1 X'V^-1 y,    var(beta^) = (X'V^-1 X)^-1

computed as ordinary least squares of L^-1 y on L^-1 X with V = L L'. Only the first two moments of the data are
used, not their normality; V is given, or is that of a fit, reused for another mean.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import narwhals as nw
import numpy as np

from lmmcore.data import Factor, Table, read, to_frame
from lmmcore.errors import DataError, FitError, FormulaError
from lmmcore.formula.design import Design
from lmmcore.formula.expressions import response
from lmmcore.formula.parse import Formula, parse
from lmmcore.frames import t_interval
from lmmcore.likelihood.coordinates import centre
from lmmcore.residuals import BATCH, marginal_covariance
from lmmcore.result import Fit
from lmmcore.solution import Solution

# Part of its largest entry by which a covariance matrix may differ from its transpose.
ASYMMETRY = 1e-8


@dataclass(frozen=True)
class Gls:
    """Generalised least squares.

    terms : fixed effects estimated; dropped : those that earlier ones determine; estimate : (p,);
    vcov : (p, p) = (X'V^-1 X)^-1; nobs : rows used.
    dispersion : (y - X beta^)'V^-1 (y - X beta^) / (n - p), near 1 if V has the size of the errors.
    sentence : what is taken as known.
    """

    formula: str
    terms: tuple[str, ...]
    dropped: tuple[str, ...]
    estimate: np.ndarray = field(repr=False)
    vcov: np.ndarray = field(repr=False)
    nobs: int
    dispersion: float
    sentence: str
    backend: nw.Implementation = field(repr=False)

    @cached_property
    def beta(self) -> dict[str, float]:
        """Estimates of the fixed effects."""
        return dict(zip(self.terms, self.estimate.tolist(), strict=True))

    @cached_property
    def se(self) -> dict[str, float]:
        """Standard errors of the fixed effects, for a known covariance."""
        return dict(zip(self.terms, np.sqrt(np.diag(self.vcov)).tolist(), strict=True))

    def tidy(self, conf_level: float = 0.95) -> Any:
        """Frame in broom's columns: term, estimate, std_error, statistic, df, p_value, conf_low, conf_high.
        df is infinite, the normal distribution: nothing was estimated of the covariance."""
        se = np.sqrt(np.diag(self.vcov))
        return coefficient_table(
            self.terms, self.estimate, se, np.full(len(se), np.inf), conf_level, self.backend
        )


def gls(
    formula: str,
    data: Any,
    covariance: np.ndarray | Fit,
    *,
    categories: Mapping[str, Sequence[Any]] | None = None,
) -> Gls:
    """Estimate fixed effects by generalised least squares.

    formula : fixed effects only, e.g. "y ~ time * arm". data : as for `fit`.
    covariance : (n, n) covariance matrix of the rows of the data, in their order; or a fit of the same
    response to the same data, whose marginal covariance (and offset, if it had one) is reused.
    categories : {column: levels}; the first level is the reference.

    Rows with a missing value are left out, of the matrix too. Raises FormulaError, DataError (the matrix is no
    covariance matrix of these rows, or the data are not those of the fit) or FitError.
    """
    parsed = parse(formula)
    if parsed.random:
        raise FormulaError(
            f"gls takes fixed effects only, but the formula has {parsed.random[0].text}; leave it out, the "
            "covariance of the rows comes from covariance=."
        )
    if isinstance(covariance, Fit):
        return _with_fit(parsed, data, covariance, categories)
    table = read(data, parsed.variables, (), categories)
    V = _checked(covariance, table.rows_read)
    if table.kept is not None:
        V = V[np.ix_(table.kept, table.kept)]
    try:
        lower = np.linalg.cholesky(V)
    except np.linalg.LinAlgError:
        raise DataError(
            "The covariance matrix is not positive definite: some combination of the rows has no variance; "
            "look for rows that are there twice, or a sign error."
        ) from None
    y = response(parsed.response, table.columns)
    sentence = "The covariance of the rows is taken as known, as given."
    return _estimated(parsed, table, y, sentence, lambda U: np.linalg.solve(lower, U))


def _checked(covariance: Any, n: int) -> np.ndarray:
    """The matrix (n, n), symmetric and finite."""
    V = np.asarray(covariance, dtype=float)
    if V.shape != (n, n):
        raise DataError(
            f"The covariance has the shape {V.shape}, but the data have {n} rows: give an ({n}, {n}) matrix in "
            "the order of the rows, or a fit."
        )
    if not np.isfinite(V).all() or np.abs(V - V.T).max(initial=0.0) > ASYMMETRY * np.abs(V).max(initial=0.0):
        raise DataError("The covariance matrix must be finite and symmetric; correct the entries that are not.")
    return V
