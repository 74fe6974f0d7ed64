"""Save a fit and load it again: a Parquet file of the rows used, with the model in its metadata.

The file is data, not code: no pickle, no formula is run beyond the closed list of functions. Loading compares
the content with its checksum, fits the model again, which takes about as long as reading it, and checks that
the log-likelihood is the one saved.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import MISSING, asdict, fields
from hashlib import sha256
from pathlib import Path
from typing import Any

import narwhals as nw
import numpy as np

from lmmcore.covariance.registry import RESIDUALS, VARIANCES
from lmmcore.data.table import Factor, Table
from lmmcore.errors import DataError, FitError
from lmmcore.estimate.fit import estimated
from lmmcore.estimate.solution import Solution
from lmmcore.formula.parse import parse
from lmmcore.model.specification import Specification
from lmmcore.runtime import arguments
from lmmcore.runtime.stored import Damaged, check, parsed, read_bytes, spare, write_atomically

KEY = b"lmmcore"
FORMAT = 2
SAME = 1e-8  # relative difference of log-likelihoods that counts as the same
STRUCTURES = {kind.__name__: kind for kind in (*RESIDUALS.values(), *VARIANCES.values())}


NAME = (None, str)
LEVELS = {str: [str]}
SHAPE = {
    "formula": str,
    "method": ("REML", "ML"),
    "residual": (None, {"name": tuple(STRUCTURES)}),
    "variance": (None, {"name": tuple(STRUCTURES)}),
    "weights": NAME,
    "offset": NAME,
    "categories": {str: [(None, str, float, bool)]},
    "levels": {"columns": LEVELS, "groups": LEVELS},
    "declared": LEVELS,
    "rows_read": int,
    "dropped": {str: int},
    "loglik": float,
    "checksum": str,
}
"""What the metadata hold beside the format."""


def save(solution: Solution, path: str | Path) -> None:
    """Write a fit to a file that load() reads, at once or not at all.

    Raises FitError for a structure of another package, DataError where nothing can be written, or another
    file would be replaced.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    model, path = solution.model, arguments.path(path, "path")
    spec, table = model.spec, model.table
    arrays: dict[str, np.ndarray] = {}
    levels: dict[str, dict[str, list[str]]] = {"columns": {}, "groups": {}}
    declared: dict[str, list[str]] = {}
    for kind, columns in (("columns", table.columns), ("groups", table.groups)):
        for name, column in columns.items():
            if isinstance(column, Factor):
                levels[kind][name] = list(column.levels)
                if column.declared is not None:
                    declared[name] = list(column.declared)
                arrays[f"{kind}:{name}"] = column.codes.astype(np.int64)
            else:
                arrays[f"{kind}:{name}"] = column
    about = {
        "format": FORMAT,
        "formula": spec.formula.text,
        "method": spec.method,
        "residual": _described(spec.residual),
        "variance": _described(spec.variance),
        "weights": spec.weights,
        "offset": spec.offset,
        "categories": {name: list(values) for name, values in (spec.categories or {}).items()},
        "levels": levels,
        "declared": declared,
        "rows_read": table.rows_read,
        "dropped": dict(table.dropped),
        "loglik": solution.loglik,
    }
    about["checksum"] = _checksum(about, arrays)
    metadata = {KEY: json.dumps(about, sort_keys=True).encode()}
    content = pa.table(arrays).replace_schema_metadata(metadata)
    try:
        if not path.parent.is_dir():
            raise DataError(f"The fit cannot be written to {str(path)!r}: there is no such folder.")
        spare(path, "The fit", _is_saved)
        write_atomically(path, lambda place: pq.write_table(content, place))
    except OSError as error:
        raise DataError(f"The fit cannot be written to {str(path)!r}: {error.strerror or error}.") from None


def restored(path: str | Path) -> Solution:
    """The fit saved in a file.

    Raises DataError for another file, or one that was changed since; FitError if the fit cannot be repeated.
    """
    path = arguments.path(path, "path")
    try:
        about, arrays = _read(path)
        table = _table(about, arrays)
        spec = Specification(
            parse(about["formula"]),
            about["method"],
            _structure(about["residual"]),
            _structure(about["variance"]),
            about["weights"],
            about["offset"],
            about["categories"] or None,
        )
    except FileNotFoundError:
        raise DataError(f"There is no file {str(path)!r}; use one written by fit.save().") from None
    except (OSError, ValueError) as error:
        reason = str(error).split("\n")[0][:200]
        raise DataError(
            f"{str(path)!r} is not a saved fit: {reason}; use a file written by fit.save(), unchanged."
        ) from None
    found = estimated(spec, table)
    # Written so that it holds for no NaN.
    if not abs(found.loglik - about["loglik"]) <= SAME * max(1.0, abs(about["loglik"])):
        raise FitError(
            f"The fit saved in {str(path)!r} has log-likelihood {about['loglik']:.9g}, but fitting it again "
            f"gives {found.loglik:.9g}: this version of lmmcore computes it differently; fit the model anew."
        )
    return found


def _is_saved(path: Path) -> bool:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return KEY in (pq.read_schema(pa.BufferReader(read_bytes(path))).metadata or {})
    except (pa.ArrowException, ValueError) as error:
        raise Damaged("it is no Parquet file") from error


def _read(path: str | Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The metadata and the columns, as they were written. Raises Damaged, OSError, and DataError for a format
    of another version."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    content = read_bytes(path)
    try:
        table = pq.read_table(pa.BufferReader(content))
        metadata = (table.schema.metadata or {}).get(KEY)
        names = table.column_names
        arrays = {name: values.to_numpy() for name, values in zip(names, table.columns, strict=True)}
    except (pa.ArrowException, OSError, ValueError, LookupError, MemoryError) as error:
        raise Damaged(f"it is no Parquet file that can be read ({type(error).__name__})") from None
    if metadata is None:
        raise Damaged("it is a Parquet file of something else")
    about = parsed(metadata)
    check(about, {"format": int})
    if about["format"] != FORMAT:
        newer = about["format"] > FORMAT
        what = (
            "a newer version of lmmcore; update lmmcore" if newer else "an early version; fit the model again"
        )
        raise DataError(f"{str(path)!r} was saved by {what}.")
    check(about, SHAPE)
    if len(set(names)) < len(names) or about["checksum"] != _checksum(about, arrays):
        raise Damaged("it was changed after it was written")
    return about, arrays


def _checksum(about: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> str:
    """SHA-256 of the metadata and the columns. The log-likelihood is left out: fitting again tells if it is
    right."""
    kept = {key: value for key, value in about.items() if key not in ("checksum", "loglik")}
    digest = sha256(json.dumps(kept, sort_keys=True).encode())
    for name, values in arrays.items():
        digest.update(json.dumps([name, values.dtype.str, values.shape]).encode())
        digest.update(np.ascontiguousarray(values).data)
    return digest.hexdigest()


def _table(about: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Table:
    """The rows of the fit. Raises Damaged for codes without a level and numbers that are none."""
    columns: dict[str, Any] = {}
    groups: dict[str, Factor] = {}
    n = 0
    for full, values in arrays.items():
        kind, _, name = full.partition(":")
        known = about["levels"].get(kind, {}).get(name)
        n = len(values)
        if known is not None:
            if values.dtype != np.int64 or not _each_occurs(values, len(known)):
                raise Damaged(f"the codes of {name!r} are not those of its levels")
            order = about["declared"].get(name)
            declared = None if order is None else tuple(order)
            value: Any = Factor(values.astype(np.intp), tuple(known), declared)
        elif values.dtype != np.float64 or not np.isfinite(values).all():
            raise Damaged(f"the column {name!r} is not one of numbers")
        else:
            value = values
        if kind == "groups" and isinstance(value, Factor):
            groups[name] = value
        elif kind == "columns":
            columns[name] = value
        else:
            raise Damaged(f"the column {full!r} has no place in it")
    read, dropped = about["rows_read"], about["dropped"]
    return Table(columns, n, read, dropped, None, nw.Implementation.POLARS, groups)


def _each_occurs(codes: np.ndarray, levels: int) -> bool:
    """Whether `codes` : (n,) are the numbers below `levels`, each at least once."""
    if not codes.size or codes.min() < 0 or codes.max() >= levels:
        return False
    return bool(np.bincount(codes, minlength=levels).all())


def _described(structure: Any) -> dict[str, Any] | None:
    if structure is None:
        return None
    name = type(structure).__name__
    if STRUCTURES.get(name) is not type(structure):
        raise FitError(f"{name} is not a structure of lmmcore, so that a fit with it cannot be saved.")
    return {"name": name, **asdict(structure)}


def _structure(described: Mapping[str, Any] | None) -> Any:
    if described is None:
        return None
    given = dict(described)
    kind = STRUCTURES[given.pop("name")]
    known = {field.name: field.default is MISSING for field in fields(kind)}
    if not {name for name, needed in known.items() if needed} <= set(given) <= set(known):
        raise Damaged(f"{kind.__name__} has other parts in this version")
    return kind(**given)
