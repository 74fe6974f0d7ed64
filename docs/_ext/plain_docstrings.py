"""The project's docstrings as reStructuredText.

They are plain text: `name` is code, a paragraph of "name : meaning" lines describes arguments or fields, an
indented block stands as it is, and no other character has a meaning.
"""

import re
import textwrap
from typing import Any

from sphinx.application import Sphinx

# What may begin a description: one or several names, then " : ".
FIELD = re.compile(r"(?P<names>\w+(?:(?:, |\.\.)\w+)*) : (?P<meaning>.+)", re.DOTALL)
# A description may follow another in its line: "formula : what is fitted. data : as for fit."
NEXT = re.compile(r"(?<=[.;]) (?=[a-z]\w*(?:, \w+)* : )")
CODE = re.compile(r"`([^`]+)`")
MARKUP = re.compile(r"([\\*|_`])")


def words(text: str) -> str:
    """Running text in which only `code` is marked."""
    parts = CODE.split(" ".join(text.split()))
    return "".join(f"``{part}``" if i % 2 else MARKUP.sub(r"\\\1", part) for i, part in enumerate(parts))


def fields(lines: list[str]) -> list[str] | None:
    """Descriptions of a paragraph whose lines begin with names; None if its first line does not."""
    found: list[str] = []
    for line in lines:
        if FIELD.match(line):
            found.append(line)
        elif not found:
            return None
        else:
            found[-1] += " " + line.strip()
    return [part for item in found for part in NEXT.split(item)]


def restructured(docstring: str) -> list[str]:
    """Lines of reStructuredText for a docstring without common indentation."""
    result: list[str] = []
    for paragraph in re.split(r"\n\s*\n", docstring.strip("\n")):
        lines = paragraph.split("\n")
        described = fields(lines)
        if lines[0].startswith((" ", ">>>")):
            result += ["::", "", *textwrap.indent(textwrap.dedent(paragraph), "    ").split("\n")]
        elif described is not None:
            for item in described:
                match = FIELD.match(item)
                assert match is not None
                names = re.split(r", ", match["names"])
                meaning = words(match["meaning"].rstrip(";"))
                result.append(f"- {', '.join(f'``{name}``' for name in names)}: {meaning}")
        else:
            result.append(words(paragraph))
        result.append("")
    return result


def process(app: Sphinx, what: str, name: str, item: Any, options: Any, lines: list[str]) -> None:
    lines[:] = restructured("\n".join(lines))


def without_arguments(app: Sphinx, what: str, name: str, *rest: Any) -> tuple[str, None] | None:
    """No arguments for the classes of results, which users are given and do not make."""
    made = ("AR1", "CAR1", "Exponential", "Gaussian", "CompoundSymmetry", "Toeplitz", "Unstructured")
    made += ("AnteDependence", "RandomWalk", "ByGroup", "Power")
    return ("", None) if what == "class" and name.split(".")[-1] not in made else None


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("autodoc-process-docstring", process)
    app.connect("autodoc-process-signature", without_arguments)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
