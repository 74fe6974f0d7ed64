"""Parts of formulas in words."""

from __future__ import annotations

from collections.abc import Sequence

from lmmcore.formula.calls import variables
from lmmcore.formula.terms import Term
from lmmcore.formula.tokens import unquote


def shown(factor: str) -> str:
    """A factor as names of terms write it."""
    return unquote(factor) or factor


def term_name(term: Term) -> str:
    """ "time:arm"; "Intercept" for the constant."""
    return ":".join(map(shown, term)) or "Intercept"


def column(category: str) -> str:
    """The column that a category is made of: "arm" for "C(arm)"."""
    return variables(category)[0]


def listed(words: Sequence[str]) -> str:
    """ "a", "a and b", "a, b and c"."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
