"""Subjects that are alike, by the compiled loops."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lmmcore import kernel


def patterns(entries: Sequence[np.ndarray], most: int, probed: int) -> tuple[np.ndarray, np.ndarray] | None:
    """The pattern of each subject : (N,) and one subject of each : (P,). Subjects of a pattern have the same
    numbers in all entries : (N,). None where P > most or all of the first `probed` subjects differ."""
    assert kernel.loops is not None
    entries = [np.ascontiguousarray(entry, dtype=float) for entry in entries]
    pattern, member = np.empty(len(entries[0]), dtype=np.int64), np.empty(most, dtype=np.int64)
    found = kernel.loops.patterns(entries, probed, pattern, member)
    return None if found < 0 else (pattern, member[:found])
