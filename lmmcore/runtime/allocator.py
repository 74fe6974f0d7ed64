"""Memory that one fit has freed, kept for the next.

glibc gives freed memory back to the system beyond a threshold, which grows with the largest array freed so
far, up to this size. Until such an array has come and gone, every fit of a hundred thousand rows fetches its
memory anew, page by page, which takes a fifth of its time.
"""

from __future__ import annotations

from functools import cache

import numpy as np

LARGEST = 32_000_000  # bytes


@cache
def keep_freed_memory() -> None:
    """Let an array of that size come and go, once; it is never written to, so that it costs no memory."""
    np.empty(LARGEST, dtype=np.uint8)
