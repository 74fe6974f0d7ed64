"""The log-likelihood of the parameters as they are reported, by its definition.

    -2 l = (n - p) log 2 pi + log|V| + log|X'V^-1X| + (y - X beta)'V^-1(y - X beta)    (ML: n, no third term)

V is written out for each outermost unit from the natural parameters, in the longest floating-point numbers
that the machine has. Near a singular V the parameters of a search say more than the numbers that are reported
(a correlation of 1 - 1e-12 has four digits), and moments lose digits: the log-likelihood that stands beside
reported numbers must be theirs.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from lmmcore.errors import FitError
from lmmcore.estimate.residuals import chunks, marginal_covariance
from lmmcore.estimate.solution import Solution
from lmmcore.optimise.certificate import SINGULAR

# Rows of a model, and of a unit, up to which this costs next to nothing; of fits that have not converged.
ROWS, UNIT = 2_000, 50
FAILED_ROWS, FAILED_UNIT = 20_000, 300
# Difference, relative to 1 + |l|, that is rounding; and one beyond which there is no optimum.
ROUNDING = 1e-8
APART = 1e-3


def with_own_loglik(solution: Solution) -> Solution:
    """The solution with the log-likelihood of the parameters that it reports.

    Raises FitError where these have none, or where the search has come to an end at another one altogether.
    """
    if not _is_examined(solution):
        return solution
    own = loglik_of_parameters(solution)
    gap = np.inf if own is None else abs(own - solution.loglik) / (1 + abs(solution.loglik))
    if own is None or (gap > APART and solution.certificate.converged):
        raise FitError(f"The model cannot be fitted: {solution.cause or SINGULAR}")
    return replace(solution, loglik=own) if gap > ROUNDING else solution


def _is_examined(solution: Solution) -> bool:
    """Whether the two can differ, the rows are at hand and few enough."""
    model, evaluation = solution.model, solution.optimum.evaluation
    if model.make_deflated is None:
        return False
    largest = int(np.diff(np.append(model.rows.units[0].starts, model.n)).max())
    if model.structure is not None and model.n <= ROWS and largest <= UNIT:
        return True
    # Where a search has converged nobody may ever have asked for the last derivatives.
    failed = evaluation.is_differentiated and not solution.certificate.converged
    return failed and model.n <= FAILED_ROWS and largest <= FAILED_UNIT


def loglik_of_parameters(solution: Solution) -> float | None:
    """The log-likelihood above; None where V is singular in these numbers."""
    model, rows = solution.model, solution.model.rows
    long = np.longdouble
    exact = replace(solution, psi=solution.psi.astype(long), natural=solution.natural.astype(long))
    columns = [rows.X[index] for index in model.coordinates.kept]
    X = np.array([np.broadcast_to(column, (model.n,)) for column in columns], dtype=long).reshape(-1, model.n)
    left = rows.y.astype(long) - solution.beta.astype(long) @ X
    U = np.concatenate([X, left[None]]).T  # (n, p + 1)
    starts = rows.units[0].starts
    sizes = np.diff(np.append(starts, model.n))
    gram, log_det = np.zeros((U.shape[1], U.shape[1]), dtype=long), long(0)
    for size in np.unique(sizes).tolist():
        for chunk in chunks(np.flatnonzero(sizes == size), size):
            index = starts[chunk][:, None] + np.arange(size)
            with np.errstate(all="ignore"):
                white, part = _whitened(marginal_covariance(exact, index), U[index])
                gram += np.einsum("cni,cnj->ij", white, white)
                log_det += part
    p, sigma2 = len(solution.beta), long(solution.sigma2)
    nu = model.n - p if model.spec.reml else model.n
    total = nu * np.log(2 * np.pi * sigma2) + log_det + gram[-1, -1] / sigma2
    if model.spec.reml and p:
        scale = 1 / np.sqrt(np.diag(gram)[:p])
        unit = gram[:p, :p] * np.outer(scale, scale)
        total += _whitened(unit[None], np.zeros((1, p, 1), dtype=long))[1] - 2 * np.log(scale).sum()
    return float(-total / 2) if np.isfinite(total) else None


def _whitened(V: np.ndarray, U: np.ndarray) -> tuple[np.ndarray, np.floating]:
    """L^-1 U : (c, n, k) and the sum of log|V| for V = L L' : (c, n, n); not finite where V is singular.

    By hand: linear algebra libraries know no longer numbers.
    """
    n = V.shape[1]
    L, white = np.zeros_like(V), np.zeros_like(U)
    for j in range(n):
        column = V[:, j:, j] - np.einsum("cik,ck->ci", L[:, j:, :j], L[:, j, :j])
        L[:, j:, j] = column / np.sqrt(column[:, :1])
        white[:, j] = (U[:, j] - np.einsum("ck,cki->ci", L[:, j, :j], white[:, :j])) / L[:, j, j, None]
    return white, 2 * np.log(np.diagonal(L, axis1=1, axis2=2)).sum()
