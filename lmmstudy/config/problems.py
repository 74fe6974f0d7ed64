"""What is wrong with a configuration, in sentences for the person who wrote it."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from math import isfinite
from typing import Any

from jsonschema import Draft202012Validator

from lmmstudy.base.text import did_you_mean, quoted, shown
from lmmstudy.config.formulas import KEYS, PARTS, ROLES, columns_used, keys_of
from lmmstudy.config.problems_question import check_question
from lmmstudy.config.problems_structures import COLUMN_KEYS, check_keys, check_structures, listed
from lmmstudy.config.problems_values import (
    check_names,
    check_numbers,
    check_replicates,
    check_storable,
    check_text_format,
    check_times,
)


def problems_of(config: Mapping[str, Any], schema: Mapping[str, Any]) -> list[str]:
    """Every problem of `config`, one sentence each: place, value, what is allowed, nearest known name."""
    errors = Draft202012Validator(schema).iter_errors(config)
    errors = sorted(errors, key=lambda error: [str(part) for part in error.absolute_path])
    return [text for error in errors for text in _explain(error)] + list(_cross_check(config))


def _explain(error: Any) -> Iterator[str]:
    """Sentences for one jsonschema error: place, value, what is allowed, nearest match."""
    where = ".".join(str(part) for part in error.absolute_path) or "the top level"
    rule, allowed, value = error.validator, error.validator_value, error.instance
    if rule == "additionalProperties":
        known = list(error.schema.get("properties", {}))
        for key in [key for key in value if key not in known]:
            near = did_you_mean(key, known)
            yield f"{where}: unknown key {shown(key)}{near} (allowed: {', '.join(known)})"
    elif rule == "required":
        missing = error.message.split("'")[1]
        remedy = (
            "; copy those that the candidates name from config/config.yaml" if missing == "models" else ""
        )
        yield f"{where}: the key {missing!r} is missing{remedy}"
    elif rule == "enum":
        near = did_you_mean(value, allowed)
        yield f"{where}: {_shown(value)} is not allowed{near} (allowed: {quoted(allowed)})"
    elif rule == "type":
        kinds = [allowed] if isinstance(allowed, str) else allowed
        words = " or ".join(_KINDS.get(kind, kind) for kind in kinds)
        yield f"{where}: {_shown(value)} is not {words}{_yaml_hint(value, kinds)}"
    elif rule == "pattern":
        section = where.rsplit(".", 1)[-1]
        yield f"{section}: the name {_shown(value)} must start with a letter; then letters, digits, _, -"
    elif rule == "not":
        yield f"{where}: the column {_shown(value)} cannot have a backtick or a line break; rename it"
    elif rule in _LIMITS:
        yield f"{where}: {_shown(value)} {_LIMITS[rule].format(allowed)}"
    else:
        yield f"{where}: {error.message}"


_KINDS = {
    "string": "a text",
    "number": "a number",
    "object": "a section of keys and values",
    "array": "a list",
    "boolean": "true or false",
}
_LIMITS = {
    "minimum": "must be at least {}",
    "exclusiveMinimum": "must be greater than {}",
    "exclusiveMaximum": "must be less than {}",
    "minProperties": "needs at least {} entry",
    "minItems": "needs at least {} item(s)",
    "maxItems": "can have at most {} items",
    "minLength": "must not be empty",
    "maxLength": "must be at most {} character(s) long",
    "uniqueItems": "names the same thing twice",
}


def _cross_check(config: Mapping[str, Any]) -> Iterator[str]:
    """Mistakes between keys, wherever the parts concerned have the right shape."""
    models = _section(config, "models")
    datasets = _section(config, "datasets")
    yield from check_storable(config)
    yield from check_names(models, "models")
    yield from check_names(datasets, "datasets")
    for name in models:
        model = _section(models, name)
        yield from _check_formula(f"models.{name}.formula", model.get("formula"))
        parts = (_section(model, part) for part in PARTS)
        yield from check_structures(f"models.{name}", *parts)
    for name in datasets:
        yield from _check_dataset(f"datasets.{name}", _section(datasets, name), models)


def _check_formula(where: str, formula: Any) -> Iterator[str]:
    if not isinstance(formula, str):
        return
    yield from check_keys(where, formula, KEYS)
    if formula.count("~") != 1:
        yield f"{where}: {formula!r} needs exactly one '~' between response and terms"


def _check_dataset(where: str, dataset: Mapping[str, Any], models: Mapping[str, Any]) -> Iterator[str]:
    names = dataset.get("candidates")
    candidates = [name for name in names if isinstance(name, str)] if isinstance(names, list) else []
    unknown = [candidate for candidate in candidates if candidate not in models]
    known = ", ".join(models)
    for candidate in unknown:
        near = did_you_mean(candidate, list(models))
        yield f"{where}.candidates: there is no model {candidate!r}{near} (models: {known})"
    yield from check_text_format(where, dataset)
    yield from check_times(where, dataset)
    yield from check_numbers(where, dataset)
    yield from check_question(where, dataset)
    if isinstance(fixed := dataset.get("fixed"), str) and "~" in fixed:
        yield f"{where}.fixed: {fixed!r} must be the right-hand side alone, without '~'"
    yield from check_replicates(where, dataset)
    roles = [str(dataset[key]) for key in (*ROLES, "occasion") if key in dataset]
    if len(set(roles)) < len(roles):
        named = (
            "occasion and response must be four" if "occasion" in dataset else "and response must be three"
        )
        yield f"{where}: subject, time{',' * ('occasion' in dataset)} {named} different columns"
    for column, levels in _section(dataset, "categories").items():
        if _same_text(levels):
            yield f"{where}.categories.{column}: {_shown(levels)} names the same level twice"
    for column, limits in _section(dataset, "range").items():
        if _numbers(limits) and limits[0] > limits[1]:
            yield f"{where}.range.{column}: {limits} must be [lowest, highest]"
    listed = [_section(models, str(c)) for c in candidates]
    columns = [dataset.get(key, "") for key in (*ROLES, "fixed", "group", "occasion")]
    sound = all(isinstance(column, str) for column in columns) and names == candidates
    whole = {"subject", "response", "fixed"} <= set(dataset)
    if sound and whole and all(_readable(model) for model in listed):
        for name, model in zip(candidates, listed, strict=True):
            for key in ("group", "time", "occasion"):
                if key not in dataset and key in keys_of(model):
                    yield f"{where}: the candidate {name!r} uses {{{key}}}, but the dataset names no `{key}`"
        used = columns_used(dataset, models)
        for column in [*used, *_section(dataset, "wide")]:
            if column == "*" or (column[:1] == "^" and column[-1:] == "$"):
                yield f"{where}: the column {column!r} has a name that stands for several columns; rename it"
        for key in ("range", "categories"):
            for column in _section(dataset, key):
                if column not in used:
                    near = did_you_mean(column, used)
                    known = quoted(used)
                    yield f"{where}.{key}: no model uses a column {column!r}{near} (used: {known})"


def _readable(model: Mapping[str, Any]) -> bool:
    """Whether the texts that can name columns are texts."""
    needed = [model.get("formula"), *(_section(model, part).get("type") for part in PARTS if part in model)]
    named = [listed(_section(model, part).get(key, "")) for part in PARTS for key in COLUMN_KEYS[part]]
    return all(isinstance(text, str) for text in [*needed, *chain.from_iterable(named)])


def _section(mapping: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = mapping.get(key)
    return value if isinstance(value, Mapping) else {}


def _numbers(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(type(v) in (int, float) for v in value)


def _same_text(levels: Any) -> bool:
    """Whether levels that differ for YAML, such as 1 and "1", are one in the clean table."""
    different = isinstance(levels, list) and all(levels.count(level) == 1 for level in levels)
    return different and len({str(level) for level in levels}) < len(levels)


def _yaml_hint(value: Any, kinds: Sequence[str]) -> str:
    if isinstance(value, bool):
        return "; YAML reads yes, no, on and off as true and false: put a text in quotation marks"
    if isinstance(value, str) and "number" in kinds and (number := _number(value)) is not None:
        return f"; write {number:.15g}, without quotation marks"
    return "; put it in quotation marks" if isinstance(value, (int, float)) and "string" in kinds else ""


def _number(text: str) -> float | None:
    """The number that is meant by a text such as `1e-3`, `010` or '5'."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if isfinite(number) else None


def _shown(value: Any) -> str:
    return "null" if value is None else shown(value)
