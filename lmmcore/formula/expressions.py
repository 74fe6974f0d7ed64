"""Function calls in formulas: a closed list, read with Python's ast and walked node by node, never eval.

Text is canonical as formulaic writes it ("log(x + 1)", "poly(t, 2)", "I(x ** 2)"). Column names, which may hold
any character, stand in the tree as placeholders, so that nothing a user writes is ever a Python name.
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from typing import Any

import numpy as np

from lmmcore.data import Factor, level_text
from lmmcore.errors import DataError, FormulaError
from lmmcore.formula.tokens import quote, tokenize, unquote
from lmmcore.formula.transforms import BASES, SCALARS, Bases, State

# An expression of more parts than this is no formula that a person wrote; it also bounds the tree's depth.
MAX_PARTS = 200

_ELEMENTWISE: dict[str, Callable[[Any], Any]] = {
    "log": np.log,
    "log1p": np.log1p,
    "exp": np.exp,
    "sqrt": np.sqrt,
    "sin": np.sin,
    "cos": np.cos,
    "I": lambda x: x,
}
_OPERATORS: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.divide,
    ast.Pow: np.power,
}
FUNCTIONS = (*_ELEMENTWISE, *BASES, *SCALARS, "C")
_INSTEAD = {"factor": "C", "as.factor": "C", "ns": "cr", "log2": "log", "log10": "log", "np.log": "log"}
_PLACEHOLDER = re.compile(r"_([0-9]+)_")


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
    near = _INSTEAD.get(name) or next(iter(get_close_matches(name, FUNCTIONS, 1)), None)
    hint = f"; did you mean {near!r}?" if near else "."
    raise FormulaError(
        f"The function {name!r} {place} is not available; formulas know {', '.join(FUNCTIONS)}{hint}"
    )


def canonical(text: str) -> str:
    """A function call in canonical spacing; FormulaError if it is not one that formulas know."""
    return _read(text).text


def variables(factor: str) -> tuple[str, ...]:
    """Columns that a factor's text uses."""
    column = unquote(factor)
    return (column,) if column is not None else tuple(dict.fromkeys(_read(factor).columns))


def evaluate(
    factor: str, columns: Mapping[str, np.ndarray | Factor], state: dict[str, State] | None = None
) -> np.ndarray | Factor | Bases:
    """Value of a factor : (n,) numbers, a category, or for poly, bs, cr their columns {label: (n,)}.

    state : what scale, center, poly, bs, cr and C learnt, by their text; learnt here, and added, where absent.
    Raises DataError for a column that is missing or of the wrong kind and for infinite or undefined results.
    """
    column = unquote(factor)
    if column is not None:
        return _column(column, columns, factor)
    expression = _read(factor)
    value = _Evaluation(expression, columns, {} if state is None else state).call(expression.tree)
    if isinstance(value, np.ndarray):
        _check_finite(value, factor)
    elif isinstance(value, dict):
        for part in value.values():
            _check_finite(part, factor)
    return value


@lru_cache(maxsize=1024)
def _read(text: str) -> Expression:
    """Tokens -> Python expression with placeholders -> checked tree."""
    pieces: list[str] = []
    columns: list[str] = []
    tokens = tokenize(text)
    if len(tokens) > MAX_PARTS:
        raise FormulaError(f"The expression {_short(text)} has more than {MAX_PARTS} parts; compute a column before.")
    for token, following in zip(tokens, tokens[1:], strict=False):
        if token.kind == "name" and following.value == "(" and following.kind == "operator":
            check_function(token.value, f"in {_short(text)}")
            pieces.append(token.value)
        elif token.kind == "name" and (following.value == "=" or token.value in ("pi", "True", "False")):
            pieces.append(token.value)
        elif token.kind in ("name", "quoted"):
            pieces.append(f"_{len(columns)}_")
            columns.append(token.value)
        else:
            pieces.append("**" if token.value == "^" else token.value)
    try:
        tree = ast.parse(" ".join(pieces), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise FormulaError(
            f"{_short(text)} is not an expression; inside a function write columns, numbers and + - * / ^ ( )."
        ) from None
    if not columns:
        raise FormulaError(f"{_short(text)} uses no column, so it is the same for all rows; name a column in it.")
    assert isinstance(tree, ast.Call)
    _check_call(tree, text, outermost=True)
    spaced = _PLACEHOLDER.sub(lambda match: _written(columns[int(match[1])]), ast.unparse(tree))
    return Expression(spaced, tree, tuple(columns))


def _written(column: str) -> str:
    return f"`{column}`" if column in ("pi", "True", "False") else quote(column)


def _check_call(node: ast.Call, text: str, outermost: bool) -> None:
    """A function on its one argument, and for poly, bs, cr the settings they take."""
    if not isinstance(node.func, ast.Name) or node.func.id not in FUNCTIONS:
        raise FormulaError(f"{_short(text)} calls something that is not a function.")
    name = node.func.id
    if name in BASES or name == "C":
        if not outermost:
            raise FormulaError(f"{name} in {_short(text)} makes several columns, so it cannot stand inside a function.")
    settings = BASES[name].settings if name in BASES else ()
    given = [*settings[: max(len(node.args) - 1, 0)], *(keyword.arg for keyword in node.keywords)]
    if not node.args or len(node.args) > 1 + len(settings) or len(set(given)) < len(given):
        allowed = f"{name}(x{''.join(f', {setting}=' for setting in settings)})"
        raise FormulaError(f"{_short(text)} has the wrong number of arguments; {name} is written {allowed}.")
    for keyword in given:
        if keyword not in settings:
            raise FormulaError(
                f"{name} in {_short(text)} has no setting {keyword!r}; "
                + (f"it has {', '.join(settings)}." if settings else "it takes one column only.")
            )
    if name == "C":
        if not _is_column(node.args[0]):
            raise FormulaError(f"C in {_short(text)} takes one column, e.g. C(arm).")
        return
    _check(node.args[0], text)
    for setting in [*node.args[1:], *(keyword.value for keyword in node.keywords)]:
        _setting(setting, text)


def _check(node: ast.expr, text: str) -> None:
    match node:
        case ast.Call():
            _check_call(node, text, outermost=False)
        case ast.BinOp() if type(node.op) in _OPERATORS:
            _check(node.left, text)
            _check(node.right, text)
        case ast.UnaryOp(op=ast.USub() | ast.UAdd()):
            _check(node.operand, text)
        case ast.Constant(value=int() | float()) if not isinstance(node.value, bool):
            pass
        case ast.Name() if node.id == "pi" or _is_column(node):
            pass
        case _:
            raise FormulaError(f"{_short(text)} holds something other than columns, numbers, + - * / ^ and functions.")


def _is_column(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and _PLACEHOLDER.fullmatch(node.id) is not None


def _setting(node: ast.expr, text: str) -> float | bool:
    """A number or True/False given to poly, bs or cr."""
    sign = 1
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        node, sign = node.operand, -1
    if isinstance(node, ast.Constant) and isinstance(node.value, (bool, int, float)):
        return node.value if isinstance(node.value, bool) else sign * node.value
    raise FormulaError(f"The settings in {_short(text)} must be numbers, or True and False.")


@dataclass(frozen=True)
class _Evaluation:
    """One walk over a checked tree."""

    expression: Expression
    columns: Mapping[str, np.ndarray | Factor]
    state: dict[str, State]

    def call(self, node: ast.Call) -> np.ndarray | Factor | Bases:
        assert isinstance(node.func, ast.Name)
        name, text = node.func.id, self.written(node)
        if name == "C":
            return self.category(node.args[0], text)
        x = self.number(node.args[0])
        if name in _ELEMENTWISE:
            with np.errstate(all="ignore"):
                return np.asarray(_ELEMENTWISE[name](x), dtype=float)
        x = np.asarray(x, dtype=float)
        if x.ndim == 0:
            raise FormulaError(f"{text} uses no column, so it is the same for all rows; name a column in it.")
        _check_finite(x, text)
        if name in SCALARS:
            known = self.state.get(text)
            if known is None:
                known = self.state[text] = SCALARS[name].learn(x, text)
            return SCALARS[name].apply(x, known)
        basis = BASES[name]
        given = dict(zip(basis.settings, node.args[1:], strict=False))
        given |= {keyword.arg: keyword.value for keyword in node.keywords if keyword.arg}
        settings = {key: _setting(value, text) for key, value in given.items()}
        known = self.state.get(text)
        if known is None:
            known = self.state[text] = basis.learn(x, settings, text)
        return basis.apply(x, known, text)

    def number(self, node: ast.expr) -> Any:
        """Value of a numeric node : (n,) or a scalar."""
        match node:
            case ast.Call():
                return self.call(node)
            case ast.BinOp():
                with np.errstate(all="ignore"):
                    left, right = self.number(node.left), self.number(node.right)
                    return _OPERATORS[type(node.op)](left, right)
            case ast.UnaryOp():
                value = self.number(node.operand)
                return -value if isinstance(node.op, ast.USub) else value
            case ast.Constant():
                return _constant(node.value, self.expression.text)
            case ast.Name(id="pi"):
                return np.float64(math.pi)
        value = self.column(node)
        if isinstance(value, Factor):
            raise DataError(
                f"{self.expression.text} computes with {self.written(node)!r}, which is a category; use the "
                "column itself, or convert it to numbers before."
            )
        return value

    def category(self, node: ast.expr, text: str) -> Factor:
        """Levels of a column; a number's are its distinct values."""
        value = self.column(node)
        if isinstance(value, Factor):
            return value
        distinct, codes = np.unique(value, return_inverse=True)
        return Factor(codes.astype(np.intp, copy=False), tuple(map(level_text, distinct.tolist())))

    def column(self, node: ast.expr) -> np.ndarray | Factor:
        assert isinstance(node, ast.Name)
        place = int(node.id.strip("_"))
        return _column(self.expression.columns[place], self.columns, self.expression.text)

    def written(self, node: ast.expr) -> str:
        columns = self.expression.columns
        return _PLACEHOLDER.sub(lambda match: _written(columns[int(match[1])]), ast.unparse(node))


def _constant(value: Any, text: str) -> np.float64:
    try:
        return np.float64(float(value))
    except OverflowError:
        raise FormulaError(f"{_short(text)} holds a number too large to compute with.") from None


def _column(name: str, columns: Mapping[str, np.ndarray | Factor], text: str) -> np.ndarray | Factor:
    value = columns.get(name)
    if value is None:
        near = get_close_matches(name, [str(column) for column in columns], 1)
        hint = f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(map(str, columns))}."
        of = "" if unquote(text) == name else f" that {text} uses"
        raise DataError(f"The data have no column {name!r}{of}{hint}")
    return value


def _check_finite(values: np.ndarray, text: str) -> None:
    finite = np.isfinite(values)
    if finite.all():
        return
    bad = np.flatnonzero(~np.atleast_1d(finite))
    raise DataError(
        f"{text} is infinite or undefined in {len(bad)} row{'s' * (len(bad) > 1)}, first in row {bad[0] + 1} of the "
        "rows used (e.g. the logarithm of 0 or of a negative number); transform the column or leave those rows out."
    )


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")
