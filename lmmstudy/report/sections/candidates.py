"""Candidates: the ladder with weights, and the likelihood-ratio tests of nested pairs."""

from collections.abc import Sequence

from lmmstudy.report.attempt import parts
from lmmstudy.report.blocks import Block, Cell, Section, Table, Text
from lmmstudy.report.refit.inference import REDUCTIONS
from lmmstudy.report.sections.key_estimate import estimates
from lmmstudy.report.study import Json, Study
from lmmstudy.report.words.numbers import MISSING, count, fixed, fmt, p_value, scientific
from lmmstudy.report.words.phrases import sentence
from lmmstudy.report.words.sentences import CRITERIA, STATUS, distribution_words


def section(study: Study) -> Section:
    """All candidates, the failed ones with their message."""
    ladder = study.selection.get("ladder") or ()
    if not ladder:
        return Section("candidates", "Candidates", (Text("No candidate was fitted."),))
    tests = study.selection.get("tests") or ()
    blocks = parts(
        study.lost,
        ("The ladder of candidates", lambda: [Text(_words(study)), _ladder(study, ladder), *_failed(ladder)]),
        ("The likelihood-ratio tests", lambda: [_tests(tests)] if tests else []),
        (REDUCTIONS, lambda: _reductions(study)),
        ("The estimates under each candidate", lambda: estimates(study)),
    )
    return Section("candidates", "Candidates", blocks)


def _failed(ladder: Sequence[Json]) -> list[Block]:
    """The candidates without an estimate, with their reason."""
    failed = [step for step in ladder if step["status"] not in ("ok", "singular")]
    reasons = [(step["model"], step["message"] or STATUS[step["status"]]) for step in failed]
    return [Text(f"{name}: {sentence(reason)}", "warning") for name, reason in reasons]


def _words(study: Study) -> str:
    criterion = study.selection["criterion"]
    if criterion == "lrt":
        how = f"by likelihood-ratio tests at level {fmt(study.selection['alpha'], 2)}"
    else:
        how = f"by the smallest {CRITERIA[criterion]}"
    weights = "A weight is the Akaike weight among the candidates that could be fitted."
    return f"The model was chosen {how}. All fits here are by maximum likelihood. {weights}"


def _ladder(study: Study, ladder: Sequence[Json]) -> Table:
    rows = []
    for step in ladder:
        chosen = step["model"] == study.selection["selected"]
        good = step["status"] in ("ok", "singular")
        tone = "selected" if chosen else "" if good else "failed"
        status = "selected" if chosen else "" if step["status"] == "ok" else STATUS[step["status"]]
        name = Cell(step["model"], step["formula"] + (f" – {status}" if status else ""), tone=tone)
        weight = (
            Cell(_weight(step["weight"]), bar=step["weight"], tone=tone)
            if step["weight"] is not None
            else MISSING
        )
        values = [fixed(step[key], 2) for key in ("loglik", "aic", "aicc", "bic", "delta")]
        rows.append((name, fmt(step["npar"]), *values, weight))
    criterion = study.selection["criterion"]
    delta = "Δ" + CRITERIA["aic" if criterion == "lrt" else criterion]
    heads = ("Model", "Par.", "Log-lik.", "AIC", "AICc", "BIC", delta, "Weight")
    return Table("Candidates, best first (ML)", heads, tuple(rows), "lrrrrrrl")


def _weight(weight: float) -> str:
    return "< 0.001" if 0 < weight < 0.0005 else fixed(weight, 3)


def _tests(tests: Sequence[Json]) -> Table:
    rows = []
    for t in tests:
        pair = Cell(t["alternative"], f"against {t['null']}")
        rows.append((pair, fixed(t["statistic"], 3), _p(t["p_value"]), distribution_words(t["distribution"]),
                     _p(t["p_value_naive"]), f"χ²({fmt(t['df'])})"))  # fmt: skip
    heads = ("Larger model", "−2 log ratio", "p", "Null distribution", "Naive p", "Naive null")
    note = (
        "The naive p ignores that a variance cannot be negative and is too large where the null "
        "hypothesis lies on that "
        "boundary; the other p uses the mixture named. χ²(k) has k degrees of freedom; χ²(0) is a point "
        "mass at 0."
    )
    return Table("Likelihood-ratio tests of nested candidates (ML)", heads, tuple(rows), "lrrlrl", note)


def _reductions(study: Study) -> list[Block]:
    """The random effects of the selected model, each left out in turn."""
    found = study.fitted.inference.reductions if study.fitted else ()
    rows = []
    for r in found[1:]:
        name = Cell(r["term"], f"{count(r['npar'], 'parameter')} left, AIC {fixed(r['aic'], 2)}")
        rows.append((name, fixed(r["statistic"], 3), _p(r["p_value"]), distribution_words(r["distribution"]),
                     _p(r["p_value_naive"]), f"χ²({fmt(r['df'])})"))  # fmt: skip
    heads = ("Left out", "−2 log ratio", "p", "Null distribution", "Naive p", "Naive null")
    caption = "Random effects of the selected model, each left out in turn (REML)"
    return [Table(caption, heads, tuple(rows), "lrrlrl")] if rows else []


def _p(p: float | None) -> Cell:
    detail = scientific(p) if p is not None and 0 < p < 0.001 else ""
    return Cell(p_value(p), detail)
