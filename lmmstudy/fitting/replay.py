"""`lmm replay`: a fit that gave no estimate, repeated from the archive that it left."""

import io
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

from lmmcore.errors import DataError
from lmmcore.output.summary import text
from lmmcore.runtime.stored import check, parsed
from lmmstudy.base.text import one_line
from lmmstudy.config.places import usable
from lmmstudy.fitting.bundle import DESIGN, ROWS, checksum
from lmmstudy.fitting.engine import fit_table
from lmmstudy.fitting.structures import RESIDUALS, VARIANCES

SHAPE = {
    "formula": str,
    "residual_structure": (None, {"type": tuple(RESIDUALS)}),
    "variance": (None, {"type": tuple(VARIANCES), "column?": str, "of?": str}),
    "dataset": {"categories?": {str: [(str, float)]}},
    "sha256": str,
}
LARGEST = 2**31
"""Bytes of what an archive unpacks to."""


def replay(path: str) -> str:
    """Fit what the archive `path` holds, by ML and REML; the summaries as text.

    Raises LmmError as the fit did, or DataError when `path` is no such archive.
    """
    if not usable(path):
        raise DataError(f"{path} cannot be read, or is no file.")
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(part.file_size for part in archive.infolist()) > LARGEST:
                raise ValueError("it unpacks to more than 2 GiB")
            design, rows = parsed(archive.read(DESIGN)), archive.read(ROWS)
        check(design, SHAPE)
        if design.pop("sha256") != checksum(design, rows):
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
    return "\n\n".join(map(text, fits))
