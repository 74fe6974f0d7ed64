"""What is needed to repeat one fit somewhere else: a small archive of its design and its rows.

A candidate without an estimate leaves one beside its log; `lmm replay FILE` fits it again. Equal fits give
equal bytes.
"""

import io
import zipfile
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import polars as pl

from lmmstudy.base.files import canonical_json, write_atomically
from lmmstudy.config.formulas import columns_of_fit

DESIGN, ROWS = "design.json", "rows.parquet"
KEYS = ("formula", "residual_structure", "variance", "dataset", "report")
EPOCH = (1980, 1, 1, 0, 0, 0)
"""The file time in the archive: the earliest that the format has."""


def write(path: str | Path, parquet: str, design: Mapping[str, Any], message: str) -> None:
    """Write the archive `path` of the fit of `design` (see `config.study.plan`) to the table `parquet`."""
    rows = io.BytesIO()
    table = pl.read_parquet(parquet)
    used = columns_of_fit(design)
    table.select([name for name in table.columns if name in used]).write_parquet(rows)
    kept = {key: design[key] for key in KEYS} | {"message": message}
    kept |= {"sha256": checksum(kept, rows.getvalue())}
    parts = {DESIGN: canonical_json(kept).encode(), ROWS: rows.getvalue()}

    def fill(place: Path) -> None:
        with zipfile.ZipFile(place, "w") as archive:
            for name, content in parts.items():
                archive.writestr(zipfile.ZipInfo(name, EPOCH), content, zipfile.ZIP_DEFLATED)

    write_atomically(path, fill)


def checksum(design: Mapping[str, Any], rows: bytes) -> str:
    """SHA-256 of the two parts of an archive."""
    return sha256(canonical_json(design).encode() + rows).hexdigest()
