"""config/README.md, made from the schema by `make docs` (`python -m lmmstudy.config.docs`)."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from lmmstudy.base.files import write_text
from lmmstudy.base.project import PROJECT
from lmmstudy.config.study import read_schema

README = PROJECT / "config" / "README.md"
INTRODUCTION = """\
# Configuration

<!-- Made from workflow/schemas/config.schema.yaml by `make docs`; edit that file, not this one. -->

`config/config.yaml` describes the embedded studies. To add a dataset, copy a stanza, change it, and
run `snakemake --cores 8`: only its own jobs run. For a study of your own, write another file of the
same form and run `lmm run --config mystudy.yaml`; the embedded studies are left out then, and
everything that is made of it stands in `studies/mystudy/`. (Plain Snakemake takes
`snakemake --cores 8 --configfile mystudy.yaml`, but evaluates templates in a file that asks for
it with `__use_yte__`; `lmm run` and `config/config.yaml` are read as plain data.)

Every mistake is reported before anything runs: where, what stands there, what is allowed. `lmm check`
lists them together with those of the raw files; `lmm init FILE` drafts a stanza for a raw file.
"""


def render(schema: Mapping[str, Any]) -> str:
    """The text of config/README.md."""
    sections = [INTRODUCTION]
    properties = schema["properties"]
    for name in ("datasets", "models"):
        section = properties[name]
        definition = schema["$defs"][section["additionalProperties"]["$ref"].rsplit("/", 1)[1]]
        sections.append(_section(f"{name}.NAME", section["description"], definition, schema))
    for name in ("selection", "report", "runs", "files"):
        sections.append(_section(name, properties[name]["description"], properties[name], schema))
    return "\n".join(sections)


def _section(name: str, description: str, definition: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    required = definition.get("required", [])
    rows = "\n".join(_rows("", definition["properties"], required, schema))
    header = "| key | default | meaning | example |\n| --- | --- | --- | --- |"
    return f"## `{name}`\n\n{description}\n\n{header}\n{rows}\n"


def _rows(
    prefix: str, properties: Mapping[str, Any], required: list[str], schema: Mapping[str, Any]
) -> Iterator[str]:
    for key, own in properties.items():
        default = "required" if key in required else _code(own["default"]) if "default" in own else ""
        meaning = own["description"]
        if "enum" in own:
            meaning += f" One of {', '.join(_code(choice) for choice in own['enum'])}."
        example = _code(own["examples"][0]) if "examples" in own else ""
        yield f"| `{prefix}{key}` | {default} | {_cell(meaning)} | {example} |"
        if "properties" in own:
            yield from _rows(f"{prefix}{key}.", own["properties"], own.get("required", []), schema)


def _code(value: Any) -> str:
    text = yaml.safe_dump(value, default_flow_style=True, width=10_000).removesuffix("...\n").strip()
    return f"`{_cell(text)}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    write_text(render(read_schema()), README)
    print(f"wrote {README.relative_to(Path.cwd()) if README.is_relative_to(Path.cwd()) else README}")
