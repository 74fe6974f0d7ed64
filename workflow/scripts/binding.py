"""What every script needs before its work: this checkout's modules, its log, its threads."""

import atexit
import os
import sys
import time
from pathlib import Path
from typing import Any


def bind(job: Any) -> None:
    """Prepare the process for `job`, Snakemake's description of it. Call before importing anything
    else.

    Modules come from this checkout, installed or not; warnings and a traceback go to the job's log;
    polars, which does not follow Snakemake by itself, keeps to the threads it was given; the linear algebra
    does the same on every machine.
    """
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    sys.stderr = open(job.log[0], "w", buffering=1, encoding="utf-8")
    os.environ["POLARS_MAX_THREADS"] = str(job.threads)
    from lmmstudy.base.arithmetic import settle
    from lmmstudy.base.log import fact

    settle()
    begun = time.monotonic()
    fact("begin", rule=job.rule, **dict(job.wildcards.items()), threads=job.threads)
    atexit.register(lambda: fact("end", rule=job.rule, seconds=f"{time.monotonic() - begun:.2f}"))
