"""Cluster-robust covariance of beta^: standard errors that hold if V is misspecified within units.

With units i (levels of the outermost grouping factor), W_i = V_i^-1, M = (X'V^-1X)^-1, e_i = y_i - X_i beta^,

    vcov = M {sum_i T_i'e_i e_i'T_i} M,    T_i = A_i W_i X_i

CR0 takes A_i = I (Liang & Zeger 1986). CR2 is bias-reduced linearisation (Bell & McCaffrey 2002; Pustejovsky
& Tipton 2018): A_i is the symmetric solution of A_i (V_i - X_i M X_i') A_i = V_i, so that vcov is unbiased if
V holds. T_i is made in lmmcore.inference.fixed.robust_scores, the degrees of freedom of tests in .robust_df.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from lmmcore.data.table import to_frame
from lmmcore.errors import ArgumentError
from lmmcore.estimate.solution import Solution
from lmmcore.estimate.units import outermost
from lmmcore.inference.fixed.contrasts import Contrast, right_sides, tested
from lmmcore.inference.fixed.robust_df import hotelling_df
from lmmcore.inference.fixed.robust_scores import Cells, robust_scores
from lmmcore.inference.fixed.wald import REPEATED, Estimates, JointTest, coefficients
from lmmcore.runtime import arguments

Kind = Literal["CR2", "CR0"]
KINDS = ("CR2", "CR0")
# Fewer units than this, or a t test with fewer df (Tipton 2015), deserve a word.
FEW_UNITS, FEW_DF = 10, 4
# Share of the information on a coefficient above which a unit dominates it.
DOMINANT = 0.5


@dataclass(frozen=True, eq=False)
class Robust:
    """Cluster-robust inference on the fixed effects.

    kind : "CR2" or "CR0"; vcov : (p, p) in the order of the fit's terms; caution : one sentence where few
    units, or one of them, carry the result, else "".
    """

    solution: Solution
    kind: Kind
    vcov: np.ndarray
    cells: Cells
    caution: str

    def tidy(self, conf_level: float = 0.95) -> Any:
        """Frame in the columns of Fit.tidy: robust standard errors, Satterthwaite df, t tests."""
        model = self.solution.model
        columns = {"effect": ["fixed"] * model.p, "group": [None] * model.p}
        found = self.estimates(np.eye(model.p))
        return to_frame(columns | coefficients(model.terms, found, conf_level), model.table.backend)

    def contrast(
        self, L: Contrast | Sequence[Contrast], rhs: float | Sequence[float] = 0.0, conf_level: float = 0.95
    ) -> Any:
        """Frame of one row in the columns of Fit.contrast: the t test of one contrast, {term: weight} or
        (p,); the joint F test of several.

        Raises ArgumentError for unknown terms, a wrong shape or an empty hypothesis.
        """
        return tested(self.solution, L, rhs, conf_level, self.estimates, self.joint_test)

    def estimates(self, L: np.ndarray) -> Estimates:
        """Estimates of L beta for L : (k, p) in the user's coordinates, each row with a t test of its own."""
        L = self._rows(L)
        inner = L @ self.solution.model.coordinates.fixed
        df = np.array([hotelling_df(self.cells, row[None]) if row.any() else np.nan for row in inner])
        vcov = L @ self.vcov @ L.T
        return Estimates(L @ self.solution.beta, np.sqrt(np.diag(vcov)), df, vcov)

    def _rows(self, L: np.ndarray) -> np.ndarray:
        """(k, p) rows of hypotheses."""
        L, p = np.atleast_2d(arguments.numbers(L, "The rows of L")), self.solution.model.p
        if L.ndim != 2 or L.shape[1] != p:
            raise ArgumentError(f"L has the shape {L.shape}, but needs {p} weights in each row.")
        return L

    def joint_test(self, L: np.ndarray, rhs: np.ndarray | float = 0.0) -> JointTest:
        """F test of L beta = rhs for L : (k, p) in the user's coordinates; rows that repeat others are
        merged.

        Approximate Hotelling test of Pustejovsky & Tipton (2018), their AHT: the t test if one row is left.
        Statistic and p value are missing where too few units bear on L. Raises ArgumentError if nothing is
        tested.
        """
        from scipy.special import fdtrc

        L = self._rows(L)
        rhs = right_sides(rhs, len(L))
        values, vectors = np.linalg.eigh(L @ self.solution.vcov @ L.T)
        distinct = values > REPEATED * max(values[-1], 0.0)
        size = int(distinct.sum())
        if not size or values[-1] <= 0:
            raise ArgumentError("Every row of L is 0, so that there is nothing to test.")
        turn = vectors[:, distinct].T
        left = turn @ (L @ self.solution.beta - rhs)
        df = hotelling_df(self.cells, turn @ L @ self.solution.model.coordinates.fixed)
        den = df - size + 1
        if not den > 0:
            return JointTest(np.nan, size, np.nan, np.nan)
        vcov = turn @ L @ self.vcov @ L.T @ turn.T
        statistic = den / df * float(left @ np.linalg.solve(vcov, left)) / size
        return JointTest(statistic, size, den, float(fdtrc(size, min(den, 1e300), statistic)))


def robust(solution: Solution, kind: Kind = "CR2") -> Robust:
    """Cluster-robust covariance by outermost unit; each row is a unit where there is no grouping factor.

    kind : "CR2", or "CR0" without the small-sample correction. Cost: a decomposition of n_i x n_i for each
    distinct (X_i, V_i). Warns (UserWarning) where the result has a caution. Raises ArgumentError for another
    kind.
    """
    arguments.one_of(kind, "kind", KINDS)
    fixed = solution.model.coordinates.fixed
    cells, scores = robust_scores(solution, kind == "CR2")
    turned = scores @ cells.unscaled @ fixed.T
    vcov = turned.T @ turned
    caution = _caution(solution, cells)
    if caution:
        warnings.warn(caution, stacklevel=3)
    return Robust(solution, kind, vcov, cells, caution)


def _caution(solution: Solution, cells: Cells) -> str:
    """One sentence where the sandwich rests on few units, or on one."""
    model = solution.model
    group, names = outermost(solution)
    turn = cells.unscaled @ model.coordinates.fixed.T
    information = np.einsum("ak,cab,bk->ck", turn, cells.leverage, turn)
    share = information / np.einsum("ak,ab,bk->k", turn, np.linalg.inv(cells.unscaled), turn)
    if share.size and share.max() > DOMINANT:
        cell, term = np.unravel_index(int(share.argmax()), share.shape)
        return (
            f"{names[cells.unit[cell]]!r} of {group} carries {share.max():.0%} of the information on "
            f"{model.terms[int(term)]}, so that its robust standard error rests on that unit; compare with "
            "the model's own standard error."
        )
    units = int(cells.counts.sum())
    df = [hotelling_df(cells, row[None]) for row in model.coordinates.fixed]
    few = [f"{term} ({value:.1f})" for term, value in zip(model.terms, df, strict=True) if value < FEW_DF]
    if units < FEW_UNITS or few:
        told = f", and t tests with fewer than {FEW_DF} df are unreliable: {', '.join(few)}" if few else ""
        return f"Robust standard errors need many units, but there are {units} of {group}{told}."
    return ""
