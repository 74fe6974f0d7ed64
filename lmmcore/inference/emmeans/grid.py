"""Estimated marginal means, or slopes, as linear functions of beta that can be contrasted further."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from lmmcore.data.table import to_frame
from lmmcore.errors import ArgumentError
from lmmcore.estimate.solution import Solution
from lmmcore.formula.levels import told_apart
from lmmcore.inference.anova.hypotheses import leading
from lmmcore.inference.emmeans.comparisons import Comparisons, compared, weights_of
from lmmcore.inference.emmeans.multiplicity import ADJUSTMENTS, Adjust
from lmmcore.inference.emmeans.reference_grid import Level
from lmmcore.inference.fixed.wald import DfMethod, Estimates, JointTest, joint_test, linear_estimates
from lmmcore.inference.words import listed
from lmmcore.runtime.arguments import names, numbers, one_of

# Share of the largest singular value of contrasts in standard errors below which one repeats the others.
REPEATED = 1e-7


@dataclass(frozen=True, eq=False, repr=False)
class EmmGrid:
    """Estimated marginal means, or slopes, one for each cell.

    cells : {variable: its value in each cell}; by : the variables that divide comparisons.
    functions : (m, columns of the whole design) and offsets : (m,), so that a mean is functions @ beta +
    offset; size : magnitude of the terms that functions were summed from; found : estimates of the means,
    nan where the data do not determine them.
    sentence : what was estimated, averaged and held.
    """

    solution: Solution
    cells: Mapping[str, list[Level]]
    by: tuple[str, ...]
    functions: np.ndarray
    size: np.ndarray
    offsets: np.ndarray
    df: DfMethod
    found: Estimates
    conf_low: np.ndarray
    conf_high: np.ndarray
    conf_level: float
    sentence: str

    def frame(self) -> Any:
        """Frame: the variables of the cells, estimate, std_error, df, conf_low, conf_high."""
        columns = {
            "estimate": self.found.estimate,
            "std_error": self.found.se,
            "df": self.found.df,
            "conf_low": self.conf_low,
            "conf_high": self.conf_high,
        }
        return to_frame({**self.cells, **columns}, self.solution.model.table.backend)

    def __repr__(self) -> str:
        return f"{self.sentence}\n{self.frame()}"

    def pairs(self, adjust: Adjust = "tukey", by: str | Sequence[str] | None = None) -> Comparisons:
        """All differences of two cells among those with the same value of `by`; see contrast."""
        return self.contrast("pairwise", adjust, by)

    def contrast(
        self,
        method: Literal["pairwise", "trt.vs.ctrl"] | Mapping[str, Sequence[float]],
        adjust: Adjust = "holm",
        by: str | Sequence[str] | None = None,
    ) -> Comparisons:
        """Contrasts of the cells with the same value of `by` (by default the grid's), which are a family.

        method : "pairwise", all differences; "trt.vs.ctrl", each cell less the first; or {name: weights of
        the cells, in their order}. Raises ArgumentError for an unknown method, adjustment or variable,
        weights of a wrong number, or "tukey" for contrasts that are not all differences.
        """
        one_of(adjust, "adjust", ADJUSTMENTS)
        if adjust == "tukey" and not (isinstance(method, str) and method == "pairwise"):
            raise ArgumentError("Tukey's method is for all pairwise differences; use 'holm' or 'bonferroni'.")
        by_names = self.by if by is None else names(by, "by")
        labels: dict[str, list[Level]] = {name: [] for name in (*by_names, "contrast")}
        weights: list[np.ndarray] = []
        families: list[tuple[slice, int]] = []
        for members in self._families(by_names):
            start = len(weights)
            for name, of_members in weights_of(method, self._labels(members, by_names)).items():
                weights.append(np.zeros(len(self.offsets)))
                weights[-1][members] = of_members
                labels["contrast"].append(name)
                for variable in by_names:
                    labels[variable].append(self.cells[variable][members[0]])
            means = int(np.isfinite(self.found.estimate[members]).sum())
            families.append((slice(start, len(weights)), means))
        C = np.array(weights).reshape(-1, len(self.offsets))
        found = estimates(self.solution, C @ self.functions, np.abs(C) @ self.size, C @ self.offsets, self.df)
        backend = self.solution.model.table.backend
        return compared(labels, found, families, adjust, self.conf_level, backend)

    def joint(self, weights: np.ndarray) -> JointTest:
        """F test that all contrasts weights : (k, cells) are 0; those that repeat others, or that the data do
        not determine, are left out. Raises ArgumentError if nothing is left."""
        C = np.atleast_2d(numbers(weights, "weights"))
        if C.ndim != 2 or C.shape[1] != len(self.offsets):
            wanted = f"(contrasts, {len(self.offsets)})"
            raise ArgumentError(f"weights has the shape {C.shape}, but must be {wanted}.")
        functions, size = C @ self.functions, np.abs(C) @ self.size
        coordinates = self.solution.model.coordinates
        determined = coordinates.null_space.determines(functions, size)
        L = functions[determined][:, coordinates.kept]
        return joint_test(self.solution, _independent(L, self.solution.vcov), 0.0, self.df)

    def _families(self, by: Sequence[str]) -> list[list[int]]:
        """Cells with equal values of by, in order of appearance."""
        unknown = [name for name in by if name not in self.cells]
        if unknown or set(by) == set(self.cells):
            raise ArgumentError(
                f"by is {', '.join(map(repr, by))}, but must name some of the grid's variables "
                f"{listed([*self.cells])}, and leave one to compare."
            )
        found: dict[tuple[Level, ...], list[int]] = {}
        for index in range(len(self.offsets)):
            found.setdefault(tuple(self.cells[name][index] for name in by), []).append(index)
        return list(found.values())

    def _labels(self, members: Sequence[int], by: Sequence[str]) -> list[str]:
        """Cells in the names of contrasts: "a", "time 3" or "(a, time 3)"."""
        written = {}
        for name, of in self.cells.items():
            numbers = list(dict.fromkeys(value for value in of if not isinstance(value, str)))
            texts = [f"{name} {text}" for text in told_apart(numbers)]
            written[name] = dict(zip(numbers, texts, strict=True))
        made = []
        for index in members:
            values = [(name, of[index]) for name, of in self.cells.items() if name not in by]
            texts = [value if isinstance(value, str) else written[name][value] for name, value in values]
            made.append(texts[0] if len(texts) == 1 else f"({', '.join(texts)})")
        return made


def _independent(L: np.ndarray, vcov: np.ndarray) -> np.ndarray:
    """(r, p) rows that span those of L : (k, p), each 1 in a coefficient of its own, the first ones possible,
    where the others are 0: the form in which an analysis of variance has its hypotheses, on which
    Satterthwaite's df of a joint test depend a little. Raises ArgumentError if all rows are 0."""
    scale = np.sqrt(np.diag(vcov))
    standard = L * scale
    lengths = np.linalg.norm(standard, axis=1)
    there = lengths > 0
    if not there.any():
        raise ArgumentError("The data determine none of these contrasts, so that nothing can be tested.")
    _, values, rows = np.linalg.svd(standard[there] / lengths[there, None], full_matrices=False)
    rows = rows[values > REPEATED * values[0]]
    first = leading(rows.T, np.arange(rows.shape[1]))
    found = np.linalg.solve(rows[:, first], rows)
    return found * scale[first, None] / scale


def estimates(
    solution: Solution, functions: np.ndarray, size: np.ndarray, offsets: np.ndarray, df: DfMethod
) -> Estimates:
    """Estimates of functions (m, columns of the whole design) and offsets (m,), nan where not estimable.

    size : magnitude of what the functions were summed from.
    """
    coordinates = solution.model.coordinates
    L, determined = functions[:, coordinates.kept], coordinates.null_space.determines(functions, size)
    found = linear_estimates(solution, L[determined], df)
    estimate, se, degrees = (np.full(len(L), np.nan) for _ in range(3))
    vcov = np.full((len(L), len(L)), np.nan)
    estimate[determined], se[determined], degrees[determined] = found.estimate, found.se, found.df
    vcov[np.ix_(determined, determined)] = found.vcov
    return Estimates(estimate + offsets, se, degrees, vcov)
