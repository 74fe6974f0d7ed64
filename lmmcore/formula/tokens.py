"""Formula text -> tokens, and where in the text something stands."""

from __future__ import annotations

import re
from typing import NamedTuple

from lmmcore.errors import FormulaError

# Bounds against hostile text: nothing that people write comes near them.
MAX_LENGTH = 10_000
MAX_DEPTH = 30

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<name>[^\W\d][\w.]*)
    | `(?P<quoted>[^`\n]+)`
    | (?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)
    | (?P<operator>\*\*|\|\||[~+\-*/:^()|,=])
    | (?P<end>$)
    )""",
    re.VERBOSE,
)
_PLAIN = re.compile(r"[^\W\d][\w.]*")


class Token(NamedTuple):
    """kind : "name", "quoted" (in backticks), "number", "operator" or "end"; start, stop : its place."""

    kind: str
    value: str
    start: int
    stop: int


def tokenize(text: str) -> list[Token]:
    """Tokens of a formula, the last of kind "end"; FormulaError for a character that has no meaning."""
    if len(text) > MAX_LENGTH:
        raise FormulaError(
            f"The formula has {len(text)} characters, but at most {MAX_LENGTH} are read; use fewer terms."
        )
    tokens: list[Token] = []
    position = depth = 0
    while True:
        match = _TOKEN.match(text, position)
        if match is None:
            raise _unreadable(text, position)
        kind = match.lastgroup
        assert kind is not None
        value = match[kind]
        tokens.append(Token(kind, value, match.end() - len(value), match.end()))
        position = match.end()
        if kind == "end":
            return tokens
        if value == "(" and kind == "operator":
            depth += 1
            if depth > MAX_DEPTH:
                raise FormulaError(
                    f"Parentheses are nested deeper than {MAX_DEPTH} {where(text, position)}; simplify."
                )
        elif value == ")" and kind == "operator":
            depth -= 1
        elif kind == "name" and ".__" in value:
            raise FormulaError(
                f"{value!r} {where(text, position)} looks like an attribute, which formulas do not have; "
                "if it is a column, put its name in backticks."
            )


def where(text: str, position: int) -> str:
    """Place of a character in words, e.g. "at character 9, after 'y ~ x +'"."""
    before = text[:position].rstrip()
    if not before:
        return "at the start of the formula"
    shown = before if len(before) <= 30 else "..." + before[-27:]
    return f"at character {len(before)}, after {shown!r}"


def quote(name: str) -> str:
    """A column's name as a formula writes it: in backticks unless it is plain."""
    return name if _PLAIN.fullmatch(name) else f"`{name}`"


def unquote(text: str) -> str | None:
    """The column that a factor's text names, None if the text is a function call."""
    if _PLAIN.fullmatch(text):
        return text
    if len(text) > 2 and text[0] == text[-1] == "`" and "`" not in text[1:-1]:
        return text[1:-1]
    return None


def _unreadable(text: str, position: int) -> FormulaError:
    place = position + len(text[position:]) - len(text[position:].lstrip())
    character = text[place]
    at = f"at character {place + 1} of the formula"
    if character == ".":
        return FormulaError(
            f"'.' {at} (all other columns) is not supported; name the columns, e.g. y ~ x + z."
        )
    if character == "`":
        return FormulaError(f"The backtick {at} opens a column's name that no second backtick closes.")
    if character in "'\"":
        return FormulaError(f"The text in quotes {at} has no place there; a column's name goes in backticks.")
    return FormulaError(
        f"The character {character!r} {at} has no meaning; use ~ + - * : / ^ ( ) | and column names "
        "(in backticks if they hold other characters)."
    )
