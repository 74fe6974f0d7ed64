"""Why there is no selected model: one sentence for every section that would show it."""

from collections.abc import Mapping
from typing import Any

Json = Mapping[str, Any]


def no_model(clean: Json, selection: Json) -> str:
    """The sentence of the file that says it; it starts with the dataset's name, which keeps its case."""
    message = clean["message"] if clean["status"] == "failed" else selection["message"]
    return str(message) or "No candidate could be fitted, so no model was selected."
