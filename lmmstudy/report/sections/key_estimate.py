"""The estimate in question under each candidate, and how well each predicts its own units."""

from lmmstudy.report.blocks import Block, Figure, Heading, Table
from lmmstudy.report.charts import effects, svg
from lmmstudy.report.refit.series import Interval
from lmmstudy.report.sections.fixed import estimate_cells
from lmmstudy.report.study import Json, Study
from lmmstudy.report.words.hypotheses import focal_terms
from lmmstudy.report.words.numbers import count, decimals_for, fixed, fmt, p_value
from lmmstudy.report.words.sentences import level_text

CONDITIONAL = (
    "The conditional AIC (Greven and Kneib 2010) is about further rows of the same units, given their random "
    "effects; the other criteria are about further units. It was not used to select."
)


def estimates(study: Study) -> list[Block]:
    """The first coefficient in question by candidate, best first, and the conditional AICs."""
    winner = study.winner
    if winner is None or not winner["fixed"]:
        return []
    term = focal_terms([row["term"] for row in winner["fixed"]], study.time, study.group)[0]
    order = [step["model"] for step in study.selection["ladder"] if step["loglik"] is not None]
    known = {name: study.models[name] for name in order if name in study.models}
    rows = {name: row for name, model in known.items() for row in model["fixed"] if row["term"] == term}
    blocks: list[Block] = []
    if len(rows) > 1:
        blocks += [Heading(f"The coefficient of {term} under each candidate"), _forest(study, term, rows)]
    conditional = [(name, model["ml"].get("caic")) for name, model in known.items()]
    values = tuple((name, fixed(value, 2)) for name, value in conditional if value is not None)
    if len(values) > 1:
        table = Table("Conditional AIC (ML)", ("Model", "cAIC"), values, "lr", CONDITIONAL, folded=True)
        blocks.append(table)
    return blocks


def _forest(study: Study, term: str, rows: dict[str, Json]) -> Figure:
    shown = [Interval(n, r["estimate"], r["conf_low"], r["conf_high"]) for n, r in rows.items()]
    decimals = decimals_for(next(iter(rows.values()))["std_error"])
    low, high = (fixed(f(i.estimate for i in shown), decimals) for f in (min, max))
    desc = f"{count(len(shown), 'candidate')}; estimates from {low} to {high}."
    label = svg.Label("fig-forest", f"The coefficient of {term} under each candidate", desc)
    level = level_text(study.conf_level)
    caption = (
        f"Estimates with {level} intervals (REML), in the order of the ladder. Intervals after a selection "
        f"do not hold the uncertainty of the selection itself."
    )
    body = tuple(
        (name, *estimate_cells(row), fmt(row["df"]) if row["df"] else "∞", p_value(row["p_value"]))
        for name, row in rows.items()
    )
    heads = ("Model", "Estimate", "SE", f"{level} CI", "df", "p")
    data = Table(f"The coefficient of {term}", heads, body, "lrrrrr")
    return Figure("fig-forest", effects.forest(label, shown, term), caption, data)
