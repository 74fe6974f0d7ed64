"""The order of numbers, the same on every machine."""

import numpy as np

DIGITS = 9
"""Decimals, relative to the largest number, that count: what differs less differs by rounding."""


def smallest_first(values: np.ndarray | list[float]) -> np.ndarray:
    """Places of the values (n,) in rising order, missing ones last; those that differ by rounding alone keep
    theirs."""
    given = np.asarray(values, dtype=float)
    largest = np.max(np.abs(given[np.isfinite(given)]), initial=0.0)
    return np.argsort(np.round(given / (largest or 1.0), DIGITS), kind="stable")


def largest_first(values: np.ndarray | list[float]) -> np.ndarray:
    """The opposite, ties as they stand."""
    return smallest_first(-np.asarray(values, dtype=float))
