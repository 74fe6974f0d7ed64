"""What the engine would say of the sample study: chosen numbers, and its functions of plain arrays."""

from typing import Any

import numpy as np

from lmmcore.diagnostics.qq import quantiles
from lmmcore.diagnostics.serial import autocorrelation
from lmmcore.diagnostics.spread import VarianceOverTime, VisitMoments
from lmmstudy.report.refit.diagnostics import Deletion, Diagnostics
from lmmstudy.report.refit.inference import Bound, Inference, Likelihood
from lmmstudy.report.refit.predictions import Band
from lmmstudy.report.refit.rows import Rows
from lmmstudy.report.refit.series import Curve

TERMS: list[dict[str, Any]] = [
    {
        "term": "week:arm",
        "num_df": 1,
        "den_df": 10.25,
        "statistic": 5.125,
        "p_value": 0.0466,
        "hypothesis": "The slope of week is the same in every arm.",
    }
]
SHARES = {
    "rows": [
        {"group": "id", "variance": 36.0, "share": 0.8, "icc": 0.8},
        {"group": "Residual", "variance": 9.0, "share": 0.2, "icc": None},
    ],
    "sentence": "Shares of the variance that the fixed effects leave.",
}
R_SQUARED = {"marginal": 0.25, "conditional": 0.85, "sentence": "Marginal: of the fixed part."}


def inference() -> Inference:
    """Four covariance parameters, one without a profile and one that reaches its end."""
    zeta = np.linspace(-2.5, 2.5, 11)
    bounds = (
        Bound("id", "sd__Intercept", 6.0, 4.0, 9.5, "profile", ""),
        Bound("id", "sd__week", 0.7, 0.0, 1.25, "profile", "The SD of week within id may be as low as 0."),
        Bound("id", "cor__Intercept.week", 0.286, -0.5, 0.875, "Wald", "The search failed."),
        Bound("Residual", "sd__Observation", 3.0, 2.5, 3.75, "profile", ""),
    )
    keys = ("term", "npar", "loglik", "aic", "statistic", "df", "p_value", "p_value_naive", "distribution")
    reductions = (
        ("<none>", 8, -148.5, 313.0, *[None] * 5),
        ("week in (1 + week | id)", 6, -152.5, 317.0, 8.0, 2, 0.0115, 0.0183, "1/2 chi2(1) + 1/2 chi2(2)"),
    )
    return Inference(
        bounds,
        (Likelihood("id", "sd__Intercept", 6 + 1.2 * zeta, zeta),),
        tuple(dict(zip(keys, row, strict=True)) for row in reductions),
    )


def diagnostics(data: Rows, normalized: np.ndarray) -> Diagnostics:
    """From normalised residuals, with chosen variances and deletions."""
    levels = tuple(dict.fromkeys(data.subject))
    codes = np.unique(np.array(data.subject), return_inverse=True)[1]
    visits = np.unique(data.time)
    rows = np.array([int(np.sum(data.time == t)) for t in visits])
    ones = np.ones(visits.size)
    cook = np.linspace(0.5, 0.0, len(levels))
    tests = {"against": "fitted values", "test": "Breusch-Pagan (Koenker)", "statistic": 2.0, "num_df": 1}
    return Diagnostics(
        quantiles(normalized, "normalised residuals"),
        tuple(
            q
            for term in ("Intercept", "week")
            if (q := quantiles(np.sin(np.arange(len(levels)) * 2.0), f"{term} | id")) is not None
        ),
        autocorrelation(normalized, codes, data.time),
        None,
        VarianceOverTime(visits, rows, 50 * ones, 30 * ones, 90 * ones, np.linspace(45, 95, visits.size)),
        None,
        ({**tests, "den_df": np.inf, "p_value": 0.1573},),
        Deletion(
            "id",
            levels,
            np.full(len(levels), 5),
            cook,
            2 * cook,
            ("week:arm[T.b]",),
            np.array([0.5]),
            np.array([0.25]),
            (0.5 + 0.2 * np.linspace(1, -1, len(levels)))[:, None],
        ),
    )


def bands(curves: list[Curve]) -> tuple[Band, ...]:
    """Bands 1, 2 and 3 times as wide as those of the mean."""
    found = []
    for c in curves:
        half = [(name, k * (c.high - c.mean)) for k, name in enumerate(("mean", "subject", "observation"), 1)]
        limits = {name: (c.mean - h, c.mean + h) for name, h in half}
        found.append(Band(c.group, c.x, c.mean, limits, np.zeros(c.x.size, dtype=bool)))
    return tuple(found)


def moments() -> VisitMoments:
    """Two correlations at three visits, one of them 0.5 off with 25 subjects, and a pair nobody has."""
    nan = np.nan
    empirical = np.array([[1, 0.0, nan], [0.0, 1, -0.3], [nan, -0.3, 1]])
    implied = np.array([[1, 0.5, nan], [0.5, 1, -0.25], [nan, -0.25, 1]])
    subjects = np.array([[30, 25, 0], [25, 26, 25], [0, 25, 28]])
    times = np.array([0.0, 2.0, 4.0])
    return VisitMoments(times, empirical, implied, np.array([1.0, 2.0, 3.0]), np.full(3, 2.0), subjects)
