"""Predictions of the selected model: three kinds of bands over time, and the subjects' own lines."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lmmcore.errors import LmmError
from lmmcore.prediction.predict import INTERVALS
from lmmcore.prediction.uncertainty import LEAST
from lmmstudy.report.refit.curves import new_rows, reference
from lmmstudy.report.refit.rows import Rows, numbers
from lmmstudy.report.refit.series import Profile
from lmmstudy.report.words.ranking import smallest_first

TIMES = 30
"""Most times of a band, evenly spaced among those of the rows."""
PANELS = 24
"""Most subjects that are shown one by one."""


@dataclass(frozen=True)
class Band:
    """The prediction for a new subject of a group. x, mean : (m,); limits : (low, high) of each interval of
    INTERVALS; weak : (m,) whether a limit rests on the fewest degrees of freedom."""

    group: str
    x: np.ndarray
    mean: np.ndarray
    limits: Mapping[str, tuple[np.ndarray, np.ndarray]]
    weak: np.ndarray


def bands(fit: Any, frame: Any, design: Mapping[str, Any], used: Rows, conf_level: float) -> tuple[Band, ...]:
    """At times of the rows of each group, other covariates as in the curves; () where the data do not
    determine the intervals."""
    base, _ = reference(frame, design)
    found = []
    try:
        for group in used.groups:
            at = _some(np.unique(used.time[[g == group for g in used.group]]))
            new = new_rows(frame, base, design, group, at)
            tables = {name: _predict(fit, new, "population", name, conf_level) for name in INTERVALS}
            mean = tables["mean"]["prediction"]
            known = np.isfinite(mean)  # the data may not determine all of them
            limits = {name: (t["conf_low"][known], t["conf_high"][known]) for name, t in tables.items()}
            weak = np.any([t["df"] <= LEAST for name, t in tables.items() if name != "mean"], axis=0)
            if known.any():
                found.append(Band(group, at[known], mean[known], limits, weak[known]))
    except LmmError:
        return ()
    return tuple(found)


def own_lines(
    fit: Any, frame: Any, design: Mapping[str, Any], lines: Sequence[Profile], conf_level: float
) -> tuple[Profile, ...]:
    """At most PANELS of the subjects, evenly spaced from the lowest line to the highest, with the interval of
    their expected response at their rows; without it under a serial correlation, where the line is what the
    model expects given all rows of the subject, and a response that was seen is known."""
    ranked = [lines[place] for place in smallest_first([above(line) for line in lines])]
    if len(ranked) > PANELS:
        ranked = [ranked[round(k * (len(ranked) - 1) / (PANELS - 1))] for k in range(PANELS)]
    if not fit.solution.model.groups:
        return tuple(ranked)
    import polars as pl

    found, serial = [], fit.solution.model.spec.residual is not None
    for line in ranked:
        own = frame.filter(pl.col(design["subject"]).cast(pl.String) == line.subject).sort(design["time"])
        try:
            if serial:
                known = numbers(fit.predict(own, level="subject"), "prediction")
                found.append(replace(line, fitted=known))
                continue
            table = _predict(fit, own, "subject", "subject", conf_level)
        except LmmError:
            return tuple(ranked)
        found.append(replace(line, low=table["conf_low"], high=table["conf_high"]))
    return tuple(found)


def above(profile: Profile) -> float:
    """Mean distance of the fitted line from the population's."""
    assert profile.fitted is not None and profile.population is not None
    return float(np.mean(profile.fitted - profile.population))


def _some(times: np.ndarray) -> np.ndarray:
    return times[np.unique(np.linspace(0, times.size - 1, min(times.size, TIMES)).round().astype(int))]


def _predict(fit: Any, new: Any, level: str, interval: str, conf_level: float) -> dict[str, np.ndarray]:
    table = fit.predict(new, level=level, interval=interval, conf_level=conf_level)
    return {name: numbers(table, name) for name in ("prediction", "df", "conf_low", "conf_high")}
