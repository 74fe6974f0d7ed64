"""Which hypothesis the test of a coefficient tests, in words.

Term names are formulaic's: "Days", "arm[T.b]" (treatment coding against a reference level), "arm[b]" (a
column of its own for each level), "time:arm[T.b]".
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lmmcore.errors import LmmError
from lmmcore.formula.calls import variables

_FACTOR = re.compile(r"(.+?)\[(T\.)?(.+)\]")


Levels = Mapping[str, Sequence[str]]
"""Levels of each category column."""


@dataclass(frozen=True)
class Part:
    """One factor of a term: a variable, with a level if it is a category."""

    name: str
    level: str = ""
    treatment: bool = False

    def __str__(self) -> str:
        return f"{self.name} {self.level}".strip()


def parts(term: str) -> tuple[Part, ...]:
    """ "time:arm[T.b]" -> (Part("time"), Part("arm", "b", True)); a colon inside brackets belongs to a
    level."""
    pieces = re.split(r":(?![^\[]*\])", term)
    matches = [(piece, _FACTOR.fullmatch(piece)) for piece in pieces]
    return tuple(Part(m[1], m[3], bool(m[2])) if m else Part(piece) for piece, m in matches)


def reference_level(name: str, terms: Sequence[str], levels: Sequence[str]) -> str:
    """The level of a treatment-coded factor that has no coefficient, or "" if the names do not tell."""
    coded = {p.level for term in terms for p in parts(term) if p.name == name and p.treatment}
    left = [level for level in levels if level not in coded]
    return left[0] if coded and len(left) == 1 else ""


def hypothesis(term: str, terms: Sequence[str], response: str, levels: Levels) -> str:
    """What p of this coefficient is about, starting with "that"; `levels` of each category column.

    A number is a slope where the formula has no other function of its column: beside age, I(age ** 2) has a
    coefficient, and so has age.
    """
    if term == "Intercept":
        return f"that the mean of {response} is 0{_where((), terms, levels)}"
    own = parts(term)
    numbers = [p for p in own if not _category(p, levels)]
    factors = [p for p in own if _category(p, levels)]
    where = _where(own, terms, levels)
    if len(own) == 1 and numbers:
        if _alone(numbers[0], terms, levels):
            return f"that the mean of {response} does not change with {term}{where}"
        return f"that the coefficient of {term} is 0, the other terms unchanged{where}"
    if len(own) == 1 and factors[0].treatment:
        reference = _against(factors[0], terms, levels)
        return f"that the mean of {response} in {factors[0]} equals that in {reference}{where}"
    if len(own) == 1:
        return f"that the mean of {response} in {factors[0]} is 0{where}"
    if len(own) == 2 and len(numbers) == 1:
        kind = "slope" if _alone(numbers[0], terms, levels) else "coefficient"
        what, factor = f"the {kind} of {_written(numbers[0])}", factors[0]
        if factor.treatment:
            reference = _against(factor, terms, levels)
            return f"that {what} in {factor} equals that in {reference}{where}"
        return f"that {what} in {factor} is 0{where}"
    if len(own) == 2 and len(numbers) == 2 and all(_alone(p, terms, levels) for p in numbers):
        return f"that the slope of {numbers[0].name} does not change with {numbers[1].name}{where}"
    named = " and ".join(str(p) if _category(p, levels) else _written(p) for p in own)
    return f"that the interaction of {named} is 0, the other terms unchanged{where}"


def _category(part: Part, levels: Levels) -> bool:
    """Whether a part is a level of a category; else it is a number, or a column of a basis such as poly()."""
    return part.treatment or bool(part.level) and not _basis(part, levels)


def _basis(part: Part, levels: Levels) -> bool:
    """Whether a part is a column of a basis: poly(x, 2)[1]."""
    called = re.match(r"(\w+)\(", part.name)
    column = part.treatment or part.name in levels or called is None
    return bool(part.level) and not column and called is not None and called[1] != "C"


def _written(part: Part) -> str:
    """A number as the table has it."""
    return f"{part.name}[{part.level}]" if part.level else part.name


def _alone(part: Part, terms: Sequence[str], levels: Levels) -> bool:
    """Whether no other number of the terms is a function of a column of this one."""
    if part.level:
        return False
    others = {q for term in terms for q in parts(term) if q != part and not _category(q, levels)}
    return not any(_columns(part.name) & _columns(q.name) for q in others)


def _columns(name: str) -> set[str]:
    """Columns in the text of a number; the whole text, where it is the name of a column."""
    try:
        return set(variables(name)) or {name}
    except LmmError:
        return {name}


def _against(part: Part, terms: Sequence[str], levels: Levels) -> str:
    reference = reference_level(part.name, terms, levels.get(part.name, ()))
    return f"{part.name} {reference}" if reference else f"the reference level of {part.name}"


def _where(own: Sequence[Part], terms: Sequence[str], levels: Levels) -> str:
    """Where the coefficient holds: at 0, or at the reference level, of the variables it shares a longer
    term with.

    Without parts of its own (the intercept) these are all variables of the model.
    """
    names = {p.name for p in own}
    places: dict[str, str] = {}
    for other in terms:
        theirs = parts(other)
        if other == "Intercept" or not names < {p.name for p in theirs}:
            continue
        for p in theirs:
            if p.name not in names and _basis(p, levels):
                places[p.name] = f"where every column of {p.name} is 0"
            elif p.name not in names and not p.level:
                places[p.name] = f"at {p.name} = 0"
            elif p.name not in names and p.treatment:
                places[p.name] = f"in {_against(p, terms, levels)}"
    return f" {', '.join(places.values())}" if places else ""


def focal_terms(terms: Sequence[str], time: str, group: str) -> tuple[str, ...]:
    """The coefficients the study is about: the interaction of time and group, else time, else group, else
    all but the intercept, else the intercept."""
    found = {term: _variables(term) for term in terms if term != "Intercept"}
    for wanted in ([{time, group}] if group else []) + [{time}] + ([{group}] if group else []):
        chosen = tuple(term for term, names in found.items() if wanted <= names)
        if chosen:
            return chosen
    return tuple(found) or tuple(terms)


def _variables(term: str) -> set[str]:
    """Names in a term without levels: "bs(time, df=3)[1]:arm[T.b]" -> {"bs", "time", "df", "arm"}."""
    names: set[str] = set()
    for part in parts(term):
        names |= {part.name} | set(re.findall(r"[^\W\d]\w*", part.name))
    return names
