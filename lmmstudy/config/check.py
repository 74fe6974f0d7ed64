"""`lmm check`: every problem of a configuration and of its raw files, found before anything runs."""

from collections.abc import Iterator, Mapping
from typing import Any

from lmmstudy.clean.clean import examine
from lmmstudy.config.file import read_config
from lmmstudy.config.places import usable
from lmmstudy.config.problems_formulas import problems_of_columns, problems_of_formulas
from lmmstudy.config.problems_question import problems_of_arms
from lmmstudy.config.study import ConfigError, load, plan


def check(path: str) -> list[str]:
    """Texts for the terminal, none when all is well: what is wrong with the configuration file `path`, in
    the words that the workflow would use, then a line for each formula and raw file that cannot be used.
    """
    return look(path)[0]


def look(path: str) -> tuple[list[str], list[str]]:
    """What `check` finds, and questions (without their mark) about what can be used and is hardly meant.

    The raw file of a dataset is looked at as soon as its own stanza is sound, whatever else is not.
    """
    try:
        given = read_config(path)
    except ConfigError as error:
        return [str(error)], []
    found, doubtful = list[str](), list[str]()
    try:
        load(given, where=path)
    except ConfigError as error:
        found.append(str(error))
    for name, config in _alone(given):
        planned = plan(config)
        found += problems_of_formulas(planned)
        jobs = planned[name]
        design = jobs["clean"]
        problems, doubts, audit = examine(name, design["path"] if usable(design["path"]) else None, design)
        found += [*problems_of_columns(name, jobs["fit"], audit), *problems]
        found += problems_of_arms(name, config["datasets"][name], audit)
        doubtful += doubts
    return found, doubtful


def _alone(config: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each sound dataset with the study that has no other: only its own candidates, and the general keys."""
    datasets, models = config.get("datasets"), config.get("models")
    if not isinstance(datasets, Mapping) or not isinstance(models, Mapping):
        return
    general = {key: config[key] for key in ("files",) if key in config}
    for name, stanza in datasets.items():
        names = _texts(stanza.get("candidates")) if isinstance(stanza, Mapping) else []
        listed = {model: models[model] for model in names if model in models}
        try:
            yield name, load({**general, "datasets": {name: stanza}, "models": listed})
        except ConfigError:
            continue


def _texts(value: Any) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []
