"""Predictions for a subject lie between the population's line and the subject's own data (seed 000).

    X_i beta^ + Z_i b^_i = G_i V_i^-1 X_i beta^ + (I - G_i V_i^-1) y_i,    V_i = Z_i D Z_i' + G_i

and for random coefficients, Z_i = X_i of full rank and G_i = sigma^2 I, the subject's coefficients are

    beta^ + b^_i = W_i beta_i^OLS + (I - W_i) beta^,    W_i = D (D + sigma^2 (Z_i'Z_i)^-1)^-1

G, D and V are written out here from the variances, correlations and sigma that a fit reports.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import pytest

import lmmcore as lmm


@dataclass(frozen=True)
class Study:
    """A study and a model of it, a straight line of each subject around one of its sex, if it has one."""

    file: str
    response: str
    time: str
    subject: str
    fixed: str
    random: str
    options: dict[str, Any]

    def frame(self, raw, unbalanced):
        """The data; unbalanced : without a random third of the rows, at least 3 left of each subject."""
        frame = pl.read_csv(raw / self.file).with_columns(pl.col(self.time).cast(pl.Float64))
        if not unbalanced:
            return frame
        shuffled = frame.sample(fraction=1, shuffle=True, seed=4).with_row_index("number")
        rank = pl.col("number").rank("ordinal").over(self.subject)
        return shuffled.filter((rank <= 3) | (pl.col("number") % 3 > 0)).drop("number")

    def fit(self, frame, method):
        return lmm.fit(
            f"{self.response} ~ {self.fixed} + {self.random}", frame, method=method, **self.options
        )


SLEEP = ("sleepstudy.csv", "Reaction", "Days", "Subject")
GROWTH = ("orthodont.csv", "distance", "age", "Subject")
LINES = {
    "sleepstudy": Study(*SLEEP, "Days", "(Days | Subject)", {}),
    "orthodont": Study(*GROWTH, "age * Sex", "(age | Subject)", {}),
}
STUDIES = LINES | {
    "intercepts": Study(*SLEEP, "Days", "(1 | Subject)", {}),
    "serial correlation": Study(*SLEEP, "Days", "(1 | Subject)", {"residual": lmm.AR1("Days")}),
    "variance by sex": Study(*GROWTH, "age * Sex", "(age | Subject)", {"variance": lmm.ByGroup("Sex")}),
    "both": Study(
        *GROWTH,
        "age * Sex",
        "(1 | Subject)",
        {"residual": lmm.CAR1("age"), "variance": lmm.ByGroup("Sex")},
    ),
}
designs = pytest.mark.parametrize("unbalanced", [False, True], ids=["balanced", "unbalanced"])
methods = pytest.mark.parametrize("method", ["ML", "REML"])


def covariance(fit):
    """D : (q, q) covariance of the random effects reported."""
    rows = fit.varcorr().to_dicts()[:-1]
    names = [row["term1"] for row in rows if row["term2"] is None]
    D = np.zeros((len(names), len(names)))
    for row in rows:
        i, j = names.index(row["term1"]), names.index(row["term2"] or row["term1"])
        D[i, j] = D[j, i] = row["covariance"]
    return D


def residual_covariance(study, fit, mine):
    """G_i : (n, n), sigma^2 times serial correlations and the relative SD of the subject's sex."""
    t, known = mine[study.time].to_numpy(), fit.residual_parameters
    apart = np.abs(np.subtract.outer(t, t))
    G = known["rho"] ** apart if "rho" in known else np.eye(len(t))
    ratio = (
        known.get("sd(Male)/sd(Female)", 1.0) if "Sex" in mine.columns and mine["Sex"][0] == "Male" else 1.0
    )
    return fit.sigma**2 * ratio**2 * G


def population(fit, mine):
    """beta : (2,) intercept and slope of the population that the subject belongs to."""
    beta = np.array([fit.beta["Intercept"], fit.beta["Days" if "Days" in fit.beta else "age"]])
    if "Sex" in mine.columns and mine["Sex"][0] == "Male":
        beta = beta + [fit.beta["Sex[T.Male]"], fit.beta["age:Sex[T.Male]"]]
    return beta


@methods
@designs
@pytest.mark.parametrize("study", STUDIES.values(), ids=STUDIES)
def test_fitted_values_are_weighted_averages(study, unbalanced, method, raw):
    frame = study.frame(raw, unbalanced)
    fit = study.fit(frame, method)
    assert fit.certificate.converged
    D = covariance(fit)
    fitted = frame.with_columns(fitted=pl.Series(fit.augment()["fitted"]))
    for _, mine in fitted.group_by(study.subject):
        t, y = mine[study.time].to_numpy(), mine[study.response].to_numpy()
        X = np.column_stack([np.ones(len(t)), t])
        Z = X[:, : len(D)]
        G = residual_covariance(study, fit, mine)
        weight = np.linalg.solve((Z @ D @ Z.T + G).T, G.T).T  # G_i V_i^-1
        expected = weight @ X @ population(fit, mine) + (np.eye(len(t)) - weight) @ y
        assert mine["fitted"].to_numpy() == pytest.approx(expected, rel=1e-9)


@methods
@designs
@pytest.mark.parametrize("study", LINES.values(), ids=LINES)
def test_coefficients_are_shrunken_regressions(study, unbalanced, method, raw):
    """The subject's own regression by fit_each, drawn towards the population by W_i."""
    frame = study.frame(raw, unbalanced)
    fit = study.fit(frame, method)
    each = lmm.fit_each(f"{study.response} ~ {study.time}", frame, by=study.subject)
    assert not each.skipped
    own = each.coefficients().group_by("level", maintain_order=True).agg("estimate")
    own = dict(zip(own["level"], own["estimate"].to_list(), strict=True))
    effects = fit.ranef().group_by("level", maintain_order=True).agg("estimate")
    effects = dict(zip(effects["level"], effects["estimate"].to_list(), strict=True))
    D = covariance(fit)
    assert len(own) == len(effects) == frame[study.subject].n_unique()
    for (level,), mine in frame.group_by(study.subject):
        t = mine[study.time].to_numpy()
        Z = np.column_stack([np.ones(len(t)), t])
        W = D @ np.linalg.inv(D + fit.sigma**2 * np.linalg.inv(Z.T @ Z))
        beta = population(fit, mine)
        expected = W @ own[str(level)] + (np.eye(2) - W) @ beta
        assert beta + effects[str(level)] == pytest.approx(expected, rel=1e-8)
        shares = np.sort(np.linalg.eigvals(W).real)  # of the subject's own regression
        assert -1e-9 <= shares[0] <= shares[1] <= 1


def test_an_intercept_is_shrunken_more_with_fewer_rows(raw):
    """b^_i = n_i sigma_b^2 / (n_i sigma_b^2 + sigma^2) times the mean residual: the textbook's factor."""
    study = STUDIES["intercepts"]
    frame = study.frame(raw, unbalanced=True)
    fit = study.fit(frame, "REML")
    between = covariance(fit)[0, 0]
    left = frame.with_columns(
        left=pl.col("Reaction") - fit.beta["Intercept"] - fit.beta["Days"] * pl.col("Days")
    )
    means = (
        left.group_by("Subject")
        .agg(pl.col("left").mean(), n=pl.len())
        .with_columns(pl.col("Subject").cast(str))
    )
    together = fit.ranef().join(means, left_on="level", right_on="Subject")
    factor = together["n"] * between / (together["n"] * between + fit.sigma**2)
    assert together["estimate"].to_list() == pytest.approx((factor * together["left"]).to_list(), rel=1e-8)
    assert together["n"].n_unique() > 3 and 0 < factor.min() < factor.max() < 1
    assert np.all(np.diff(factor.gather(together["n"].arg_sort())) >= 0)
