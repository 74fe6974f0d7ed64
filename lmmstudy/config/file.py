"""Reading a configuration file: YAML as plain data, and every doubtful text refused with its line.

Snakemake's own reader of configuration files evaluates templates in them; this one builds texts, numbers,
lists and mappings and nothing else. It is stricter than YAML where YAML surprises: a key given twice is a
mistake and not a silent replacement, a key that is not text (`no:`, `1:`) must be quoted, and dates stay
the text they are, as do `010`, `0x10`, `1_000` and `1:30`, which YAML takes for 8, 16, 1000 and 90.
"""

import re
import unicodedata
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import yaml

from lmmstudy.base.text import one_line, shown

LARGEST = 200_000
"""Values in a configuration, each alias counted as often as it is used."""
DEEPEST = 50
"""Levels of lists and mappings within each other."""
TAG = "tag:yaml.org,2002:"
ODD = ("timestamp", "value")
"""What YAML makes of dates and of `=`; here both stay text."""
NUMBERS = {
    "int": re.compile(r"[-+]?(?:0|[1-9][0-9]*)$"),
    "float": re.compile(
        r"[-+]?(?:(?:0|[1-9][0-9]*)\.[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?$"
        r"|[-+]?\.(?:inf|Inf|INF)$|\.(?:nan|NaN|NAN)$"
    ),
}
"""Numbers as everybody writes them."""


class ConfigError(Exception):
    """A configuration that cannot be run; the text lists every problem found."""


class _Loader(yaml.SafeLoader):
    """YAML without surprises; mistakes are gathered in `problems`."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self.problems: list[str] = []
        self.merged = 0
        self.depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        """A node without a tag such as `!!int` or `!!python/name`."""
        event = self.peek_event()
        if tag := getattr(event, "tag", None):
            written = tag.replace(TAG, "!!")
            raise yaml.composer.ComposerError(
                None, None, f"the tag {written!r} has no place here; remove it", event.start_mark
            )
        self.depth += 1
        if self.depth > DEEPEST:
            raise yaml.composer.ComposerError(
                None, None, f"lists and mappings are nested more than {DEEPEST} deep", event.start_mark
            )
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def construct_scalar(self, node: Any) -> Any:
        """A text; characters that JSON writes as two halves are put together."""
        text = super().construct_scalar(node)
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")

    def flatten_mapping(self, node: Any) -> None:
        """Take in the mappings that `<<` names, unless they become too many: each may name others again."""
        named = [value for key, value in node.value if key.tag == f"{TAG}merge"]
        parts = [part for value in named for part in (value.value if value.id == "sequence" else [value])]
        mappings = [part for part in parts if isinstance(part, yaml.MappingNode)]
        for part in mappings:
            self.flatten_mapping(part)
            self.merged += len(part.value)
        if self.merged > LARGEST:
            raise yaml.constructor.ConstructorError(None, None, "`<<` repeats too much", node.start_mark)
        super().flatten_mapping(node)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:
        """A mapping whose keys are texts, each given once."""
        first: dict[str, int] = {}
        for key_node, _ in node.value:
            line = key_node.start_mark.line + 1
            written = getattr(key_node, "value", None)
            if key_node.tag == f"{TAG}merge":
                continue
            if key_node.tag != f"{TAG}str" or not isinstance(written, str):
                key = shown(written) if isinstance(written, str) else "a list or a mapping"
                self.problems.append(f"line {line}: the key {key} is not text: put it in quotation marks")
            elif (name := composed(written)) in first:
                self.problems.append(
                    f"line {line}: {shown(written)} is already there in line {first[name]}: one would "
                    "replace the other; rename or remove one"
                )
            else:
                first[name] = line
        return super().construct_mapping(node, deep)


_Loader.yaml_implicit_resolvers = {
    start: [
        (tag, NUMBERS.get(tag.removeprefix(TAG), pattern))
        for tag, pattern in resolvers
        if tag.removeprefix(TAG) not in ODD
    ]
    for start, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def read_config(path: str | Path) -> dict[str, Any]:
    """The mapping that the YAML file `path` holds.

    Raises ConfigError, which lists what makes the file unreadable, by line.
    """
    place = Path(path)
    try:
        if place.is_fifo() or place.is_char_device():  # it may never end
            raise ConfigError(f"{path} cannot be read, it is not a regular file.")
        text = place.read_bytes().decode("utf-8-sig")
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


def composed(value: Any) -> Any:
    """A copy of `value`, its texts composed (NFC: one é, however it was typed), as those of the data are."""
    if isinstance(value, str):
        return value if value.isascii() else unicodedata.normalize("NFC", value)
    if isinstance(value, Mapping):
        return {composed(key): composed(item) for key, item in value.items()}
    return [composed(item) for item in value] if isinstance(value, list) else value


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
