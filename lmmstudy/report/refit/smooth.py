"""Small statistics for the diagnostic charts: a local-linear smoother, and bins."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Smooth:
    """A smoother on a grid of x with pointwise 95% limits. All (m,)."""

    x: np.ndarray
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray


def loess(x: np.ndarray, y: np.ndarray, span: float = 0.67, points: int = 41) -> Smooth | None:
    """Local-linear regression with tricube weights (Cleveland 1979, without the robustness step).

    x, y : (n,). Above 2,000 rows the rows are first averaged in 400 intervals of equal counts. Limits are
    mean +/- 1.96 s ||l(x)|| with l(x) the weights of the smoother at x and s the SD of y about a straight
    line. None if there are fewer than 5 rows or x takes fewer than 3 values.
    """
    if x.size < 5 or np.unique(x).size < 3:
        return None
    order = np.argsort(x, kind="stable")
    x, y = x[order], y[order]
    line = np.polynomial.polynomial.polyfit(x - x.mean(), y, 1)
    spread = float(np.std(y - np.polynomial.polynomial.polyval(x - x.mean(), line), ddof=2))
    mass = np.ones(x.size)
    if x.size > 2000:
        edges = np.linspace(0, x.size, 401).astype(int)
        mass = np.diff(edges).astype(float)
        x, y = np.add.reduceat(x, edges[:-1]) / mass, np.add.reduceat(y, edges[:-1]) / mass
    at = np.linspace(x[0], x[-1], points)
    distance = np.abs(at[:, None] - x[None, :])
    nearest = min(x.size - 1, max(2, int(np.ceil(span * x.size))))
    width = np.partition(distance, nearest, axis=1)[:, nearest : nearest + 1]
    width = np.maximum(width * 1.0001, np.ptp(x) * 1e-3)
    weight = np.clip(1 - (distance / width) ** 3, 0, None) ** 3 * mass
    offset = x[None, :] - at[:, None]
    s0, s1, s2 = (np.sum(weight * offset**k, axis=1, keepdims=True) for k in range(3))
    determinant = s0 * s2 - s1**2
    flat = determinant <= 1e-10 * s0 * s2
    linear = weight * (s2 - s1 * offset) / np.where(flat, 1, determinant)
    rows = np.where(flat, weight / s0, linear)
    mean = rows @ y
    half = 1.96 * spread * np.sqrt(np.sum(rows**2 / mass, axis=1))
    return Smooth(at, mean, mean - half, mean + half)


def bins(
    x: np.ndarray, y: np.ndarray, columns: int = 60, rows: int = 36
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Counts of the points in a grid: (columns, rows), with the edges (columns + 1,) and (rows + 1,)."""
    return np.histogram2d(x, y, bins=(columns, rows))
