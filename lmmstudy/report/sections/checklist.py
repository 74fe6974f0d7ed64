"""The reporting checklist: what guidelines ask for, where it stands on the page, and what stands there.

LEVEL: Monsalves and others, BMC Med Res Methodol 20:3, 2020, table 4. MD: Meteyard and Davies, J Mem Lang
112:104092, 2020. SAMPL: Lang and Altman, 2013. STROBE: von Elm and others, 2007.
"""

from collections.abc import Callable

from lmmstudy.report.alerts import complete_subjects
from lmmstudy.report.blocks import Table
from lmmstudy.report.study import Json, Study
from lmmstudy.report.words.hypotheses import parts, reference_level
from lmmstudy.report.words.numbers import count, fixed, plain
from lmmstudy.report.words.phrases import listing
from lmmstudy.report.words.sentences import (
    CRITERIA,
    DF_METHODS,
    STATUS,
    level_text,
    parameter_words,
    rows_words,
)

MISSING_DATA = (
    "Likelihood inference with all rows that have a response: valid if values are missing at random, given "
    "what was observed and the model."
)
NOTHING = "not supplied"

Item = tuple[str, str, str, Callable[[Study, Json], str]]
"""What is asked for, by whom, the section that has it, and what stands there: "" if nothing does."""


def checklist(study: Study) -> Table:
    """All items; those without content are not supplied."""
    winner = study.winner
    rows = []
    items = ITEMS if study.time else [item for item in ITEMS if item[3] not in (_times, _outcome)]
    for asked, by, where, content in items:
        told = content(study, winner or {}) if winner or where in ("Design", "Data") else ""
        rows.append((asked, by, where if told else "–", told or NOTHING))
    heads = ("Item", "Asked for by", "Section", "What stands there")
    note = "LEVEL: Monsalves and others 2020; MD: Meteyard and Davies 2020; SAMPL: Lang and Altman 2013."
    return Table("Reporting checklist", heads, tuple(rows), "llll", note)


def _levels(study: Study, model: Json) -> str:
    used, rows = study.clean["subjects"]["used"], study.clean["rows"]["used"]
    groups = {study.subject: used} | (model.get("groups") or {})
    return listing([*(f"{n:,} {name}" for name, n in groups.items()), count(rows, "row")]) if rows else ""


def _times(study: Study, model: Json) -> str:
    times = study.clean["visits"]["times"]
    if not times:
        return ""
    complete, subjects = complete_subjects(study)
    text = f"{count(len(times), 'time')} from {plain(times[0])} to {plain(times[-1])}"
    return f"{text}; {complete:,} of {subjects:,} subjects have all" if subjects else text


def _outcome(study: Study, model: Json) -> str:
    rows = study.clean["attrition"]
    return f"n, mean, SD, minimum and maximum in {count(len(rows), 'row')} of a table" if rows else ""


def _rows(study: Study, model: Json) -> str:
    return rows_words(study.clean) if study.clean["rows"]["read"] else ""


def _changes(study: Study, model: Json) -> str:
    clean = study.clean
    if not clean["rows"]["read"]:
        return ""
    twice = sum(len(clean["duplicates"][kind]) for kind in ("identical", "conflicting"))
    values = count(sum(c["count"] for c in clean["coercions"]), "value") + " read as something else"
    outside = count(len(clean["out_of_range"]), "value") + " out of range"
    if clean["duplicates"]["policy"] == "keep":
        return f"{values}; rows of one subject{' and time' * bool(study.time)} are replicates; {outside}"
    return f"{values}; {count(twice, 'visit')} entered more than once; {outside}"


def _equation(study: Study, model: Json) -> str:
    return f"the equation with its estimates; {model['formula']}"


def _coding(study: Study, model: Json) -> str:
    terms = [row["term"] for row in model["fixed"]]
    names = dict.fromkeys(p.name for term in terms for p in parts(term) if p.level and study.levels(p.name))
    found = [(name, reference_level(name, terms, study.levels(name))) for name in names]
    coded = [f"{name}: {level or 'a coefficient for each level'}" for name, level in found]
    return f"reference levels: {', '.join(coded)}" if coded else "no categories among the fixed effects"


def _method(study: Study, model: Json) -> str:
    return f"REML, candidates compared by ML; {STATUS[model['status']]}"


def _shares(study: Study, model: Json) -> str:
    rows = [r for r in (model["shares"] or {"rows": ()})["rows"] if r["icc"] is not None]
    return listing(f"intraclass correlation {fixed(r['icc'], 3)} ({r['group']})" for r in rows)


def _covariance(study: Study, model: Json) -> str:
    bounds = study.fitted.inference.bounds if study.fitted else ()
    known = [parameter_words(b.group, b.term) for b in bounds if b.low is not None or b.high is not None]
    return f"{listing(known)}, each with an interval" if known else ""


def _fixed(study: Study, model: Json) -> str:
    size = count(len(model["fixed"]), "coefficient")
    level = level_text(study.conf_level)
    return f"{size} with SE, {level} CI, statistic, df ({DF_METHODS[model['df_method']]}) and p"


def _ladder(study: Study, model: Json) -> str:
    steps = study.selection["ladder"]
    if not steps:
        return ""
    text = f"{count(len(steps), 'candidate')} by {CRITERIA[study.selection['criterion']]}"
    tests = len(study.selection["tests"])
    return f"{text}; {count(tests, 'likelihood-ratio test')}" if tests else text


def _checks(study: Study, model: Json) -> str:
    if study.fitted is None:
        return ""
    seen = study.fitted.diagnostics
    found = {
        "residuals against fitted values": True,
        "normal quantiles with a band": seen.quantiles is not None,
        "tests of equal variance": bool(seen.equal_variances),
        "variance over time": seen.spread is not None,
        "correlation between visits": seen.visits is not None,
        "autocorrelation": seen.lags is not None,
        "semivariogram": seen.semivariogram is not None,
        "influence": seen.deletion is not None,
    }
    return listing(name for name, there in found.items() if there)


def _tests(study: Study, model: Json) -> str:
    return f"two-sided, intervals of {level_text(study.conf_level)}, not adjusted for their number"


def _software(study: Study, model: Json) -> str:
    versions = ", ".join(f"{k} {v}" for k, v in model["provenance"]["versions"].items())
    return f"{versions}; configuration, command, code and data by SHA-256; no seed is needed"


ITEMS: tuple[Item, ...] = (
    ("Levels of the hierarchy and their units", "LEVEL 3, 4a, 5a", "Design", _levels),
    ("Times, follow-up and patterns of missing visits", "LEVEL 5b, 5c; STROBE 12–14", "Data", _times),
    ("Outcome by group at each time", "STROBE 15", "Data", _outcome),
    ("Rows read, used and not used", "SAMPL 11", "Data", _rows),
    ("Changes of the data", "SAMPL 3; MD", "Data", _changes),
    ("Equation and formula with the random part", "LEVEL 6a; MD", "Model", _equation),
    ("Coding of categories", "MD", "Model", _coding),
    ("Estimation method and convergence", "MD", "Fit", _method),
    ("Partition of the variance", "LEVEL 7", "Random part", _shares),
    ("Variances and correlations of random effects", "MD", "Random part", _covariance),
    ("Fixed effects with their uncertainty", "SAMPL; MD", "Fixed part", _fixed),
    ("Multiplicity, level and sidedness", "SAMPL 10, 12, 13", "Fixed part", _tests),
    ("Assumption checks", "SAMPL 9", "Diagnostics", _checks),
    ("Comparison of models", "MD", "Candidates", _ladder),
    ("Missing-data assumption", "SAMPL", "Reproduce", lambda study, model: MISSING_DATA),
    ("Sensitivity to missing data", "SAMPL", "Reproduce", lambda study, model: ""),
    ("Software, versions, code, data", "SAMPL 14; MD", "Reproduce", _software),
)
