"""What a study asks of a fit: the contrast, or the joint test, that answers its question.

Without a `question` in the stanza it follows `group` and `time`: whether the course over time differs between
the groups, where the fixed effects let it; else whether the groups differ; else whether there is change over
time; else whether anything matters. A straight line is asked about by its slope, any other course by a joint
test of all it is made of. Means and slopes are estimated marginal ones: over the levels of other categories
averaged with equal weights, with other numbers at their mean.
"""

import traceback
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lmmcore.errors import LmmError
from lmmcore.estimate.solution import Solution
from lmmcore.formula.calls import variables
from lmmcore.formula.tokens import unquote
from lmmcore.inference.emmeans.grid import EmmGrid
from lmmcore.inference.emmeans.means import emmeans, slopes
from lmmcore.inference.emmeans.reference_grid import is_category
from lmmcore.inference.fixed.contrasts import contrast
from lmmstudy.base.text import label
from lmmstudy.fitting.answer import NONE, Json, key
from lmmstudy.fitting.margin import margin

SHOWN = 6
"""Most times at which the means of a course are shown."""
TIMES = 24
"""Most times at which courses are compared: more than any course has parameters."""


def answer(fit: Solution, design: Mapping[str, Any], report: Mapping[str, Any]) -> Json:
    """The answer to the question of a stanza `design` by a fit; report : its `df` and `conf_level`."""
    asked = _Asked(fit, design, report)
    try:
        found = asked.named() if design.get("question") else asked.by_design()
    except (LmmError, ValueError) as error:
        return NONE | {"problem": f"The question has no answer under this model: {error}"}
    except MemoryError:
        raise
    except Exception as error:  # a defect costs the answer, not the candidate
        traceback.print_exc()
        return NONE | {"problem": f"The question has no answer: {type(error).__name__}: {error}"}
    return NONE | found


class _Asked:
    """One question to one fit."""

    def __init__(self, fit: Solution, design: Mapping[str, Any], report: Mapping[str, Any]) -> None:
        self.fit, self.report = fit, report
        self.time, self.response = str(design.get("time") or ""), str(design["response"])
        self.question: Mapping[str, Any] = design.get("question") or {}
        model = fit.model
        terms = [[set(variables(f)) for f in term] for term in model.fixed.terms]
        used = [set().union(*factors) for factors in terms]
        group = str(design.get("group") or "")
        self.group = group if any(group in columns for columns in used) else ""
        self.moves = any(self.time in columns for columns in used)
        self.together = bool(self.group) and any({self.time, group} <= columns for columns in used)
        factors = {f for term in model.fixed.terms for f in term if self.time in variables(f)}
        self.category = self.moves and is_category(model, self.time)
        self.straight = bool(factors) and all(unquote(f) == self.time or f == self.time for f in factors)
        self.levels: tuple[str, ...] = ()
        if self.group:
            self.levels = tuple(str(v) for v in self._means([self.group]).cells[self.group])

    def by_design(self) -> Json:
        if self.together and self.straight and not self.category:
            return self._slopes(self._pairs_of(None))
        if self.together:
            return self._courses()
        if self.group:
            return self._levels(self._pairs_of(None), None)
        return self._change() if self.moves else self._terms()

    def named(self) -> Json:
        """The question as the configuration names it. Raises ValueError for what the model does not have."""
        what = self.question["what"]
        if what == "coefficient":
            found = self._coefficient(str(self.question["term"]))
        elif not self.group:
            raise ValueError("its fixed effects do not use the `group` whose levels are compared.")
        elif what == "slopes":
            found = self._slopes(self._pairs_of(self.question.get("arms")))
        else:
            at = self.question.get("at")
            if at is not None and not self.moves:
                raise ValueError(f"its fixed effects do not use {self.time!r}, so that `at` has no meaning.")
            found = self._levels(self._pairs_of(self.question.get("arms")), at)
        if "margin" in self.question:
            row = key(found)
            if row is None or "estimate" not in row:
                raise ValueError("a margin belongs to one difference: name two `arms`.")
            found["margin"] = margin(row, float(self.question["margin"]), self.report["conf_level"])
        return found

    def _pairs_of(self, arms: Sequence[Any] | None) -> list[tuple[int, int]]:
        """Places of the levels compared, the second taken from the first: the arms named, else all pairs."""
        if arms is not None:
            names = [label(arm) for arm in arms]
            unknown = [name for name in names if name not in self.levels]
            if unknown:
                known = ", ".join(map(repr, self.levels))
                raise ValueError(f"{self.group!r} has no level {unknown[0]!r}; its levels are {known}.")
            return [(self.levels.index(names[0]), self.levels.index(names[1]))]
        k = len(self.levels)
        return [(j, i) for i in range(k) for j in range(i + 1, k)]

    def _means(
        self, specs: Sequence[str], by: str | None = None, at: Mapping[str, Any] | None = None
    ) -> EmmGrid:
        return emmeans(self.fit, specs, by, at, **self.report)

    def _slopes(self, pairs: list[tuple[int, int]]) -> Json:
        grid = slopes(self.fit, self.time, self.group, **self.report)
        what = f"slope of {self.response} over {self.time}"
        found = self._compared(grid, pairs, what, "slopes") | {"slopes": _rows(grid.frame())}
        return found | {"means": self._course(), "note": _note(self._means([self.group], self.time))}

    def _levels(self, pairs: list[tuple[int, int]], at: float | None) -> Json:
        where = None if at is None else {self.time: at}
        grid = self._means([self.group], at=where)
        place = "" if at is None else f" at {self.time} {at:g}"
        found = self._compared(grid, pairs, f"mean of {self.response}{place}", "means")
        return found | {"means": _rows(grid.frame()), "note": _note(grid)}

    def _compared(self, grid: EmmGrid, pairs: list[tuple[int, int]], what: str, kind: str) -> Json:
        """Differences of the cells of a grid: one contrast, or the joint test with all pairs, adjusted."""
        weights = [difference(len(self.levels), *pair) for pair in pairs]
        names = [f"{self.levels[a]} − {self.levels[b]}" for a, b in pairs]
        named = {name: c.tolist() for name, c in zip(names, weights, strict=True)}
        named = {name: c.tolist() for name, c in zip(names, weights, strict=True)}
        test, adjusted, note = None, [], ""
        if len(pairs) > 1:
            hypothesis = f"The {what} is the same in every {self.group}."
            test = joint(grid, np.array(weights), hypothesis)
            every = grid.contrast(named, "none")
            tukey = grid.pairs("tukey")
            adjusted = [_reversed(row, name) for row, name in zip(_rows(tukey.frame()), names, strict=True)]
            note = tukey.sentence
        else:
            every = grid.contrast(named, "none")
        rows = []
        for (a, b), row, c in zip(pairs, _rows(every.frame()), weights, strict=True):
            one, other = self.levels[a], self.levels[b]
            row["name"] = f"{what}: {row.pop('contrast')}"
            row["statement"] = f"The {what} in {self.group} {one} minus that in {self.group} {other} is"
            row["hypothesis"] = f"that the {what} in {self.group} {one} equals that in {self.group} {other}"
            rows.append(row | {"weights": _weights(grid, c)})
        found: Json = {"kind": kind, "name": f"{what} by {self.group}", "joint": test}
        found["estimates"] = rows if test is None else []
        return found | {"pairs": adjusted, "pairs_note": note}

    def _courses(self) -> Json:
        """Whether the courses of the groups are parallel."""
        times = self._times(TIMES)
        grid = self._means([self.group], self.time, {self.time: times})
        k, m = len(self.levels), len(times)
        rows = [
            _cells(m, k, (j, i), (j, 0)) - _cells(m, k, (0, i), (0, 0))
            for j in range(1, m)
            for i in range(1, k)
        ]
        course = f"course of {self.response} over {self.time}"
        test = joint(
            grid, np.array(rows), f"The {course} is the same in every {self.group}, but for its level."
        )
        shown = self._means([self.group], self.time, {self.time: self._times(SHOWN)})
        tukey = shown.pairs("tukey")
        pairs = [self._second_first(row) for row in _rows(tukey.frame())]
        name = f"{course} by {self.group}"
        found = {
            "kind": "courses",
            "name": name,
            "joint": test,
            "means": _rows(shown.frame()),
            "pairs": pairs,
        }
        return found | {"pairs_note": tukey.sentence, "note": _note(grid)}

    def _second_first(self, row: Json) -> Json:
        """A pair turned round, so that a group is compared with one before it, as everywhere else."""
        for i, one in enumerate(self.levels):
            for other in self.levels[i + 1 :]:
                if row["contrast"] == f"{one} - {other}":
                    return _reversed(row, f"{other} − {one}")
        return row

    def _change(self) -> Json:
        """Change over time, where no groups are compared."""
        if self.straight and not self.category:
            middle = float(np.mean(np.asarray(self.fit.model.table.columns[self.time])))
            grid = self._means([self.time], at={self.time: [middle, middle + 1.0]})
            name = f"slope of {self.response} over {self.time}"
            c = np.array([-1.0, 1.0])
            (row,) = _rows(grid.contrast({name: c.tolist()}, "none").frame())
            row["name"] = row.pop("contrast")
            row["statement"] = f"For each unit of {self.time}, the mean of {self.response} changes by"
            row["hypothesis"] = f"that the mean of {self.response} does not change with {self.time}"
            row["weights"] = _weights(grid, c)
            found: Json = {"kind": "slope", "name": name, "estimates": [row], "means": self._course()}
            return found | {"note": _note(grid)}
        times = self._times(TIMES)
        grid = self._means([self.time], at={self.time: times})
        rows = [difference(len(times), j, 0) for j in range(1, len(times))]
        hypothesis = f"The mean of {self.response} does not change with {self.time}."
        found = {"kind": "course", "name": f"course of {self.response} over {self.time}"}
        found |= {"joint": joint(grid, np.array(rows), hypothesis), "note": _note(grid)}
        return found | {"means": self._course()}

    def _course(self) -> list[Json]:
        """The means at some times, of each group."""
        at = {self.time: self._times(SHOWN)}
        grid = self._means([self.group], self.time, at) if self.group else self._means([self.time], at=at)
        return _rows(grid.frame())

    def _coefficient(self, term: str) -> Json:
        (row,) = _rows(contrast(self.fit, {term: 1.0}, **self.report))
        row |= {"name": term, "weights": {term: 1.0}, "statement": f"The coefficient of {term} is"}
        row["hypothesis"] = f"that the coefficient of {term} is 0"
        return {"kind": "coefficient", "name": term, "estimates": [row]}

    def _terms(self) -> Json:
        """Nothing is asked of time or groups: whether the levels of the only column, a category, differ;
        whether the fixed effects matter; or what the mean is."""
        columns = sorted({name for term in self.fit.model.fixed.terms for f in term for name in variables(f)})
        if len(columns) == 1 and is_category(self.fit.model, columns[0]):
            self.group = columns[0]
            self.levels = tuple(str(v) for v in self._means(columns).cells[self.group])
            return self._levels(self._pairs_of(None), None)
        terms = [term for term in self.fit.model.terms if term != "Intercept"]
        if len(terms) < 2:
            return (
                self._coefficient((terms or list(self.fit.model.terms))[0]) if self.fit.model.terms else NONE
            )
        (row,) = _rows(contrast(self.fit, [{term: 1.0} for term in terms], df=self.report["df"]))
        row["hypothesis"] = f"The mean of {self.response} {_indifferent(columns)}."
        return {"kind": "terms", "name": "all fixed effects", "joint": row}

    def _times(self, most: int) -> list[float]:
        """Times of the rows, at most so many, evenly spaced among them."""
        seen = np.unique(np.asarray(self.fit.model.table.columns[self.time], dtype=float))
        if self.category:
            seen = np.array([float(v) for v in self._means([self.time]).cells[self.time]])
            most = len(seen)
        return points(seen, most)


def _indifferent(columns: Sequence[str]) -> str:
    """That a mean does not depend on any of the columns."""
    if len(columns) == 1:
        return f"does not change with {columns[0]}"
    if len(columns) == 2:
        return f"changes with neither {columns[0]} nor {columns[1]}"
    return f"changes with none of {', '.join(columns[:-1])} and {columns[-1]}"


def points(values: np.ndarray, most: int = TIMES) -> list[float]:
    """Distinct values, at most so many, evenly spaced among them."""
    seen = np.unique(values)
    chosen = np.unique(np.linspace(0, seen.size - 1, min(seen.size, most)).round().astype(int))
    return list(seen[chosen].tolist())


def difference(n: int, one: int, other: int) -> np.ndarray:
    """(n,) weights of one cell less another."""
    return np.eye(n)[one] - np.eye(n)[other]


def _cells(times: int, levels: int, one: tuple[int, int], other: tuple[int, int]) -> np.ndarray:
    """(times * levels,) one cell of a grid by time less another."""
    return difference(times * levels, one[0] * levels + one[1], other[0] * levels + other[1])


def joint(grid: EmmGrid, weights: np.ndarray, hypothesis: str) -> Json:
    """The test that contrasts of cells are all 0. Raises ArgumentError where nothing can be tested."""
    test = grid.joint(weights)
    den = test.den_df if np.isfinite(test.den_df) else None
    found = {"statistic": test.statistic, "num_df": test.num_df, "den_df": den, "p_value": test.p_value}
    return found | {"hypothesis": hypothesis}


def _weights(grid: EmmGrid, c: np.ndarray) -> dict[str, float]:
    """A contrast of cells as weights of the coefficients."""
    model = grid.solution.model
    L = (c @ grid.functions)[list(model.coordinates.kept)]
    near = 1e-12 * np.abs(L).max(initial=0.0)
    return {term: float(w) for term, w in zip(model.terms, L, strict=True) if abs(w) > near}


def _note(grid: EmmGrid) -> str:
    """What was averaged and held, "" if nothing was."""
    return grid.sentence.split(", ", 1)[1] if ", " in grid.sentence else ""


def _rows(frame: Any) -> list[Json]:
    return list(frame.to_dicts())


def _reversed(row: Json, name: str) -> Json:
    """A difference the other way round."""
    turned = {"estimate": -row["estimate"], "statistic": -row["statistic"]}
    return row | turned | {"contrast": name, "conf_low": -row["conf_high"], "conf_high": -row["conf_low"]}
