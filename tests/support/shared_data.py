"""Reference data that is not part of the repository: found beside the checkout or by LMM_SHARED."""

import os
from pathlib import Path

import polars as pl
import pytest

FOLDER = Path(os.environ.get("LMM_SHARED", Path(__file__).resolve().parents[3] / "shared"))

needs_shared = pytest.mark.skipif(
    not (FOLDER / "data" / "sleepstudy.csv").exists(),
    reason=f"the reference data are not at {FOLDER} (set LMM_SHARED)",
)


def shared(name: str) -> pl.DataFrame:
    """A data set of the seed documents; "NA" is missing."""
    return pl.read_csv(FOLDER / "data" / name, null_values="NA")


def reference(name: str) -> str:
    """Text of a file of reference results."""
    return (FOLDER / "reference" / name).read_text(encoding="utf-8")
