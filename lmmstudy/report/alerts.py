"""Named conditions, each with its threshold, that a reader should know before the numbers. At most seven
are shown."""

import math
from collections import Counter

import numpy as np

from lmmcore.diagnostics.qq import FEW
from lmmcore.prediction.uncertainty import LEAST
from lmmstudy.clean.lookalikes import sentences
from lmmstudy.report.blocks import Alert
from lmmstudy.report.refit.rows import visits
from lmmstudy.report.study import Json, Study
from lmmstudy.report.words.numbers import count, fixed, fmt, p_sentence, percent
from lmmstudy.report.words.phrases import listing
from lmmstudy.report.words.residual import boundary_words, rho_text
from lmmstudy.report.words.residual_numbers import by_level, kind
from lmmstudy.report.words.sentences import STATUS, random_terms

MOST = 7
FEW_LEVELS = 6
FEW_DF = 2.0
"""With fewer degrees of freedom the standard error of a variance exceeds the variance."""
DROPPED = 0.05
OUTSIDE = 0.10
MOVED = 1.0
"""Change of a coefficient in question without one unit, in standard errors."""
CLOSE = 2.0
BENT = 0.001
"""p of powers of time left out of the model, below which the residuals show a curve."""
EXTREME_CORRELATION = 0.999
LONG = 10
"""A residual correlation that reaches this many times the span of time is the same at all distances seen."""


def alerts(study: Study) -> tuple[Alert, ...]:
    """Conditions that hold, gravest first."""
    found = [*_fit(study), *_data(study), *_candidates(study), *_residuals(study)]
    return tuple(found[:MOST])


def _fit(study: Study) -> list[Alert]:
    winner = study.winner
    if winner is None:
        return []
    found = []
    if winner["status"] == "not_converged":
        found.append(Alert("The selected model did not converge", "fit"))
    zeros = zero_terms(winner)
    for group, terms in zeros.items():
        named = listing("intercept" if t == "Intercept" else f"slope of {t}" for t in terms)
        found.append(Alert(f"The variance of the random {named} for {group} is 0", "random"))
    for row in winner["random"] or ():
        r = row["correlation"]
        if r is not None and abs(r) > EXTREME_CORRELATION:
            found.append(
                Alert(f"The correlation of {row['term1']} and {row['term2']} is {fixed(r, 3)}", "random")
            )
    found += residual_alerts(winner, _span(study))
    if winner["dropped"]:
        named = listing(winner["dropped"])
        found.append(Alert(f"Fixed effects left out because others determine them: {named}", "fixed"))
    if winner["status"] == "singular" and not found:
        found.append(Alert("The selected model is singular: an estimate lies on the boundary", "fit"))
    found += _degrees(study, winner)
    if winner["df_conflict"]:
        words = "Degrees of freedom depend on whether the boundary is known or estimated"
        found.append(Alert(words, "fixed"))
    for group in random_terms(winner):
        levels = (winner["groups"] or {}).get(group, FEW_LEVELS)
        if levels < FEW_LEVELS:
            found.append(
                Alert(
                    f"{group} has {levels} levels (fewer than {FEW_LEVELS}): its variance is poorly known",
                    "random",
                )
            )
    return found


def _degrees(study: Study, model: Json) -> list[Alert]:
    """Intervals that rest on next to nothing: of fixed effects, and of predictions for a new subject."""
    found = []
    few = {row["term"]: row["df"] for row in model["fixed"] if row["df"] is not None and row["df"] < FEW_DF}
    if few:
        named = listing(f"{term} ({fmt(df, 2)})" for term, df in few.items())
        words = f"Fewer than {FEW_DF:g} degrees of freedom, so that its precision is unknown: {named}"
        found.append(Alert(words, "fixed"))
    weak = [band.weak for band in study.fitted.bands] if study.fitted else []
    if any(w.any() for w in weak):
        places = "time" if study.time else "prediction"
        share = f"{sum(int(w.sum()) for w in weak)} of {count(sum(w.size for w in weak), places)}"
        words = f"Intervals for a new {study.subject} rest on {LEAST:g} degrees of freedom at {share}"
        found.append(Alert(f"{words}: they are rough", "predictions"))
    return found


def residual_alerts(model: Json, span: float) -> list[Alert]:
    """Residual parameters on or near the boundary of their space; `span` of time in the data."""
    parameters, certificate = model["residual_parameters"], model["certificate"]
    phrases = [phrase for phrase in (certificate or {}).get("boundary", ()) if _of_residuals(phrase)]
    found = [Alert(boundary_words(phrase, model), "random") for phrase in phrases]
    for name, value in parameters.items():
        near = name.startswith(("rho", "cor(")) and abs(value) > EXTREME_CORRELATION
        if near and not phrases and kind(model) != "car1":
            found.append(Alert(f"The residual correlation {name} is {rho_text(value)}", "random"))
    for level, of in by_level(model).items():
        found += [
            Alert(f"{level}: {alert.text}", alert.section)
            for alert in residual_alerts({**of, "certificate": None}, span)
        ]
    if by_level(model):
        return found
    reach = parameters.get("range")
    if kind(model) == "car1" and 0 < parameters["rho"] < 1:
        reach = -1 / math.log(parameters["rho"])
    if reach is not None and 0 < LONG * span < reach:
        flat = f"reach of {fmt(reach)} is over {LONG} times the span of the data: it hardly falls"
        found.append(Alert(f"The residual correlation's {flat}", "random"))
    return found


def _of_residuals(phrase: str) -> bool:
    """Whether a phrase of the certificate is about the residuals: the others begin with "the"."""
    return not phrase.startswith("the ")


def _span(study: Study) -> float:
    """Span of time in the data, 0 without rows."""
    return float(np.ptp(study.rows.time)) if study.rows is not None and study.rows.time.size else 0.0


def zero_terms(model: Json) -> dict[str, list[str]]:
    """Random effects whose SD is 0, or below 1e-6 of the residual SD, by grouping factor."""
    groups: dict[str, list[str]] = {}
    for row in model["random"] or ():
        if row["group"] != "Residual" and row["term2"] is None and row["sd"] <= 1e-6 * model["sigma"]:
            groups.setdefault(row["group"], []).append(row["term1"])
    return groups


def _data(study: Study) -> list[Alert]:
    clean, found = study.clean, []
    rows = clean["rows"]
    left = rows["read"] - rows["used"]
    if rows["read"] and left / rows["read"] >= DROPPED:
        found.append(
            Alert(
                f"{left:,} of {count(rows['read'], 'row')} ({percent(left / rows['read'])}) were not used",
                "data",
            )
        )
    conflicting = clean["duplicates"]["conflicting"]
    if conflicting:
        found.append(Alert(f"{count(len(conflicting), 'visit')} entered twice with different values", "data"))
    if clean["out_of_range"]:
        found.append(Alert(f"{count(len(clean['out_of_range']), 'value')} outside the stated range", "data"))
    found += [Alert(text, "data") for text in sentences(clean, study.subject)]
    complete, subjects = complete_subjects(study)
    if subjects and complete < subjects / 2:
        found.append(
            Alert(
                f"{complete:,} of {subjects:,} subjects have all {visits_planned(study)} visits",
                "data",
            )
        )
    return found


def visits_planned(study: Study) -> int:
    """Number of visits, 0 where the times make none."""
    known = visits(study.rows) if study.rows is not None and study.rows.time.size else None
    return 0 if known is None else int(known.max()) + 1


def complete_subjects(study: Study) -> tuple[int, int]:
    """Subjects seen at every visit, and all subjects; (0, 0) where there is no common schedule.

    A schedule has times listed in the audit (it lists few), and half of the possible visits were made.
    """
    times, rows = study.clean["visits"]["times"], study.rows
    if not times or rows is None:
        return 0, 0
    known, planned = visits(rows), visits_planned(study)
    if known is None:
        return 0, 0
    made = Counter(subject for subject, _ in set(zip(rows.subject, known.tolist(), strict=True)))
    if sum(made.values()) < 0.5 * len(made) * planned:
        return 0, 0
    return sum(n == planned for n in made.values()), len(made)


def _candidates(study: Study) -> list[Alert]:
    ladder, found = study.selection.get("ladder", ()), []
    failed = [step for step in ladder if step["status"] not in ("ok", "singular")]
    if failed:
        named = listing(f"{step['model']} ({STATUS[step['status']]})" for step in failed)
        found.append(Alert(f"Left out: {named}", "candidates"))
    deltas = sorted(step["delta"] for step in ladder if step["delta"] is not None)
    if len(deltas) > 1 and deltas[1] < CLOSE:
        found.append(
            Alert(
                f"The second-best candidate is only {fixed(deltas[1], 2)} behind (less than {CLOSE:g})",
                "candidates",
            )
        )
    return found


def _residuals(study: Study) -> list[Alert]:
    if study.fitted is None:
        return []
    found, q, deletion = [], study.fitted.diagnostics.quantiles, study.fitted.diagnostics.deletion
    if q is not None and q.n >= FEW and q.outside / q.rank.size >= OUTSIDE:
        share = f"{q.outside:,} of {q.rank.size:,} residuals lie outside the band of a normal sample"
        found.append(Alert(f"{share} ({OUTSIDE:.0%} or more)", "diagnostics"))
    bend = study.fitted.bend
    if bend is not None and bend < BENT:
        curve = f"The mean bends over {study.time} more than the model lets it"
        found.append(Alert(f"{curve} (its square and cube: {p_sentence(bend)})", "diagnostics"))
    change = np.abs(np.nan_to_num(deletion.change)) if deletion is not None else np.zeros((0, 0))
    if deletion is not None and change.max(initial=0.0) > MOVED:
        unit, term = np.unravel_index(np.argmax(change), change.shape)
        without = f"Without {deletion.group} {deletion.levels[unit]}"
        moves = f"the estimate of {deletion.terms[term]} moves by more than {MOVED:g} standard error"
        found.append(Alert(f"{without} {moves}", "diagnostics"))
    return found
