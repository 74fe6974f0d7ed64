"""Formula templates: filling in a dataset's columns, and the columns that a formula names."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from lmmcore.errors import FormulaError, LmmError
from lmmcore.formula.parse import parse

PARTS = ("residual", "variance")
"""Parts of a model, beside its formula, that can name columns."""
FITTED = "fitted"
"""What the residual variance can be a power of, other than a column."""
KEYS = ("response", "fixed", "subject", "time", "group", "occasion")
ROLES = ("subject", "time", "response")
"""Keys of the columns that every dataset has; `time` may be absent."""
CONSTANTS = ("pi", "True", "False")


def fill(template: str, dataset: Mapping[str, Any]) -> str:
    """The template with the KEYS in braces replaced by the dataset's own, nothing else.

    A key that the dataset lacks stays as it is.
    """
    pattern = rf"\{{({'|'.join(KEYS)})\}}"
    return re.sub(pattern, lambda match: str(dataset.get(match[1], match[0])), template)


def fill_formula(template: str, dataset: Mapping[str, Any]) -> str:
    """The template filled in as a formula: columns whose names are not plain words stand in backticks."""
    columns = {key: in_formula(str(dataset[key])) for key in KEYS if key in dataset and key != "fixed"}
    return fill(template, {**dataset, **columns})


def in_formula(column: str) -> str:
    """A column as a formula names it: in backticks unless it is a plain word."""
    plain = re.fullmatch(r"[^\W\d](?:\w|\.(?!__))*", column) and column not in CONSTANTS
    return column if plain else f"`{column}`"


def keys_of(model: Mapping[str, Any]) -> set[str]:
    """Keys in braces in a model's formula and columns, and `time` where its residuals depend on that."""
    texts = [model["formula"], *(str(value) for part in PARTS for value in model.get(part, {}).values())]
    residual = model.get("residual", {})
    timed = (
        {"time"} if residual and "time" not in residual and residual["type"] != "compound_symmetry" else set()
    )
    return timed | {key for text in texts for key in re.findall(r"\{(\w+)\}", text)}


def check_formula(formula: str) -> None:
    """FormulaError unless the engine can read the formula and a report can show its model."""
    offset = parse(formula).offset
    if offset is not None:
        raise FormulaError(
            f"A study has no offset({offset}), because its reports cannot show one: subtract the column from "
            "the response in the raw data, or fit the model by lmm.fit in Python."
        )


def columns_of(formula: str) -> list[str]:
    """The columns that a formula names, grouping factors last; none of a formula that cannot be read."""
    try:
        parsed = parse(formula)
    except LmmError:
        return []
    return list(dict.fromkeys([*parsed.variables, *parsed.groups]))


def columns_of_terms(terms: str) -> list[str]:
    """The columns that the right-hand side of a formula names."""
    response = "~"  # a name that nothing else has, in backticks
    return [name for name in columns_of(f"`{response}` ~ {terms}") if name != response]


def residual_structure(model: Mapping[str, Any], dataset: Mapping[str, Any]) -> dict[str, Any] | None:
    """A model's residual structure with the dataset's columns; None for independent residuals.

    `time` is None for compound symmetry, which uses none; `subject` a column, or a list of columns whose
    combinations are the subjects.
    """
    residual = model.get("residual")
    if residual is None:
        return None
    timeless = residual["type"] == "compound_symmetry"
    unequal = {"heterogeneous": bool(residual.get("heterogeneous", True))}
    return {
        "type": residual["type"],
        "time": None if timeless else fill(residual.get("time", "{time}"), dataset),
        "subject": _subject(residual.get("subject") or _innermost(model["formula"]), dataset),
        "nugget": bool(residual.get("nugget", False)),
        **(unequal if residual["type"] == "ante_dependence" else {}),
        **({"by": fill(residual["by"], dataset)} if "by" in residual else {}),
    }


def _subject(given: str | Sequence[str], dataset: Mapping[str, Any]) -> str | list[str]:
    if isinstance(given, str):
        return fill(given, dataset)
    return [fill(column, dataset) for column in given]


def _innermost(formula: str) -> str | list[str]:
    """The subject, or the units nested in it where the formula has random effects: (1 | {subject}/eye)."""
    groups = re.findall(r"\|([^()|]+)\)", formula)
    nested = [[part.strip(" `") for part in re.split("[/:]", group)] for group in groups]
    finer = [parts for parts in nested if "{subject}" in parts[:-1]]
    return max(finer, key=len, default="{subject}")


def subject_columns(structure: Mapping[str, Any] | None) -> list[str]:
    """Columns whose combinations are the subjects of a residual structure."""
    subject = (structure or {}).get("subject")
    return subject if isinstance(subject, list) else [subject] if subject else []


def variance_structure(model: Mapping[str, Any], dataset: Mapping[str, Any]) -> dict[str, str] | None:
    """A model's variance structure with the dataset's columns; None for equal variances."""
    variance = model.get("variance")
    if variance is None:
        return None
    return {key: fill(value, dataset) for key, value in variance.items()}


def columns_of_fit(design: Mapping[str, Any]) -> set[str]:
    """The columns that a fit with this `formula`, `residual_structure` and `variance` needs; none
    of one whose formula cannot be read: it stops alone."""
    of_formula = columns_of(design["formula"])
    residual, variance = design["residual_structure"] or {}, design["variance"] or {}
    if not of_formula:
        return set()
    columns = (residual.get("time"), residual.get("by"), variance.get("column"), variance.get("of"))
    named = {str(column) for column in columns if column not in (None, FITTED)}
    return {*of_formula, *subject_columns(residual), *named}


def fit_of(dataset: Mapping[str, Any], model: Mapping[str, Any]) -> dict[str, Any]:
    """What `columns_of_fit` asks for, with the dataset's columns filled in."""
    return {
        "formula": fill_formula(model["formula"], dataset),
        "residual_structure": residual_structure(model, dataset),
        "variance": variance_structure(model, dataset),
    }


def columns_of_candidates(dataset: Mapping[str, Any], models: Mapping[str, Any]) -> list[set[str]]:
    """The columns that each candidate of the dataset uses."""
    return [columns_of_fit(fit_of(dataset, models[name])) for name in dataset["candidates"]]


def columns_used(dataset: Mapping[str, Any], models: Mapping[str, Any]) -> list[str]:
    """Subject, time, response, then by name the other columns of the dataset's candidates, its group and its
    occasion."""
    roles = [dataset[role] for role in ROLES if role in dataset]
    named = {dataset[key] for key in ("group", "occasion") if key in dataset}
    return roles + sorted(named.union(*columns_of_candidates(dataset, models)) - set(roles))


def columns_of_models(dataset: Mapping[str, Any], models: Mapping[str, Any]) -> list[list[str]]:
    """The columns that candidates use and the dataset's own stanza does not name: a list for each set of them
    that some candidate needs together."""
    own = {dataset[key] for key in (*ROLES, "group", "occasion") if key in dataset}
    own |= {*columns_of_terms(dataset["fixed"]), *dataset.get("categories", ()), *dataset.get("range", ())}
    further = {tuple(sorted(columns - own)) for columns in columns_of_candidates(dataset, models)}
    return [list(columns) for columns in sorted(further - {()})]
