"""Information criteria, with the convention of each program named.

The log-likelihood agrees between programs; what n and how many parameters a criterion counts does not:

    lme4   d = all parameters,                        n = rows                (also glmmTMB)
    nlme   d = all parameters,                        n = rows - p by REML, rows by ML
    sas    d = covariance parameters by REML, all by ML; n = subjects for BIC; for AICC rows - p by REML
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from lmmcore.runtime.arguments import one_of

Convention = Literal["lme4", "nlme", "sas"]


@dataclass(frozen=True)
class Information:
    """Criteria of one fit under one convention; n_bic and n_aicc say which n they used."""

    convention: str
    aic: float
    aicc: float
    bic: float
    npar: int
    n_bic: int
    n_aicc: int


def information(
    loglik: float, *, p: int, covariance: int, rows: int, subjects: int, reml: bool, convention: Convention
) -> Information:
    """AIC, AICc and BIC; covariance : number of covariance parameters, sigma included.

    Raises ArgumentError for an unknown convention.
    """
    one_of(convention, "convention", ("lme4", "nlme", "sas"))
    npar = covariance if convention == "sas" and reml else p + covariance
    n_bic = n_aicc = rows
    if convention == "nlme":
        n_bic = n_aicc = rows - p if reml else rows
    if convention == "sas":
        n_bic = subjects
        n_aicc = max(rows - p if reml else rows, npar + 2)
    left = n_aicc - npar - 1
    aic = -2 * loglik + 2 * npar
    aicc = aic + 2 * npar * (npar + 1) / left if left > 0 else math.inf
    return Information(convention, aic, aicc, -2 * loglik + npar * math.log(n_bic), npar, n_bic, n_aicc)
