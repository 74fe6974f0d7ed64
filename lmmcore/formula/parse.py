"""lme4 notation: text -> fixed and random terms.

A recursive descent over ~ + - * / : ^ ( ) |, with R's precedence: ^ over : over * and / over + and -.
Terms come out as in R and formulaic: intercept first, then by degree, then by appearance.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from lmmcore.errors import FormulaError
from lmmcore.formula.calls import canonical, check_function, short
from lmmcore.formula.terms import (
    COVARIANCES,
    Formula,
    RandomTerm,
    Sum,
    Term,
    add,
    distinct,
    remove,
    unique,
)
from lmmcore.formula.tokens import Token, quote, tokenize, unquote, where
from lmmcore.formula.transforms import BASES

__all__ = ["Formula", "RandomTerm", "Term", "parse"]

# (a + b + ...)^n and a * b * ... grow exponentially; these bounds stop them long before memory does.
MAX_TERMS = 1000
MAX_DEGREE = 8


def parse(text: str) -> Formula:
    """Read a formula in lme4 notation, e.g. "y ~ time * arm + (time | id)".

    Raises FormulaError, with the place in words.
    """
    if not isinstance(text, str):
        raise FormulaError(f"The formula must be text such as 'y ~ x + (1 | id)', not {type(text).__name__}.")
    return _parse(text)


@lru_cache(maxsize=512)
def _parse(text: str) -> Formula:
    return _Parser(text).formula()


class _Parser:
    """One pass over the tokens of one text."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = tokenize(text)
        self.place = 0

    @property
    def token(self) -> Token:
        return self.tokens[self.place]

    def at(self, *operators: str) -> bool:
        token = self.tokens[self.place]
        return token.kind == "operator" and token.value in operators

    def at_next(self, operator: str) -> bool:
        """Whether the token after the present one is this operator."""
        token = self.tokens[min(self.place + 1, len(self.tokens) - 1)]
        return token.kind == "operator" and token.value == operator

    def number_next(self) -> bool:
        """Whether the token after the present one is a number."""
        return self.tokens[min(self.place + 1, len(self.tokens) - 1)].kind == "number"

    def accept(self, *operators: str) -> Token | None:
        if not self.at(*operators):
            return None
        self.place += 1
        return self.tokens[self.place - 1]

    def error(self, message: str) -> FormulaError:
        """The message, followed by the place before the present token."""
        return FormulaError(f"{message} {where(self.text, self.token.start)}.")

    def formula(self) -> Formula:
        tildes = sum(token.kind == "operator" and token.value == "~" for token in self.tokens)
        if tildes != 1:
            raise FormulaError(
                f"The formula {short(self.text)} has {tildes or 'no'} '~', but needs one between the "
                "response and the terms, e.g. y ~ x + (1 | id)."
            )
        if self.at("~"):
            raise FormulaError("The formula has no response before '~'; write e.g. y ~ x + (1 | id).")
        response = self.response()
        self.place += 1
        if self.token.kind == "end":
            raise self.error("The right side of the formula is empty; write 1 for the intercept alone,")
        terms = self.sum()
        if self.token.kind != "end":
            raise self.unexpected()
        if len(terms.offsets) > 1:
            raise FormulaError(
                f"The formula {short(self.text)} has {len(terms.offsets)} offsets, but can have one: add "
                "them up in a column of the data before."
            )
        offset = next(iter(terms.offsets), None)
        return Formula(response, terms.ordered(), tuple(terms.random), self.text, offset)

    def response(self) -> str:
        if self.token.kind not in ("name", "quoted"):
            raise self.error("The response must be a column or a function of columns, e.g. log(y),")
        name, place = self.token.value, self.token.start
        response = self.factor()
        if unquote(response) is None and name in (*BASES, "C"):
            raise FormulaError(
                f"The response must be one number a row, but {name} {where(self.text, place)} is not."
            )
        if not self.at("~"):
            raise self.error(
                "The response must be one column or function; put arithmetic into I(), e.g. I(y / 100) ~ x;"
            )
        return response

    def sum(self) -> Sum:
        """product (+ product | - product)*, with an optional sign first."""
        total = Sum()
        sign = self.accept("+", "-")
        while True:
            if sign is not None and sign.value == "+" and self.at("-") and self.number_next():
                sign = self.accept("-")  # "+ -1", as R reads it
            if self.at("+", "-"):
                raise self.error(f"A term is missing before {self.token.value!r}")
            at = self.place
            operand = self.product()
            if sign is not None and sign.value == "-":
                if operand.random:
                    self.place = at
                    raise self.error("A random term can be added, but not removed,")
                if operand.offsets:
                    self.place = at
                    raise self.error("An offset can be added, but not removed,")
                remove(total, operand)
            else:
                add(total, operand)
            sign = self.accept("+", "-")
            if sign is None:
                return total

    def product(self) -> Sum:
        """interaction (* interaction | / interaction)*."""
        left = self.interaction()
        while operator := self.accept("*", "/"):
            right = self.interaction()
            self.plain(left, right, operator)
            if operator.value == "*":
                crossed = self.cross(left.all(), right.all())
                left = self.collect([*left.all(), *right.all(), *crossed], left, right)
            else:
                nested = self.cross([distinct(left.all())], right.all())
                left = self.collect([*left.all(), *nested], left, right)
        return left

    def interaction(self) -> Sum:
        """power (: power)*."""
        left = self.power()
        while operator := self.accept(":"):
            right = self.power()
            self.plain(left, right, operator)
            left = self.collect(self.cross(left.all(), right.all()), left, right)
        return left

    def power(self) -> Sum:
        """primary (^ integer)*: all interactions up to that degree."""
        base = self.primary()
        while operator := self.accept("^", "**"):
            self.plain(base, base, operator)
            exponent = self.token
            if exponent.kind != "number" or not exponent.value.isdecimal() or set(exponent.value) == {"0"}:
                raise self.error(
                    f"{operator.value!r} needs a whole number, e.g. (a + b)^2; a power of a column is I(x^2);"
                )
            self.place += 1
            terms = result = base.all()
            # Every term has at most MAX_DEGREE factors, so more rounds than that add nothing.
            for _ in range(min(int(exponent.value[:6]), MAX_DEGREE + 1) - 1):
                grown = unique([*result, *self.cross(result, terms)])
                if len(grown) == len(result):
                    break
                result = grown
            base = self.collect(result, base, base)
        return base

    def primary(self) -> Sum:
        token = self.token
        if token.kind == "name" and token.value in COVARIANCES and self.at_next("("):
            self.place += 2
            inside = self.parenthesis(self.tokens[self.place - 1], COVARIANCES[token.value])
            if not inside.random:
                raise self.error(f"{token.value}() takes a random term, e.g. {token.value}(1 + t | id);")
            return inside
        if token.kind == "name" and token.value == "offset" and self.at_next("("):
            return self.offset()
        if token.kind in ("name", "quoted"):
            factor = self.factor()
            return Sum({frozenset([factor]): (factor,)})
        if token.kind == "number":
            if token.value not in ("0", "1"):
                raise self.error(
                    f"The number {token.value} is not a term (only 0 and 1 are); compute inside I(), "
                    "e.g. I(2 * x);"
                )
            self.place += 1
            return Sum(intercept=token.value == "1")
        if self.accept("("):
            return self.parenthesis(token)
        raise self.unexpected()

    def offset(self) -> Sum:
        """offset(column): what is added to the mean with coefficient 1."""
        self.place += 2
        column = self.token
        if column.kind not in ("name", "quoted") or not self.at_next(")"):
            raise self.error(
                "offset() takes one column: compute the expression as a column of the data before and write "
                "e.g. offset(exposure);"
            )
        self.place += 2
        return Sum(offsets=[column.value])

    def parenthesis(self, opening: Token, covariance: str = "unstructured") -> Sum:
        if self.at("|", "||"):
            raise self.error("A random term needs effects before '|', e.g. (1 | id);")
        inside = self.sum()
        bar = self.accept("|", "||")
        if bar is not None:
            if inside.random:
                raise self.error("A random term cannot stand inside another;")
            if inside.offsets:
                raise self.error("An offset is no random effect: write + offset(x) outside the random term,")
            effects = " ".join(self.text[opening.stop : bar.start].split())
            groups = self.groups()
        if not self.accept(")"):
            if self.token.kind == "end":
                raise FormulaError(
                    f"The parenthesis opened at character {opening.start + 1} of {short(self.text)} is not "
                    "closed."
                )
            raise self.unexpected()
        if bar is None:
            return inside
        if bar.value == "||":
            if covariance != "unstructured":
                raise self.error("'||' already says that the effects are uncorrelated; write '|' here,")
            covariance = "diagonal"
        made = [
            RandomTerm(
                inside.ordered(),
                group,
                covariance,
                f"({effects} {bar.value} {':'.join(map(quote, group))})",
            )
            for group in groups
        ]
        if not made[0].terms:
            raise self.error(
                "A random term needs an effect, but this one has none: put 1 or a column before '|'"
            )
        return Sum(random=made)

    def groups(self) -> list[tuple[str, ...]]:
        """Grouping factors after the bar: a, a:b (interaction), a/b (a, then a:b)."""
        result = [self.group()]
        while self.accept("/"):
            nested = dict.fromkeys([*result[-1], *self.group()])
            result.append(tuple(nested))
        if self.at("+", "*", "-", "^", "**", "|", "||"):
            raise self.error(
                "A grouping factor is a column, a:b or a/b; write one random term for each grouping factor, "
                "e.g. (1 | a) + (1 | b);"
            )
        return result

    def group(self) -> tuple[str, ...]:
        columns: dict[str, None] = {}
        while True:
            if self.token.kind not in ("name", "quoted"):
                raise self.error("A random term needs a grouping column after '|', e.g. (1 | id);")
            columns[self.token.value] = None
            self.place += 1
            if self.at("("):
                raise self.error("A grouping factor must be a column, not a function;")
            if not self.accept(":"):
                return tuple(columns)

    def factor(self) -> str:
        """A column, or a function call in canonical spacing."""
        token = self.token
        self.place += 1
        if token.kind == "quoted":
            return quote(token.value)
        if not self.at("("):
            return token.value
        check_function(token.value, where(self.text, token.start))
        depth = 0
        for place in range(self.place, len(self.tokens)):
            value, kind = self.tokens[place].value, self.tokens[place].kind
            depth += (kind == "operator") * ((value == "(") - (value == ")"))
            if depth == 0:
                self.place = place + 1
                return canonical(self.text[token.start : self.tokens[place].stop])
        raise FormulaError(f"The parenthesis of {token.value}( {where(self.text, token.stop)} is not closed.")

    def plain(self, left: Sum, right: Sum, operator: Token) -> None:
        """Only fixed terms can be multiplied."""
        if left.offsets or right.offsets:
            raise self.error(f"An offset can only be added, not combined with {operator.value!r},")
        if left.random or right.random:
            raise self.error(f"A random term can only be added, not combined with {operator.value!r},")
        for operand in (left, right):
            if not operand.all():
                raise self.error(f"{operator.value!r} needs a term on both sides, but 0 is none,")

    def cross(self, left: Iterable[Term], right: list[Term]) -> list[Term]:
        """Interactions of every left term with every right one."""
        result: dict[frozenset[str], Term] = {}
        for a in left:
            for b in right:
                term = distinct([a, b])
                if len(term) > MAX_DEGREE:
                    raise self.error(f"An interaction of more than {MAX_DEGREE} factors cannot be estimated,")
                result.setdefault(frozenset(term), term)
            if len(result) > MAX_TERMS:
                raise self.error(f"The formula expands to more than {MAX_TERMS} terms")
        return list(result.values())

    def collect(self, terms: list[Term], left: Sum, right: Sum) -> Sum:
        """Terms as a sum; an intercept removed in an operand stays removed."""
        kept = {frozenset(term): term for term in unique(terms) if term}
        if len(kept) > MAX_TERMS:
            raise self.error(f"The formula expands to more than {MAX_TERMS} terms")
        if left.intercept is False or right.intercept is False:
            return Sum(kept, False)
        return Sum(kept, True if () in terms else None)

    def unexpected(self) -> FormulaError:
        if self.token.kind == "end":
            return self.error("The formula ends where a term is expected,")
        if self.at(")"):
            before = self.tokens[self.place - 1]
            if before.kind == "operator" and before.value != ")":
                return self.error("A term is missing before ')'")
            return self.error("There is a ')' that no '(' opens")
        if self.at("|", "||"):
            return self.error("A random term needs parentheses, e.g. y ~ x + (1 | id); found a bare '|'")
        return self.error(f"{self.token.value!r} is not expected")
