"""Random part: variances, SDs, correlations, shares, and the predicted random effects."""

from lmmstudy.report.alerts import zero_terms
from lmmstudy.report.attempt import parts
from lmmstudy.report.blocks import Block, Figure, Heading, Section, Table, Text
from lmmstudy.report.charts import effects, residuals, svg
from lmmstudy.report.refit.diagnostics import EFFECTS as NORMAL
from lmmstudy.report.refit.inference import BOUNDS, PROFILES, SDS
from lmmstudy.report.refit.refit import EFFECTS, Fitted
from lmmstudy.report.refit.series import Effect
from lmmstudy.report.sections.figures import quantile_table
from lmmstudy.report.sections.residual_tables import residual_tables
from lmmstudy.report.sections.variances import likelihoods, shares, variances
from lmmstudy.report.study import Json, Study
from lmmstudy.report.words.numbers import count, fmt
from lmmstudy.report.words.sentences import effect_words, random_terms, zero_variance_words

ENOUGH = 10
"""Levels needed for a plot of normal quantiles."""
MOST = 200
"""Most rows of the table of predicted effects."""


def section(study: Study, model: Json) -> Section:
    """The covariance of the selected model and its predicted random effects."""
    inference = study.fitted.inference if study.fitted else None
    blocks = parts(
        study.lost,
        ("The variances", lambda: [variances(study, model)]),
        (BOUNDS, lambda: []),
        (SDS, lambda: []),
        ("The parameters of the residuals", lambda: residual_tables(model, inference, study.conf_level)),
        ("The shares of the variance", lambda: shares(model)),
        (PROFILES, lambda: likelihoods(study)),
        (EFFECTS, lambda: _effects(study, model)),
    )
    return Section("random", "Random part", blocks)


def _effects(study: Study, model: Json) -> list[Block]:
    """The predicted random effects of each grouping factor."""
    groups, zeros, blocks = random_terms(model), zero_terms(model), list[Block]()
    if not groups:
        how = "are related through the residuals alone"
        return [Text(f"The selected model has no random effects: rows of the same {study.subject} {how}.")]
    for k, group in enumerate(groups):
        if zeros.get(group):
            blocks.append(Text(zero_variance_words(group, zeros[group])))
        if study.fitted is not None:
            blocks += _caterpillar(study.fitted, group, k, zeros.get(group, []))
    return blocks


def _caterpillar(fit: Fitted, group: str, number: int, zeros: list[str]) -> list[Block]:
    shown: dict[str, list[Effect]] = {}
    for e in fit.effects:
        if e.group == group and e.term not in zeros:
            shown.setdefault(e.term, []).append(e)
    if not shown:
        return []
    first = next(iter(shown.values()))
    order = effects.ordered(shown)
    clear = sum(abs(e.estimate) > effects.Z * e.std_error for e in first)
    desc = (
        f"{count(len(first), 'level')} ordered by {first[0].term}, from {order[0]} (highest) to "
        f"{order[-1]} (lowest); "
        f"the intervals of {clear:,} exclude 0."
    )
    name = f"fig-effects-{number}"
    label = svg.Label(name, f"Predicted random effects of {group}", desc)
    caption = (
        f"Predicted random effects of {group} with 95% prediction intervals (estimate ± 1.96 prediction "
        f"standard "
        "errors, which hold the uncertainty of the fixed effects). The intervals are not tests of single "
        "levels."
    )
    if len(order) > effects.MOST:
        caption += f" {effects.MOST} of {len(order):,} levels, evenly spaced in this order."
    figure = Figure(name, effects.caterpillar(label, shown), caption, _data(group, shown, order))
    normal = parts(fit.lost, (NORMAL, lambda: _quantiles(fit, group, shown, name)))
    return [Heading(f"Predicted random effects of {group}"), figure, *normal]


def _quantiles(fit: Fitted, group: str, shown: dict[str, list[Effect]], name: str) -> list[Block]:
    """Normal quantiles of the predicted effects, one figure a term, where there are enough levels."""
    found, figures = {q.name: q for q in fit.diagnostics.effects}, list[Block]()
    for k, term in enumerate(shown):
        q = found.get(f"{term} | {group}")
        if q is None or q.n < ENOUGH:
            continue
        title = f"Normal quantiles of the predicted {effect_words(term)} for {group}"
        label = svg.Label(f"{name}-normal-{k}", title, q.sentence)
        caption = (
            f"{title}, each divided by its own SD. {q.sentence} Predicted effects are drawn towards 0 and "
            f"look "
            "more normal than the effects are, so that points on the line prove little and outliers much."
        )
        chart = residuals.quantiles(label, q, ("Normal quantile", "Predicted effect / SD"))
        figures.append(Figure(label.id, chart, caption, quantile_table(q)))
    return figures


def _data(group: str, shown: dict[str, list[Effect]], order: list[str]) -> Table:
    known = {term: {e.level: e for e in members} for term, members in shown.items()}
    rows = []
    for level in order[:MOST]:
        row = [level]
        for term in shown:
            e = known[term][level]
            row += [fmt(e.estimate), fmt(e.std_error, 3)]
        rows.append(tuple(row))
    heads = (group, *(name for term in shown for name in (term, "SE")))
    note = f"The first {MOST} of {len(order):,}." if len(order) > MOST else ""
    return Table(
        "Predicted effects and prediction standard errors", heads, tuple(rows), "l" + "rr" * len(shown), note
    )
