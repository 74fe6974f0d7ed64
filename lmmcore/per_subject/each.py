"""A least-squares regression for each subject on its own, and the two-stage estimate made of them.

Stage 1 of seed 003 (and the opening of seed 000): y_i = Z_i beta_i + e_i with no tie between the subjects, as
lmList of nlme and lme4 fits it. Stage 2 averages the beta_i^.

All subjects are done at once. Modified Gram-Schmidt takes the columns apart within every subject,

    x_k = q_k + sum_{j<k} T_jk q_j,    y = sum_k c_k q_k + e,    beta = T^-1 c,

where each inner product is one sum over the rows of each subject: the loop is over p columns, not over N
subjects, and unlike with X_i'X_i the condition numbers are not squared (Bjorck 1967, BIT 7:1-21).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import narwhals as nw
import numpy as np

from lmmcore.data.table import read, to_frame
from lmmcore.errors import FitError, FormulaError
from lmmcore.formula.design import Design
from lmmcore.formula.expressions import response
from lmmcore.formula.parse import parse
from lmmcore.inference.fixed.wald import Estimates, coefficients
from lmmcore.model.coordinates import DEPENDENT
from lmmcore.runtime import arguments
from lmmcore.system.batched_linalg import inverse_lower


@dataclass(frozen=True)
class EachFit:
    """Separate regressions of N subjects with p coefficients each.

    terms : coefficients; levels : subjects, sorted; rows : (N,) rows of each; estimate : (p, N), NaN for a
    subject that is skipped; unscaled : (p, N) diagonal of (X_i'X_i)^-1.
    skipped : subject -> why its rows do not determine the coefficients.
    sigma : residual SD pooled over the subjects that are not skipped, on df = sum (n_i - p) degrees of
    freedom; NaN if df is 0.
    """

    formula: str
    by: str
    terms: tuple[str, ...]
    levels: tuple[str, ...] = field(repr=False)
    rows: np.ndarray = field(repr=False)
    estimate: np.ndarray = field(repr=False)
    unscaled: np.ndarray = field(repr=False)
    skipped: Mapping[str, str]
    sigma: float
    df: int
    rows_dropped: Mapping[str, int]
    backend: nw.Implementation = field(repr=False)

    def coefficients(self) -> Any:
        """Frame: level, term, estimate, std_error, df; estimate and std_error missing for skipped subjects.

        Standard errors use the pooled sigma and its df, as summary(lmList) of R does.
        """
        p, N = self.estimate.shape
        return to_frame(
            {
                "level": [level for level in self.levels for _ in range(p)],
                "term": list(self.terms) * N,
                "estimate": _with_missing(self.estimate),
                "std_error": _with_missing(self.sigma * np.sqrt(self.unscaled)),
                "df": [self.df] * (p * N),
            },
            self.backend,
        )

    def two_stage(self) -> TwoStage:
        """The mean of the subjects' coefficients. Raises FitError for fewer than two subjects."""
        seen = np.isfinite(self.estimate[0])
        count = int(seen.sum())
        if count < 2:
            raise FitError(
                f"The two-stage estimate needs the coefficients of two subjects, but only {count} has any; "
                "use a formula with fewer terms."
            )
        estimate = self.estimate[:, seen]
        least, most = int(self.rows[seen].min()), int(self.rows[seen].max())
        sizes = f"have between {least} and {most} rows" if least < most else f"all have {most} rows here"
        out = len(self.skipped)
        left = f"; {out} subject{'s' * (out > 1)} had to be left out" if out else ""
        right = self.formula.partition("~")[2].strip()
        warning = (
            f"The two-stage estimate counts {count} subjects alike: it ignores different numbers of "
            f"observations (they {sizes}) and the uncertainty of each subject's estimates{left}. Use "
            f'lmm.fit("{self.formula} + ({right} | {self.by})", ...), which weighs both.'
        )
        return TwoStage(
            self.terms,
            estimate.mean(axis=1),
            np.atleast_2d(np.cov(estimate)) / count,
            count,
            warning,
            self.backend,
        )


@dataclass(frozen=True)
class TwoStage:
    """Means of the coefficients of separate regressions, each subject counted alike.

    estimate : (p,); vcov : (p, p) their sample covariance / subjects; warning : what the estimate ignores.
    """

    terms: tuple[str, ...]
    estimate: np.ndarray = field(repr=False)
    vcov: np.ndarray = field(repr=False)
    subjects: int
    warning: str
    backend: nw.Implementation = field(repr=False)

    @cached_property
    def beta(self) -> dict[str, float]:
        """Mean coefficients."""
        return dict(zip(self.terms, self.estimate.tolist(), strict=True))

    @cached_property
    def se(self) -> dict[str, float]:
        """Their standard errors, sd / sqrt(subjects)."""
        return dict(zip(self.terms, np.sqrt(np.diag(self.vcov)).tolist(), strict=True))

    def tidy(self, conf_level: float = 0.95) -> Any:
        """Frame in broom's columns, by one-sample t tests on subjects - 1 degrees of freedom."""
        df = np.full(len(self.terms), self.subjects - 1.0)
        found = Estimates(self.estimate, np.sqrt(np.diag(self.vcov)), df, self.vcov)
        return to_frame(coefficients(self.terms, found, conf_level), self.backend)


def fit_each(
    formula: str, data: Any, *, by: str, categories: Mapping[str, Sequence[Any]] | None = None
) -> EachFit:
    """Fit a separate least-squares regression to the rows of each subject.

    formula : fixed effects only, of variables that change within a subject, e.g. "Reaction ~ Days".
    data : as for `fit`. by : the grouping column. categories : {column: levels}, the first is the reference.

    Categories and functions that learn from the rows (poly, scale) are coded alike for all subjects. Rows
    with a missing value are left out. Raises FormulaError, DataError, or FitError if all are skipped.
    """
    parsed = parse(formula)
    if parsed.random:
        raise FormulaError(
            f"fit_each takes fixed effects only, but the formula has {parsed.random[0].text}; leave it out "
            "and name the grouping column, e.g. by='id'."
        )
    if parsed.offset is not None:
        raise FormulaError(
            f"fit_each takes no offset({parsed.offset}): subtract the column from the response in the data "
            "before."
        )
    table = read(data, parsed.variables, [arguments.name(by, "by")], arguments.levels(categories))
    design = Design.learn(parsed.fixed, table)
    if not design.names:
        raise FormulaError(f"The formula {formula!r} has no term to estimate; add 1 or a column.")
    group = table.groups[by]
    order = np.argsort(group.codes, kind="stable")
    columns = [column[order] for column in design.columns(table)]
    y = response(parsed.response, table.columns)[order]
    starts = np.flatnonzero(np.diff(group.codes[order], prepend=-1))
    p, sizes = len(columns), np.diff(np.append(starts, len(y)))
    found = _regressions(columns, y, starts, () in parsed.fixed)

    skipped = {
        group.levels[place]: _reason(int(sizes[place]), found.determined[:, place], design.names)
        for place in np.flatnonzero(~found.determined.all(axis=0)).tolist()
    }
    seen = found.determined.all(axis=0)
    if not seen.any():
        level, reason = next(iter(skipped.items()))
        raise FitError(
            f"No subject's rows determine all coefficients ({by} {level!r}: {reason}); leave out what does "
            "not change within a subject."
        )
    df = int((sizes[seen] - p).sum())
    return EachFit(
        parsed.text,
        by,
        design.names,
        group.levels,
        sizes,
        np.where(seen, found.estimate, np.nan),
        np.where(seen, found.unscaled, np.nan),
        skipped,
        float(np.sqrt(found.rss[seen].sum() / df)) if df else float("nan"),
        df,
        dict(table.dropped),
        table.backend,
    )


@dataclass(frozen=True)
class _Regressions:
    """determined : (p, N), whether a column is independent of those before it in the subject's rows;
    estimate, unscaled : (p, N), of no meaning unless all are; rss : (N,)."""

    determined: np.ndarray
    estimate: np.ndarray
    unscaled: np.ndarray
    rss: np.ndarray


def _regressions(
    columns: Sequence[np.ndarray], y: np.ndarray, starts: np.ndarray, intercept: bool
) -> _Regressions:
    """Least squares of each subject's rows; intercept : whether the first column is 1.

    columns : p arrays (n,), sorted by subject; starts : (N,) first row of each subject.
    """
    p, N = len(columns), len(starts)
    subject = np.repeat(np.arange(N), np.diff(np.append(starts, len(y))))

    def total(values: np.ndarray) -> np.ndarray:
        return np.add.reduceat(values, starts)

    triangle = np.zeros((p, p, N))  # T
    squares, determined, c = np.ones((p, N)), np.ones((p, N), dtype=bool), np.zeros((p, N))
    basis: list[np.ndarray] = []
    # Counted from the subject's first row, calendar years or a response near 1e6 keep their digits.
    first = [
        y[starts] * intercept,
        *(column[starts] * intercept * (k > 0) for k, column in enumerate(columns)),
    ]
    left = y - first[0][subject]
    for k, column in enumerate(columns):
        rest = column - first[k + 1][subject]
        length = total(rest * rest)
        triangle[k, k] = 1
        for j, q in enumerate(basis):
            triangle[j, k] = total(q * rest) / squares[j]
            rest = rest - triangle[j, k][subject] * q
        outside = total(rest * rest)
        determined[k] = outside > DEPENDENT**2 * length
        squares[k] = np.where(determined[k], outside, 1.0)
        basis.append(rest * determined[k][subject])
        c[k] = total(basis[k] * left) / squares[k]
        left = left - c[k][subject] * basis[k]
        triangle[0, k] += first[k + 1]
    c[0] += first[0]
    inverse = inverse_lower(triangle.transpose(1, 0, 2)).transpose(1, 0, 2)
    estimate = np.einsum("jkn,kn->jn", inverse, c)
    return _Regressions(
        determined, estimate, np.einsum("jkn,kn->jn", inverse**2, 1 / squares), total(left * left)
    )


def _reason(rows: int, determined: np.ndarray, names: Sequence[str]) -> str:
    """Why a subject has no estimates; determined : (p,)."""
    if rows < len(names):
        return f"{rows} row{'s' * (rows > 1)} for {len(names)} coefficients"
    term = names[int(np.argmin(determined))]
    return f"its {rows} rows do not determine {term}: it is constant, or made up of the terms before it"


def _with_missing(values: np.ndarray) -> list[float | None]:
    """(p, N) as a list by subject, None for NaN."""
    return [None if np.isnan(value) else value for value in values.T.ravel().tolist()]
