"""Reading a configuration file: YAML as plain data, and every doubtful text refused with its line.

Snakemake's own reader of configuration files evaluates templates in them; this one builds texts, numbers,
lists and mappings and nothing else. It is stricter than YAML where YAML surprises: a key given twice is a
mistake and not a silent replacement, a key that is not text (`no:`, `1:`) must be quoted, and dates stay
the text they are.
"""

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from lmmstudy.wording import one_line

LARGEST = 200_000
"""Values in a configuration, each alias counted as often as it is used."""


class ConfigError(Exception):
    """A configuration that cannot be run; the text lists every problem found."""


class _Loader(yaml.SafeLoader):
    """YAML without surprises; mistakes are gathered in `problems`."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self.problems: list[str] = []

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:
        """A mapping whose keys are texts, each given once."""
        first: dict[str, int] = {}
        for key_node, _ in node.value:
            line = key_node.start_mark.line + 1
            written = getattr(key_node, "value", None)
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            if key_node.tag != "tag:yaml.org,2002:str" or not isinstance(written, str):
                shown = repr(written) if isinstance(written, str) else "a list or a mapping"
                self.problems.append(f"line {line}: the key {shown} is not text: put it in quotation marks")
            elif written in first:
                self.problems.append(
                    f"line {line}: {written!r} is already there in line {first[written]}: one would replace "
                    "the other; rename or remove one"
                )
            else:
                first[written] = line
        return super().construct_mapping(node, deep)


_Loader.yaml_implicit_resolvers = {
    start: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":timestamp")]
    for start, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def read_config(path: str | Path) -> dict[str, Any]:
    """The mapping that the YAML file `path` holds.

    Raises ConfigError, which lists what makes the file unreadable, by line.
    """
    try:
        text = Path(path).read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(
            f"There is no configuration {path}: go to the study's folder, or name the file with --config."
        ) from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror}).") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 at byte {error.start}: save it as UTF-8.") from None
    config, problems = _load(text)
    if not problems and not isinstance(config, dict):
        problems = ["it must be a mapping with the keys `datasets` and `models`"]
    if not problems:
        problems = _too_large(config)
    if problems:
        raise listing(problems, str(path))
    return config


def listing(problems: list[str], where: str) -> ConfigError:
    """The error that lists `problems` of the configuration `where`."""
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    lines = "\n".join(f"  - {one_line(problem)}" for problem in problems)
    return ConfigError(
        f"The configuration has {count}:\n{lines}\nCorrect {where}; config/README.md explains every key."
    )


def _load(text: str) -> tuple[Any, list[str]]:
    try:
        loader = _Loader(text)
        config = loader.get_single_data()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        hint = ""
        if "\\t" in str(error.problem):
            hint = "; indent with spaces, not with tabs"
        elif "mapping values are not allowed" in str(error.problem):
            hint = "; put a text with a colon in quotation marks"
        return None, [f"{place}this is not YAML: {error.problem or error.context}{hint}"]
    except yaml.reader.ReaderError as error:
        return None, [f"the character {chr(error.character)!r} is not allowed in YAML"]
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        return None, [f"this is not YAML: {str(error).splitlines()[0]}"]
    return config, loader.problems


def _too_large(config: Any) -> list[str]:
    """A complaint about a study too large for one file, or aliases that repeat without end."""
    sizes: dict[int, int] = {}
    open_now: set[int] = set()

    def size(value: Any) -> int:
        if not isinstance(value, (dict, list)):
            return 1
        if id(value) in open_now:
            return LARGEST
        if id(value) not in sizes:
            open_now.add(id(value))
            parts = value.values() if isinstance(value, dict) else value
            sizes[id(value)] = 1 + sum(map(size, parts))
            open_now.discard(id(value))
        return sizes[id(value)]

    try:
        large = size(config) >= LARGEST
    except RecursionError:
        large = True
    if not large:
        return []
    return [
        f"it holds more than {LARGEST:,} values: split the study (docs/clusters.md says how); or its "
        "aliases (*name) repeat too much, or contain themselves: write them out"
    ]
