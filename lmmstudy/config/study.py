"""The study's configuration: checked as a whole, completed with defaults, split by job.

`study` is what the Snakefile calls. It knows two kinds of mistakes, those the JSON
Schema describes and those between keys (a candidate that is not a model), and reports all of them
together in one text for the user. The schema is the only home of defaults and descriptions.

Light on purpose: the Snakefile is parsed by every Snakemake process of a run.
"""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from lmmstudy.base.folders import CONFIG, Folders, folders_of
from lmmstudy.base.project import PROJECT
from lmmstudy.config.file import ConfigError, composed, listing, read_config
from lmmstudy.config.formulas import ROLES, columns_of_models, columns_used, fit_of
from lmmstudy.config.places import on_disk, problems_of_paths
from lmmstudy.config.problems import problems_of

__all__ = ["CONFIG", "ConfigError", "load", "place", "plan", "read_schema", "study"]

SCHEMA = PROJECT / "workflow" / "schemas" / "config.schema.yaml"
CLEANING = (
    *("path", "header_row", "separator", "decimal", "encoding"),
    *("group", "occasion", "categories", "missing", "range", "duplicates"),
    *("wide", "time_unit", "time_zero", "date_format"),
)


def study(given: Mapping[str, Any], files: Sequence[str | Path] = (), where: str = CONFIG) -> dict[str, Any]:
    """The study's configuration: the file `where`, or what Snakemake was `given` in its place.

    given : keys from the command line (`--config`) and from the `files` named with `--configfile`. Such
    files replace `where`, so a study of one's own does not run the embedded ones too; single keys change
    `where`, section by section. `study_config` among them names another file. Raises `ConfigError`.
    """
    own = {key: value for key, value in given.items() if key != "study_folder"}
    where = str(own.pop("study_config", where))
    base = {} if files else read_config(where)
    for key, value in (own if files else _typed(own)).items():
        old = base.get(key)
        base[key] = {**old, **value} if isinstance(old, dict) and isinstance(value, Mapping) else value
    return load(base, where=", ".join(str(file) for file in files) or where)


def place(given: Mapping[str, Any], files: Sequence[str | Path] = ()) -> Folders:
    """The folders of the study that Snakemake was `given`, as in `study`. `study_folder` among the keys names
    the one that holds them all."""
    if "study_folder" in given:
        return Folders(Path(str(given["study_folder"])))
    return folders_of(*files) if files else folders_of(str(given.get("study_config", CONFIG)))


def _typed(value: Any) -> Any:
    """Keys of the command line, which Snakemake hands on as text, with their numbers as numbers."""
    if isinstance(value, Mapping):
        return {key: _typed(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_typed(item) for item in value]
    if isinstance(value, str):
        try:
            return float(value) if "." in value or "e" in value.lower() else int(value)
        except ValueError:
            return value
    return value


def load(
    config: Mapping[str, Any], schema: Mapping[str, Any] | None = None, where: str = CONFIG
) -> dict[str, Any]:
    """A checked copy of `config` with the schema's defaults filled in.

    Stanzas set to null are left out. Raises `ConfigError` listing every problem: where, what stands
    there, what is allowed and, for a name, the nearest known one. `where` is the file to correct.
    """
    schema = read_schema() if schema is None else schema
    complete = composed(config)
    for section in ("datasets", "models"):
        if isinstance(complete.get(section), dict):
            complete[section] = {k: v for k, v in complete[section].items() if v is not None}
    for dataset in complete["datasets"].values() if isinstance(complete.get("datasets"), dict) else ():
        if isinstance(dataset, dict) and isinstance(dataset.get("path"), str):
            dataset["path"] = on_disk(dataset["path"])
    if problems := [*problems_of(complete, schema), *problems_of_paths(complete, Path.cwd())]:
        raise listing(problems, where)
    return _with_defaults(complete, schema, schema)


@cache
def read_schema(path: Path = SCHEMA) -> dict[str, Any]:
    """The JSON Schema of the configuration, read once: that takes longer than checking a stanza."""
    return yaml.safe_load(path.read_text("utf-8"))


def plan(config: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """What each job of each dataset depends on, and no more.

    Returns `{dataset: {"clean": ..., "fit": {model: ...}, "select": ..., "report": ...}}`; the
    workflow's rules look their parameters up in it, so that a new title does not refit a model.
    """
    return {
        name: {
            "clean": _cleaning(dataset, config["models"]),
            "fit": {
                model: _fitting(dataset, config["models"][model]) | {"report": config["report"]}
                for model in dataset["candidates"]
            },
            "select": {**config["selection"], "categories": dataset.get("categories", {})},
            "report": dataset,
        }
        for name, dataset in config["datasets"].items()
    }


def _cleaning(dataset: Mapping[str, Any], models: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a dataset's stanza that decides its clean table, its covariates, and which of them only
    candidates name."""
    own = _pick(dataset, (*ROLES, *CLEANING))
    if "time" not in own and "occasion" not in own:
        own["duplicates"] = "keep"
    roles = [dataset[role] for role in ROLES if role in dataset]
    covariates = columns_used(dataset, models)[len(roles) :]
    return own | {"covariates": covariates, "of_models": columns_of_models(dataset, models)}


def _fitting(dataset: Mapping[str, Any], model: Mapping[str, Any]) -> dict[str, Any]:
    """What the fit of one candidate depends on, with the dataset's columns filled in."""
    return {
        "dataset": _pick(dataset, (*ROLES, "fixed", "categories", "group", "question")),
        "model": model,
        **fit_of(dataset, model),
    }


def _pick(mapping: Mapping[str, Any], keys: Sequence[str]) -> dict[str, Any]:
    return {key: mapping[key] for key in keys if key in mapping}


def _with_defaults(value: Any, schema: Mapping[str, Any], root: Mapping[str, Any]) -> Any:
    schema = _resolve(schema, root)
    if not isinstance(value, dict):
        return value
    named = schema.get("properties", {})
    filled = {k: deepcopy(s["default"]) for k, s in named.items() if "default" in s} | value
    other = schema.get("additionalProperties")
    other = other if isinstance(other, dict) else {}
    return {k: _with_defaults(v, named.get(k, other), root) for k, v in filled.items()}


def _resolve(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Mapping[str, Any]:
    if "$ref" in schema:
        return root["$defs"][schema["$ref"].rsplit("/", 1)[1]]
    return schema
