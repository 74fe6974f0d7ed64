"""How many threads a fit may use."""

from __future__ import annotations

import os


def allowed_threads() -> int:
    """What OMP_NUM_THREADS says, which Snakemake sets for its jobs; at most the processors there are."""
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    said = os.environ.get("OMP_NUM_THREADS", "")
    return min(processors, int(said)) if said.isdigit() and int(said) else processors
