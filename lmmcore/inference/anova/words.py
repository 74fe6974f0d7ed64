"""The hypotheses of an analysis of variance in words."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from math import prod

from lmmcore.formula.calls import variables
from lmmcore.formula.terms import Term
from lmmcore.inference.anova.hypotheses import AnovaType, Hypotheses
from lmmcore.inference.words import column, listed, shown, term_name

# Combinations of levels without rows that a sentence names.
NAMED = 3


def hypothesis(hypotheses: Hypotheses, term: Term, type: AnovaType, rank: int) -> str:
    """The hypothesis of one row, as sentences. rank : number of independent contrasts tested."""
    if not rank:
        return f"Nothing can be tested: the other terms determine {term_name(term)}."
    adjusting = hypotheses.adjusting(term, type)
    larger = [other for other in adjusting if hypotheses.contains(other, term)]
    fresh = _fresh(hypotheses, term, [other for other in adjusting if other not in larger])
    text = (
        _model(hypotheses, term, adjusting)
        + _averaged(hypotheses, term, larger)
        + _equality(hypotheses, term, fresh, adjusting)
        + _held(hypotheses, term, fresh, adjusting)
    )
    return text[0].upper() + text[1:] + "." + _lacking(hypotheses, term, fresh, rank)


def _model(hypotheses: Hypotheses, term: Term, adjusting: Sequence[Term]) -> str:
    """The model that the hypothesis belongs to, unless it is the whole one: by what it has, or has not."""
    used = [term_name(other) for other in hypotheses.live if other and (other in adjusting or other == term)]
    ignored = [term_name(other) for other in hypotheses.live if other != term and other not in adjusting]
    if not ignored:
        return ""
    if len(used) < len(ignored):
        return f"in the model with {listed(used)} only, "
    return f"in the model without {listed(ignored)}, "


def _averaged(hypotheses: Hypotheses, term: Term, larger: Sequence[Term]) -> str:
    """Over which categories of the terms that contain this one."""
    if not larger:
        return ""
    over = dict.fromkeys(column(c) for other in larger for c in hypotheses.categories(other) if c not in term)
    if any(hypotheses.parameters[other].empty for other in larger):
        return f"averaged over the levels of {listed([*over])} as far as their combinations have rows, "
    return f"averaged with equal weights over the levels of {listed([*over])}, "


def _fresh(hypotheses: Hypotheses, term: Term, others: Sequence[Term]) -> list[frozenset[str]]:
    """Parts of a term that the others do not span, each the categories that it contrasts."""
    numbers = set(hypotheses.numbers(term))
    same = [hypotheses.categories(other) for other in others if set(hypotheses.numbers(other)) == numbers]
    known = {part for categories in same for part in _subsets(categories)}
    return [part for part in _subsets(hypotheses.categories(term)) if part not in known]


def _subsets(categories: Term) -> list[frozenset[str]]:
    sizes = range(len(categories) + 1)
    return [frozenset(part) for size in sizes for part in combinations(categories, size)]


def _compared(term: Term, fresh: Sequence[frozenset[str]]) -> list[str]:
    """Categories whose levels the hypothesis compares, in every part of it."""
    return [factor for factor in term if all(factor in part for part in fresh)]


def _equality(
    hypotheses: Hypotheses, term: Term, fresh: Sequence[frozenset[str]], adjusting: Sequence[Term]
) -> str:
    """Which quantity is 0, or the same, and where."""
    what = _quantity(hypotheses, term, adjusting)
    categories = hypotheses.categories(term)
    compared = _compared(term, fresh)
    within = [factor for factor in categories if factor not in compared]
    names = [column(factor) for factor in compared]
    if len(fresh) == 2 ** len(within):
        where = f" in every {_combination(within)}" if within else ""
        if not compared:
            return f"{what} is 0{where}"
        if len(compared) == 1:
            return f"{what} is the same in every {names[0]}{where.replace('in', 'within', 1)}"
        if len(compared) == 2:
            differences = f"the differences of {what} between the levels of {names[0]}"
            return f"{differences} are the same in every {names[1]}{where.replace('in', 'within', 1)}"
        return f"there is no interaction of {listed(names)} in {what}{where}"
    if len(fresh) == 2 ** len(categories) - 1 and not compared:
        return f"{what} is the same in every {_combination(categories)}"
    return f"{term_name(term)} adds nothing to {listed([term_name(other) for other in adjusting])}"


def _combination(categories: Sequence[str]) -> str:
    names = listed([column(factor) for factor in categories])
    return names if len(categories) == 1 else f"combination of {names}"


def _quantity(hypotheses: Hypotheses, term: Term, adjusting: Sequence[Term]) -> str:
    """What the parameters of a term describe: the mean, a slope, ..."""
    numbers = hypotheses.numbers(term)
    if not numbers:
        return f"the mean of {hypotheses.model.spec.formula.response}"
    names = [shown(factor) for factor in numbers]
    if len(numbers) > 1:
        return f"the interaction of {listed(names)}"
    if numbers[0] in hypotheses.model.fixed.labels:
        return f"the effect of {names[0]}"
    used = set(variables(numbers[0]))
    others = {factor for other in adjusting for factor in hypotheses.numbers(other)} - set(numbers)
    # Beside another function of the same column, a coefficient is no slope.
    alone = not any(used & set(variables(factor)) for factor in others)
    return f"the {'slope' if alone else 'coefficient'} of {names[0]}"


def _held(
    hypotheses: Hypotheses, term: Term, fresh: Sequence[frozenset[str]], adjusting: Sequence[Term]
) -> str:
    """The numeric factors at whose 0 the hypothesis is about, as what it compares changes with them."""
    compared, numbers = set(_compared(term, fresh)), set(hypotheses.numbers(term))
    changing = [
        other
        for other in adjusting
        if numbers < set(hypotheses.numbers(other)) and compared <= set(hypotheses.categories(other))
    ]
    factors = dict.fromkeys(factor for other in changing for factor in hypotheses.numbers(other))
    bases = hypotheses.model.fixed.labels
    places = [
        f"where every column of {shown(x)} is 0" if x in bases else f"at {shown(x)} = 0"
        for x in factors
        if x not in numbers
    ]
    return f" {listed(places)}" if places else ""


def _lacking(hypotheses: Hypotheses, term: Term, fresh: Sequence[frozenset[str]], rank: int) -> str:
    """What of a hypothesis cannot be tested, and why; "" if all can."""
    design = hypotheses.model.fixed
    columns = prod(len(design.labels.get(factor, " ")) for factor in hypotheses.numbers(term))
    whole = columns * sum(prod(len(design.levels[factor]) - 1 for factor in part) for part in fresh)
    if rank == whole:
        return ""
    categories = hypotheses.categories(term)
    cells = [
        ", ".join(f"{column(c)} {level}" for c, level in zip(categories, cell, strict=True))
        for cell in hypotheses.parameters[term].empty
    ]
    why = "the other terms determine the rest"
    if cells:
        more = f" and {len(cells) - NAMED} other combinations" if len(cells) > NAMED else ""
        why = f"there are no rows with {'; '.join(cells[:NAMED])}{more}"
    return f" Only {rank} of its {whole} contrasts can be tested: {why}."
