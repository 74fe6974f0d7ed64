"""Factors of terms -> numbers or categories, by a walk over checked trees, never eval."""

from __future__ import annotations

import ast
import math
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import numpy as np

from lmmcore.errors import DataError, FormulaError
from lmmcore.formula.calls import (
    ELEMENTWISE,
    OPERATORS,
    PLACEHOLDER,
    Expression,
    read_call,
    setting,
    written,
    written_number,
)
from lmmcore.formula.levels import Factor, level_text
from lmmcore.formula.tokens import unquote
from lmmcore.formula.transforms import BASES, SCALARS, Bases, State


def evaluate(
    factor: str, columns: Mapping[str, np.ndarray | Factor], state: dict[str, State] | None = None
) -> np.ndarray | Factor | Bases:
    """Value of a factor : (n,) numbers, a category, or for poly, bs, cr their columns {label: (n,)}.

    state : what scale, center, poly, bs and cr learnt, by their text; learnt here, and added, where absent.
    Raises DataError for a column that is missing or of the wrong kind, and for infinite or undefined
    results.
    """
    column = unquote(factor)
    if column is not None:
        return _column(column, columns, factor)
    expression = read_call(factor)
    value = _Evaluation(expression, columns, {} if state is None else state).call(expression.tree)
    if isinstance(value, np.ndarray):
        _check_finite(value, factor)
    elif isinstance(value, dict):
        for part in value.values():
            _check_finite(part, factor)
    return value


def response(factor: str, columns: Mapping[str, np.ndarray | Factor]) -> np.ndarray:
    """The response (n,); DataError if it is a category."""
    value = evaluate(factor, columns)
    if not isinstance(value, np.ndarray):
        raise DataError(
            f"The response {factor!r} must be a number, but it is a category; convert it to numbers first."
        )
    return value


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
        if name in ELEMENTWISE:
            with np.errstate(all="ignore"):
                return np.asarray(ELEMENTWISE[name](x), dtype=float)
        x = np.asarray(x, dtype=float)
        if x.ndim == 0:
            raise FormulaError(f"{text} uses no column, so it is the same for all rows; name a column in it.")
        _check_finite(x, self.written(node.args[0]))
        if name in SCALARS:
            known = self.state.get(text)
            if known is None:
                known = self.state[text] = SCALARS[name].learn(x, text)
            return SCALARS[name].apply(x, known)
        basis = BASES[name]
        given = dict(zip(basis.settings, node.args[1:], strict=False))
        given |= {keyword.arg: keyword.value for keyword in node.keywords if keyword.arg}
        settings = {key: setting(value, text) for key, value in given.items()}
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
                    return OPERATORS[type(node.op)](left, right)
            case ast.UnaryOp():
                value = self.number(node.operand)
                return -value if isinstance(node.op, ast.USub) else value
            case ast.Constant(value=int() | float() as value):
                return np.float64(written_number(value, self.expression.text))
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
        return PLACEHOLDER.sub(lambda match: written(columns[int(match[1])]), ast.unparse(node))


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
    bad = np.flatnonzero(~finite)
    raise DataError(
        f"{text} is infinite or undefined in {len(bad)} row{'s' * (len(bad) > 1)}, first in row "
        f"{bad[0] + 1} of the rows used (as is the logarithm of 0 or of a negative number); transform the "
        "column otherwise or leave those rows out."
    )
