"""Candidates without a formula or with columns that their file lacks, in sentences for who wrote them."""

from collections.abc import Iterator, Mapping
from typing import Any

from lmmcore.errors import LmmError
from lmmstudy.base.text import one_line, shown
from lmmstudy.config.formulas import check_formula, columns_of_fit


def problems_of_formulas(plan: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """A sentence for each candidate of each dataset of `plan` (see `lmmstudy.config.study.plan`) that has no
    formula."""
    for dataset, jobs in plan.items():
        for model, design in jobs["fit"].items():
            try:
                check_formula(design["formula"])
            except LmmError as error:
                yield one_line(
                    f"{model} cannot be fitted to {dataset}: {shown(design['formula'], 200)}: {error}"
                )


def lacking(design: Mapping[str, Any], audit: Mapping[str, Any]) -> str | None:
    """What the raw file lacks of the columns of a candidate, by the audit of its dataset; None when it has
    them all."""
    used = columns_of_fit(design)
    concerned = [entry for entry in audit.get("absent", ()) if used.issuperset(entry["columns"])]
    entry = max(concerned, key=lambda entry: len(entry["columns"]), default=None)
    return None if entry is None else str(entry["message"])


def problems_of_columns(
    dataset: str, fits: Mapping[str, Mapping[str, Any]], audit: Mapping[str, Any]
) -> Iterator[str]:
    """A sentence for each candidate of `fits` that needs a column that the file lacks."""
    for model, design in fits.items():
        if message := lacking(design, audit):
            yield one_line(f"{model} cannot be fitted to {dataset}: {message}")
