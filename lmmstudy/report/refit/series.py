"""The plain data that charts are drawn from; no engine, no files."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Profile:
    """The rows of one subject in order of time. `x`, `y` : (n,); `joined` : (n,), False where a planned
    visit is missing before the row; `fitted`, `population` : (n,) or None without a fit; `low`, `high` : (n,)
    interval of the subject's line, if it has one."""

    subject: str
    group: str
    x: np.ndarray
    y: np.ndarray
    joined: np.ndarray
    fitted: np.ndarray | None = None
    population: np.ndarray | None = None
    low: np.ndarray | None = None
    high: np.ndarray | None = None


@dataclass(frozen=True)
class Curve:
    """A predicted mean over time, with its interval if it has one. All (m,)."""

    group: str
    x: np.ndarray
    mean: np.ndarray
    low: np.ndarray | None = None
    high: np.ndarray | None = None

    @property
    def reach(self) -> tuple[float, float]:
        """Lowest and highest value drawn."""
        low, high = (self.mean if v is None else v for v in (self.low, self.high))
        return float(low.min()), float(high.max())


@dataclass(frozen=True)
class Means:
    """Raw means of the response at the times (or mid-points of intervals of time) of one group. All (m,)."""

    group: str
    x: np.ndarray
    mean: np.ndarray
    rows: np.ndarray


@dataclass(frozen=True)
class Counts:
    """Subjects observed at each time. All (m,)."""

    group: str
    x: np.ndarray
    subjects: np.ndarray


@dataclass(frozen=True)
class Effect:
    """One predicted random effect and the root of its prediction-error variance."""

    group: str
    level: str
    term: str
    estimate: float
    std_error: float


@dataclass(frozen=True)
class Interval:
    """An estimate with its confidence interval."""

    name: str
    estimate: float
    low: float
    high: float
