"""The estimate in question under each candidate, and how well each predicts its own units."""

from collections.abc import Mapping

from lmmstudy.fitting.answer import key
from lmmstudy.report.blocks import Block, Figure, Heading, Table
from lmmstudy.report.charts import effects, svg
from lmmstudy.report.charts.scales import cut
from lmmstudy.report.refit.series import Interval
from lmmstudy.report.sections.fixed import estimate_cells
from lmmstudy.report.study import Json, Study
from lmmstudy.report.words.numbers import count, decimals_for, fixed, fmt, p_value
from lmmstudy.report.words.phrases import sentence
from lmmstudy.report.words.sentences import level_text

CONDITIONAL = (
    "The conditional AIC (Greven and Kneib 2010) is about further rows of the same units, given their random "
    "effects; the other criteria are about further units. It was not used to select."
)


def estimates(study: Study) -> list[Block]:
    """The answer to the question by candidate, best first, and the conditional AICs."""
    winner = study.winner
    if winner is None:
        return []
    order = [step["model"] for step in study.selection["ladder"] if step["loglik"] is not None]
    known = {name: study.models[name] for name in order if name in study.models}
    asked = key(winner["answer"])
    keys = {name: key(model["answer"]) for name, model in known.items() if model["answer"]}
    rows = {name: row for name, row in keys.items() if row and asked and row["name"] == asked["name"]}
    blocks: list[Block] = []
    if len(rows) > 1 and asked:
        drawn = _forest(study, rows) if "estimate" in asked else _joint_tests(rows)
        blocks += [Heading(f"{sentence(asked['name']).rstrip('.')} under each candidate"), drawn]
    conditional = [(name, model["ml"].get("caic")) for name, model in known.items()]
    values = tuple((name, fixed(value, 2)) for name, value in conditional if value is not None)
    if len(values) > 1:
        table = Table("Conditional AIC (ML)", ("Model", "cAIC"), values, "lr", CONDITIONAL, folded=True)
        blocks.append(table)
    return blocks


def _joint_tests(rows: Mapping[str, Json]) -> Table:
    body = []
    for name, row in rows.items():
        den = "∞" if row["den_df"] is None else fmt(row["den_df"])
        body.append((name, fixed(row["statistic"], 3), fmt(row["num_df"]), den, p_value(row["p_value"])))
    hypothesis = next(iter(rows.values()))["hypothesis"]
    heads = ("Model", "F", "df", "Denominator df", "p")
    return Table("The joint test under each candidate (REML)", heads, tuple(body), "lrrrr", hypothesis)


def _forest(study: Study, rows: Mapping[str, Json]) -> Figure:
    term = next(iter(rows.values()))["name"]
    shown = [Interval(n, r["estimate"], r["conf_low"], r["conf_high"]) for n, r in rows.items()]
    decimals = decimals_for(next(iter(rows.values()))["std_error"])
    low, high = (fixed(f(i.estimate for i in shown), decimals) for f in (min, max))
    desc = f"{count(len(shown), 'candidate')}; estimates from {low} to {high}."
    label = svg.Label("fig-forest", f"{sentence(term)} Estimates under each candidate", desc)
    level = level_text(study.conf_level)
    caption = (
        f"Estimates with {level} intervals (REML), in the order of the ladder. Intervals after a selection "
        f"do not hold the uncertainty of the selection itself."
    )
    if cut([0.0, *(i.estimate for i in shown)], [end for i in shown for end in (i.low, i.high)]):
        caption += " Limits beyond the scale are cut; the table has them."
    body = tuple(
        (name, *estimate_cells(row), fmt(row["df"]) if row["df"] else "∞", p_value(row["p_value"]))
        for name, row in rows.items()
    )
    heads = ("Model", "Estimate", "SE", f"{level} CI", "df", "p")
    data = Table(sentence(term).rstrip("."), heads, body, "lrrrrr")
    return Figure("fig-forest", effects.forest(label, shown, term), caption, data)
