"""The fitted model as MathML: mean, random part with its covariance matrix, residual distribution.

MathML needs no script and is read aloud by screen readers. Column names and levels are escaped.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from lmmstudy.config.formulas import subject_columns
from lmmstudy.report.equation import mathml as m
from lmmstudy.report.equation.residual import Index, residual_rows
from lmmstudy.report.words.hypotheses import parts
from lmmstudy.report.words.numbers import decimals_for, fixed, fmt
from lmmstudy.report.words.sentences import random_terms

Json = Mapping[str, Any]
PER_LINE = 3
"""Terms of the mean on one line of the equation."""
EFFECTS = "buvw"
"""Random effects of the grouping factors, outermost first."""
INDICES = "ijklmn"
"""Units, outermost first, then rows."""


def equation(model: Json, response: str) -> Markup:
    """The selected model with its REML estimates in place of the parameters."""
    groups = random_terms(model)
    depth = max(len(units(model)), 1)
    index = Index(INDICES[:depth], INDICES[depth], INDICES[depth + 1])
    mean = [(_sign(row["estimate"]), _fixed_term(row, index)) for row in model["fixed"]]
    effects = [
        ("+", _random_term(term, _effect(level, k), index))
        for level, terms in enumerate(groups.values())
        for k, term in enumerate(terms)
    ]
    lines = _lines(mean) + _lines([*effects, ("+", m.sub("ε", index.all))], first=False)
    rows = [m.row(m.sub(m.name(response), index.all), m.op("="), lines[0])]
    rows += [m.row("", "", extra) for extra in lines[1:]]
    for level, (group, terms) in enumerate(groups.items()):
        rows.append(m.row(*_random_distribution(model, group, terms, level)))
    rows += [m.row(*r) for r in residual_rows(model, index)]
    head = '<math xmlns="http://www.w3.org/1998/Math/MathML">'
    return Markup(f'{head}<mtable class="equation">{"".join(rows)}</mtable></math>')


def units(model: Json) -> list[str]:
    """Grouping factors, outermost first; the subject of the residuals is the last one, if it is not there."""
    groups = list(random_terms(model))
    subject = subject_columns(model["residual_structure"])
    known = [{*group.split(":")} for group in groups] + [{group.split(":")[-1]} for group in groups]
    if subject and set(subject) not in known:
        groups.append(":".join(subject))
    return groups


def index_words(model: Json, subject: str, time: str) -> str:
    """What i, j, ... stand for."""
    named = units(model) or [subject]
    words = [f"{INDICES[0]} = {named[0]}"]
    words += [f"{INDICES[k]} = {named[k]} within {INDICES[k - 1]}" for k in range(1, len(named))]
    last = named[-1] if len(named) == 1 else INDICES[len(named) - 1]
    time = (model["residual_structure"] or {}).get("time") or time
    words.append(f"{INDICES[len(named)]} = row within {last}" + (f" (in order of {time})" if time else ""))
    return ", ".join(words) + "."


def _sign(value: float) -> str:
    return "−" if value < 0 else "+"


def _lines(terms: Sequence[tuple[str, str]], first: bool = True) -> list[str]:
    """Terms with their signs, PER_LINE on a line; the very first term shows its sign only if it is
    negative."""
    lines = []
    for start in range(0, len(terms), PER_LINE):
        pieces = []
        for k, (sign, body) in enumerate(terms[start : start + PER_LINE], start):
            if k or not first or sign == "−":
                pieces.append(f'<mo form="infix">{sign}</mo>')
            pieces.append(body)
        lines.append(m.group(pieces))
    return lines


def _variable(term: str, index: Index) -> str:
    """A term as a product: numbers by name, levels as [arm = b]; indexed by rows, where it can vary."""
    pieces = [
        m.name(f"[{p.name} = {p.level}]") if p.level else m.sub(m.name(p.name), index.all)
        for p in parts(term)
    ]
    return m.group([m.op("·").join(pieces)])


def _fixed_term(row: Json, index: Index) -> str:
    value = m.num(fixed(abs(row["estimate"]), decimals_for(row["std_error"])))
    return value if row["term"] == "Intercept" else m.group([value, m.THIN, _variable(row["term"], index)])


def _effect(level: int, position: int) -> str:
    return m.sub(EFFECTS[level % len(EFFECTS)], f"{position}{INDICES[: level + 1]}")


def _random_term(term: str, effect: str, index: Index) -> str:
    return effect if term == "Intercept" else m.group([effect, m.THIN, _variable(term, index)])


def _random_distribution(model: Json, group: str, terms: Sequence[str], level: int) -> m.Row:
    """(b_0i, b_1i)' ~ N(0, covariance matrix); entries that the model fixes at 0 are printed as 0."""
    entries = {
        (r["term1"], r["term2"] or r["term1"]): r["covariance"]
        for r in model["random"]
        if r["group"] == group
    }
    effects = [_effect(level, k) for k in range(len(terms))]
    if len(terms) == 1:
        variance = m.num(fmt(entries[terms[0], terms[0]]))
        return effects[0], m.op("∼"), m.normal(m.num("0"), variance)
    cells = [[m.value(entries.get((a, b), entries.get((b, a), 0))) for b in terms] for a in terms]
    zeros = m.matrix([[m.num("0")] for _ in effects])
    return m.matrix([[e] for e in effects]), m.op("∼"), m.normal(zeros, m.matrix(cells))
