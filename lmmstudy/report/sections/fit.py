"""Fit: method, criteria with the conventions named, certificate of convergence."""

from lmmstudy.report.blocks import Block, Facts, Section, Table, Text
from lmmstudy.report.study import Json, Study
from lmmstudy.report.words.numbers import fixed, fmt
from lmmstudy.report.words.phrases import sentence
from lmmstudy.report.words.sentences import STATUS, implied_n

LABELS = (
    ("loglik", "Log-likelihood"),
    ("deviance", "−2 log-likelihood"),
    ("aic", "AIC"),
    ("aicc", "AICc"),
    ("bic", "BIC"),
    ("npar", "Parameters"),
    ("nobs", "Rows"),
)


def section(study: Study, model: Json) -> Section:
    """How the selected model was fitted and whether the optimum was reached."""
    blocks: list[Block] = []
    certificate = model["certificate"]
    if certificate:
        blocks.append(Text(certificate["sentence"], "" if certificate["converged"] else "warning"))
    elif model["message"]:
        blocks.append(Text(sentence(model["message"])))
    blocks.append(Text(
        "Estimates in this report are by restricted maximum likelihood (REML); candidates are compared by "
        "maximum "
        "likelihood (ML), because REML likelihoods of models with different fixed effects are not comparable."
    ))  # fmt: skip
    blocks.append(_criteria(model))
    if certificate:
        blocks.append(_facts(model, certificate))
    return Section("fit", "Fit", tuple(blocks))


def _criteria(model: Json) -> Table:
    ml, reml = model["ml"] or {}, model["reml"] or {}
    rows = []
    for key, label in LABELS:
        decimals = 0 if key in ("npar", "nobs") else 3
        rows.append((label, fixed(ml.get(key), decimals), fixed(reml.get(key), decimals)))
    note = " ".join(implied_n(ml)) if ml else ""
    heads = ("Quantity", "ML", "REML")
    return Table("Likelihood and criteria of the selected model", heads, tuple(rows), "lrr", note)


def _facts(model: Json, certificate: Json) -> Facts:
    items = [
        ("Status", STATUS[model["status"]]),
        ("Scaled gradient", fmt(certificate["scaled_gradient"], 2)),
        ("Smallest eigenvalue", fmt(certificate["smallest_eigenvalue"], 3)),
        ("Log-likelihood to gain", fmt(certificate["gain_left"], 2)),
        ("Evaluations", fmt(certificate["evaluations"])),
        ("On the boundary", "; ".join(certificate["boundary"]) or "nothing"),
    ]
    return Facts(tuple(items))
