"""Function calls in formulas: a closed list, read with Python's ast and checked node by node.

Text is canonical as formulaic writes it ("log(x + 1)", "poly(t, 2)", "I(x ** 2)"). Column names, which
may hold any character, stand in the tree as placeholders, so that no text of the user is ever a Python name.
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from typing import Any

import numpy as np

from lmmcore.errors import FormulaError
from lmmcore.formula.tokens import quote, tokenize, unquote
from lmmcore.formula.transforms import BASES, SCALARS

# An expression of more parts than this is no formula that a person wrote; it also bounds the tree's depth.
MAX_PARTS = 200

ELEMENTWISE: dict[str, Callable[[Any], Any]] = {
    "log": np.log,
    "log1p": np.log1p,
    "exp": np.exp,
    "sqrt": np.sqrt,
    "sin": np.sin,
    "cos": np.cos,
    "I": lambda x: x,
}
OPERATORS: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.divide,
    ast.Pow: np.power,
}
FUNCTIONS = tuple(dict.fromkeys([*ELEMENTWISE, "poly", "bs", "cr", *SCALARS, "C", *BASES]))
_INSTEAD = {"factor": "C", "as.factor": "C"}  # where spelling does not tell
# What other programs write into the formula and stands beside it here.
_BESIDE = {
    "offset": "an offset is one column added to the others, y ~ x + offset(z), or the argument offset='z'",
    "relevel": "the reference is the first level listed in the argument categories={'arm': ['b', 'a', 'c']}",
    "weights": "leave it out of the formula and name the column by the argument weights='w'",
}
PLACEHOLDER = re.compile(r"_([0-9]+)_")


@dataclass(frozen=True)
class Expression:
    """A function call. text : canonical; tree : with placeholders for columns; columns : name of each."""

    text: str
    tree: ast.Call
    columns: tuple[str, ...]


def check_function(name: str, place: str) -> None:
    """FormulaError unless name is on the closed list."""
    if name in FUNCTIONS:
        return
    if name in _BESIDE:
        raise FormulaError(f"{name}() {place} cannot stand there: {_BESIDE[name]}.")
    near = _INSTEAD.get(name) or next(iter(get_close_matches(name, FUNCTIONS, 1)), None)
    hint = f"; did you mean {near!r}?" if near else "."
    raise FormulaError(
        f"The function {name!r} {place} is not available; formulas know {', '.join(FUNCTIONS)}{hint}"
    )


def canonical(text: str) -> str:
    """A function call in canonical spacing; FormulaError if it is not one that formulas know."""
    return read_call(text).text


def variables(factor: str) -> tuple[str, ...]:
    """Columns that a factor's text uses."""
    column = unquote(factor)
    return (column,) if column is not None else tuple(dict.fromkeys(read_call(factor).columns))


@lru_cache(maxsize=1024)
def read_call(text: str) -> Expression:
    """Tokens -> Python expression with placeholders -> checked tree."""
    pieces: list[str] = []
    columns: list[str] = []
    tokens = tokenize(text)
    if len(tokens) > MAX_PARTS:
        raise FormulaError(
            f"The expression {short(text)} has more than {MAX_PARTS} parts; compute a column before."
        )
    for token, following in zip(tokens, tokens[1:], strict=False):
        if token.kind == "name" and following.value == "(" and following.kind == "operator":
            check_function(token.value, f"in {short(text)}")
            pieces.append(token.value)
        elif token.kind == "name" and (
            following[:2] == ("operator", "=") or token.value in ("pi", "True", "False")
        ):
            pieces.append(token.value)
        elif token.value in ("TRUE", "FALSE") and pieces[-1:] == ["="]:  # as R writes a setting
            pieces.append(token.value.capitalize())
        elif token.kind in ("name", "quoted"):
            pieces.append(f"_{len(columns)}_")
            columns.append(token.value)
        else:
            pieces.append("**" if token.value == "^" else token.value)
    try:
        tree = ast.parse(" ".join(pieces), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise FormulaError(
            f"{short(text)} is not an expression; inside a function write columns, numbers and + - * / ^ ( )."
        ) from None
    if not columns:
        raise FormulaError(
            f"{short(text)} uses no column, so it is the same for all rows; name a column in it."
        )
    assert isinstance(tree, ast.Call)
    _check_call(tree, text, outermost=True)
    spaced = PLACEHOLDER.sub(lambda match: written(columns[int(match[1])]), ast.unparse(tree))
    return Expression(spaced, tree, tuple(columns))


def written(column: str) -> str:
    """A column's name inside a call; in backticks also where it would mean a constant."""
    return f"`{column}`" if column in ("pi", "True", "False") else quote(column)


def _check_call(node: ast.Call, text: str, outermost: bool) -> None:
    """A function on its one argument, and for poly, bs, cr the settings they take."""
    if not isinstance(node.func, ast.Name) or node.func.id not in FUNCTIONS:
        raise FormulaError(f"{short(text)} calls something that is not a function.")
    name = node.func.id
    if name in BASES or name == "C":
        if not outermost:
            raise FormulaError(
                f"{name} in {short(text)} makes several columns, so it cannot stand inside a function."
            )
    settings = BASES[name].settings if name in BASES else ()
    given = [*settings[: max(len(node.args) - 1, 0)], *(keyword.arg for keyword in node.keywords)]
    if not node.args or len(node.args) > 1 + len(settings) or len(set(given)) < len(given):
        allowed = f"{name}(x{''.join(f', {setting}=' for setting in settings)})"
        raise FormulaError(f"{short(text)} has the wrong number of arguments; {name} is written {allowed}.")
    for keyword in given:
        if keyword not in settings:
            raise FormulaError(
                f"{name} in {short(text)} has no setting {keyword!r}; "
                + (f"it has {', '.join(settings)}." if settings else "it takes one column only.")
            )
    if name == "C":
        if not _is_column(node.args[0]):
            raise FormulaError(f"C in {short(text)} takes one column, e.g. C(arm).")
        return
    _check(node.args[0], text)
    for value in [*node.args[1:], *(keyword.value for keyword in node.keywords)]:
        setting(value, text)


def _check(node: ast.expr, text: str) -> None:
    match node:
        case ast.Call():
            _check_call(node, text, outermost=False)
        case ast.BinOp() if type(node.op) in OPERATORS:
            _check(node.left, text)
            _check(node.right, text)
        case ast.UnaryOp(op=ast.USub() | ast.UAdd()):
            _check(node.operand, text)
        case ast.Constant(value=int() | float()) if not isinstance(node.value, bool):
            pass
        case ast.Name() if node.id == "pi" or _is_column(node):
            pass
        case _:
            raise FormulaError(
                f"{short(text)} holds something other than columns, numbers, + - * / ^ and functions."
            )


def _is_column(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and PLACEHOLDER.fullmatch(node.id) is not None


def setting(node: ast.expr, text: str) -> float | bool:
    """A number or True/False given to poly, bs or cr."""
    sign = 1
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        node, sign = node.operand, -1
    if isinstance(node, ast.Constant) and isinstance(node.value, (bool, int, float)):
        return node.value if isinstance(node.value, bool) else sign * written_number(node.value, text)
    raise FormulaError(f"The settings in {short(text)} must be numbers, or True and False.")


def written_number(value: int | float, text: str) -> float:
    """A number written in a formula; FormulaError if it is beyond the range of float64."""
    try:
        result = float(value)
    except OverflowError:
        result = math.inf
    if math.isinf(result):
        raise FormulaError(f"{short(text)} holds a number too large to compute with.")
    return result


def short(text: str) -> str:
    """Text in quotes for a message."""
    return repr(text if len(text) <= 60 else text[:57] + "...")
