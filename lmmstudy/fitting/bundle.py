"""What is needed to repeat one fit somewhere else: a small archive of its design and its rows.

A candidate without an estimate leaves one beside its log; `lmm replay FILE` fits it again. Equal fits give
equal bytes.
"""

import io
import zipfile
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl

from lmmcore.errors import DataError
from lmmcore.runtime.stored import check, parsed
from lmmstudy.base.files import canonical_json, write_atomically
from lmmstudy.base.text import one_line
from lmmstudy.config.formulas import FITTED, columns_of, subject_columns
from lmmstudy.config.places import usable
from lmmstudy.fitting.structures import RESIDUALS, VARIANCES

DESIGN, ROWS = "design.json", "rows.parquet"
KEYS = ("formula", "residual_structure", "variance", "dataset", "report")
SHAPE = {
    "formula": str,
    "residual_structure": (None, {"type": tuple(RESIDUALS)}),
    "variance": (None, {"type": tuple(VARIANCES), "column?": str, "of?": str}),
    "dataset": {"categories?": {str: [(str, float)]}},
    "sha256": str,
}
LARGEST = 2**31
"""Bytes of what an archive unpacks to."""
EPOCH = (1980, 1, 1, 0, 0, 0)
"""The file time in the archive: the earliest that the format has."""


def write(path: str | Path, parquet: str, design: Mapping[str, Any], message: str) -> None:
    """Write the archive `path` of the fit of `design` (see `config.study.plan`) to the table `parquet`."""
    rows = io.BytesIO()
    table = pl.read_parquet(parquet)
    table.select([name for name in table.columns if name in _columns(design)]).write_parquet(rows)
    kept = {key: design[key] for key in KEYS} | {"message": message}
    kept |= {"sha256": _checksum(kept, rows.getvalue())}
    parts = {DESIGN: canonical_json(kept).encode(), ROWS: rows.getvalue()}

    def fill(place: Path) -> None:
        with zipfile.ZipFile(place, "w") as archive:
            for name, content in parts.items():
                archive.writestr(zipfile.ZipInfo(name, EPOCH), content, zipfile.ZIP_DEFLATED)

    write_atomically(path, fill)


def replay(path: str) -> str:
    """Fit what the archive `path` holds, by ML and REML; the summaries as text.

    Raises LmmError as the fit did, or DataError when `path` is no such archive.
    """
    from lmmstudy.fitting.candidate import fit_table

    if not usable(path):
        raise DataError(f"{path} cannot be read, or is no file.")
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(part.file_size for part in archive.infolist()) > LARGEST:
                raise ValueError("it unpacks to more than 2 GiB")
            design, rows = parsed(archive.read(DESIGN)), archive.read(ROWS)
        check(design, SHAPE)
        if design.pop("sha256") != _checksum(design, rows):
            raise ValueError("it was changed after it was written")
        pl.read_parquet(io.BytesIO(rows))
    except (Exception, pl.exceptions.PanicException) as error:  # it may be any file
        reason = one_line(str(error).split("\n")[0])
        raise DataError(f"{path} is not an archive of a failed fit ({reason}).") from None
    categories = design["dataset"].get("categories")
    with TemporaryDirectory() as folder:
        table = Path(folder) / ROWS
        table.write_bytes(rows)
        fits = [fit_table(str(table), design, method, categories) for method in ("ML", "REML")]
    return "\n\n".join(map(str, fits))


def _checksum(design: Mapping[str, Any], rows: bytes) -> str:
    return sha256(canonical_json(design).encode() + rows).hexdigest()


def _columns(design: Mapping[str, Any]) -> set[str]:
    residual, variance = design["residual_structure"] or {}, design["variance"] or {}
    named = [part[key] for part in (residual, variance) for key in ("time", "column", "of") if key in part]
    return {*columns_of(design["formula"]), *subject_columns(residual), *named} - {FITTED, None}
