"""What a formula says: terms, random terms, and the algebra of sums of terms."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property

from lmmcore.formula.calls import variables

# Factors (columns or function calls) whose product is a term; () is the intercept.
Term = tuple[str, ...]

# Covariance structures of a random term, as written before it: cs(1 + t | id).
COVARIANCES = {
    "us": "unstructured",
    "diag": "diagonal",
    "cs": "compound_symmetry",
    "identity": "identity",
}


@dataclass(frozen=True)
class RandomTerm:
    """(terms | group): effects that vary by group.

    group : columns; several mean their interaction. covariance : of the effects, one of COVARIANCES' values.
    """

    terms: tuple[Term, ...]
    group: tuple[str, ...]
    covariance: str
    text: str


@dataclass(frozen=True)
class Formula:
    """A formula as terms. response : a column or a function call, e.g. "log(y)"; offset : the column of
    offset(x), None without."""

    response: str
    fixed: tuple[Term, ...]
    random: tuple[RandomTerm, ...]
    text: str
    offset: str | None = None

    @cached_property
    def variables(self) -> tuple[str, ...]:
        """Columns used outside grouping factors, in order of appearance."""
        terms = [*self.fixed, *(term for random in self.random for term in random.terms)]
        factors = [self.response, *(factor for term in terms for factor in term)]
        return tuple(dict.fromkeys(name for factor in factors for name in variables(factor)))

    @cached_property
    def groups(self) -> tuple[str, ...]:
        """Columns used as grouping factors, in order of appearance."""
        return tuple(dict.fromkeys(name for random in self.random for name in random.group))


@dataclass
class Sum:
    """Terms added so far. intercept : added (1) True, removed (0 or - 1) False, not mentioned None;
    offsets : columns of offset(x)."""

    terms: dict[frozenset[str], Term] = field(default_factory=dict)
    intercept: bool | None = None
    random: list[RandomTerm] = field(default_factory=list)
    offsets: list[str] = field(default_factory=list)

    def all(self) -> list[Term]:
        """Terms, with the intercept if it was asked for."""
        return [(), *self.terms.values()] if self.intercept else list(self.terms.values())

    def ordered(self) -> tuple[Term, ...]:
        """Terms by degree; with the intercept unless it was removed."""
        intercept: list[Term] = [] if self.intercept is False else [()]
        return (*intercept, *sorted(self.terms.values(), key=len))


def add(total: Sum, operand: Sum) -> None:
    for key, term in operand.terms.items():
        total.terms.setdefault(key, term)
    if operand.intercept is not None:
        total.intercept = operand.intercept
    total.random.extend(operand.random)
    total.offsets.extend(operand.offsets)


def remove(total: Sum, operand: Sum) -> None:
    for key in operand.terms:
        total.terms.pop(key, None)
    if operand.intercept is not None:
        total.intercept = not operand.intercept


def distinct(terms: Iterable[Term]) -> Term:
    """The product of terms: each factor once."""
    return tuple(dict.fromkeys(factor for term in terms for factor in term))


def unique(terms: Iterable[Term]) -> list[Term]:
    result: dict[frozenset[str], Term] = {}
    for term in terms:
        result.setdefault(frozenset(term), term)
    return list(result.values())
