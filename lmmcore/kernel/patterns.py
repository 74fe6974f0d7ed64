"""Subjects that are alike, by the compiled loops."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lmmcore import kernel
from lmmcore.kernel import address


def patterns(entries: Sequence[np.ndarray], most: int, probed: int) -> tuple[np.ndarray, np.ndarray] | None:
    """The pattern of each subject : (N,) and one subject of each : (P,). Subjects of a pattern have the same
    numbers in all entries : (N,). None where P > most or all of the first `probed` subjects differ."""
    assert kernel.loops is not None
    entries = [np.ascontiguousarray(entry) for entry in entries]
    columns = np.array([address(entry) for entry in entries], dtype=np.uintp)
    N, size = len(entries[0]), 2 ** (2 * most).bit_length()
    table, pattern = np.full(size, -1, dtype=np.int64), np.empty(N, dtype=np.int64)
    member = np.empty(most, dtype=np.int64)
    found = kernel.loops.lmm_patterns(
        *(len(entries), N, address(columns), most, probed, size), *map(address, (table, pattern, member))
    )
    return None if found < 0 else (pattern, member[:found])
