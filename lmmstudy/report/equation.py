"""The fitted model as MathML: mean, random part with its covariance matrix, residual distribution.

MathML needs no script and is read aloud by screen readers. Column names and levels are escaped.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from markupsafe import Markup, escape

from lmmstudy.report.hypotheses import parts
from lmmstudy.report.numbers import decimals_for, fixed, fmt
from lmmstudy.report.wording import random_terms

Json = Mapping[str, Any]
PER_LINE = 3
"""Terms of the mean on one line of the equation."""
LETTERS = "buvw"
THIN = '<mspace width="0.2em"></mspace>'


def equation(model: Json, response: str) -> Markup:
    """The selected model with its REML estimates in place of the parameters."""
    groups = random_terms(model)
    serial = model["residual_structure"]
    level = {group: k for k, group in enumerate(groups)}
    mean = [(_sign(row["estimate"]), _fixed_term(row)) for row in model["fixed"]]
    effects = [
        ("+", _random_term(term, _effect(level[group], k)))
        for group, terms in groups.items()
        for k, term in enumerate(terms)
    ]
    lines = _lines(mean) + _lines([*effects, ("+", _sub("ε", "ij"))], first=False)
    rows = [_row(_sub(_name(response), "ij"), _op("="), lines[0])] + [
        _row("", "", extra) for extra in lines[1:]
    ]
    for group, terms in groups.items():
        rows.append(_row(*_random_distribution(model, group, terms, level[group])))
    rows += [_row(*r) for r in _residual(model, serial)]
    head = '<math xmlns="http://www.w3.org/1998/Math/MathML">'
    return Markup(f'{head}<mtable class="equation">{"".join(rows)}</mtable></math>')


def index_words(model: Json, subject: str, time: str) -> str:
    """What i and j stand for."""
    groups = list(random_terms(model))
    i = groups[0] if groups else (model["residual_structure"] or {}).get("subject", subject)
    return f"i = {i}, j = row within {i}" + (f" (in order of {time})" if time else "") + "."


def _name(text: str) -> str:
    return f'<mpadded depth="0"><mtext>{escape(text)}</mtext></mpadded>'


def _num(text: str) -> str:
    return f"<mn>{escape(text)}</mn>"


def _op(text: str) -> str:
    return f"<mo>{escape(text)}</mo>"


def _sub(base: str, index: str) -> str:
    body = base if base.startswith("<") else f"<mi>{base}</mi>"
    return f"<msub>{body}<mi>{escape(index)}</mi></msub>"


def _group(items: Iterable[str]) -> str:
    return f"<mrow>{''.join(items)}</mrow>"


def _row(left: str, relation: str, right: str) -> str:
    return f"<mtr><mtd>{left}</mtd><mtd>{relation}</mtd><mtd>{right}</mtd></mtr>"


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
        lines.append(_group(pieces))
    return lines


def _variable(term: str) -> str:
    """A term as a product: numbers by name, levels as [arm = b]; j is the index where it can vary within
    i."""
    pieces = [_name(f"[{p.name} = {p.level}]") if p.level else _sub(_name(p.name), "ij") for p in parts(term)]
    return _group([_op("·").join(pieces)])


def _fixed_term(row: Json) -> str:
    value = _num(fixed(abs(row["estimate"]), decimals_for(row["std_error"])))
    return value if row["term"] == "Intercept" else _group([value, THIN, _variable(row["term"])])


def _effect(depth: int, position: int) -> str:
    return _sub(LETTERS[depth % len(LETTERS)], f"{position}i")


def _random_term(term: str, effect: str) -> str:
    return effect if term == "Intercept" else _group([effect, THIN, _variable(term)])


def _random_distribution(model: Json, group: str, terms: Sequence[str], depth: int) -> tuple[str, str, str]:
    """(b_0i, b_1i)' ~ N(0, covariance matrix); entries that the model fixes at 0 are printed as 0."""
    entries = {
        (r["term1"], r["term2"] or r["term1"]): r["covariance"]
        for r in model["random"]
        if r["group"] == group
    }
    effects = [_effect(depth, k) for k in range(len(terms))]
    if len(terms) == 1:
        variance = _num(fmt(entries[terms[0], terms[0]]))
        return effects[0], _op("∼"), _normal(_num("0"), variance)
    cells = [[entries.get((a, b), entries.get((b, a), 0)) for b in terms] for a in terms]
    matrix = "".join(f"<mtr>{''.join(f'<mtd>{_value(v)}</mtd>' for v in row)}</mtr>" for row in cells)
    column = "".join(f"<mtr><mtd>{e}</mtd></mtr>" for e in effects)
    zeros = "".join(f"<mtr><mtd>{_num('0')}</mtd></mtr>" for _ in effects)
    return _bracket(column), _op("∼"), _normal(_bracket(zeros), _bracket(matrix))


def _value(value: float) -> str:
    return _num(fmt(float(value)))


def _bracket(rows: str) -> str:
    """A matrix; its brackets are borders of the style sheet, for many machines have no font that stretches
    them."""
    return f'<mrow><mtable class="matrix">{rows}</mtable></mrow>'


def _normal(mean: str, variance: str) -> str:
    return _group(["<mi>N</mi>", _op("("), mean, _op(","), THIN, variance, _op(")")])


def _residual(model: Json, serial: Json | None) -> list[tuple[str, str, str]]:
    sigma2 = next(r["covariance"] for r in model["random"] if r["group"] == "Residual")
    if not serial:
        return [(_sub("ε", "ij"), _op("∼"), _normal(_num("0"), _num(fmt(sigma2))))]
    rho = model["residual_parameters"]["rho"]
    power = _group([_op("|"), _sub("t", "j"), _op("−"), _sub("t", "k"), _op("|")])
    base = _num(fixed(rho, 3)) if rho >= 0 else _group([_op("("), _num(fixed(rho, 3)), _op(")")])
    vector = _group([_num(fmt(sigma2)), THIN, _sub("R", "i")])
    return [
        (_sub("ε", "i"), _op("∼"), _normal(_num("0"), vector)),
        (_sub("R", "jk"), _op("="), f"<msup>{base}{power}</msup>"),
    ]
