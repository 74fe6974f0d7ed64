"""Candidates whose formula cannot be read, in sentences for the person who wrote it."""

from collections.abc import Iterator, Mapping
from typing import Any

from lmmcore.errors import LmmError
from lmmcore.formula.parse import parse
from lmmstudy.base.text import one_line, shown


def problems_of_formulas(plan: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """A sentence for each candidate of each dataset of `plan` (see `lmmstudy.config.study.plan`) that has no
    formula."""
    for dataset, jobs in plan.items():
        for model, design in jobs["fit"].items():
            try:
                parse(design["formula"])
            except LmmError as error:
                yield one_line(
                    f"{model} cannot be fitted to {dataset}: {shown(design['formula'], 200)}: {error}"
                )
