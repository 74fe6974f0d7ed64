"""The bootstrap: replicates of every parameter, and what they say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np

from lmmcore.data.table import to_frame
from lmmcore.estimate.solution import Solution
from lmmcore.resampling.intervals import TYPES, limits
from lmmcore.resampling.parameters import Name, names, values
from lmmcore.resampling.refit import fit_counted
from lmmcore.resampling.replicates import cases, parametric
from lmmcore.resampling.rows import Refits, as_refit
from lmmcore.resampling.simulate import check_converged
from lmmcore.runtime import arguments

Kind = Literal["parametric", "cases"]
Progress = Callable[[int, int], None]
# Subjects are left out one by one up to this number, beyond it in as many groups.
MOST_GROUPS = 200


@dataclass(frozen=True, eq=False)
class Bootstrap:
    """n replicates of the k parameters of a model.

    parameters : their names; estimate : (k,) of the data; replicates : (n, k), nan where a replicate has no
    estimate or a correlation none (a variance is 0); loglik, converged : (n,).
    """

    solution: Solution
    kind: Kind
    seed: int
    parameters: tuple[Name, ...]
    estimate: np.ndarray
    replicates: np.ndarray
    loglik: np.ndarray
    converged: np.ndarray

    @property
    def failed(self) -> int:
        """Replicates that did not converge; no interval uses them."""
        return int((~self.converged).sum())

    @property
    def sentence(self) -> str:
        """What was done, and what of it failed."""
        n = len(self.converged)
        simulated, drawn = "simulated from the fitted model", "made of subjects drawn with replacement"
        told = f"{n} data sets {simulated if self.kind == 'parametric' else drawn} (seed {self.seed}) "
        told += f"were fitted by {self.solution.model.spec.method}"
        told += f"; {self.failed} of the fits did not converge and are left out" if self.failed else ""
        notes = zip(self.parameters, self._notes, strict=True)
        return "; ".join([told, *(f"{name.label} is {note}" for name, note in notes if note)]) + "."

    @property
    def _notes(self) -> list[str]:
        """For each parameter, in how many converged replicates it has no value."""
        counts = np.isnan(self.replicates[self.converged]).sum(axis=0).tolist()
        return [f"undefined in {count}, where a variance is 0" if count else "" for count in counts]

    def frame(self) -> Any:
        """Frame of one row a replicate: replicate, converged, loglik, then each parameter (group.term)."""
        columns: dict[str, Any] = {"replicate": np.arange(1, len(self.converged) + 1)}
        columns |= {"converged": self.converged, "loglik": self.loglik}
        columns |= {name.label: self.replicates[:, k] for k, name in enumerate(self.parameters)}
        return to_frame(columns, self.solution.model.table.backend)

    def confint(
        self, type: Literal["percentile", "basic", "bca"] = "percentile", conf_level: float = 0.95
    ) -> Any:
        """Frame: effect, group, term, estimate, conf_low, conf_high, method ("bootstrap"), type, note ("" or
        in how many replicates the parameter is undefined).

        type="percentile" : quantiles of the replicates; "basic" : these reflected at the estimate, cut at
        the ends of the parameter's space; "bca" : percentiles corrected for bias, by the share of replicates
        below the estimate, and for acceleration, by the skewness of the jackknife over outermost units: each
        is left out in turn and the model fitted again (beyond 200 units, 200 groups of them). Raises
        ArgumentError for another type, or unless 0 < conf_level < 1.
        """
        arguments.one_of(type, "type", TYPES)
        arguments.share(conf_level, "conf_level")
        used = self.replicates[self.converged]
        ends = []
        for k, name in enumerate(self.parameters):
            left_out = self._left_out[:, k] if type == "bca" else None
            found = limits(used[:, k], float(self.estimate[k]), type, conf_level, left_out)
            ends.append(np.clip(found, name.low, name.high))
        low, high = np.array(ends).T
        k = len(self.parameters)
        return to_frame(
            {
                "effect": [name.effect for name in self.parameters],
                "group": [name.group for name in self.parameters],
                "term": [name.term for name in self.parameters],
                "estimate": self.estimate,
                "conf_low": low,
                "conf_high": high,
                "method": ["bootstrap"] * k,
                "type": [type] * k,
                "note": self._notes,
            },
            self.solution.model.table.backend,
        )

    @cached_property
    def _left_out(self) -> np.ndarray:
        """(G, k) estimates without each unit, or group of units."""
        N = len(self.solution.model.rows.units[0].starts)
        groups = min(N, MOST_GROUPS)
        times = (np.arange(N)[:, None] % groups != np.arange(groups)).astype(float)
        refits = Refits.joined(list(fit_counted(self.solution, times)))
        return np.where(refits.converged[:, None], values(self.solution, refits), np.nan)


def bootstrap(
    solution: Solution,
    n: int = 1000,
    *,
    seed: int,
    kind: Kind = "parametric",
    progress: Progress | None = None,
) -> Bootstrap:
    """Fit the model again to n data sets like its own.

    kind="parametric" : responses drawn from the fitted model, random effects and residuals anew; "cases" :
    the units of the outermost grouping factor drawn with replacement (rows, without one). seed : of NumPy's
    PCG64; replicate r is the same for every n > r and whatever the number of threads, to rounding.
    progress(done, n) : called now and then. A replicate is searched for from the fitted parameters.
    Davison & Hinkley (1997), sections 2.1 and 3.8. Raises ArgumentError for another kind or n
    below 1, FitError if the fit itself did not converge.
    """
    arguments.one_of(kind, "kind", ("parametric", "cases"))
    n, seed = arguments.whole_number(n, "n", 1), arguments.whole_number(seed, "seed", 0)
    arguments.progress(progress)
    check_converged(solution)
    parts: list[Refits] = []
    done = 0
    for part in (parametric if kind == "parametric" else cases)(solution, n, np.random.SeedSequence(seed)):
        parts.append(part)
        done += len(part.loglik)
        if progress is not None:
            progress(done, n)
    refits = Refits.joined(parts)
    return Bootstrap(
        solution,
        kind,
        seed,
        names(solution),
        values(solution, as_refit(solution))[0],
        values(solution, refits),
        refits.loglik,
        refits.converged,
    )
