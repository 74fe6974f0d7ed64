"""What a record says of a model's two fits: by maximum likelihood, and restricted maximum likelihood.

Here stands what costs little beside the fits, for every candidate has a record. What takes longer (profiles,
influence, tests of the random effects) is made for the selected model alone, with its report.
"""

from collections.abc import Mapping
from typing import Any

from lmmcore.covariance.visits import in_name
from lmmcore.estimate.solution import Solution
from lmmcore.inference.anova.anova import anova
from lmmcore.inference.covariance.explained import icc, r_squared
from lmmcore.inference.fixed.boundary_df import df_conflict
from lmmcore.inference.models.caic import caic
from lmmcore.output.frames import group_sizes, tidy, varcorr
from lmmstudy.fitting.curves import curves
from lmmstudy.fitting.question import answer

COMPARABLE = ("ok", "singular")
"""What a model with an estimate has as its status."""
CONDITIONAL = 20_000
"""Most rows for which the conditional AIC is worked out."""


def estimates(
    ml: Solution, reml: Solution, report: Mapping[str, Any], design: Mapping[str, Any]
) -> dict[str, Any]:
    """The estimates, tests and criteria of a record; report : the study's `df` and `conf_level`; design : the
    stanza's columns and question."""
    status, telling = "ok", reml.certificate
    for certificate in (ml.certificate, reml.certificate):
        if certificate.boundary:
            status, telling = "singular", certificate
    for certificate in (ml.certificate, reml.certificate):
        if not certificate.converged:
            status, telling = "not_converged", certificate
    conflict = df_conflict(reml)
    return {
        "status": status,
        "message": telling.sentence,
        "ml": _information(ml) | {"caic": caic(ml).caic if ml.nobs <= CONDITIONAL else None},
        "reml": _information(reml),
        "fixed": tidy(reml, "fixed", **report).to_dicts(),
        "terms": anova(reml, df=report["df"]).to_dicts(),
        "curves": curves(reml, report["df"]),
        "answer": answer(reml, design, report),
        "df_conflict": (conflict.sentence or "") if conflict else "",
        "dropped": list(reml.model.dropped),
        "random": varcorr(reml).to_dicts(),
        "shares": _shares(reml),
        "r_squared": _r_squared(reml),
        "residual_parameters": dict(reml.residual_parameters),
        **_levels(reml),
        **_visits(reml),
        "sigma": reml.sigma,
        "groups": group_sizes(reml),
        "certificate": _certificate(reml.certificate),
    }


NONE: dict[str, Any] = {
    "ml": None,
    "reml": None,
    "fixed": [],
    "terms": [],
    "curves": [],
    "answer": None,
    "df_conflict": "",
    "dropped": [],
    "random": [],
    "shares": None,
    "r_squared": None,
    "residual_parameters": {},
    "sigma": None,
    "groups": {},
    "certificate": None,
}
"""The same of a model without an estimate."""


def _information(fit: Solution) -> dict[str, Any]:
    names = ("loglik", "deviance", "aic", "aicc", "bic", "npar", "nobs")
    return {name: getattr(fit, name) for name in names}


def _levels(fit: Solution) -> dict[str, Any]:
    """The levels that have a residual covariance of their own, where there are any."""
    parts = () if fit.model.structure is None else fit.model.structure.parts
    named = [part.of for part in parts if part.of]
    return {"residual_levels": named} if named else {}


def _visits(fit: Solution) -> dict[str, Any]:
    """The order of visits that are no numbers, as their labels stand in names of parameters."""
    visits = fit.solution.model.rows.visits
    if visits is None:
        return {}
    return {"visits": {"labels": [in_name(label) for label in visits.labels], "sentence": visits.sentence}}


def _shares(fit: Solution) -> dict[str, Any]:
    shares = icc(fit)
    return {"rows": shares.frame().to_dicts(), "sentence": shares.sentence}


def _r_squared(fit: Solution) -> dict[str, Any]:
    found = r_squared(fit)
    return {name: getattr(found, name) for name in ("marginal", "conditional", "sentence")}


def _certificate(certificate: Any) -> dict[str, Any]:
    names = ("converged", "scaled_gradient", "smallest_eigenvalue", "boundary", "gain_left")
    return {name: getattr(certificate, name) for name in (*names, "evaluations", "sentence")}
