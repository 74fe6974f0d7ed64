"""The variances of the random part: estimates with intervals, profiles of the likelihood, shares."""

from collections.abc import Iterable

from lmmstudy.report.blocks import Block, Facts, Figure, Table, Text
from lmmstudy.report.charts import likelihood, svg
from lmmstudy.report.refit.inference import Bound, Inference
from lmmstudy.report.study import Json, Study
from lmmstudy.report.words.numbers import MISSING, column, count, fixed, fmt, percent, plain
from lmmstudy.report.words.phrases import listing
from lmmstudy.report.words.residual import residual_row, rho_text
from lmmstudy.report.words.sentences import level_text, parameter_words

PROFILED = (
    "Intervals are of the SD or the correlation, where the profile of the likelihood (ML) falls to the "
    "limit; the estimates are by REML."
)
WALD = "Intervals are Wald's, symmetric on the scale of log SD or Fisher's z."


def variances(study: Study, model: Json) -> Table:
    """One row a variance and covariance."""
    inference = study.fitted.inference if study.fitted else None
    rows = []
    for r in model["random"]:
        group, one, two = r["group"], r["term1"], r["term2"]
        if group == "Residual":
            found = _of(inference, group, "sd__Observation")
            rows.append((residual_row(model), "–", fmt(float(r["covariance"])), fmt(r["sd"]), "–", found))
        elif two is None:
            found = _of(inference, group, f"sd__{one}")
            rows.append((group, one, fmt(float(r["covariance"])), fmt(r["sd"]), "–", found))
        else:
            found = _of(inference, group, f"cor__{one}.{two}", f"cor__{two}.{one}")
            cells = (fmt(float(r["covariance"])), "–", fixed(r["correlation"], 3))
            rows.append((group, f"{one}, {two}", *cells, found))
    heads = ("Group", "Term", "Variance or covariance", "SD", "Correlation", _head(study))
    note = interval_note(inference.bounds) if inference else ""
    return Table("Variances and correlations (REML)", heads, tuple(rows), "llrrrr", note)


def _head(study: Study) -> str:
    return f"{level_text(study.conf_level)} CI"


def _of(inference: Inference | None, group: str, *terms: str) -> str:
    return interval_text(inference.bound(group, *terms) if inference else None)


def interval_text(bound: Bound | None) -> str:
    """ "9.400 to 61.20", with "(Wald)" where the table's other intervals are profiles."""
    if bound is None or bound.low is None and bound.high is None:
        return MISSING
    of_correlation = bound.term.startswith("cor") or bound.term.startswith("rho")
    low, high = (
        MISSING if end is None else rho_text(end) if of_correlation and abs(end) < 1 else fmt(float(end))
        for end in (bound.low, bound.high)
    )
    return f"{low} to {high}"


def interval_note(bounds: Iterable[Bound]) -> str:
    """How the intervals were made, which are not, and what the engine adds to them."""
    bounds = list(bounds)
    profiled = [b for b in bounds if b.method == "profile"]
    words = [PROFILED if profiled else WALD]
    others = [b for b in bounds if b.method == "Wald"] if profiled else []
    if others:
        named = listing(parameter_words(b.group, b.term) for b in others)
        words.append(f"The profile has no limit for the {named}: Wald's interval instead.")
    words += dict.fromkeys(b.note for b in bounds if b.note and b not in others)
    return " ".join(dict.fromkeys(words))


def likelihoods(study: Study) -> list[Block]:
    """The profiles of the covariance parameters, where they were followed."""
    curves = study.fitted.inference.profiles if study.fitted else ()
    if study.fitted is None or not curves:
        return []
    known = {(b.group, b.term): b for b in study.fitted.inference.bounds}
    drawn = [
        (parameter_words(c.group, c.term), c.value, c.zeta, known[c.group, c.term].estimate) for c in curves
    ]
    ends = [title for title, value, _, _ in drawn if float(value.min()) == 0.0]
    seen = f"{count(len(drawn), 'profile')}"
    seen += f"; that of the {listing(ends)} reaches 0." if ends else "; none reaches 0."
    label = svg.Label("fig-likelihood", "Profile likelihood of the covariance parameters", seen)
    levels = listing(f"{level:.0%}" for level in likelihood.CUTS)
    caption = (
        f"Signed root of the rise of the deviance (ML) against each parameter; short lines mark the {levels} "
        "limits. Where the line is straight, Wald's interval on that scale would do; the mark is the REML "
        "estimate."
    )
    chart = likelihood.likelihoods(label, drawn, "Signed root of the deviance's rise")
    return [Figure("fig-likelihood", chart, caption, _points(drawn))]


def _points(drawn: list) -> Table:
    rows = []
    for title, value, zeta, _ in drawn:
        rows += [(title, v, fixed(float(z), 3)) for v, z in zip(column(value.tolist()), zeta, strict=True)]
    heads = ("Parameter", "Value", "Signed root")
    return Table("Profiles of the likelihood", heads, tuple(rows), "lrr")


def shares(model: Json) -> list[Block]:
    """Intraclass correlations and R squared, each with its sentence."""
    found, blocks = model["shares"], list[Block]()
    if found and len(found["rows"]) > 1:
        rows = tuple(
            (r["group"], fmt(float(r["variance"])), percent(r["share"]), _icc(r["icc"]))
            for r in found["rows"]
        )
        heads = ("Level", "Variance", "Share", "Intraclass correlation")
        blocks.append(Table("Shares of the variance (REML)", heads, rows, "lrrr", found["sentence"]))
    explained = model["r_squared"]
    if explained:
        facts = [(f"R² {name}", fixed(explained[name], 3)) for name in ("marginal", "conditional")]
        blocks += [Facts(tuple(facts)), Text(explained["sentence"], "note")]
    return blocks


def _icc(value: float | None) -> str:
    return MISSING if value is None or plain(value) == "nan" else fixed(value, 4)
