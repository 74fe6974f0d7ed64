"""Generalised least squares with a covariance that is taken as known (EGLS of seed 003).

    beta^ = (X'V^-1 X)^-1 X'V^-1 y,    var(beta^) = (X'V^-1 X)^-1

computed as ordinary least squares of L^-1 y on L^-1 X with V = L L'. Only the first two moments of the data
are used, not their normality; V is given, or is that of a fit, reused for another mean.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import narwhals as nw
import numpy as np

from lmmcore.data.table import Factor, Table, read, to_frame
from lmmcore.errors import DataError, FitError, FormulaError
from lmmcore.estimate.residuals import chunks, marginal_covariance
from lmmcore.estimate.solution import Fitted, Solution
from lmmcore.formula.design import Design
from lmmcore.formula.expressions import response
from lmmcore.formula.parse import Formula, parse
from lmmcore.inference.fixed.wald import Estimates, coefficients
from lmmcore.model.coordinates import centre
from lmmcore.runtime import arguments

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
        found = Estimates(self.estimate, se, np.full(len(se), np.inf), self.vcov)
        return to_frame(coefficients(self.terms, found, conf_level), self.backend)


def gls(
    formula: str,
    data: Any,
    covariance: np.ndarray | Fitted,
    *,
    categories: Mapping[str, Sequence[Any]] | None = None,
) -> Gls:
    """Estimate fixed effects by generalised least squares.

    formula : fixed effects only, e.g. "y ~ time * arm". data : as for `fit`.
    covariance : (n, n) covariance matrix of the rows of the data, in their order; or a fit of the same
    response to the same data, whose marginal covariance (and offset, if it had one) is reused.
    categories : {column: levels}; the first level is the reference.

    Rows with a missing value are left out, of the matrix too. Raises FormulaError, DataError (the matrix is
    no covariance matrix of these rows, or the data are not those of the fit) or FitError.
    """
    parsed = parse(formula)
    if parsed.random:
        raise FormulaError(
            f"gls takes fixed effects only, but the formula has {parsed.random[0].text}; leave it out, the "
            "covariance of the rows comes from covariance=."
        )
    if parsed.offset is not None:
        raise FormulaError(
            f"gls takes no offset({parsed.offset}): subtract the column from the response in the data "
            "before; the offset of a fit given as covariance= is taken over."
        )
    categories = arguments.levels(categories)
    if isinstance(covariance, Fitted):
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
    V = arguments.numbers(covariance, "The covariance of the rows")
    if V.shape != (n, n):
        raise DataError(
            f"The covariance has the shape {V.shape}, but the data have {n} rows: give an ({n}, {n}) matrix "
            "in the order of the rows, or a fit."
        )
    if not np.isfinite(V).all() or np.abs(V - V.T).max(initial=0.0) > ASYMMETRY * np.abs(V).max(initial=0.0):
        raise DataError(
            "The covariance matrix must be finite and symmetric; correct the entries that are not."
        )
    return V


def _with_fit(parsed: Formula, data: Any, fit: Fitted, categories: Mapping[str, Sequence[Any]] | None) -> Gls:
    """The marginal covariance of a fit, for the rows that also have the variables of the new formula."""
    spec = fit.solution.model.spec
    if parsed.response != spec.formula.response:
        raise FormulaError(
            f"The covariance is that of {spec.formula.response!r}, but the formula explains "
            f"{parsed.response!r}; a covariance belongs to its response, so fit {parsed.response!r} first."
        )
    known = fit.solution.model.table
    groups = list(known.groups)
    variables = [
        name for name, column in known.columns.items() if not (name in groups and isinstance(column, Factor))
    ]
    same = read(data, variables, groups, spec.categories)
    _check_same(same, known)
    merged = {**(spec.categories or {}), **(categories or {})}
    table = read(data, [*variables, *parsed.variables], groups, merged)
    used = np.isin(_positions(same), _positions(table))
    rows = fit.solution.model.rows
    y = response(parsed.response, table.columns) - rows.unsorted(rows.offset)[used]
    sentence = (
        f"The covariance of the rows is taken as known, as estimated by {spec.method} with "
        f"{spec.formula.text}; the standard errors leave the uncertainty of that estimate out."
    )
    return _estimated(parsed, table, y, sentence, lambda U: _whitened(fit.solution, used, U))


def _positions(table: Table) -> np.ndarray:
    """Positions of the rows used among those read."""
    return np.arange(table.n) if table.kept is None else table.kept


def _check_same(table: Table, known: Table) -> None:
    """Raise DataError unless the table has the rows and the values of the one that was fitted."""
    if table.n != known.n:
        raise DataError(
            f"The fit used {known.n} rows, but these data have {table.n} with all of its variables; pass the "
            "data of the fit, with further columns where the new formula needs them."
        )
    for now, then in ((table.columns, known.columns), (table.groups, known.groups)):
        for name in then:
            if not np.array_equal(_values(now[name]), _values(then[name])):
                raise DataError(
                    f"The column {name!r} is not that of the fit, or its rows are in another order; pass the "
                    "data of the fit, with further columns where the new formula needs them."
                )


def _values(column: np.ndarray | Factor) -> np.ndarray:
    return np.array(column.levels)[column.codes] if isinstance(column, Factor) else column


def _whitened(solution: Solution, used: np.ndarray, U: np.ndarray) -> np.ndarray:
    """L_i^-1 U_i with sigma^2 V_i = L_i L_i', unit by unit, for the columns U : (m, k) of the rows in use.

    used : (n,) booleans, which of the table's rows these are.
    """
    rows = solution.model.rows
    order = np.arange(len(used)) if rows.order is None else rows.order
    chosen = np.flatnonzero(used[order])  # places among the sorted rows
    back = (np.cumsum(used) - 1)[order[chosen]]  # and the rows of U they are
    subject = rows.units[0].subject[chosen]
    starts = np.flatnonzero(np.concatenate([[True], np.diff(subject) > 0]))
    sizes = np.diff(np.append(starts, len(chosen)))
    result = np.empty_like(U)
    for size in np.unique(sizes):
        members = np.flatnonzero(sizes == size)
        for chunk in chunks(members, int(size)):
            places = starts[chunk][:, None] + np.arange(size)
            lower = np.linalg.cholesky(marginal_covariance(solution, chosen[places]))
            result[back[places]] = np.linalg.solve(lower, U[back[places]])
    return result / np.sqrt(solution.sigma2)


def _estimated(
    parsed: Formula, table: Table, y: np.ndarray, sentence: str, whiten: Callable[[np.ndarray], np.ndarray]
) -> Gls:
    """Least squares of the whitened response : (n,) on the whitened columns of X.

    whiten : L^-1 U of columns U : (n, k), with V = L L'. Raises FitError for more fixed effects than rows.
    """
    design = Design.learn(parsed.fixed, table)
    X = [
        np.broadcast_to(1.0, (table.n,)) if name == "Intercept" else column
        for name, column in zip(design.names, design.columns(table), strict=True)
    ]
    centred = centre(X, [], y, [])
    n, p = len(y), len(centred.kept)
    if n <= p:
        raise FitError(
            f"{n} rows cannot estimate {p} fixed effects and say how well; use fewer fixed effects."
        )
    white = whiten(np.column_stack([*centred.X, centred.y]))
    Q, R = np.linalg.qr(white[:, :p])
    root = centred.fixed @ np.linalg.inv(R)
    explained = Q.T @ white[:, p]
    left = white[:, p] - Q @ explained
    return Gls(
        parsed.text,
        tuple(design.names[index] for index in centred.kept),
        tuple(name for index, name in enumerate(design.names) if index not in centred.kept),
        centred.fixed @ centred.origin + root @ explained,
        root @ root.T,
        n,
        float(left @ left) / (n - p),
        sentence,
        table.backend,
    )
