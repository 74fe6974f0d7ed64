"""Save a fit and load it again: a Parquet file of the rows used, with the model in its metadata.

The file is data, not code: no pickle, no formula is run beyond the closed list of functions. Loading fits the
model again, which takes about as long as reading it, and checks that the log-likelihood is the one saved.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import narwhals as nw
import numpy as np

from lmmcore.covariance.ar1 import AR1
from lmmcore.covariance.compound import CompoundSymmetry
from lmmcore.covariance.exponential import CAR1, Exponential, Gaussian
from lmmcore.covariance.random_walk import RandomWalk
from lmmcore.covariance.toeplitz import Toeplitz
from lmmcore.covariance.unstructured import Unstructured
from lmmcore.covariance.variance import ByGroup, Power
from lmmcore.data.table import Factor, Table
from lmmcore.errors import DataError, FitError
from lmmcore.fitting import fit_table
from lmmcore.formula.parse import parse
from lmmcore.model.specification import Specification
from lmmcore.result import Fit
from lmmcore.runtime import arguments

KEY = b"lmmcore"
FORMAT = 1
SAME = 1e-8  # relative difference of log-likelihoods that counts as the same
STRUCTURES = {
    kind.__name__: kind
    for kind in (
        AR1,
        CAR1,
        CompoundSymmetry,
        Exponential,
        Gaussian,
        RandomWalk,
        Toeplitz,
        Unstructured,
        ByGroup,
        Power,
    )
}


def save(fit: Fit, path: str | Path) -> None:
    """Write a fit to a file that load() reads. Raises FitError for a structure of another package."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    model, path = fit.solution.model, arguments.path(path, "path")
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
        "loglik": fit.loglik,
    }
    metadata = {KEY: json.dumps(about, sort_keys=True).encode()}
    try:
        pq.write_table(pa.table(arrays).replace_schema_metadata(metadata), path)
    except OSError as error:
        raise DataError(f"The fit cannot be written to {str(path)!r}: {error.strerror or error}.") from None


def load(path: str | Path) -> Fit:
    """The fit saved in a file. Raises DataError for another file, FitError if the fit cannot be repeated."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = arguments.path(path, "path")
    try:
        content = pq.read_table(path)
        about = json.loads((content.schema.metadata or {})[KEY])
    except FileNotFoundError:
        raise DataError(f"There is no file {str(path)!r}; use one written by fit.save().") from None
    except (OSError, pa.ArrowInvalid, KeyError, json.JSONDecodeError) as error:
        raise DataError(
            f"{str(path)!r} is not a saved fit: {error}; use a file written by fit.save()."
        ) from None
    if about["format"] > FORMAT:
        raise DataError(f"{str(path)!r} was saved by a newer version of lmmcore; update lmmcore to load it.")
    columns: dict[str, Any] = {}
    groups: dict[str, Factor] = {}
    for full in content.column_names:
        kind, _, name = full.partition(":")
        values = content.column(full).to_numpy()
        known = about["levels"][kind].get(name)
        if known is not None:
            order = about.get("declared", {}).get(name)
            values = Factor(values.astype(np.intp), tuple(known), None if order is None else tuple(order))
        if kind == "groups":
            groups[name] = values
        else:
            columns[name] = values
    table = Table(
        columns, len(content), about["rows_read"], about["dropped"], None, nw.Implementation.POLARS, groups
    )
    spec = Specification(
        parse(about["formula"]),
        about["method"],
        _structure(about["residual"]),
        _structure(about["variance"]),
        about["weights"],
        about["offset"],
        about["categories"] or None,
    )
    fit = fit_table(spec, table)
    if abs(fit.loglik - about["loglik"]) > SAME * max(1.0, abs(about["loglik"])):
        raise FitError(
            f"The fit saved in {str(path)!r} has log-likelihood {about['loglik']:.9g}, but fitting it again "
            f"gives {fit.loglik:.9g}: this version of lmmcore computes it differently; fit the model anew."
        )
    return fit


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
    fields = dict(described)
    return STRUCTURES[fields.pop("name")](**fields)
