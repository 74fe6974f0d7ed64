"""Blocks of subjects, shared out among threads where there are many."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from lmmcore.runtime.threads import allowed_threads

Found = TypeVar("Found")

# Subjects whose sums are made together: the result does not depend on the number of threads.
BLOCK = 16_384
# Numbers to be read from which a second thread saves more than it costs.
MANY = 2_000_000


def by_block(of: Callable[[int, int], Found], N: int, each: float) -> list[Found]:
    """What `of` says of the blocks of N subjects, given where each begins and ends, in their order.

    each : numbers read of a subject.
    """
    starts = range(0, N, BLOCK)
    ends = [min(start + BLOCK, N) for start in starts]
    threads = allowed_threads() if N * each >= MANY else 1
    if threads == 1:
        return [of(start, end) for start, end in zip(starts, ends, strict=True)]
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(of, starts, ends))
