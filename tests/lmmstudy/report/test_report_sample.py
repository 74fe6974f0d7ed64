"""A small longitudinal study made by hand for the tests of the report: rows, audit, records and fitted
values.

The fit is textbook algebra in numpy at given variances (generalized least squares and BLUPs), so that the
report is tested without the engine. Nothing here needs the estimates to be optimal.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from lmmstudy.fitting.answer import NONE
from lmmstudy.report.refit.refit import Fitted, profiles
from lmmstudy.report.refit.rows import Rows
from lmmstudy.report.refit.series import Curve, Effect
from lmmstudy.report.study import Study
from tests.support.sample_diagnostics import R_SQUARED, SHARES, bands, diagnostics, inference
from tests.support.sample_diagnostics import TERMS as TESTS

PSI = np.array([[36.0, 1.2], [1.2, 0.49]])
SIGMA = 3.0
TERMS = ("Intercept", "week", "arm[T.b]", "week:arm[T.b]")
DESIGN: dict[str, Any] = {
    "path": "data/raw/trial.csv",
    "title": "A trial",
    "subject": "id",
    "time": "week",
    "response": "score",
    "fixed": "week * arm",
    "group": "arm",
    "candidates": ["random_slope", "random_intercept", "broken"],
}
OPTIONS = {"df": "satterthwaite", "conf_level": 0.95}


def rows(subjects: int = 12, visits: int = 5) -> Rows:
    """Two arms, `visits` weeks 0, 2, 4, ...; every third subject leaves after the third visit."""
    random = np.random.default_rng(7)
    names, arms, weeks, scores = [], [], [], []
    for i in range(subjects):
        arm = "ab"[i % 2]
        level, slope = random.multivariate_normal([0, 0], PSI)
        for j in range(min(visits, 3) if i % 3 == 2 else visits):
            mean = 60 + level + (-1.0 + 0.6 * (arm == "b") + slope) * 2 * j
            names.append(f"P{i + 1:03d}")
            arms.append(arm)
            weeks.append(2.0 * j)
            scores.append(mean + random.normal(0, SIGMA))
    return Rows(tuple(names), tuple(arms), np.array(weeks), np.array(scores), ("a", "b"))


def matrix(arm: np.ndarray, week: np.ndarray) -> np.ndarray:
    """Columns of TERMS. arm : (n,) of "a", "b"."""
    b = (arm == "b").astype(float)
    return np.column_stack([np.ones_like(week), week, b, week * b])


def gls(data: Rows) -> tuple[np.ndarray, np.ndarray, list[Effect], np.ndarray, np.ndarray]:
    """beta, its covariance, random effects, fitted and population values, at PSI and SIGMA."""
    X, subject = matrix(np.array(data.group), data.time), np.array(data.subject)
    names = list(dict.fromkeys(data.subject))
    information, score, blocks = np.zeros((4, 4)), np.zeros(4), {}
    for name in names:
        own = subject == name
        Z = np.column_stack([np.ones(own.sum()), data.time[own]])
        V = np.linalg.inv(Z @ PSI @ Z.T + SIGMA**2 * np.eye(own.sum()))
        information += X[own].T @ V @ X[own]
        score += X[own].T @ V @ data.response[own]
        blocks[name] = (own, Z, V)
    vcov = np.linalg.inv(information)
    beta = vcov @ score
    population = X @ beta
    fitted, effects = population.copy(), []
    for name, (own, Z, V) in blocks.items():
        b = PSI @ Z.T @ V @ (data.response[own] - population[own])
        spread = np.sqrt(np.diag(PSI - PSI @ Z.T @ V @ Z @ PSI))
        fitted[own] += Z @ b
        effects += [
            Effect("id", name, t, *v)
            for t, v in zip(("Intercept", "week"), zip(b, spread, strict=True), strict=True)
        ]
    return beta, vcov, effects, fitted, population


def fitted(data: Rows) -> Fitted:
    """What the refit would give."""
    beta, vcov, effects, values, population = gls(data)
    residual = (data.response - values) / SIGMA
    marginal = (data.response - population) / np.sqrt(PSI[0, 0] + SIGMA**2)
    curves = []
    for arm in dict.fromkeys(data.group):
        at = np.linspace(0, data.time.max(), 21)
        X = matrix(np.full(21, arm), at)
        half = 1.96 * np.sqrt(np.einsum("ij,jk,ik->i", X, vcov, X))
        curves.append(Curve(arm, at, X @ beta, X @ beta - half, X @ beta + half))
    told = inference(), diagnostics(data, marginal), bands(curves)
    every = profiles(data, values, population)
    fits = values, population, residual, marginal
    return Fitted(data, *fits, tuple(effects), tuple(curves), "", (), (), *told, every, every[:24])


def answer(row: dict[str, Any]) -> dict[str, Any]:
    """That to the question whether the slopes of the arms differ, by the coefficient that says it."""
    keys = ("estimate", "std_error", "statistic", "df", "p_value", "conf_low", "conf_high")
    told = {key: row[key] for key in keys} | {"name": "slope of score over week: b − a"}
    told["statement"] = "The slope of score over week in arm b minus that in arm a is"
    told["hypothesis"] = "that the slope of score over week in arm b equals that in arm a"
    told["weights"] = {"week:arm[T.b]": 1.0}
    ends = {"estimate": 50.5, "std_error": 2.0, "df": 10.0, "conf_low": 46.25, "conf_high": 54.75}
    means = [{"week": t, "arm": arm, **ends} for t in (0.0, 8.0) for arm in "ab"]
    slopes = [{"arm": arm, **ends} for arm in "ab"]
    found = {"kind": "slopes", "name": "slope of score over week by arm", "estimates": [told]}
    return NONE | found | {"means": means, "slopes": slopes}


def record(data: Rows) -> dict[str, Any]:
    """The record of the selected model."""
    beta, vcov, _, _, _ = gls(data)
    effects = []
    for k, term in enumerate(TERMS):
        se = float(np.sqrt(vcov[k, k]))
        effects.append(
            {
                "effect": "fixed",
                "group": None,
                "term": term,
                "estimate": float(beta[k]),
                "std_error": se,
                "statistic": float(beta[k] / se),
                "df": 10.25,
                "p_value": 0.0103 if k else 1e-12,
                "conf_low": float(beta[k] - 2.2 * se),
                "conf_high": float(beta[k] + 2.2 * se),
            }
        )
    correlation = PSI[0, 1] / np.sqrt(PSI[0, 0] * PSI[1, 1])
    covariance = [
        ("id", "Intercept", None, 36.0, 6.0, None),
        ("id", "week", None, 0.49, 0.7, None),
        ("id", "Intercept", "week", 1.2, None, float(correlation)),
        ("Residual", None, None, 9.0, 3.0, None),
    ]
    keys = ("group", "term1", "term2", "covariance", "sd", "correlation")
    information = {
        "loglik": -150.123,
        "deviance": 300.246,
        "aic": 316.246,
        "aicc": 319.4,
        "bic": 331.856,
        "npar": 8,
        "nobs": 52,
    }
    return {
        "dataset": "trial",
        "model": "random_slope",
        "status": "ok",
        "message": "",
        "df_method": "satterthwaite",
        "formula": "score ~ week * arm + (1 + week | id)",
        "residual_structure": None,
        "variance": None,
        "dropped": [],
        "terms": TESTS,
        "answer": answer(effects[3]),
        "df_conflict": "",
        "shares": SHARES,
        "r_squared": R_SQUARED,
        "ml": information | {"caic": 290.5},
        "reml": information | {"loglik": -148.5},
        "fixed": effects,
        "residual_parameters": {},
        "sigma": 3.0,
        "random": [dict(zip(keys, values, strict=True)) for values in covariance],
        "groups": {"id": 12},
        "certificate": {
            "converged": True,
            "scaled_gradient": 2.5e-9,
            "smallest_eigenvalue": 0.41,
            "boundary": [],
            "gain_left": 1e-15,
            "evaluations": 6,
            "sentence": "Converged: nothing is left to gain.",
        },
        "provenance": {
            "data_sha256": "ab" * 32,
            "code": "cd" * 32,
            "config": {},
            "versions": {"python": "3.11"},
        },
    }


def audit(data: Rows) -> dict[str, Any]:
    """The audit of the data, with two duplicates and a row out of range."""
    subject, group = np.array(data.subject), np.array(data.group)
    visits = {
        name: tuple(int(t in data.time[subject == name]) for t in sorted(set(data.time)))
        for name in set(data.subject)
    }
    patterns = sorted((list(v).count(v), v) for v in set(visits.values()))
    counted = [{"visits": list(v), "subjects": list(visits.values()).count(v)} for _, v in patterns]
    attrition = []
    for time in sorted(set(data.time)):
        for arm in sorted(set(data.group)):
            y = data.response[(data.time == time) & (group == arm)]
            if y.size:
                attrition.append(
                    {
                        "time": float(time),
                        "group": arm,
                        "subjects": int(y.size),
                        "mean": float(y.mean()),
                        "sd": float(y.std(ddof=1)) if y.size > 1 else None,
                        "min": float(y.min()),
                        "max": float(y.max()),
                    }
                )
    n = data.response.size
    number = {"type": "number", "missing": 0, "min": 0.0, "max": 8.0, "mean": 3.5, "sd": 2.8}
    return {
        "dataset": "trial",
        "status": "ok",
        "message": "",
        "source": {
            "path": "data/raw/trial.csv",
            "sha256": "ef" * 32,
            "bytes": 999,
            "format": "csv",
            "separator": ",",
            "encoding": "utf-8",
        },
        "rows": {"read": n + 3, "used": n, "dropped": {"missing score": 2, "duplicate": 1}},
        "subjects": {"read": len(visits), "used": len(visits)},
        "columns": [
            {"name": "id", "role": "subject", "type": "category", "missing": 0},
            {"name": "week", "role": "time", **number},
            {"name": "score", "role": "response", **number},
            {
                "name": "arm",
                "role": "covariate",
                "type": "category",
                "missing": 0,
                "levels": {"a": 26, "b": 26},
            },
        ],
        "duplicates": {
            "policy": "last",
            "identical": [{"subject": "P001", "time": 2.0, "rows": [3, 4]}],
            "conflicting": [{"subject": "P002", "time": 4.0, "rows": [9, 10], "values": [51.2, 52.1]}],
        },
        "coercions": [{"column": "score", "kind": "decimal comma", "count": 2, "examples": ["51,2", "49,9"]}],
        "out_of_range": [{"column": "score", "row": 17, "value": 1011.0, "allowed": [0, 100]}],
        "visits": {
            "times": sorted(set(data.time.tolist())),
            "patterns": counted,
            "per_subject": {"min": 3, "median": 5.0, "max": 5},
        },
        "attrition": attrition,
        "provenance": {"config": DESIGN, "code": "00", "versions": {}},
    }


def selection() -> dict[str, Any]:
    """Three candidates, one of them failed, and one test."""
    keys = (
        "model",
        "formula",
        "status",
        "message",
        "npar",
        "loglik",
        "deviance",
        "aic",
        "aicc",
        "bic",
        "delta",
        "weight",
    )
    steps = [
        (
            "random_slope",
            "score ~ week * arm + (1 + week | id)",
            "ok",
            "",
            8,
            -150.123,
            300.246,
            316.246,
            319.4,
            331.856,
            0.0,
            0.9,
        ),
        (
            "random_intercept",
            "score ~ week * arm + (1 | id)",
            "ok",
            "",
            6,
            -154.32,
            308.64,
            320.64,
            322.0,
            332.0,
            4.394,
            0.1,
        ),
        ("broken", "score ~ week * arm", "not_applicable", "the times are not whole numbers", *[None] * 8),
    ]
    test = {
        "null": "random_intercept",
        "alternative": "random_slope",
        "statistic": 8.394,
        "df": 2,
        "p_value": 0.0094,
        "distribution": "1/2 chi2(1) + 1/2 chi2(2)",
        "p_value_naive": 0.015,
    }
    return {
        "dataset": "trial",
        "status": "ok",
        "message": "",
        "selected": "random_slope",
        "criterion": "aic",
        "alpha": 0.05,
        "ladder": [dict(zip(keys, step, strict=True)) for step in steps],
        "tests": [test],
        "provenance": {},
    }


def study(subjects: int = 12, visits: int = 5) -> Study:
    """Everything together."""
    data = rows(subjects, visits)
    model = record(data)
    return Study(
        "trial",
        audit(data),
        {"random_slope": model},
        selection(),
        DESIGN,
        OPTIONS,
        "12" * 32,
        data,
        fitted(data),
    )


def without_model(whole: Study) -> Study:
    """The same data, but no candidate could be fitted."""
    chosen = selection() | {
        "selected": None,
        "status": "failed",
        "message": "trial has no model: all failed.",
    }
    return replace(whole, selection=chosen, fitted=None)


def test_gls_reproduces_the_paired_difference() -> None:
    """With two balanced visits and complete data the slope of an arm is the mean difference (an identity of
    GLS)."""
    data = rows(8, 2)
    beta, *_ = gls(data)
    first, last = (data.response[(data.time == t) & (np.array(data.group) == "a")].mean() for t in (0.0, 2.0))
    np.testing.assert_allclose(beta[1], (last - first) / 2, rtol=1e-10)
