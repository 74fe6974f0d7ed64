"""One case: data, and a model in terms that both the engine and the dense likelihood read."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import polars as pl

import lmmcore as lmm


@dataclass(frozen=True)
class Random:
    """(1 + effects | group) : group, columns whose combination it is; covariance : as the formula names it.

    terms : tuples of variables, () is the intercept.
    """

    group: tuple[str, ...]
    terms: tuple[tuple[str, ...], ...]
    covariance: str

    @property
    def text(self) -> str:
        """As the formula has it."""
        inner = " + ".join([*([] if () in self.terms else ["0"]), *map(name_of, self.terms)])
        group = ":".join(self.group)
        if self.covariance == "us":
            return f"({inner} | {group})"
        return f"({inner} || {group})" if self.covariance == "||" else f"{self.covariance}({inner} | {group})"


@dataclass(frozen=True)
class Residual:
    """type : class of the engine; time : column or None; subject : columns of the subject."""

    type: str
    time: str | None
    subject: tuple[str, ...]
    nugget: bool = False


@dataclass(frozen=True)
class Case:
    """columns : (n,) numbers, or text for a category; fixed : terms, tuples of variables, () the intercept.

    variance : ("ByGroup" or "Power", column); names says what was drawn, for the summary.
    """

    columns: dict[str, np.ndarray]
    fixed: tuple[tuple[str, ...], ...]
    random: tuple[Random, ...]
    residual: Residual | None
    variance: tuple[str, str] | None
    weights: str | None
    offset: str | None
    method: str
    names: tuple[str, ...] = field(default=())

    @property
    def n(self) -> int:
        """Rows."""
        return len(self.columns["t"])

    @property
    def formula(self) -> str:
        """In lme4's notation."""
        fixed = [*([] if () in self.fixed else ["0"]), *map(name_of, self.fixed)]
        return "y ~ " + " + ".join([*fixed, *(term.text for term in self.random)])

    @property
    def groups(self) -> list[tuple[str, ...]]:
        """Grouping factors, outermost first: each has the columns of the one before it."""
        found = {term.group for term in self.random}
        if self.residual is not None:
            found.add(self.residual.subject)
        return sorted(found, key=len)

    def frame(self, order: np.ndarray | None = None) -> pl.DataFrame:
        """The rows, in another order if one is given."""
        frame = pl.DataFrame({name: values.tolist() for name, values in self.columns.items()})
        return frame if order is None else frame[order]

    def arguments(self) -> dict[str, object]:
        """What lmmcore.fit takes beside formula and data."""
        residual = None
        if self.residual is not None:
            made = {} if self.residual.time is None else {"time": self.residual.time}
            if self.residual.nugget:
                made["nugget"] = True
            subject = list(self.residual.subject)
            residual = getattr(lmm, self.residual.type)(
                **made, subject=subject[0] if len(subject) == 1 else subject
            )
            # the innermost grouping factor is the default
            if self.random and max((term.group for term in self.random), key=len) == self.residual.subject:
                residual = replace(residual, subject=None)
        variance = None if self.variance is None else getattr(lmm, self.variance[0])(self.variance[1])
        return {
            "method": self.method,
            "residual": residual,
            "variance": variance,
            "weights": self.weights,
            "offset": self.offset,
        }

    def fit(self, order: np.ndarray | None = None) -> lmm.Fit:
        """The engine's fit."""
        return lmm.fit(self.formula, self.frame(order), **self.arguments())

    def with_columns(self, **columns: np.ndarray) -> Case:
        """The case with other values of some columns."""
        return replace(self, columns={**self.columns, **columns})

    def codes(self, group: tuple[str, ...]) -> np.ndarray:
        """(n,) number of the level of a grouping factor, by order of labels."""
        joined = list(zip(*(self.columns[name].tolist() for name in group), strict=True))
        place = {level: number for number, level in enumerate(sorted(set(joined)))}
        return np.array([place[level] for level in joined])

    def labels(self, group: tuple[str, ...]) -> list[str]:
        """Labels of the levels, joined by ":"."""
        joined = set(zip(*(self.columns[name].tolist() for name in group), strict=True))
        return [":".join(map(str, level)) for level in sorted(joined)]

    def described(self) -> str:
        """Formula and arguments in one line."""
        said = {name: value for name, value in self.arguments().items() if value is not None}
        return f"{self.formula}   n = {self.n}, " + ", ".join(f"{k}={v}" for k, v in said.items())


def name_of(term: tuple[str, ...]) -> str:
    """A term as a formula has it."""
    return ":".join(term) or "1"


def design(
    columns: dict[str, np.ndarray],
    terms: tuple[tuple[str, ...], ...],
    like: dict[str, np.ndarray] | None = None,
) -> dict[str, np.ndarray]:
    """Columns (n,) of a design by formulaic's names; like : the data that say which levels there are.

    Categories have treatment contrasts; without an intercept the first one has indicators of all its levels.
    Interactions have their main effects before them.
    """
    like = columns if like is None else like
    n = len(next(iter(columns.values())))
    whole = () not in terms
    found: dict[str, np.ndarray] = {}
    for term in terms:
        parts = [("Intercept" if not term else "", np.ones(n))]
        for name in term:
            codes = _coded(name, columns[name], np.unique(like[name]), whole and len(term) == 1)
            parts = [(f"{left}:{right}" if left else right, a * b) for left, a in parts for right, b in codes]
            whole = whole and columns[name].dtype.kind != "U"
        found.update(parts)
    return found


def _coded(name: str, column: np.ndarray, levels: np.ndarray, whole: bool) -> list[tuple[str, np.ndarray]]:
    """(name, column) of a variable's codes."""
    if column.dtype.kind != "U":
        return [(name, column)]
    kept = levels[0 if whole else 1 :]
    tag = "" if whole else "T."
    return [(f"{name}[{tag}{level}]", (column == level).astype(float)) for level in kept]
