"""Second moments of the marginal residuals by visit: what the model implies against what the rows show."""

from typing import Any

import numpy as np

from lmmcore.residuals import marginal_covariance
from lmmstudy.report.rows import Rows
from lmmstudy.report.series import Lags, Moments, VisitMoments

MOST = 12
"""Most visits that are compared with one another."""
BATCH = 20_000
"""Subjects whose covariance matrices are formed at once."""
MOST_LAGS = 20
FEW_PAIRS = 10
"""Lags with fewer pairs of rows are left out."""


def visit_moments(solution: Any, used: Rows, marginal: np.ndarray) -> VisitMoments | None:
    """Correlations and SDs of marginal residuals by visit, and those of their covariance V under the model.

    solution : the engine's, of a fit to `used`; marginal : (n,) observed - population mean. Products, and V
    in the same way (it may depend on covariates), are averaged over the subjects seen at both visits; so are
    the squares that scale them, for those who drop out differ in spread. None unless there are 2 to MOST
    visits.
    """
    visits, place = np.unique(used.time, return_inverse=True)
    if not 2 <= visits.size <= MOST:
        return None
    rows = solution.model.rows
    order = np.arange(place.size) if rows.order is None else rows.order
    codes = np.unique(np.array(used.subject), return_inverse=True)[1][order]
    place, marginal = place[order], marginal[order]
    by_subject = np.lexsort((place, codes))
    starts = np.flatnonzero(np.r_[True, np.diff(codes[by_subject]) > 0])
    sizes = np.diff(np.r_[starts, codes.size])
    shape = (visits.size, visits.size)
    implied, empirical, subjects = np.zeros((2, *shape)), np.zeros((2, *shape)), np.zeros(shape, dtype=int)
    outermost = rows.units[0].subject
    for size in np.unique(sizes):
        members = starts[sizes == size]
        for chunk in np.array_split(members, -(-members.size // BATCH)):
            index = by_subject[chunk[:, None] + np.arange(size)]
            # Rows of a subject in different outermost units are independent.
            unit = outermost[index]
            V = np.where(unit[:, :, None] == unit[:, None, :], marginal_covariance(solution, index), 0.0)
            products = marginal[index][:, :, None] * marginal[index][:, None, :]
            pair = place[index][:, :, None], place[index][:, None, :]
            for total, matrix in ((implied, V * solution.sigma2), (empirical, products)):
                own = np.diagonal(matrix, axis1=1, axis2=2)[:, :, None]
                np.add.at(total[0], pair, matrix)
                np.add.at(total[1], pair, np.broadcast_to(own, matrix.shape))
            np.add.at(subjects, pair, 1)
    n = np.diag(subjects)
    of_model, of_rows = (_moments(sums[0], sums[1], n) for sums in (implied, empirical))
    return VisitMoments(visits, of_model, of_rows, subjects)


def _moments(products: np.ndarray, squares: np.ndarray, n: np.ndarray) -> Moments:
    """products[s, t], squares[s, t] : sums of r_s r_t and r_s^2 over the subjects with both visits."""
    with np.errstate(invalid="ignore", divide="ignore"):
        correlation = products / np.sqrt(squares * squares.T)
    return Moments(correlation, np.sqrt(np.diag(products) / n))


def autocorrelation(used: Rows, residual: np.ndarray) -> Lags | None:
    """Mean product of the residuals of a subject that lie a lag apart, over the mean square of all.

    residual : (n,), of mean about 0. Lags are multiples of the greatest common step of the times, which must
    be whole numbers (else None); at most MOST_LAGS, without those of fewer than FEW_PAIRS pairs.
    """
    if used.time.size < 2 or np.any(used.time != np.round(used.time)) or not np.any(residual):
        return None
    times = (used.time - used.time.min()).astype(np.int64)
    step = int(np.gcd.reduce(times))
    if step == 0:
        return None
    times //= step
    width = 2 * int(times.max()) + 2  # so that no lag reaches the next subject
    keys = np.unique(np.array(used.subject), return_inverse=True)[1] * width + times
    order = np.argsort(keys)
    keys, values = keys[order], residual[order]
    found = []
    for lag in range(1, min(MOST_LAGS, int(times.max())) + 1):
        at = np.minimum(np.searchsorted(keys, keys + lag), keys.size - 1)
        both = keys[at] == keys + lag
        if both.sum() >= FEW_PAIRS:
            found.append((lag * step, float(np.mean(values[both] * values[at[both]])), int(both.sum())))
    if not found:
        return None
    lags, products, pairs = (np.array(v) for v in zip(*found, strict=True))
    return Lags(lags, products / np.mean(residual**2), pairs)
