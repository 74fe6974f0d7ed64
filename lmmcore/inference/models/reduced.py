"""A model with one of its random effects left out: which effects can be, and the fit without them.

As in lmerTest's ranova (reduce.terms = TRUE), an effect can be left out of a term if no other effect of the
term contains it: (1 + x | g) loses x and becomes (1 | g), (0 + f | g) with a category f becomes (1 | g), and
(1 | g) is left out as a whole. Two differences: (0 + x | g) with a number x is left out as a whole, since
(1 | g) is not a special case of it; and of an uncorrelated term (x || g) each effect is left out in turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from lmmcore.estimate.fit import estimated
from lmmcore.estimate.solution import Solution
from lmmcore.formula.design import Design
from lmmcore.formula.terms import COVARIANCES, RandomTerm, Term
from lmmcore.model.specification import Model


@dataclass(frozen=True)
class Reduction:
    """label : as lmerTest names it; group : columns; effects : those left out of one random term;
    random : the random terms of the smaller model."""

    label: str
    group: tuple[str, ...]
    effects: frozenset[Term]
    random: tuple[RandomTerm, ...]


def with_intercepts(model: Model) -> tuple[RandomTerm, ...]:
    """The random terms, (0 + f | g) of a category f written as the same model (1 + f | g).

    Without f it is (1 | g), whose effect has the same name then.
    """
    designs = dict(model.random)

    def same(term: RandomTerm) -> RandomTerm:
        spans = any(
            effect and all(factor in designs[term].levels for factor in effect) for effect in term.terms
        )
        if term.covariance != "unstructured" or () in term.terms or not spans:
            return term
        return replace(term, terms=((), *term.terms))

    return tuple(same(term) for term in model.spec.formula.random)


def reductions(model: Model) -> list[Reduction]:
    """Every way to leave one effect (or one whole term) out, in the order of the formula."""
    terms, given = with_intercepts(model), model.spec.formula.random
    designs = dict(model.random)
    found = []
    for place, (term, as_given) in enumerate(zip(terms, given, strict=True)):
        before, after = terms[:place], terms[place + 1 :]
        droppable = _droppable(term, designs[as_given])
        for effect in droppable if len(term.terms) > 1 else ():
            rest = tuple(one for one in term.terms if one != effect)
            smaller = replace(term, terms=rest, text=f"({_text(rest)} | {':'.join(term.group)})")
            label = f"{_text([effect])} in {_label(term)}"
            found.append(Reduction(label, term.group, frozenset([effect]), (*before, smaller, *after)))
        if len(term.terms) == 1 or not droppable:
            found.append(Reduction(_label(term), term.group, frozenset(term.terms), (*before, *after)))
    return found


def refitted(model: Model, random: Sequence[RandomTerm]) -> Solution:
    """The fit of the same rows by the same method with these random terms instead.

    Raises FitError where no estimate exists.
    """
    kept = list(random)
    if model.spec.residual is not None:
        # A residual structure keeps the grouping factors it was fitted with, even without effects.
        missing = dict.fromkeys(term.group for term in model.spec.formula.random)
        for term in random:
            missing.pop(term.group, None)
        kept += [RandomTerm((), group, "diagonal", "") for group in missing]
    formula = replace(model.spec.formula, random=tuple(kept))
    return estimated(replace(model.spec, formula=formula), model.table)


def _droppable(term: RandomTerm, design: Design) -> list[Term]:
    """Effects that no other effect of the term contains; [] where only the whole term can go."""
    scope = [one for one in term.terms if one and not any(set(one) < set(other) for other in term.terms)]
    if term.covariance == "unstructured":
        return scope
    # Without one of its effects a category is coded anew, and the variances are those of other effects.
    uncorrelated = term.covariance == "diagonal" and not design.levels
    return [one for one in term.terms if one in scope or not one] if uncorrelated else []


def _label(term: RandomTerm) -> str:
    """The term as written, e.g. cs(0 + f | g)."""
    name = next(name for name, covariance in COVARIANCES.items() if covariance == term.covariance)
    return term.text if name == "us" or "||" in term.text else name + term.text


def _text(terms: Sequence[Term]) -> str:
    return " + ".join(":".join(term) or "1" for term in terms)
